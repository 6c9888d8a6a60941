//! How interfaces are configured: which requests, in which order, and no others.

use tunctl_bsd::Syscalls;
use tunctl_core::{Cause, Interface, Mtu, Operation, State, TunDevice};
use tunctl_sys::bsd::{Name, dragonfly, freebsd};

use crate::fixture::{BSDS, Fixture, SYSTEMS, address, refused};
use crate::models::System;
use crate::order::trace;

/// A short trace whose last call, which adds an address to a tun, NetBSD gets once more.
fn twice_on_netbsd(system: System, short: &str) -> String {
    let last = short.rsplit(';').next().unwrap_or_default();
    if system == System::NetBsd { format!("{short};{last}") } else { short.to_owned() }
}

#[test]
fn a_tun_is_set_to_be_of_a_network_and_brought_up() {
    let ask = "list; mtu?; flags?; list; list; flags?; configure SIOCSIFFLAGS @ 0x8003; list; flags?; \
               flags?; configure SIOCAIFADDR @ 10.0.0.1/24 10.0.0.255";
    for (system, flags) in
        [(System::FreeBsd, "0x8010"), (System::NetBsd, "0x10"), (System::DragonFly, "0x8010")]
    {
        let fixture = Fixture::new(system);
        let device = fixture.tun();
        let ((), calls) = fixture.calls_of(|| device.up(address("10.0.0.1/24")).unwrap());
        // That it may be configured is asked before the mode, which takes no right, is changed.
        let mode = format!("list; flags?; configure SIOCSIFFLAGS @ {flags}; ioctl TUNSIFMODE {}", 0x8002);
        let expected = twice_on_netbsd(system, &format!("{mode}; {ask}"));
        assert_eq!(calls, trace(fixture.tun_name(), &expected), "{system:?}");
    }
}

#[test]
fn a_tun_of_openbsd_leads_to_itself_where_it_has_no_peer() {
    let fixture = Fixture::new(System::OpenBsd);
    let device = fixture.tun();
    let ((), calls) = fixture.calls_of(|| device.up(address("10.0.0.1/24")).unwrap());
    let expected = "list; mtu?; flags?; list; list; flags?; configure SIOCSIFFLAGS @ 0x8051; list; flags?; \
                    flags?; configure SIOCAIFADDR @ 10.0.0.1/24 10.0.0.1";
    assert_eq!(calls, trace("tun0", expected));
}

#[test]
fn a_tun_is_set_to_lead_to_a_peer() {
    for system in [System::FreeBsd, System::NetBsd, System::DragonFly] {
        let fixture = Fixture::new(system);
        let device = fixture.tun();
        let ((), calls) = fixture.calls_of(|| device.up(address("10.0.0.1 peer 10.0.0.2/32")).unwrap());
        // NetBSD's leads to a peer from the start, but carries no multicast.
        let mode = match system {
            System::NetBsd => format!("configure SIOCSIFFLAGS @ 0x10; ioctl TUNSIFMODE {};", 0x8010),
            _ => String::new(),
        };
        let expected = format!(
            "list; flags?; {mode} list; mtu?; flags?; list; list; flags?; configure SIOCSIFFLAGS @ 0x8011; \
             list; flags?; flags?; configure SIOCAIFADDR @ 10.0.0.1/32 10.0.0.2"
        );
        assert_eq!(calls, trace(fixture.tun_name(), &twice_on_netbsd(system, &expected)), "{system:?}");
    }
}

#[test]
fn a_utun_is_its_own_peer_where_it_has_no_other() {
    let fixture = Fixture::new(System::MacOs);
    let device = fixture.tun();
    let ((), calls) = fixture.calls_of(|| device.up(address("10.0.0.1/24")).unwrap());
    let expected = "list; mtu?; flags?; list; list; flags?; configure SIOCSIFFLAGS @ 0x8051; list; flags?; \
                    flags?; configure SIOCAIFADDR @ 10.0.0.1/24 10.0.0.1";
    assert_eq!(calls, trace("utun0", expected));
}

#[test]
fn a_tap_is_brought_up_without_a_mode() {
    for (system, flags) in [
        (System::FreeBsd, "0x8043"),
        (System::NetBsd, "0x8003"),
        (System::OpenBsd, "0x8043"),
        (System::DragonFly, "0x8003"),
    ] {
        let fixture = Fixture::new(system);
        let device = fixture.tap();
        let ((), calls) = fixture.calls_of(|| device.up(address("10.0.0.1/24")).unwrap());
        let expected = format!(
            "list; mtu?; flags?; list; list; flags?; configure SIOCSIFFLAGS @ {flags}; list; flags?; flags?; \
             configure SIOCAIFADDR @ 10.0.0.1/24 10.0.0.255"
        );
        assert_eq!(calls, trace(fixture.tap_name(), &expected), "{system:?}");
        assert!(fixture.report(fixture.tap_name()).unwrap().is_up);
    }
}

