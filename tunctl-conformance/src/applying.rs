//! Configurations: what is named is made so as a whole, or not at all.

use crate::addresses::{add, assert_held};
use crate::case::{Case, Need, suite};
use crate::expect::{
    address, create, errno, exists, mac, name, named, open, persistent, refused_with, report, tap, tun, uid,
};
use crate::{DeviceOf, Harness};
use tunctl_core::{
    Cause, CreateFlags, CreateOptions, Error, Interface, InterfaceConfig, InterfaceInfo, Operation, State,
    TunBackend, TunDevice,
};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    let mut cases = suite![Configuration:
        a_new_interface_is_what_its_options_name,
        a_new_interface_has_the_other_ends_that_its_options_name,
        a_new_interface_is_persistent_if_its_options_say_so,
        a_new_interface_may_be_up_without_an_address,
        the_first_wrong_option_is_reported_and_nothing_is_made,
        a_creation_that_fails_leaves_nothing,
        opening_changes_only_what_differs,
        an_opening_that_fails_leaves_what_was_there,
        a_configuration_changes_what_it_names_and_nothing_else,
        a_configuration_that_fails_leaves_what_was_there,
        a_configuration_that_fails_puts_back_what_went_down,
        an_address_that_is_to_go_must_be_there,
        a_removed_address_takes_no_other_along,
        an_mtu_too_small_for_ipv6_is_refused_unless_that_is_agreed,
        going_down_by_configuration_keeps_the_addresses,
        a_configuration_of_nothing_asks_nothing,
        queues_are_made_together,
        a_queue_length_is_what_was_set,
        a_queue_length_leaves_packets_that_have_room,
        an_open_queue_has_a_longest_length,
    ];
    let others = suite![Permission:
        what_is_so_already_takes_no_right,
        a_configuration_without_the_right_changes_nothing,
    ];
    cases.extend(others.into_iter().map(|case| case.needs(Need::OtherUsers)));
    cases
}

/// Why something failed, which is then looked at.
#[track_caller]
fn failure<T>(outcome: tunctl_core::Result<T>) -> Error {
    outcome.err().expect("it fails")
}

/// An interface with properties that a test can lose.
fn set_up<H: Harness>(harness: &H) -> DeviceOf<H> {
    let device = tap(harness, "tap0");
    device.interface().set_mtu(1400.try_into().unwrap()).unwrap();
    add(&device, &["10.1.1.1/24", "10.1.1.2/24", "fd77::1/64"]);
    device
}

fn reported<H: Harness>(harness: &H, text: &str) -> (InterfaceInfo, Vec<String>) {
    let mut addresses: Vec<_> = harness
        .reported_addresses(&name(text))
        .iter()
        .filter(|held| !held.is_link_local())
        .map(ToString::to_string)
        .collect();
    addresses.sort();
    (report(harness, text), addresses)
}

fn a_new_interface_is_what_its_options_name<H: Harness>(harness: &H) {
    let options =
        CreateOptions::tap().mtu(1400).mac(mac(7)).address("10.1.1.1/24").address("fd77::1/64").up();
    let _device = create(harness, options, "tap0");
    let (info, addresses) = reported(harness, "tap0");
    assert_eq!((info.mtu.get(), info.mac, info.state), (1400, Some(mac(7)), State::Up));
    assert_eq!(addresses, ["10.1.1.1/24", "fd77::1/64"]);
}

fn a_new_interface_has_the_other_ends_that_its_options_name<H: Harness>(harness: &H) {
    let wanted = ["10.1.1.1 peer 10.1.1.2/32", "fd77::1 peer fd77::2/128"];
    let options = wanted.into_iter().fold(CreateOptions::tun(), CreateOptions::address);
    let device = create(harness, options.up(), "tun0");
    assert_eq!(reported(harness, "tun0").1, wanted);
    let told = device.interface().addresses().unwrap();
    assert!(wanted.iter().all(|text| told.contains(&address(text))), "{told:?}");
}

fn a_new_interface_is_persistent_if_its_options_say_so<H: Harness>(harness: &H) {
    drop(create(harness, CreateOptions::tun().persistent(true), "tun0"));
    assert!(exists(harness, "tun0"));
    drop(open(harness, CreateOptions::tun().persistent(false), "tun0").unwrap());
    assert!(!exists(harness, "tun0"));
}

