//! What is found without attaching to it, and what the backend can do at all.

use std::ffi::CString;
use std::time::Duration;

use crate::case::{Case, suite};
use crate::expect::{
    address, create, exists, gid, listed, name, named, open, persistent, report, tap, tun, uid,
};
use crate::{Harness, refused};
use tunctl_core::{
    Cause, CreateOptions, Error, Interface, InterfaceConfig, Mtu, Operation, Readiness, Result, State,
    TunBackend, TunDevice,
};

use tunctl_packet::bpf::{Instruction, Program};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    let described = suite![Configuration:
        a_description_is_what_was_set_and_follows_the_interface,
        a_description_that_is_too_long_is_refused,
        a_configuration_describes_and_takes_the_description_back,
    ];
    let mut cases = suite![Lifetime:
        the_list_is_empty_without_interfaces,
        the_list_is_in_the_order_of_indices_and_has_no_other_kinds,
        a_lookup_finds_what_the_list_does,
        a_lookup_tells_a_foreign_kind_from_nothing,
        looking_attaches_to_nothing,
        what_the_backend_says_of_an_interface_is_what_the_system_says,
        the_capabilities_are_what_is_supported,
    ];
    cases.extend(described.into_iter().map(|case| case.about("SIOCSIFDESCR")));
    cases
}

fn the_list_is_empty_without_interfaces<H: Harness>(harness: &H) {
    assert_eq!(listed(harness), [""; 0]);
    drop(tun(harness, "tun0"));
    assert_eq!(listed(harness), [""; 0]);
}

fn the_list_is_in_the_order_of_indices_and_has_no_other_kinds<H: Harness>(harness: &H) {
    let _first = tap(harness, "zebra");
    let second = tun(harness, "apple");
    persistent(harness, CreateOptions::tun().multi_queue(true), "many");
    assert_eq!(listed(harness), ["zebra", "apple", "many"]);
    drop(second);
    let _fourth = tun(harness, "apple");
    assert!(harness.rename(&name("zebra"), &name("last")));
    assert_eq!(listed(harness), ["last", "many", "apple"]);
    for interface in harness.backend().interfaces().unwrap() {
        assert_eq!(report(harness, &interface.name().unwrap().to_string()).index, interface.index());
    }
}

fn a_lookup_finds_what_the_list_does<H: Harness>(harness: &H) {
    let _held = tun(harness, "held");
    persistent(harness, CreateOptions::tap(), "idle");
    for text in ["held", "idle"] {
        let found = harness.backend().interface(&name(text)).unwrap();
        assert_eq!(found.index(), report(harness, text).index);
        assert_eq!(found.info().unwrap().layer, report(harness, text).layer);
    }
}

fn a_lookup_tells_a_foreign_kind_from_nothing<H: Harness>(harness: &H) {
    let other = harness.other_interface();
    let error = refused(harness.backend().interface(&other), Cause::NotATun);
    assert_eq!((error.operation(), error.interface()), (Operation::Lookup, Some(other)));
    let error = refused(harness.backend().interface(&name("none")), Cause::NotFound);
    assert_eq!((error.operation(), error.interface()), (Operation::Lookup, Some(name("none"))));
}

fn looking_attaches_to_nothing<H: Harness>(harness: &H) {
    persistent(harness, CreateOptions::tun(), "idle");
    let before = report(harness, "idle");
    let found = harness.backend().interface(&name("idle")).unwrap();
    let listed = harness.backend().interfaces().unwrap();
    assert_eq!((found.addresses().unwrap(), listed.len()), (vec![], 1));
    assert_eq!(report(harness, "idle"), before);
    // Its only queue is free.
    drop(open(harness, CreateOptions::tun(), "idle").unwrap());
    drop(found);
    assert_eq!(report(harness, "idle"), before);
}

fn what_the_backend_says_of_an_interface_is_what_the_system_says<H: Harness>(harness: &H) {
    let options = CreateOptions::tap().packet_information(true).vnet_header(true);
    let device = create(harness, options.mtu(1400), "tap0");
    device.set_persist(true).unwrap();
    device.set_owner(uid(0)).unwrap();
    harness.set_up(&name("tap0"), true);
    let said = device.interface().info().unwrap();
    let mut reported = report(harness, "tap0");
    reported.queues = reported.queues.or(said.queues);
    reported.detached_queues = reported.detached_queues.or(said.detached_queues);
    assert_eq!(said, reported);
    assert_eq!((said.mtu.get(), said.state, said.persistent), (1400, State::Up, true));
}

fn the_capabilities_are_what_is_supported<H: Harness>(harness: &H) {
    let capabilities = harness.backend().capabilities();
    for &operation in Operation::ALL {
        let supported = match tried(harness, operation) {
            None => false,
            Some(outcome) => outcome.err().is_none_or(|error| error.cause() != Cause::Unsupported),
        };
        assert_eq!(capabilities.supports(operation), supported, "{operation:?}");
        if exists(harness, "tun0") {
            harness.delete(&name("tun0"));
        }
    }
}