#[test]
fn down_is_one_flag() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let device = fixture.tun();
        device.up(address("10.0.0.1/24")).unwrap();
        let ((), calls) = fixture.calls_of(|| device.down().unwrap());
        let leads_to_peer = matches!(system, System::MacOs | System::OpenBsd);
        let flags = if leads_to_peer { "0x8050" } else { "0x8042" };
        let expected = format!("list; flags?; configure SIOCSIFFLAGS @ {flags}");
        assert_eq!(calls, trace(fixture.tun_name(), &expected), "{system:?}");
        assert!(!fixture.report(fixture.tun_name()).unwrap().is_up);
        assert_eq!(fixture.addresses(fixture.tun_name()).len(), 1);
    }
}

#[test]
fn an_address_is_added_and_removed_by_one_request_each() {
    for system in BSDS {
        let fixture = Fixture::new(system);
        let device = fixture.tap();
        device.interface().set_state(State::Up).unwrap();
        let (tap, name) = (device.interface(), fixture.tap_name());
        let (_, calls) = fixture.calls_of(|| tap.add_address(address("10.0.0.1/24")).unwrap());
        let added = "list; flags?; flags?; configure SIOCAIFADDR @ 10.0.0.1/24 10.0.0.255";
        assert_eq!(calls, trace(name, added), "{system:?}");
        let (_, calls) = fixture.calls_of(|| tap.add_address(address("10.0.0.1/24")).unwrap());
        assert_eq!(calls, ["interfaces"]);
        let ((), calls) = fixture.calls_of(|| tap.remove_address(address("10.0.0.1/24")).unwrap());
        assert_eq!(calls, trace(name, "list; configure SIOCDIFADDR @ 10.0.0.1"), "{system:?}");
    }
}

#[test]
fn an_ipv6_address_is_added_and_removed_by_one_request_each() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let device = fixture.tun();
        device.up(address("10.0.0.1/24")).unwrap();
        let (tun, name) = (device.interface(), fixture.tun_name());
        let (_, calls) = fixture.calls_of(|| tun.add_address(address("fd00::1/64")).unwrap());
        // OpenBSD's interfaces have no IPv6 until they are given it.
        let attach = if system == System::OpenBsd { "configure SIOCIFAFATTACH @;" } else { "" };
        // Until it is in service; a utun's is at once. DragonFly is told to do without detection.
        let asked = if matches!(system, System::MacOs | System::DragonFly) { 1 } else { 4 };
        let ask = "; configure SIOCGIFAFLAG_IN6 @".repeat(asked);
        let expected = format!("list; flags?; {attach} configure SIOCAIFADDR_IN6 @ fd00::1/64{ask}");
        assert_eq!(calls, trace(name, &expected), "{system:?}");
        let ((), calls) = fixture.calls_of(|| tun.remove_address(address("fd00::1/64")).unwrap());
        assert_eq!(calls, trace(name, "list; configure SIOCDIFADDR_IN6 @ fd00::1"), "{system:?}");
    }
}

#[test]
fn what_an_address_brought_up_goes_down_again() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        for (device, name) in [(fixture.tun(), fixture.tun_name()), (fixture.tap(), fixture.tap_name())] {
            device.interface().add_address(address("10.0.0.1/24")).unwrap();
            let last = fixture.calls().pop().unwrap();
            // A utun stays down by itself.
            let expected = if name == "utun0" { "configure SIOCGIFFLAGS" } else { "configure SIOCSIFFLAGS" };
            assert!(last.starts_with(expected), "{name}: {last}");
            assert!(!fixture.report(name).unwrap().is_up, "{system:?} {name}");
        }
    }
}

#[test]
fn an_mtu_is_one_request_if_it_is_another() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let device = fixture.tun();
        let ((), calls) = fixture.calls_of(|| device.interface().set_mtu(Mtu::new(1400).unwrap()).unwrap());
        let expected = "list; configure SIOCGIFMTU @; configure SIOCSIFMTU @ 1400";
        assert_eq!(calls, trace(fixture.tun_name(), expected), "{system:?}");
        assert_eq!(device.interface().mtu().unwrap().get(), 1400);
    }
}

#[test]
fn a_description_is_one_request_if_it_is_another() {
    for system in [System::FreeBsd, System::OpenBsd] {
        let fixture = Fixture::new(system);
        let device = fixture.tun();
        let describe = || device.interface().set_description(c"uplink").unwrap();
        let ((), calls) = fixture.calls_of(describe);
        let expected = "list; description @; list; describe @ uplink";
        assert_eq!(calls, trace(fixture.tun_name(), expected), "{system:?}");
        let ((), calls) = fixture.calls_of(describe);
        assert_eq!(calls, trace(fixture.tun_name(), "list; description @"), "{system:?}");
    }
}

