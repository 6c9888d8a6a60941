//! Events, from what the models report on routing sockets.

use tunctl_core::{Cause, EventWatcher, Events, Interface, InterfaceEvent, Mtu, Operation, State, TunDevice};
use tunctl_sys::bsd::errno;

use crate::fixture::{BSDS, Fixture, Recorder, SYSTEMS, address, refused};
use crate::models::System;

type Watcher = tunctl_bsd::BsdWatcher<Recorder>;

/// The events that wait, as they are printed.
fn lines(watcher: &mut Watcher) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        match watcher.try_next() {
            Ok(Some(event)) => lines.push(event.to_string()),
            Ok(None) => lines.push("end".into()),
            Err(error) => {
                assert_eq!((error.cause(), error.operation()), (Cause::WouldBlock, Operation::Watch));
                return lines;
            }
        }
        if lines.last().is_some_and(|last| last == "end") {
            return lines;
        }
    }
}

fn mtu(bytes: u32) -> Mtu {
    Mtu::new(bytes).unwrap()
}

#[test]
fn a_tap_from_its_creation_to_its_end() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let name = fixture.tap_name();
        let mut all = fixture.backend.events().unwrap();
        let tap = fixture.tap();
        let interface = tap.interface().clone();
        // OpenBSD's are up once they are open, and this crate takes them down. Nobody announces macOS's.
        let expected: &[&str] = match system {
            System::OpenBsd => &["created", "up", "down"],
            System::MacOs => &[],
            _ => &["created"],
        };
        let expected: Vec<_> = expected.iter().map(|change| format!("{name}: {change}")).collect();
        assert_eq!(lines(&mut all), expected, "{system:?}");
        let mut own = interface.events().unwrap();
        interface.set_state(State::Up).unwrap();
        interface.add_address(address("10.1.1.1/24")).unwrap();
        interface.set_mtu(mtu(1400)).unwrap();
        interface.add_address(address("fd77::1/64")).unwrap();
        interface.add_address(address("fe80::7/64")).unwrap();
        interface.remove_address(address("fd77::1/64")).unwrap();
        interface.set_state(State::Down).unwrap();
        let mut expected = vec!["up", "address 10.1.1.1/24 added", "MTU 1400", "address fd77::1/64 added"];
        expected.extend(["address fe80::7/64 added", "address fd77::1/64 removed", "down"]);
        if system == System::NetBsd {
            // The MTU comes with the next report about the interface itself.
            expected.remove(2);
            expected.insert(5, "MTU 1400");
        }
        let expected: Vec<_> = expected.iter().map(|change| format!("{name}: {change}")).collect();
        assert_eq!(lines(&mut own), expected, "{system:?}");
        // The first that macOS reports is that it is up.
        let created: &[_] = if system == System::MacOs { &[format!("{name}: created")] } else { &[] };
        let seen = lines(&mut all);
        assert!(seen.ends_with(&[created, &expected].concat()), "{system:?} {seen:?}");
        tap.destroy().unwrap();
        // Where the addresses are still there by then, they go before it, except on macOS.
        let ended = [format!("{name}: deleted"), "end".into()];
        assert!(lines(&mut own).ends_with(&ended), "{system:?}");
        assert!(lines(&mut all).ends_with(&ended[..1]), "{system:?}");
    }
}

#[test]
fn an_address_brings_a_tun_up_and_this_crate_takes_it_down_again() {
    for system in [System::FreeBsd, System::NetBsd, System::DragonFly] {
        let fixture = Fixture::new(system);
        let name = fixture.tun_name();
        let tun = fixture.tun();
        let mut watcher = tun.interface().events().unwrap();
        tun.interface().add_address(address("10.1.1.1/24")).unwrap();
        let expected = ["address 10.1.1.1/24 added", "up", "down"].map(|change| format!("{name}: {change}"));
        assert_eq!(lines(&mut watcher), expected, "{system:?}");
    }
}

#[test]
fn that_an_ipv6_address_brings_a_tun_up_goes_unreported_on_dragonfly() {
    for (system, expected) in [
        (System::FreeBsd, &["address fd77::1/64 added", "up", "down"][..]),
        (System::DragonFly, &["address fd77::1/64 added"]),
    ] {
        let fixture = Fixture::new(system);
        let name = fixture.tun_name();
        let tun = fixture.tun();
        let mut watcher = tun.interface().events().unwrap();
        tun.interface().add_address(address("fd77::1/64")).unwrap();
        let expected: Vec<_> = expected.iter().map(|change| format!("{name}: {change}")).collect();
        assert_eq!(lines(&mut watcher), expected, "{system:?}");
    }
}

