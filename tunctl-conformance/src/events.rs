//! Events: each change of an interface, once, in order.

use std::iter;
use std::time::Duration;

use tunctl_core::{
    Cause, CreateOptions, EventWatcher, Interface, InterfaceChange, InterfaceEvent, InterfaceName, Mtu,
    State, TunBackend, TunDevice, WaitOutcome,
};

use crate::case::{Case, suite};
use crate::expect::{
    address, create, errno, mac, name, not_applicable, open, persistent, refused, refused_with, tap, tun,
    uid, up,
};
use crate::{Harness, InterfaceOf};

use InterfaceChange::{
    AddressAdded, AddressRemoved, CarrierOff, CarrierOn, Created, Deleted, Down, Moved, Up,
};

/// Far longer than any event takes: Linux reports a carrier within a second.
const SOON: Duration = Duration::from_secs(20);

pub(crate) const NO_EVENTS: &str = "it reports no events";

pub(crate) type Watcher = Box<dyn EventWatcher>;

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Events:
        each_change_is_an_event_in_the_order_in_which_it_was_made,
        what_another_program_changes_is_an_event,
        what_changes_nothing_is_no_event,
        what_was_before_is_no_event,
        what_a_change_takes_along_is_reported_after_it,
        an_address_that_goes_takes_the_others_of_its_network_before_it,
        a_deletion_is_the_last_event,
        going_down_is_reported_before_a_deletion_and_addresses_in_between,
        closing_the_last_device_is_a_deletion,
        a_move_is_the_last_event,
        a_rename_tells_both_names,
        the_carrier_goes_with_the_last_device_and_comes_with_the_next,
        the_carrier_of_an_interface_that_is_down_comes_with_the_next_change,
        two_watchers_see_the_same,
        an_interface_tells_of_itself_and_a_backend_of_all,
        a_stranger_with_the_same_index_is_not_reported,
    ]
}

/// Watches an interface, or all. `None`: the backend has no events, as the outcome of the case then says.
pub(crate) fn watch<H: Harness>(harness: &H, interface: Option<&InterfaceOf<H>>) -> Option<Watcher> {
    let Some(watcher) = harness.events(interface) else {
        not_applicable(NO_EVENTS);
        return None;
    };
    Some(watcher.unwrap_or_else(|error| panic!("{error}")))
}

/// What has changed, without the carrier, which systems report in their own time.
#[track_caller]
pub(crate) fn changes(watcher: &mut Watcher) -> Vec<InterfaceChange> {
    events(watcher).into_iter().map(|(_, change)| change).collect()
}

#[track_caller]
fn events(watcher: &mut Watcher) -> Vec<(InterfaceName, InterfaceChange)> {
    let all = iter::from_fn(|| match watcher.try_next() {
        Ok(event) => event,
        Err(error) => {
            let _ = refused_with::<(), _>(Err(error), Cause::WouldBlock, errno::EAGAIN);
            None
        }
    });
    let changed = |event| match event {
        InterfaceEvent::Changed { name, change, .. } => (name, change),
        event => panic!("no change: {event}"),
    };
    let in_time = |(_, change): &(_, InterfaceChange)| !matches!(change, CarrierOn | CarrierOff);
    all.map(changed).filter(in_time).collect()
}

#[track_caller]
pub(crate) fn assert_ended(watcher: &mut Watcher) {
    assert_eq!(watcher.try_next().unwrap(), None);
    assert!(watcher.next().is_none());
    assert_eq!(watcher.wait(None, None).unwrap(), WaitOutcome::Ready);
}

fn mtu(bytes: u32) -> InterfaceChange {
    InterfaceChange::Mtu(Mtu::new(bytes).unwrap())
}

fn added(text: &str) -> InterfaceChange {
    AddressAdded(address(text))
}

fn removed(text: &str) -> InterfaceChange {
    AddressRemoved(address(text))
}

fn each_change_is_an_event_in_the_order_in_which_it_was_made<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let interface = device.interface();
    let Some(mut watcher) = watch(harness, Some(interface)) else { return };
    interface.add_address(address("10.77.0.1/24")).unwrap();
    interface.set_state(State::Up).unwrap();
    interface.add_address(address("fd77::1/64")).unwrap();
    interface.set_mtu(Mtu::new(1400).unwrap()).unwrap();
    interface.remove_address(address("10.77.0.1/24")).unwrap();
    interface.set_state(State::Down).unwrap();
    let expected = [
        added("10.77.0.1/24"),
        Up,
        added("fd77::1/64"),
        mtu(1400),
        removed("10.77.0.1/24"),
        Down,
        removed("fd77::1/64"),
    ];
    assert_eq!(changes(&mut watcher), expected);
    device.up(address("10.77.0.1/24")).unwrap();
    assert_eq!(changes(&mut watcher), [Up, added("10.77.0.1/24")]);
}