#[test]
fn rename_is_one_request_where_there_is_one() {
    for system in [System::FreeBsd, System::DragonFly] {
        let fixture = Fixture::new(system);
        let device = fixture.tun();
        let ((), calls) = fixture.calls_of(|| device.interface().rename(&"vpn0".parse().unwrap()).unwrap());
        assert_eq!(calls, trace(fixture.tun_name(), "list; rename @ vpn0"), "{system:?}");
        let ((), calls) = fixture.calls_of(|| device.interface().rename(&"vpn0".parse().unwrap()).unwrap());
        assert_eq!(calls, ["interfaces"], "{system:?}");
        assert_eq!(device.name().unwrap().to_string(), "vpn0");
        let error = refused(device.interface().rename(&"lo0".parse().unwrap()));
        assert_eq!((error.cause(), error.raw_os_error()), (Cause::Exists, Some(17)));
    }
}

#[test]
fn flags_above_the_sixteenth_stay() {
    // IFF_PPROMISC, which another program set.
    const HIGH: u32 = 0x2_0000;
    for (system, abi) in [(System::FreeBsd, freebsd::ABI), (System::DragonFly, dragonfly::ABI)] {
        let fixture = Fixture::new(system);
        let device = fixture.tun();
        let name = Name::new(fixture.tun_name().as_bytes()).unwrap();
        let mut argument = abi.ifreq_flags(&name, HIGH);
        fixture.model.configure(tunctl_bsd::Family::V4, abi.requests.set_flags, &mut argument).unwrap();
        device.interface().set_state(State::Up).unwrap();
        device.down().unwrap();
        assert_eq!(fixture.report(fixture.tun_name()).unwrap().flags & HIGH, HIGH, "{system:?}");
    }
}

#[test]
fn an_address_that_is_there_is_not_sent_again() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let device = fixture.tun();
        device.up(address("10.0.0.1/24")).unwrap();
        let ((), calls) = fixture.calls_of(|| device.up(address("10.0.0.1/24")).unwrap());
        assert!(!calls.iter().any(|call| call.contains("SIOCAIFADDR")), "{system:?} {calls:?}");
        assert_eq!(fixture.addresses(fixture.tun_name()).len(), 1, "{system:?}");
    }
}

#[test]
fn an_old_kernel_of_netbsd_takes_packets_after_the_second_addition() {
    let fixture = Fixture::new(System::NetBsd);
    fixture.set_additions_until_ready(2);
    let device = fixture.tun();
    device.up(address("10.0.0.1/24")).unwrap();
    assert_eq!(device.try_send(&[0x45, 0, 0, 20]).unwrap(), 4);
}

#[test]
fn an_address_that_cannot_be_added_twice_is_not_left() {
    let fixture = Fixture::new(System::NetBsd);
    let device = fixture.tun();
    fixture.fail_nth("configure SIOCAIFADDR", 2, 12);
    let error = refused(device.interface().add_address(address("10.0.0.1/24")));
    assert_eq!((error.operation(), error.raw_os_error()), (Operation::AddAddress, Some(12)));
    assert_eq!(fixture.addresses("tun0"), []);
    assert!(!fixture.report("tun0").unwrap().is_up);
}

#[test]
fn a_refused_mode_is_an_error_unless_the_tun_is_up() {
    for system in [System::FreeBsd, System::NetBsd, System::DragonFly] {
        let fixture = Fixture::new(system);
        let device = fixture.tun();
        fixture.fail("ioctl TUNSIFMODE", 1);
        let error = refused(device.up(address("10.0.0.1/24")));
        assert_eq!(
            (error.operation(), error.cause()),
            (Operation::Up, Cause::MissingCapability),
            "{system:?}"
        );
        assert!(
            fixture.addresses(fixture.tun_name()).is_empty()
                && !fixture.report(fixture.tun_name()).unwrap().is_up
        );
        // Up already, it stays as it is: of a network here, and so without peers.
        device.up(address("10.0.0.1/24")).unwrap();
        let outcome = device.up(address("10.9.0.1 peer 10.9.0.2/32"));
        let error = refused(outcome);
        assert_eq!(error.cause(), Cause::InvalidAddress, "{system:?}");
        assert!(error.remedy().unwrap().contains("is down"), "{error}");
    }
}

#[test]
fn what_a_full_queue_has_dropped_is_counted() {
    for system in [System::FreeBsd, System::OpenBsd] {
        for is_tap in [false, true] {
            let fixture = Fixture::new(system);
            let (device, name) = if is_tap {
                (fixture.tap(), fixture.tap_name())
            } else {
                (fixture.tun(), fixture.tun_name())
            };
            let dropped = || device.interface().dropped().unwrap();
            device.interface().set_state(State::Up).unwrap();
            fixture.set_queue_length(3);
            let packet = [&[0x45][..], &[0; 59]].concat();
            assert_eq!((0..5).filter(|_| fixture.inject(name, &packet)).count(), 3);
            assert_eq!(dropped(), 2, "{system:?} {name}");
            device.recv(&mut [0; 100]).unwrap();
            assert!(fixture.inject(name, &packet));
            assert_eq!(dropped(), 2, "{system:?} {name}");
            fixture.fail("dropped", 12);
            let error = refused(device.interface().dropped());
            assert_eq!((error.operation(), error.raw_os_error()), (Operation::Inspect, Some(12)));
        }
    }
}