fn a_new_interface_may_be_up_without_an_address<H: Harness>(harness: &H) {
    let _device = create(harness, CreateOptions::tun().up(), "tun0");
    let (info, addresses) = reported(harness, "tun0");
    assert_eq!((info.state, addresses.len()), (State::Up, 0));
}

fn the_first_wrong_option_is_reported_and_nothing_is_made<H: Harness>(harness: &H) {
    let options = named(CreateOptions::tun(), "tun0").mtu(12).address("10.1.1").mac("nonsense").up();
    for (operation, outcome) in [
        (Operation::Create, harness.backend().create(&options)),
        (Operation::OpenOrCreate, harness.backend().open_or_create(&options)),
    ] {
        let error = failure(outcome);
        assert_eq!((error.operation(), error.cause()), (operation, Cause::InvalidMtu), "{error}");
    }
    assert!(!exists(harness, "tun0"));
    let interface = tun(harness, "tun0").interface().clone();
    let error = failure(interface.apply(&InterfaceConfig::new().address("10.1.1").mtu(12)));
    assert_eq!((error.operation(), error.cause()), (Operation::Configure, Cause::InvalidAddress));
    assert!(error.to_string().contains("\"10.1.1\" is refused"), "{error}");
}

fn a_creation_that_fails_leaves_nothing<H: Harness>(harness: &H) {
    // The second address is the first in another form.
    let options =
        CreateOptions::tun().mtu(1400).address("fd77::1/64").address("fd77::1/48").persistent(true).up();
    let error = failure(harness.backend().create(&named(options, "tun0")));
    assert_eq!((error.operation(), error.cause()), (Operation::AddAddress, Cause::AddressExists));
    assert_eq!(error.leftovers(), None, "{error}");
    assert!(!exists(harness, "tun0"));
}

fn opening_changes_only_what_differs<H: Harness>(harness: &H) {
    drop({
        let device = set_up(harness);
        device.set_persist(true).unwrap();
        device
    });
    let (before, mut addresses) = reported(harness, "tap0");
    let options = CreateOptions::tap().mtu(1400).address("10.1.1.2/24").address("10.2.2.2/24");
    drop(open(harness, options, "tap0").unwrap());
    addresses.push("10.2.2.2/24".into());
    addresses.sort();
    assert_eq!(reported(harness, "tap0"), (before, addresses));
}

fn an_opening_that_fails_leaves_what_was_there<H: Harness>(harness: &H) {
    let device = set_up(harness);
    device.set_persist(true).unwrap();
    drop(device);
    let before = reported(harness, "tap0");
    let options =
        CreateOptions::tap().mtu(1300).mac(mac(9)).address("10.2.2.2/24").address("fd77::1/48").up();
    refused_with(open(harness, options, "tap0"), Cause::AddressExists, errno::EEXIST);
    assert_eq!(reported(harness, "tap0"), before);
}

fn a_configuration_changes_what_it_names_and_nothing_else<H: Harness>(harness: &H) {
    let device = set_up(harness);
    let (mut expected, _) = reported(harness, "tap0");
    let config = InterfaceConfig::new()
        .mtu(1300)
        .mac(mac(8))
        .address("10.3.3.3/24")
        .address("fd78::1/64")
        .remove_address("10.1.1.2/24")
        .up();
    for _ in 0..2 {
        // The second time there is nothing left to do but to remove, which is a mistake.
        let again = device.interface().apply(&config);
        assert_eq!(again.map_err(|error| error.cause()), Ok(()), "{config:?}");
        (expected.mtu, expected.mac, expected.state) = (1300.try_into().unwrap(), Some(mac(8)), State::Up);
        let (info, addresses) = reported(harness, "tap0");
        assert_eq!(addresses, ["10.1.1.1/24", "10.3.3.3/24", "fd77::1/64", "fd78::1/64"]);
        // A kernel may count its queues only while the interface is up.
        expected.queues = info.queues;
        assert_eq!(info, expected);
        device.interface().add_address(address("10.1.1.2/24")).unwrap();
    }
}

fn a_configuration_that_fails_leaves_what_was_there<H: Harness>(harness: &H) {
    let device = set_up(harness);
    let before = reported(harness, "tap0");
    let config = InterfaceConfig::new()
        .mtu(1300)
        .mac(mac(8))
        .address("10.3.3.3/24")
        .remove_address("10.1.1.1/24")
        .address("fd77::1/48")
        .up();
    let error = failure(device.interface().apply(&config));
    assert_eq!((error.operation(), error.cause()), (Operation::AddAddress, Cause::AddressExists));
    assert_eq!(error.leftovers(), None, "{error}");
    assert_eq!(reported(harness, "tap0"), before);
}