fn what_another_program_changes_is_an_event<H: Harness>(harness: &H) {
    let device = tap(harness, "tap0");
    let Some(mut watcher) = watch(harness, Some(device.interface())) else { return };
    harness.set_up(&name("tap0"), true);
    harness.set_up(&name("tap0"), false);
    assert_eq!(changes(&mut watcher), [Up, Down]);
    assert!(changes(&mut watcher).is_empty());
}

fn what_changes_nothing_is_no_event<H: Harness>(harness: &H) {
    let device = tap(harness, "tap0");
    let interface = device.interface();
    interface.add_address(address("10.77.0.1/24")).unwrap();
    let Some(mut watcher) = watch(harness, Some(interface)) else { return };
    for up in [false, true] {
        harness.set_up(&name("tap0"), up);
        drop(changes(&mut watcher));
        harness.set_up(&name("tap0"), up);
        interface.set_mtu(interface.mtu().unwrap()).unwrap();
        assert!(!interface.add_address(address("10.77.0.1/24")).unwrap());
        // What events do not report.
        interface.set_mac(mac(if up { 1 } else { 2 })).unwrap();
        interface.set_queue_length(if up { 7 } else { 8 }).unwrap();
        interface.set_description(if up { c"one" } else { c"other" }).unwrap();
        device.set_persist(up).unwrap();
        device.set_owner(uid(0)).unwrap();
        assert_eq!(changes(&mut watcher), [], "up: {up}");
    }
}

fn what_was_before_is_no_event<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun(), "tun0");
    device.interface().set_mtu(Mtu::new(1400).unwrap()).unwrap();
    device.interface().add_address(address("10.77.0.1/24")).unwrap();
    let Some(mut own) = watch(harness, Some(device.interface())) else { return };
    let Some(mut all) = watch(harness, None) else { return };
    for watcher in [&mut own, &mut all] {
        assert_eq!(changes(watcher), []);
    }
    device.interface().remove_address(address("10.77.0.1/24")).unwrap();
    for watcher in [&mut own, &mut all] {
        assert_eq!(changes(watcher), [removed("10.77.0.1/24")]);
    }
}

fn what_a_change_takes_along_is_reported_after_it<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun(), "tun0");
    let interface = device.interface();
    let six = ["fd77::1/64", "fd77::2/64", "fe80::7/64"];
    let Some(mut watcher) = watch(harness, Some(interface)) else { return };
    let expected = |first| vec![first, removed(six[1]), removed(six[0]), removed(six[2])];
    for small in [true, false] {
        six.iter().for_each(|text| assert!(interface.add_address(address(text)).unwrap()));
        assert_eq!(changes(&mut watcher), six.map(added));
        if small {
            interface.set_mtu(Mtu::new(1279).unwrap()).unwrap();
            assert_eq!(changes(&mut watcher), expected(mtu(1279)));
            interface.set_mtu(Mtu::new(1280).unwrap()).unwrap();
            assert_eq!(changes(&mut watcher), [mtu(1280)]);
        } else {
            interface.down().unwrap();
            assert_eq!(changes(&mut watcher), expected(Down));
        }
    }
}

fn an_address_that_goes_takes_the_others_of_its_network_before_it<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let interface = device.interface();
    for text in ["10.77.0.1/24", "10.77.0.2/24", "10.78.0.1/24", "10.77.0.3/24"] {
        interface.add_address(address(text)).unwrap();
    }
    let Some(mut watcher) = watch(harness, Some(interface)) else { return };
    interface.remove_address(address("10.77.0.1/24")).unwrap();
    let expected = [removed("10.77.0.2/24"), removed("10.77.0.3/24"), removed("10.77.0.1/24")];
    assert_eq!(changes(&mut watcher), expected);
}

fn a_deletion_is_the_last_event<H: Harness>(harness: &H) {
    let addresses = ["10.77.0.1/24", "10.77.0.2/24", "fd77::1/64", "fd77::2/64"];
    let device =
        create(harness, addresses.into_iter().fold(CreateOptions::tun(), CreateOptions::address), "tun0");
    let Some(mut watcher) = watch(harness, Some(device.interface())) else { return };
    harness.delete(&name("tun0"));
    let expected = [
        removed("10.77.0.1/24"),
        removed("10.77.0.2/24"),
        removed("fd77::2/64"),
        removed("fd77::1/64"),
        Deleted,
    ];
    assert_eq!(changes(&mut watcher), expected);
    assert_ended(&mut watcher);
}

fn going_down_is_reported_before_a_deletion_and_addresses_in_between<H: Harness>(harness: &H) {
    let options = CreateOptions::tun().address("10.77.0.1/24").address("fd77::1/64");
    let device = up(harness, options, "tun0");
    let Some(mut watcher) = watch(harness, Some(device.interface())) else { return };
    harness.delete(&name("tun0"));
    assert_eq!(changes(&mut watcher), [Down, removed("fd77::1/64"), removed("10.77.0.1/24"), Deleted]);
    assert_ended(&mut watcher);
}