/// How an operation ends; `None` if neither a trait nor the backend has it.
fn tried<H: Harness>(harness: &H, operation: Operation) -> Option<Result<()>> {
    let several = || CreateOptions::tun().multi_queue(true);
    Some(match operation {
        Operation::Create => harness.backend().create(&named(CreateOptions::tun(), "tun0")).map(drop),
        Operation::OpenOrCreate => {
            harness.backend().open_or_create(&named(CreateOptions::tun(), "tun0")).map(drop)
        }
        Operation::Open => {
            // Busy or not, it can do it.
            let _first = tun(harness, "tun0");
            open(harness, CreateOptions::tun(), "tun0").map(drop)
        }
        Operation::Lookup | Operation::List => {
            let _device = tun(harness, "tun0");
            match operation {
                Operation::Lookup => harness.backend().interface(&name("tun0")).map(drop),
                _ => harness.backend().interfaces().map(drop),
            }
        }
        Operation::AttachQueue | Operation::DetachQueue => {
            let device = harness.backend().create(&named(several(), "tun0")).ok()?;
            return harness.set_queue(&device, operation == Operation::AttachQueue);
        }
        Operation::AttachFilter | Operation::DetachFilter | Operation::SetMacFilter => {
            let device = tap(harness, "tap0");
            let program = Program::new(vec![Instruction { code: 0x06, jt: 0, jf: 0, k: 1 }]).ok()?;
            return match operation {
                Operation::AttachFilter => harness.set_filter(&device, Some(&program)),
                Operation::DetachFilter => harness.set_filter(&device, None),
                _ => harness.set_mac_filter(&device, None),
            };
        }
        Operation::Watch => {
            let device = tun(harness, "tun0");
            let own = harness.events(Some(device.interface()))?;
            return Some(own.and(harness.events(None)?).map(drop));
        }
        Operation::Adopt => {
            let fd = harness.hand_over(tun(harness, "tun0"))?;
            return harness.adopt(fd).map(|adopted| adopted.map(drop).map_err(Error::from));
        }
        _ => return tried_with(tun(harness, "tun0"), operation).or_else(|| harness.attempt(operation)),
    })
}

/// How an operation of a device or its interface ends; `None` if it is neither's.
fn tried_with<D: TunDevice>(device: D, operation: Operation) -> Option<Result<()>> {
    let interface = device.interface();
    Some(match operation {
        Operation::Destroy => device.destroy().map_err(Error::from),
        Operation::SetPersist => device.set_persist(false),
        Operation::SetOwner => device.set_owner(uid(0)),
        Operation::SetGroup => device.set_group(gid(0)),
        Operation::Duplicate => device.try_clone().map(drop),
        Operation::Receive => device.try_recv(&mut [0; 100]).map(drop),
        Operation::Send => device.try_send(&[0x45; 20]).map(drop),
        Operation::Wait => device.wait(Readiness::Readable, Some(Duration::ZERO)).map(drop),
        Operation::Name => device.name().map(drop),
        Operation::Inspect => interface.info().map(drop),
        Operation::ReadStatistics => interface.statistics().map(drop),
        Operation::Up => interface.set_state(State::Up),
        Operation::Down => interface.set_state(State::Down),
        Operation::Configure => interface.apply(&InterfaceConfig::new()),
        Operation::SetMtu => interface.set_mtu(Mtu::MIN),
        Operation::SetQueueLength => interface.set_queue_length(100),
        Operation::SetCarrier => interface.set_carrier(false),
        Operation::SetMac => interface.set_mac(crate::expect::mac(1)),
        Operation::Describe => interface.set_description(c"uplink"),
        Operation::ListAddresses => interface.addresses().map(drop),
        Operation::AddAddress => interface.add_address(address("10.77.0.1/24")).map(drop),
        Operation::RemoveAddress => interface.remove_address(address("10.77.0.1/24")),
        Operation::Delete => interface.delete(),
        Operation::Rename => interface.rename(&name("tun9")),
        _ => return None,
    })
}

fn a_description_is_what_was_set_and_follows_the_interface<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let interface = device.interface();
    assert_eq!(interface.description().unwrap().as_c_str(), c"");
    for text in [c"uplink of the office", c"\xf0\x9f\x9a\x80 \xff\x01", c"uplink"] {
        interface.set_description(text).unwrap();
        let found = harness.backend().interface(&device.name().unwrap()).unwrap();
        assert_eq!(found.description().unwrap().as_c_str(), text);
    }
    harness.set_up(&device.name().unwrap(), true);
    harness.set_up(&device.name().unwrap(), false);
    assert_eq!(interface.description().unwrap().as_c_str(), c"uplink");
    interface.set_description(c"").unwrap();
    assert_eq!(interface.description().unwrap().as_c_str(), c"");

    let gone = interface.clone();
    device.destroy().unwrap();
    refused(gone.set_description(c"ghost"), Cause::Gone);
    refused(gone.description(), Cause::Gone);
}

fn a_description_that_is_too_long_is_refused<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let interface = device.interface();
    interface.set_description(c"before").unwrap();
    let long = CString::new([b'x'; 2000]).unwrap();
    let error = refused(interface.set_description(&long), Cause::InvalidValue);
    assert_eq!(error.operation(), Operation::Describe);
    assert_eq!(interface.description().unwrap().as_c_str(), c"before");
}

fn a_configuration_describes_and_takes_the_description_back<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let interface = device.interface();
    interface.apply(&InterfaceConfig::new().description("first")).unwrap();
    interface.add_address(address("fd77::1/64")).unwrap();
    let config = InterfaceConfig::new().description("second").address("fd77::1/48");
    let error = refused(interface.apply(&config), Cause::AddressExists);
    assert_eq!(error.leftovers(), None, "{error}");
    assert_eq!(interface.description().unwrap().as_c_str(), c"first");
}