fn a_configuration_that_fails_puts_back_what_went_down<H: Harness>(harness: &H) {
    let device = set_up(harness);
    device.interface().set_state(State::Up).unwrap();
    let before = reported(harness, "tap0");
    let config = InterfaceConfig::new().state(State::Down).address("fd77::1/48");
    refused_with(device.interface().apply(&config), Cause::AddressExists, errno::EEXIST);
    assert_eq!(reported(harness, "tap0"), before);
}

fn an_address_that_is_to_go_must_be_there<H: Harness>(harness: &H) {
    let device = set_up(harness);
    let before = reported(harness, "tap0");
    for absent in ["10.9.9.9/24", "10.1.1.1/25", "fd77::1/48"] {
        let config = InterfaceConfig::new().mtu(1300).address("10.3.3.3/24").remove_address(absent).up();
        let error = failure(device.interface().apply(&config));
        assert_eq!((error.operation(), error.cause()), (Operation::RemoveAddress, Cause::AddressNotFound));
        assert!(error.to_string().contains(absent), "{error}");
        assert_eq!(reported(harness, "tap0"), before);
    }
}

fn a_removed_address_takes_no_other_along<H: Harness>(harness: &H) {
    let device = set_up(harness);
    device.interface().apply(&InterfaceConfig::new().remove_address("10.1.1.1/24")).unwrap();
    assert_held(harness, "tap0", &["10.1.1.2/24", "fd77::1/64"]);
}

fn an_mtu_too_small_for_ipv6_is_refused_unless_that_is_agreed<H: Harness>(harness: &H) {
    let device = set_up(harness);
    let before = reported(harness, "tap0");
    let too_small = || InterfaceConfig::new().mtu(1279);
    for config in [too_small(), too_small().address("fd78::1/64").drop_ipv6(true)] {
        let error = failure(device.interface().apply(&config));
        assert_eq!((error.operation(), error.cause()), (Operation::SetMtu, Cause::InvalidMtu), "{error}");
        assert_eq!(reported(harness, "tap0"), before);
    }
    device.interface().apply(&too_small().drop_ipv6(true)).unwrap();
    assert_held(harness, "tap0", &["10.1.1.1/24", "10.1.1.2/24"]);
    assert_eq!(report(harness, "tap0").mtu.get(), 1279);
    // Those that are removed by name are no loss.
    let other = tun(harness, "tun1");
    add(&other, &["fd79::1/64"]);
    other.interface().apply(&too_small().remove_address("fd79::1/64")).unwrap();
    assert_eq!(report(harness, "tun1").mtu.get(), 1279);
}

fn going_down_by_configuration_keeps_the_addresses<H: Harness>(harness: &H) {
    let device = set_up(harness);
    device.interface().set_state(State::Up).unwrap();
    device.interface().apply(&InterfaceConfig::new().state(State::Down)).unwrap();
    let (info, addresses) = reported(harness, "tap0");
    assert_eq!(
        (info.state, addresses),
        (State::Down, vec!["10.1.1.1/24".into(), "10.1.1.2/24".into(), "fd77::1/64".into()])
    );
}

fn a_configuration_of_nothing_asks_nothing<H: Harness>(harness: &H) {
    let interface = tun(harness, "tun0").interface().clone();
    // It is gone, and nothing looks.
    interface.apply(&InterfaceConfig::new()).unwrap();
    assert_eq!(failure(interface.apply(&InterfaceConfig::new().up())).cause(), Cause::Gone);
}

fn queues_are_made_together<H: Harness>(harness: &H) {
    let options = named(CreateOptions::tun(), "tun0").address("10.1.1.1/24").up();
    let queues = harness.backend().create_queues(&options, 3).unwrap();
    assert_eq!(queues.len(), 3);
    for queue in &queues {
        assert_eq!(queue.name().unwrap(), name("tun0"));
        assert!(queue.flags().contains(CreateFlags::MULTI_QUEUE));
    }
    assert_held(harness, "tun0", &["10.1.1.1/24"]);
    let interface = queues[0].interface().clone();
    assert_eq!(interface.info().unwrap().queues, Some(3));
    let error = failure(harness.backend().create_queues(&options, 2));
    assert_eq!((error.operation(), error.cause()), (Operation::Create, Cause::Exists));
    drop(queues);
    assert!(!exists(harness, "tun0"));
    let none = failure(harness.backend().create_queues(&options, 0));
    assert_eq!((none.operation(), none.cause()), (Operation::Create, Cause::InvalidOptions));
}