fn closing_the_last_device_is_a_deletion<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun(), "tun0");
    let Some(mut watcher) = watch(harness, Some(device.interface())) else { return };
    drop(device);
    let all: Vec<_> = watcher.by_ref().map(|event| event.unwrap().change().unwrap()).collect();
    assert_eq!(all, [CarrierOff, Down, Deleted]);
    assert_ended(&mut watcher);
}

fn a_move_is_the_last_event<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun().address("10.77.0.1/24"), "tun0");
    let Some(mut own) = watch(harness, Some(device.interface())) else { return };
    let Some(mut all) = watch(harness, None) else { return };
    harness.move_to_namespace(&name("tun0"));
    for watcher in [&mut own, &mut all] {
        assert_eq!(changes(watcher), [Down, removed("10.77.0.1/24"), Moved]);
    }
    assert_ended(&mut own);
}

fn a_rename_tells_both_names<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    device.interface().add_address(address("10.77.0.1/24")).unwrap();
    let Some(mut watcher) = watch(harness, Some(device.interface())) else { return };
    assert!(harness.rename(&name("tun0"), &name("tun7")));
    device.interface().rename(&name("tun8")).unwrap();
    let renamed = |to: &str, from: &str| (name(to), InterfaceChange::Renamed { from: name(from) });
    assert_eq!(events(&mut watcher), [renamed("tun7", "tun0"), renamed("tun8", "tun7")]);
    harness.set_up(&name("tun8"), true);
    assert_eq!(events(&mut watcher), [(name("tun8"), Up)]);
    if harness.rename(&name("tun8"), &name("tun9")) {
        assert_eq!(events(&mut watcher), [renamed("tun9", "tun8")]);
    }
}

fn the_carrier_goes_with_the_last_device_and_comes_with_the_next<H: Harness>(harness: &H) {
    persistent(harness, CreateOptions::tun(), "tun0");
    let device = open(harness, CreateOptions::tun(), "tun0").unwrap();
    harness.set_up(&name("tun0"), true);
    let interface = device.interface().clone();
    let Some(mut watcher) = watch(harness, Some(&interface)) else { return };
    let mut next = || watcher.next_until(Some(SOON), None).unwrap().unwrap().change().unwrap();
    drop(device);
    assert_eq!(next(), CarrierOff);
    let _device = open(harness, CreateOptions::tun(), "tun0").unwrap();
    assert_eq!(next(), CarrierOn);
}

fn the_carrier_of_an_interface_that_is_down_comes_with_the_next_change<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    device.set_persist(true).unwrap();
    let Some(mut watcher) = watch(harness, None) else { return };
    drop(device);
    refused(watcher.try_next(), Cause::WouldBlock);
    let interface = harness.backend().interface(&name("tun0")).unwrap();
    interface.set_mtu(Mtu::new(1400).unwrap()).unwrap();
    let mut next = || watcher.try_next().unwrap().unwrap().change().unwrap();
    assert_eq!([next(), next()], [mtu(1400), CarrierOff]);
    let _device = open(harness, CreateOptions::tun(), "tun0").unwrap();
    harness.set_up(&name("tun0"), true);
    assert_eq!([next(), next()], [CarrierOn, Up]);
    refused(watcher.try_next(), Cause::WouldBlock);
}

fn two_watchers_see_the_same<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let Some(mut one) = watch(harness, Some(device.interface())) else { return };
    let Some(mut other) = watch(harness, Some(device.interface())) else { return };
    harness.set_up(&name("tun0"), true);
    assert_eq!(changes(&mut one), [Up]);
    drop(one);
    harness.set_up(&name("tun0"), false);
    assert_eq!(changes(&mut other), [Up, Down]);
}

fn an_interface_tells_of_itself_and_a_backend_of_all<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let Some(mut own) = watch(harness, Some(device.interface())) else { return };
    let Some(mut all) = watch(harness, None) else { return };
    let other = tap(harness, "tap0");
    harness.set_up(&name("tap0"), true);
    harness.set_up(&name("tun0"), true);
    other.destroy().unwrap();
    assert_eq!(events(&mut own), [(name("tun0"), Up)]);
    let tap0 = |change| (name("tap0"), change);
    assert_eq!(events(&mut all), [tap0(Created), tap0(Up), (name("tun0"), Up), tap0(Down), tap0(Deleted)]);
}

fn a_stranger_with_the_same_index_is_not_reported<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let index = device.interface().index();
    let Some(mut own) = watch(harness, Some(device.interface())) else { return };
    let Some(mut all) = watch(harness, None) else { return };
    harness.delete(&name("tun0"));
    if !harness.make_with_index(&name("tun0"), index) {
        return not_applicable("it chooses the index");
    }
    harness.set_up(&name("tun0"), true);
    assert_eq!(changes(&mut own), [Deleted]);
    assert_ended(&mut own);
    assert_eq!(changes(&mut all), [Deleted, Created, Up]);
}
