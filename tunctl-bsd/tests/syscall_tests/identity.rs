//! No operation touches another interface than the one that was made or opened. The models give an index
//! again at once, as the systems do.

use tunctl_core::{Cause, Interface, Mtu, State, TunBackend, TunDevice};

use crate::fixture::{Fixture, address, named_tap, named_tun, others, refused};
use crate::models::System;

/// A device whose interface another program has deleted, and a stranger that has its index.
fn succeeded(system: System, name: &str) -> (Fixture, crate::fixture::Device) {
    let fixture = Fixture::new(system);
    let options = if name.starts_with("tun") { named_tun(name) } else { named_tap(name) };
    let device = fixture.backend.create(&options).unwrap();
    let index = device.interface().index().get();
    fixture.destroy_by_another(name).unwrap();
    assert_eq!(fixture.make_stranger("lo1"), index);
    (fixture, device)
}

#[test]
fn a_drop_and_a_destroy_leave_the_stranger_with_the_index_alone() {
    for system in [System::NetBsd, System::OpenBsd] {
        for name in ["tun10", "tap5"] {
            let (fixture, device) = succeeded(system, name);
            let before = fixture.report("lo1");
            let ((), calls) = fixture.calls_of(|| drop(device));
            assert_eq!(fixture.report("lo1"), before, "{system:?} {name}: drop {calls:?}");
            let (fixture, device) = succeeded(system, name);
            let before = fixture.report("lo1");
            let (outcome, calls) = fixture.calls_of(|| device.destroy().is_ok());
            assert_eq!(
                (fixture.report("lo1"), outcome),
                (before, true),
                "{system:?} {name}: destroy {calls:?}"
            );
        }
    }
}

#[test]
fn no_operation_of_a_handle_acts_on_the_stranger_with_the_index() {
    for system in [System::NetBsd, System::OpenBsd] {
        let (fixture, device) = succeeded(system, "tap5");
        let tap = device.interface();
        let before = (fixture.report("lo1"), fixture.addresses("lo1"));
        let outcomes = [
            ("name", device.name().map(drop)),
            ("down", device.down()),
            ("up", device.up(address("10.1.1.1/24"))),
            ("set_state", tap.set_state(State::Up)),
            ("set_mtu", tap.set_mtu(Mtu::new(1400).unwrap())),
            ("set_mac", tap.set_mac("02:00:5e:10:00:07".parse().unwrap())),
            ("add_address", tap.add_address(address("10.1.1.1/24")).map(drop)),
            ("remove_address", tap.remove_address(address("10.1.1.1/24"))),
            ("addresses", tap.addresses().map(drop)),
            ("info", tap.info().map(drop)),
            ("delete", tap.delete()),
        ];
        for (operation, outcome) in outcomes {
            assert_eq!(outcome.map_err(|error| error.cause()), Err(Cause::Gone), "{system:?} {operation}");
        }
        assert_eq!((fixture.report("lo1"), fixture.addresses("lo1")), before, "{system:?}");
    }
}

#[test]
fn freebsd_tells_a_successor_of_the_same_name_and_index_by_its_creation() {
    let fixture = Fixture::new(System::FreeBsd);
    fixture.made_by_another("tun7");
    let handle = fixture.backend_interface("tun7");
    fixture.destroy_by_another("tun7").unwrap();
    fixture.made_by_another("tun7");
    assert_eq!(fixture.report("tun7").unwrap().index, handle.index().get());
    for outcome in [handle.down(), handle.set_mtu(Mtu::new(1400).unwrap()), handle.delete()] {
        assert_eq!(outcome.map_err(|error| error.cause()), Err(Cause::Gone));
    }
    assert_eq!(fixture.report("tun7").unwrap().mtu, 1500);
}

#[test]
fn an_older_freebsd_destroys_no_successor_of_a_device_that_was_closed() {
    // Before TUNSTRANSIENT, this program removes the interface.
    let fixture = Fixture::new(System::FreeBsd);
    fixture.fail_always("ioctl TUNSTRANSIENT", 25);
    let device = fixture.tun();
    // Another program destroys it: that waits for the close, and then the unit is made again.
    fixture.destroy_by_another("tun0").unwrap();
    let index = device.interface().index().get();
    fixture.make_after_close("tun0");
    let ((), calls) = fixture.calls_of(|| drop(device));
    assert_eq!(fixture.report("tun0").map(|report| report.index), Some(index), "{calls:?}");
}

