//! Several namespaces: a backend in another one, and interfaces that it moves there.

use crate::case::{Case, suite};
use crate::expect::{address, create, errno, exists, name, named, not_applicable, refused_with, report, tun};
use crate::{Harness, InterfaceOf, Need, refused};
use tunctl_core::{Cause, CreateOptions, Interface, Layer, Operation, State, TunBackend, TunDevice};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    let as_others = suite![Permission:
        without_the_capability_nothing_moves,
        a_handle_from_before_the_capability_moves_with_it,
    ];
    let mut cases = suite![Lifetime:
        a_backend_of_another_namespace_makes_and_finds_there,
        names_and_indices_are_of_one_namespace,
        a_device_of_another_namespace_goes_with_its_close,
        an_interface_moves_by_a_handle_and_is_found_where_it_went,
        an_interface_without_devices_moves,
        a_move_keeps_what_is_not_of_the_namespace,
        an_interface_does_not_move_where_its_name_is_taken,
        an_interface_gets_another_index_where_its_own_is_taken,
        an_interface_moves_on_and_back,
        what_is_gone_does_not_move,
    ];
    cases.extend(as_others.into_iter().map(|case| case.needs(Need::OtherUsers)));
    cases
}

const NO_NAMESPACES: &str = "it has one namespace";

/// The backend in the other namespace.
fn elsewhere<H: Harness>(harness: &H) -> Option<H::Backend> {
    let Some(backend) = harness.backend_elsewhere() else {
        not_applicable(NO_NAMESPACES);
        return None;
    };
    Some(backend.unwrap())
}

fn try_to_move<H: Harness>(harness: &H, interface: &InterfaceOf<H>) -> tunctl_core::Result<()> {
    harness.move_by_handle(interface).expect("a backend with several namespaces moves interfaces")
}

fn a_backend_of_another_namespace_makes_and_finds_there<H: Harness>(harness: &H) {
    let Some(there) = elsewhere(harness) else { return };
    let options = CreateOptions::tun().name("tun0").mtu(1400).address("10.77.0.1/24").up();
    let device = there.create(&options).unwrap();
    assert!(!exists(harness, "tun0"));
    let made = harness.report_elsewhere(&name("tun0")).unwrap();
    assert_eq!((made.mtu.get(), made.state, made.index), (1400, State::Up, device.interface().index()));
    // The system may have added one of its own.
    assert!(device.interface().addresses().unwrap().contains(&address("10.77.0.1/24")));

    let found = there.interface(&name("tun0")).unwrap();
    found.set_mtu("1300".parse().unwrap()).unwrap();
    assert_eq!(harness.report_elsewhere(&name("tun0")).unwrap().mtu.get(), 1300);
    assert_eq!(there.interfaces().unwrap().len(), 1);
    refused(harness.backend().interface(&name("tun0")), Cause::NotFound);
    assert!(harness.backend().interfaces().unwrap().is_empty());
    refused_with(there.create(&named(CreateOptions::tun(), "tun0")), Cause::Exists, errno::EBUSY);
    found.delete().unwrap();
    assert!(harness.report_elsewhere(&name("tun0")).is_none());
    refused(device.name(), Cause::Gone);
}

fn names_and_indices_are_of_one_namespace<H: Harness>(harness: &H) {
    let Some(there) = elsewhere(harness) else { return };
    let here = tun(harness, "tun0");
    let namesake = there.create(&named(CreateOptions::tap(), "tun0")).unwrap();
    assert_eq!(here.interface().index(), namesake.interface().index());
    here.interface().set_mtu("1300".parse().unwrap()).unwrap();
    namesake.interface().set_mtu("1400".parse().unwrap()).unwrap();
    assert_eq!((report(harness, "tun0").layer, report(harness, "tun0").mtu.get()), (Layer::Tun, 1300));
    let namesake = harness.report_elsewhere(&name("tun0")).unwrap();
    assert_eq!((namesake.layer, namesake.mtu.get()), (Layer::Tap, 1400));
}

fn a_device_of_another_namespace_goes_with_its_close<H: Harness>(harness: &H) {
    let Some(there) = elsewhere(harness) else { return };
    let device = there.create(&named(CreateOptions::tun(), "tun0")).unwrap();
    let kept = there.create(&named(CreateOptions::tun(), "tun1")).unwrap();
    kept.set_persist(true).unwrap();
    drop((device, kept));
    assert!(harness.report_elsewhere(&name("tun0")).is_none());
    assert!(harness.report_elsewhere(&name("tun1")).unwrap().persistent);
    let again = there.open(&named(CreateOptions::tun(), "tun1")).unwrap();
    again.destroy().unwrap();
    assert!(harness.report_elsewhere(&name("tun1")).is_none());
}

fn an_interface_moves_by_a_handle_and_is_found_where_it_went<H: Harness>(harness: &H) {
    let Some(there) = elsewhere(harness) else { return };
    let device = tun(harness, "mover");
    device.up(address("10.77.0.1/24")).unwrap();
    let found = harness.backend().interface(&name("mover")).unwrap();
    let index = found.index();
    try_to_move(harness, &found).unwrap();
    assert!(!exists(harness, "mover"));
    assert_eq!(harness.report_elsewhere(&name("mover")).unwrap().state, State::Down);
    refused(found.info(), Cause::Gone);
    refused(device.interface().info(), Cause::Gone);

    let moved = there.interface(&device.name().unwrap()).unwrap();
    assert_eq!(moved.index(), index);
    assert!(moved.addresses().unwrap().is_empty());
    moved.up(address("10.77.0.1/24")).unwrap();
    assert_eq!(harness.report_elsewhere(&name("mover")).unwrap().state, State::Up);
    device.try_send(&crate::expect::ipv4(28)).unwrap();
}