#[test]
fn a_peer_is_no_broadcast_address_whatever_was_reported_before() {
    for system in BSDS {
        let fixture = Fixture::new(system);
        let tun = fixture.tun();
        let mut watcher = tun.interface().events().unwrap();
        tun.up(address("10.1.1.1 peer 10.1.1.2/32")).unwrap();
        let seen = lines(&mut watcher).join(", ");
        assert!(seen.contains("address 10.1.1.1 peer 10.1.1.2/32 added"), "{system:?} {seen}");
        let listed = tun.interface().addresses().unwrap();
        tun.interface().remove_address(listed[0]).unwrap();
        let seen = lines(&mut watcher).join(", ");
        assert!(seen.contains("removed"), "{system:?} {seen}");
    }
}

#[test]
fn a_rename_is_no_deletion_also_between_its_two_announcements() {
    for system in [System::FreeBsd, System::DragonFly] {
        let fixture = Fixture::new(system);
        let name = fixture.tun_name();
        let tun = fixture.tun();
        let mut own = tun.interface().events().unwrap();
        let mut all = fixture.backend.events().unwrap();
        assert!(fixture.rename_by_another(name, "vpn0"));
        fixture.set_up("vpn0", true);
        let expected = [format!("vpn0: renamed from {name}"), "vpn0: up".into()];
        assert_eq!((lines(&mut own), lines(&mut all)), (expected.to_vec(), expected.to_vec()), "{system:?}");
        // Up, it may have any name.
        assert!(fixture.rename_by_another("vpn0", "tap9"));
        assert_eq!(lines(&mut own), ["tap9: renamed from vpn0"], "{system:?}");
        drop(tun);
        // DragonFly does not tell that it is still this one: so it stays.
        if system == System::FreeBsd {
            let ended = lines(&mut own);
            assert!(ended.ends_with(&["tap9: deleted".into(), "end".into()]), "{ended:?}");
        }
    }
}

#[test]
fn what_takes_the_place_of_a_deleted_interface_is_new() {
    for system in [System::NetBsd, System::OpenBsd] {
        let fixture = Fixture::new(system);
        let name = fixture.tun_name();
        let tun = fixture.tun();
        let mut own = tun.interface().events().unwrap();
        let mut all = fixture.backend.events().unwrap();
        fixture.destroy_by_another(name).unwrap();
        fixture.made_by_another(name);
        assert_eq!(lines(&mut own), [format!("{name}: deleted"), "end".into()], "{system:?}");
        let expected = ["deleted", "created"].map(|change| format!("{name}: {change}"));
        assert_eq!(lines(&mut all), expected, "{system:?}");
    }
}

#[test]
fn a_new_interface_that_is_gone_again_is_reported_all_the_same() {
    for system in BSDS {
        let fixture = Fixture::new(system);
        let mut all = fixture.backend.events().unwrap();
        fixture.made_by_another("tap7");
        fixture.destroy_by_another("tap7").unwrap();
        assert_eq!(lines(&mut all), ["tap7: created", "tap7: deleted"], "{system:?}");
    }
}

#[test]
fn what_is_no_tun_and_no_tap_is_not_watched() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let mut all = fixture.backend.events().unwrap();
        fixture.set_up("lo0", false);
        fixture.set_up("lo0", true);
        assert!(lines(&mut all).is_empty(), "{system:?}");
    }
}

#[test]
fn reports_that_did_not_fit_become_an_overrun_whether_or_not_the_system_says_so() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let tap = fixture.tap();
        let mut watcher = tap.interface().events().unwrap();
        for number in 0..4000 {
            tap.interface().set_state(if number % 2 == 0 { State::Up } else { State::Down }).unwrap();
        }
        tap.interface().set_mtu(mtu(1400)).unwrap();
        let Some(InterfaceEvent::Overrun(now)) = watcher.try_next().unwrap() else { panic!("{system:?}") };
        assert_eq!((now[0].info.state, now[0].info.mtu), (State::Down, mtu(1400)), "{system:?}");
        assert!(lines(&mut watcher).is_empty(), "{system:?}");
        tap.interface().set_state(State::Up).unwrap();
        assert_eq!(lines(&mut watcher), [format!("{}: up", fixture.tap_name())], "{system:?}");
    }
}