#[test]
fn a_pair_of_macos_that_was_recycled_is_left_alone() {
    for destroyed in [false, true] {
        let fixture = Fixture::new(System::MacOs);
        let tap = fixture.tap();
        // The kernel gives the same names the same indices.
        fixture.destroy_by_another("feth0").unwrap();
        fixture.destroy_by_another("feth5000").unwrap();
        assert_eq!([fixture.make_stranger("feth0"), fixture.make_stranger("feth5000")], [2, 3]);
        let before = fixture.reports();
        let (_, calls) = fixture.calls_of(|| if destroyed { tap.destroy().unwrap() } else { drop(tap) });
        assert_eq!(fixture.reports(), before, "{calls:?}");
    }
}

#[test]
fn freebsd_destroys_by_closing_and_sends_no_request_that_could_wait_or_hit_another() {
    let fixture = Fixture::new(System::FreeBsd);
    for persistent in [false, true] {
        let device = fixture.tun();
        device.set_persist(persistent).unwrap();
        let ((), calls) = fixture.calls_of(|| device.destroy().unwrap());
        assert_eq!(calls, ["ioctl TUNSTRANSIENT 1", "close tun0", "interfaces"], "{persistent}");
        assert!(fixture.report("tun0").is_none());
    }
}

#[test]
fn what_another_descriptor_keeps_on_freebsd_is_busy_and_goes_with_it() {
    let fixture = Fixture::new(System::FreeBsd);
    let device = fixture.tun();
    let other = std::os::fd::OwnedFd::from(device.try_clone().unwrap());
    let failed = device.destroy().unwrap_err();
    assert_eq!(failed.error().cause(), Cause::Busy);
    assert!(fixture.report("tun0").is_some());
    drop(other);
    assert!(fixture.report("tun0").is_none());
}

/// Another program destroys the interface between the look for it and the opening of its node, which makes
/// another one of that unit.
#[test]
fn an_open_that_comes_too_late_leaves_no_interface() {
    let fixture = Fixture::new(System::FreeBsd);
    for name in ["tun7", "vpn7"] {
        fixture.made_by_another("tun7");
        if name != "tun7" {
            assert!(fixture.rename_by_another("tun7", name));
        }
        fixture.destroy_before_open(name);
        let (error, calls) = fixture.calls_of(|| refused(fixture.backend.open(&named_tun(name))));
        assert_eq!((error.cause(), others(&fixture)), (Cause::NotFound, Vec::new()), "{name} {calls:?}");
    }
}

#[test]
fn an_older_freebsd_removes_by_request_what_a_late_open_has_made() {
    let fixture = Fixture::new(System::FreeBsd);
    fixture.fail_always("ioctl TUNSTRANSIENT", 25);
    fixture.made_by_another("tun7");
    fixture.destroy_before_open("tun7");
    let (error, calls) = fixture.calls_of(|| refused(fixture.backend.open(&named_tun("tun7"))));
    assert_eq!((error.cause(), others(&fixture)), (Cause::NotFound, Vec::new()), "{calls:?}");
}

#[test]
fn a_delete_that_comes_too_late_leaves_no_interface() {
    let fixture = Fixture::new(System::FreeBsd);
    for name in ["tun7", "vpn7"] {
        fixture.made_by_another("tun7");
        if name != "tun7" {
            assert!(fixture.rename_by_another("tun7", name));
        }
        let handle = fixture.backend_interface(name);
        fixture.destroy_before_open(name);
        let (outcome, calls) = fixture.calls_of(|| handle.delete());
        assert_eq!(outcome.map_err(|error| error.cause()), Err(Cause::Gone), "{name} {calls:?}");
        assert_eq!(others(&fixture), [], "{name} {calls:?}");
    }
}

#[test]
fn open_or_create_creates_what_went_in_between() {
    let fixture = Fixture::new(System::FreeBsd);
    fixture.made_by_another("tun7");
    fixture.destroy_before_open("tun7");
    let device = fixture.backend.open_or_create(&named_tun("tun7")).unwrap();
    assert!(fixture.report("tun7").is_some_and(|report| report.is_open && report.transient));
    drop(device);
    assert_eq!(others(&fixture), []);
}

/// NetBSD brings such a tun back as its unit is opened, although that fails.
#[test]
fn a_unit_of_netbsd_that_was_deleted_under_its_device_is_busy_and_goes_with_that() {
    let fixture = Fixture::new(System::NetBsd);
    for (options, name) in [(named_tun("tun5"), "tun5"), (named_tap("tap5"), "tap5")] {
        let device = fixture.backend.create(&options).unwrap();
        fixture.destroy_by_another(name).unwrap();
        let (error, calls) = fixture.calls_of(|| refused(fixture.backend.create(&options)));
        assert_eq!(error.cause(), Cause::Busy, "{calls:?}");
        drop(device);
        assert_eq!(others(&fixture), [], "{name}");
    }
}