fn a_queue_length_is_what_was_set<H: Harness>(harness: &H) {
    let device = create(harness, CreateOptions::tun().queue_length(7), "tun0");
    assert_eq!(report(harness, "tun0").queue_length, Some(7));
    for packets in [0, 1, 1000] {
        device.interface().set_queue_length(packets).unwrap();
        assert_eq!(report(harness, "tun0").queue_length, Some(packets));
    }
    let interface = device.interface().clone();
    drop(device);
    refused_with(interface.set_queue_length(9), Cause::Gone, errno::ENODEV);
}

fn a_queue_length_leaves_packets_that_have_room<H: Harness>(harness: &H) {
    let device = create(harness, CreateOptions::tun().up(), "tun0");
    let tun0 = name("tun0");
    for number in 0..5_u16 {
        assert!(harness.inject(&tun0, &crate::expect::ipv4(20 + number)));
    }
    let dropped = harness.dropped(&tun0);
    device.interface().set_queue_length(3).unwrap();
    for number in 0..3_u16 {
        assert_eq!(crate::expect::received(&device).len(), 20 + usize::from(number));
    }
    crate::expect::assert_empty(&device);
    // The kernel counts them nowhere.
    assert_eq!(harness.dropped(&tun0), dropped);
}

fn an_open_queue_has_a_longest_length<H: Harness>(harness: &H) {
    const LONGEST: u32 = 1 << 19;
    let device = tun(harness, "tun0");
    let permitted = harness.profile().longest_queue;
    let longest = LONGEST.min(permitted);
    device.interface().set_queue_length(longest).unwrap();
    let errno = if permitted < LONGEST { errno::ERANGE } else { errno::EPERM };
    let refused = (Cause::InvalidValue, Some(errno));
    let error = failure(device.interface().set_queue_length(longest + 1));
    assert_eq!((error.cause(), error.raw_os_error()), refused);
    assert_eq!(report(harness, "tun0").queue_length, Some(longest));
    device.set_persist(true).unwrap();
    let interface = device.interface().clone();
    drop(device);
    if permitted < LONGEST {
        let error = failure(interface.set_queue_length(longest + 1));
        assert_eq!((error.cause(), error.raw_os_error()), refused);
        return;
    }
    // With no queue open there is nothing to refuse, but then none can be opened.
    interface.set_queue_length(LONGEST + 1).unwrap();
    let error = failure(open(harness, CreateOptions::tun(), "tun0"));
    assert_eq!((error.cause(), error.raw_os_error()), (Cause::Other, Some(12)));
}

fn what_is_so_already_takes_no_right<H: Harness>(harness: &H) {
    let options = || CreateOptions::tun().mtu(1400).address("10.1.1.1/24").address("fd77::1/64").up();
    let device = create(harness, options().owner(uid(4001)), "tun0");
    device.set_persist(true).unwrap();
    drop(device);
    harness.as_caller(4001, 4001, false, &mut || {
        let device = open(harness, options(), "tun0").unwrap();
        device.up(address("10.1.1.1/24")).unwrap();
        device.interface().apply(&InterfaceConfig::new().mtu(1400).address("fd77::1/64").up()).unwrap();
        device.interface().replace_addresses(&[address("10.1.1.1/24"), address("fd77::1/64")]).unwrap();
    });
}

fn a_configuration_without_the_right_changes_nothing<H: Harness>(harness: &H) {
    persistent(harness, CreateOptions::tun().owner(uid(4001)).mtu(1400).up(), "tun0");
    let before = reported(harness, "tun0");
    for options in [
        CreateOptions::tun().mtu(1300),
        CreateOptions::tun().address("10.1.1.1/24"),
        CreateOptions::tun().queue_length(3),
    ] {
        harness.as_caller(4001, 4001, false, &mut || {
            let outcome = open(harness, options.clone(), "tun0");
            refused_with(outcome, Cause::MissingCapability, errno::EPERM);
        });
        assert_eq!(reported(harness, "tun0"), before);
    }
}
