//! How interfaces are configured: which requests, in which order, and no others.

use tunctl_bsd::Syscalls;
use tunctl_core::{Cause, Interface, Mtu, Operation, State, TunDevice};
use tunctl_sys::bsd::{Name, dragonfly, freebsd};

use crate::fixture::{BSDS, Rig, SYSTEMS, address, refused};
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
    for system in [System::FreeBsd, System::NetBsd, System::DragonFly] {
        let rig = Rig::new(system);
        let device = rig.tun();
        let ((), calls) = rig.calls_of(|| device.up(address("10.0.0.1/24")).unwrap());
        assert_eq!(
            calls,
            trace(rig.tun_name(), &twice_on_netbsd(system, &format!("ioctl TUNSIFMODE {}; {ask}", 0x8002))),
            "{system:?}"
        );
    }
    let rig = Rig::new(System::OpenBsd);
    let device = rig.tun();
    let ((), calls) = rig.calls_of(|| device.up(address("10.0.0.1/24")).unwrap());
    let expected = format!("ioctl TUNSIFMODE {}; {}", 0x8002, ask.replace("0x8003", "0x8043"));
    assert_eq!(calls, trace("tun0", &expected));
}

#[test]
fn a_tun_is_set_to_lead_to_a_peer() {
    for system in [System::FreeBsd, System::NetBsd, System::DragonFly] {
        let rig = Rig::new(system);
        let device = rig.tun();
        let ((), calls) = rig.calls_of(|| device.up(address("10.0.0.1 peer 10.0.0.2/32")).unwrap());
        let expected = format!(
            "ioctl TUNSIFMODE {}; list; mtu?; flags?; list; list; flags?; configure SIOCSIFFLAGS @ 0x8011; \
             list; flags?; flags?; configure SIOCAIFADDR @ 10.0.0.1/32 10.0.0.2",
            0x8010
        );
        assert_eq!(calls, trace(rig.tun_name(), &twice_on_netbsd(system, &expected)), "{system:?}");
    }
}

#[test]
fn a_utun_is_its_own_peer_where_it_has_no_other() {
    let rig = Rig::new(System::MacOs);
    let device = rig.tun();
    let ((), calls) = rig.calls_of(|| device.up(address("10.0.0.1/24")).unwrap());
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
        let rig = Rig::new(system);
        let device = rig.tap();
        let ((), calls) = rig.calls_of(|| device.up(address("10.0.0.1/24")).unwrap());
        let expected = format!(
            "list; mtu?; flags?; list; list; flags?; configure SIOCSIFFLAGS @ {flags}; list; flags?; flags?; \
             configure SIOCAIFADDR @ 10.0.0.1/24 10.0.0.255"
        );
        assert_eq!(calls, trace(rig.tap_name(), &expected), "{system:?}");
        assert!(rig.report(rig.tap_name()).unwrap().is_up);
    }
}

#[test]
fn down_is_one_flag() {
    for system in SYSTEMS {
        let rig = Rig::new(system);
        let device = rig.tun();
        device.up(address("10.0.0.1/24")).unwrap();
        let ((), calls) = rig.calls_of(|| device.down().unwrap());
        let flags = if system == System::MacOs { "0x8050" } else { "0x8042" };
        let expected = format!("list; flags?; configure SIOCSIFFLAGS @ {flags}");
        assert_eq!(calls, trace(rig.tun_name(), &expected), "{system:?}");
        assert!(!rig.report(rig.tun_name()).unwrap().is_up);
        assert_eq!(rig.addresses(rig.tun_name()).len(), 1);
    }
}

#[test]
fn an_address_is_added_and_removed_by_one_request_each() {
    for system in BSDS {
        let rig = Rig::new(system);
        let device = rig.tap();
        device.interface().set_state(State::Up).unwrap();
        let (tap, name) = (device.interface(), rig.tap_name());
        let (_, calls) = rig.calls_of(|| tap.add_address(address("10.0.0.1/24")).unwrap());
        let added = "list; flags?; flags?; configure SIOCAIFADDR @ 10.0.0.1/24 10.0.0.255";
        assert_eq!(calls, trace(name, added), "{system:?}");
        let (_, calls) = rig.calls_of(|| tap.add_address(address("10.0.0.1/24")).unwrap());
        assert_eq!(calls, ["interfaces"]);
        let ((), calls) = rig.calls_of(|| tap.remove_address(address("10.0.0.1/24")).unwrap());
        assert_eq!(calls, trace(name, "list; configure SIOCDIFADDR @ 10.0.0.1"), "{system:?}");
    }
}

#[test]
fn an_ipv6_address_is_added_and_removed_by_one_request_each() {
    for system in SYSTEMS {
        let rig = Rig::new(system);
        let device = rig.tun();
        device.up(address("10.0.0.1/24")).unwrap();
        let (tun, name) = (device.interface(), rig.tun_name());
        let (_, calls) = rig.calls_of(|| tun.add_address(address("fd00::1/64")).unwrap());
        // OpenBSD's interfaces have no IPv6 until they are given it.
        let attach = if system == System::OpenBsd { "configure SIOCIFAFATTACH @;" } else { "" };
        let expected = format!("list; flags?; {attach} configure SIOCAIFADDR_IN6 @ fd00::1/64");
        assert_eq!(calls, trace(name, &twice_on_netbsd(system, &expected)), "{system:?}");
        let ((), calls) = rig.calls_of(|| tun.remove_address(address("fd00::1/64")).unwrap());
        assert_eq!(calls, trace(name, "list; configure SIOCDIFADDR_IN6 @ fd00::1"), "{system:?}");
    }
}