fn an_interface_without_devices_moves<H: Harness>(harness: &H) {
    let Some(there) = elsewhere(harness) else { return };
    crate::expect::persistent(harness, CreateOptions::tap(), "mover");
    try_to_move(harness, &harness.backend().interface(&name("mover")).unwrap()).unwrap();
    assert!(!exists(harness, "mover"));
    let device = there.open(&named(CreateOptions::tap(), "mover")).unwrap();
    device.destroy().unwrap();
    assert!(harness.report_elsewhere(&name("mover")).is_none());
}

fn a_move_keeps_what_is_not_of_the_namespace<H: Harness>(harness: &H) {
    let Some(_) = elsewhere(harness) else { return };
    let device = create(harness, CreateOptions::tap().persistent(true), "mover");
    device.interface().set_mtu("1300".parse().unwrap()).unwrap();
    device.interface().set_queue_length(7).unwrap();
    device.set_owner(crate::expect::uid(0)).unwrap();
    let mut before = report(harness, "mover");
    try_to_move(harness, device.interface()).unwrap();
    let after = harness.report_elsewhere(&name("mover")).unwrap();
    before.queues = after.queues;
    assert_eq!(after, before);
}

fn an_interface_does_not_move_where_its_name_is_taken<H: Harness>(harness: &H) {
    let Some(there) = elsewhere(harness) else { return };
    let device = tun(harness, "tun0");
    let namesake = there.create(&named(CreateOptions::tap(), "tun0")).unwrap();
    device.up(address("10.77.0.1/24")).unwrap();
    let before = report(harness, "tun0");
    let error = refused_with(try_to_move(harness, device.interface()), Cause::Exists, errno::EEXIST);
    assert_eq!((error.operation(), error.interface()), (Operation::Move, Some(name("tun0"))));
    assert_eq!(report(harness, "tun0"), before);
    assert_eq!(device.interface().addresses().unwrap(), [address("10.77.0.1/24")]);
    // With another name, it goes. Not every kernel renames what is up.
    device.down().unwrap();
    device.interface().rename(&name("tun1")).unwrap();
    try_to_move(harness, device.interface()).unwrap();
    assert!(harness.report_elsewhere(&name("tun1")).is_some());
    assert_eq!(namesake.name().unwrap(), name("tun0"));
}

fn an_interface_gets_another_index_where_its_own_is_taken<H: Harness>(harness: &H) {
    let Some(there) = elsewhere(harness) else { return };
    let device = tun(harness, "mover");
    let other = there.create(&named(CreateOptions::tun(), "tun0")).unwrap();
    assert_eq!(device.interface().index(), other.interface().index());
    try_to_move(harness, device.interface()).unwrap();
    let moved = there.interface(&name("mover")).unwrap();
    assert_ne!(moved.index(), other.interface().index());
    assert_eq!(harness.report_elsewhere(&name("mover")).unwrap().index, moved.index());
    // The handle from before is not of the other, whose index it has.
    refused(device.interface().set_mtu("1300".parse().unwrap()), Cause::Gone);
    assert_eq!(other.interface().info().unwrap().mtu.get(), 1500);
}

fn an_interface_moves_on_and_back<H: Harness>(harness: &H) {
    let Some(there) = elsewhere(harness) else { return };
    let device = tun(harness, "mover");
    try_to_move(harness, device.interface()).unwrap();
    let moved = there.interface(&name("mover")).unwrap();
    // There it is already: nothing changes.
    moved.set_state(State::Up).unwrap();
    try_to_move(harness, &moved).unwrap();
    assert_eq!(moved.state().unwrap(), State::Up);
    device.destroy().unwrap();
    refused(try_to_move(harness, &moved), Cause::Gone);
}

fn what_is_gone_does_not_move<H: Harness>(harness: &H) {
    let Some(_) = elsewhere(harness) else { return };
    let device = tun(harness, "tun0");
    let found = harness.backend().interface(&name("tun0")).unwrap();
    harness.delete(&name("tun0"));
    refused_with(try_to_move(harness, device.interface()), Cause::Gone, errno::EBADFD);
    let error = refused_with(try_to_move(harness, &found), Cause::Gone, errno::ENODEV);
    assert_eq!(error.operation(), Operation::Move);
}

fn without_the_capability_nothing_moves<H: Harness>(harness: &H) {
    let Some(_) = elsewhere(harness) else { return };
    let device = tun(harness, "tun0");
    for (uid, gid) in [(4001, 4001), (0, 0)] {
        harness.as_caller(uid, gid, false, &mut || {
            let found = harness.backend().interface(&name("tun0")).unwrap();
            refused_with(try_to_move(harness, &found), Cause::MissingCapability, errno::EPERM);
        });
    }
    assert!(exists(harness, "tun0"));
    harness.as_caller(4001, 4001, true, &mut || {
        let found = harness.backend().interface(&name("tun0")).unwrap();
        try_to_move(harness, &found).unwrap();
    });
    assert!(harness.report_elsewhere(&name("tun0")).is_some());
    drop(device);
}

fn a_handle_from_before_the_capability_moves_with_it<H: Harness>(harness: &H) {
    let Some(_) = elsewhere(harness) else { return };
    let _device = tun(harness, "tun0");
    let mut found = None;
    harness.as_caller(4001, 4001, false, &mut || {
        found = harness.backend().interface(&name("tun0")).ok();
    });
    let found = found.expect("to look takes no right");
    try_to_move(harness, &found).unwrap();
    assert!(harness.report_elsewhere(&name("tun0")).is_some());
}