#[test]
fn a_socket_with_little_room_loses_nothing_without_a_word() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        // Room for four reports, and one of them counts as full.
        fixture.set_route_room(800);
        let tap = fixture.tap();
        let mut watcher = tap.interface().events().unwrap();
        let mut up = false;
        for count in [1, 2, 5, 10] {
            for _ in 0..count {
                up = !up;
                fixture.set_up(fixture.tap_name(), up);
            }
            // The last that is known is the truth.
            let mut last = None;
            while let Ok(Some(event)) = watcher.try_next() {
                last = match event {
                    InterfaceEvent::Overrun(now) => Some(now[0].info.state == State::Up),
                    event => Some(event.to_string().ends_with("up")),
                };
            }
            assert_eq!(last, Some(up), "{system:?} {count}");
        }
    }
}

#[test]
fn an_error_that_says_that_reports_were_lost_is_an_overrun() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let tap = fixture.tap();
        let mut watcher = tap.interface().events().unwrap();
        fixture.fail("read route", errno::ENOBUFS);
        fixture.set_up(fixture.tap_name(), true);
        let event = watcher.try_next().unwrap().unwrap();
        assert!(event.to_string().starts_with("events were lost; now"), "{system:?} {event}");
        assert!(lines(&mut watcher).is_empty(), "{system:?}");
    }
}

#[test]
fn an_overrun_in_which_another_interface_got_the_index_ends_the_stream() {
    let fixture = Fixture::new(System::NetBsd);
    let tun = fixture.tun();
    let mut watcher = tun.interface().events().unwrap();
    fixture.fail("read route", errno::ENOBUFS);
    fixture.destroy_by_another("tun0").unwrap();
    fixture.make_stranger("lo1");
    let expected = ["events were lost; there is no interface now", "tun0: deleted", "end"];
    assert_eq!(lines(&mut watcher), expected);
}

#[test]
fn a_fault_is_an_error_and_the_stream_goes_on_after_it() {
    for system in SYSTEMS {
        for (call, errno) in [("ioctl FIONREAD", errno::EIO), ("read route", errno::EIO)] {
            let fixture = Fixture::new(system);
            let tap = fixture.tap();
            let mut watcher = tap.interface().events().unwrap();
            fixture.set_up(fixture.tap_name(), true);
            fixture.fail(call, errno);
            let error = watcher.try_next().unwrap_err();
            assert_eq!((error.operation(), error.raw_os_error()), (Operation::Watch, Some(errno)), "{call}");
            assert_eq!(error.interface().unwrap().to_string(), fixture.tap_name());
            assert_eq!(lines(&mut watcher), [format!("{}: up", fixture.tap_name())], "{system:?} {call}");
        }
        // While the present state is learnt.
        let fixture = Fixture::new(system);
        let tap = fixture.tap();
        let mut watcher = tap.interface().events().unwrap();
        fixture.fail("read route", errno::ENOBUFS);
        fixture.fail("interfaces", errno::ENOMEM);
        fixture.set_up(fixture.tap_name(), true);
        assert_eq!(refused(watcher.try_next()).raw_os_error(), Some(errno::ENOMEM), "{system:?}");
        assert!(matches!(watcher.try_next().unwrap(), Some(InterfaceEvent::Overrun(_))), "{system:?}");
    }
}

#[test]
fn a_watch_that_cannot_begin_leaves_no_socket() {
    for system in SYSTEMS {
        for (call, errno, cause) in [
            ("watch", errno::EMFILE, Cause::TooManyOpenFiles),
            ("read route", errno::EIO, Cause::Other),
            ("interfaces", errno::ENOMEM, Cause::Other),
            ("configure SIOCGIFMTU", errno::EIO, Cause::Other),
            ("ioctl FIONREAD", errno::EIO, Cause::Other),
        ] {
            let fixture = Fixture::new(system);
            let tap = fixture.tap();
            for of_interface in [true, false] {
                fixture.fail(call, errno);
                let refused = match of_interface {
                    true => tap.interface().events().map(drop),
                    false => fixture.backend.events().map(drop),
                };
                let error = refused.unwrap_err();
                assert_eq!(
                    (error.operation(), error.cause()),
                    (Operation::Watch, cause),
                    "{system:?} {call}"
                );
                assert!(error.interface().is_some() || !of_interface, "{system:?} {call}");
                assert_eq!(fixture.calls().iter().any(|call| call == "close route"), call != "watch");
                fixture.forget_calls();
            }
        }
    }
}

#[test]
fn an_interface_that_goes_while_the_state_is_learnt_is_not_in_it() {
    let fixture = Fixture::new(System::NetBsd);
    let _tun = fixture.tun();
    // It is listed, and gone when its MTU is asked for.
    fixture.fail("configure SIOCGIFMTU", errno::ENXIO);
    let mut all = fixture.backend.events().unwrap();
    fixture.set_up("tun0", true);
    assert!(lines(&mut all).is_empty());
}