#[test]
fn what_an_address_brought_up_goes_down_again() {
    for system in SYSTEMS {
        let rig = Rig::new(system);
        let device = rig.tun();
        device.interface().add_address(address("10.0.0.1/24")).unwrap();
        let last = rig.calls().pop().unwrap();
        assert!(last.starts_with("configure SIOCSIFFLAGS"), "{system:?} {last}");
        assert!(!rig.report(rig.tun_name()).unwrap().is_up, "{system:?}");
    }
}

#[test]
fn an_mtu_is_one_request() {
    for system in SYSTEMS {
        let rig = Rig::new(system);
        let device = rig.tun();
        let ((), calls) = rig.calls_of(|| device.interface().set_mtu(Mtu::new(1400).unwrap()).unwrap());
        assert_eq!(calls, trace(rig.tun_name(), "list; configure SIOCSIFMTU @ 1400"), "{system:?}");
        assert_eq!(device.interface().mtu().unwrap().get(), 1400);
    }
}

#[test]
fn rename_is_one_request_where_there_is_one() {
    for system in [System::FreeBsd, System::DragonFly] {
        let rig = Rig::new(system);
        let device = rig.tun();
        let ((), calls) = rig.calls_of(|| device.interface().rename(&"vpn0".parse().unwrap()).unwrap());
        assert_eq!(calls, trace(rig.tun_name(), "list; rename @ vpn0"), "{system:?}");
        let ((), calls) = rig.calls_of(|| device.interface().rename(&"vpn0".parse().unwrap()).unwrap());
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
        let rig = Rig::new(system);
        let device = rig.tun();
        let name = Name::new(rig.tun_name().as_bytes()).unwrap();
        let mut argument = abi.ifreq_flags(&name, HIGH);
        rig.model.configure(tunctl_bsd::Family::V4, abi.requests.set_flags, &mut argument).unwrap();
        device.interface().set_state(State::Up).unwrap();
        device.down().unwrap();
        assert_eq!(rig.report(rig.tun_name()).unwrap().flags & HIGH, HIGH, "{system:?}");
    }
}

#[test]
fn an_address_that_is_there_is_not_sent_again() {
    for system in SYSTEMS {
        let rig = Rig::new(system);
        let device = rig.tun();
        device.up(address("10.0.0.1/24")).unwrap();
        let ((), calls) = rig.calls_of(|| device.up(address("10.0.0.1/24")).unwrap());
        assert!(!calls.iter().any(|call| call.contains("SIOCAIFADDR")), "{system:?} {calls:?}");
        assert_eq!(rig.addresses(rig.tun_name()).len(), 1, "{system:?}");
    }
}

#[test]
fn an_old_kernel_of_netbsd_takes_packets_after_the_second_addition() {
    let rig = Rig::new(System::NetBsd);
    rig.set_additions_until_ready(2);
    let device = rig.tun();
    device.up(address("10.0.0.1/24")).unwrap();
    assert_eq!(device.try_send(&[0x45, 0, 0, 20]).unwrap(), 4);
}

#[test]
fn an_address_that_cannot_be_added_twice_is_not_left() {
    let rig = Rig::new(System::NetBsd);
    let device = rig.tun();
    rig.fail_nth("configure SIOCAIFADDR", 2, 12);
    let error = refused(device.interface().add_address(address("10.0.0.1/24")));
    assert_eq!((error.operation(), error.raw_os_error()), (Operation::AddAddress, Some(12)));
    assert_eq!(rig.addresses("tun0"), []);
    assert!(!rig.report("tun0").unwrap().is_up);
}

#[test]
fn a_refused_mode_is_an_error_unless_the_tun_is_up() {
    for system in [System::FreeBsd, System::NetBsd, System::OpenBsd, System::DragonFly] {
        let rig = Rig::new(system);
        let device = rig.tun();
        rig.fail("ioctl TUNSIFMODE", 1);
        let error = refused(device.up(address("10.0.0.1/24")));
        assert_eq!(
            (error.operation(), error.cause()),
            (Operation::Up, Cause::MissingCapability),
            "{system:?}"
        );
        assert!(rig.addresses(rig.tun_name()).is_empty() && !rig.report(rig.tun_name()).unwrap().is_up);
        // Up already, it stays as it is: of a network here, and so without peers.
        device.up(address("10.0.0.1/24")).unwrap();
        let outcome = device.up(address("10.9.0.1 peer 10.9.0.2/32"));
        if system == System::OpenBsd {
            // Its mode can be changed at any time.
            outcome.unwrap();
        } else {
            let error = refused(outcome);
            assert_eq!(error.cause(), Cause::InvalidAddress, "{system:?}");
            assert!(error.remedy().unwrap().contains("is down"), "{error}");
        }
    }
}

#[test]
fn what_a_full_queue_has_dropped_is_counted() {
    for system in [System::FreeBsd, System::OpenBsd] {
        for is_tap in [false, true] {
            let rig = Rig::new(system);
            let (device, name) =
                if is_tap { (rig.tap(), rig.tap_name()) } else { (rig.tun(), rig.tun_name()) };
            let dropped = || device.interface().dropped().unwrap();
            device.interface().set_state(State::Up).unwrap();
            rig.set_queue_length(3);
            let packet = [&[0x45][..], &[0; 59]].concat();
            assert_eq!((0..5).filter(|_| rig.inject(name, &packet)).count(), 3);
            assert_eq!(dropped(), 2, "{system:?} {name}");
            device.recv(&mut [0; 100]).unwrap();
            assert!(rig.inject(name, &packet));
            assert_eq!(dropped(), 2, "{system:?} {name}");
            rig.fail("dropped", 12);
            let error = refused(device.interface().dropped());
            assert_eq!((error.operation(), error.raw_os_error()), (Operation::Inspect, Some(12)));
        }
    }
}
