//! The order of the system calls, and that there are no others.
//!
//! Expected traces are abbreviated: `@` is the interface, `list` lists all interfaces, `mtu?` and `flags?`
//! get an interface's MTU and flags.

use tunctl_core::{CreateOptions, Interface, TunBackend, TunDevice};

use crate::fixture::{Fixture, SYSTEMS, address, named_tap, named_tun, others};
use crate::models::System;

/// Expands an abbreviated trace.
pub(crate) fn trace(name: &str, short: &str) -> Vec<String> {
    let full = |call: &str| match call {
        "list" => "interfaces".into(),
        "mtu?" => format!("configure SIOCGIFMTU {name}"),
        "flags?" => format!("configure SIOCGIFFLAGS {name}"),
        call => call.replace('@', name),
    };
    short.split(';').map(str::trim).filter(|call| !call.is_empty()).map(full).collect()
}

/// Creates, and compares all that is called.
fn creates(system: System, options: &CreateOptions, name: &str, expected: &str) {
    let fixture = Fixture::new(system);
    let (device, calls) = fixture.calls_of(|| fixture.backend.create(options).unwrap());
    assert_eq!(calls, trace(name, expected), "{system:?}");
    assert_eq!(device.name().unwrap().to_string(), name);
    let made = fixture.report(name).unwrap();
    assert!(!made.is_up && made.is_open, "{made:?}");
}

#[test]
fn freebsd_asks_the_clone_node_for_a_name_and_has_the_kernel_end_it() {
    let expected = "open /dev/tun; ioctl TUNGIFNAME; list; ioctl TUNSIFHEAD 1; nonblocking @; list; mtu?; \
                    flags?; ioctl TUNSTRANSIENT 1";
    creates(System::FreeBsd, &CreateOptions::tun(), "tun0", expected);
    creates(System::FreeBsd, &named_tun("tun%d"), "tun0", expected);
}

#[test]
fn freebsd_makes_taps_alike_but_without_an_af_header() {
    let expected =
        "open /dev/tap; ioctl TAPGIFNAME; list; nonblocking @; list; mtu?; flags?; ioctl TAPSTRANSIENT 1";
    creates(System::FreeBsd, &CreateOptions::tap(), "tap0", expected);
}

#[test]
fn freebsd_opens_the_node_of_a_unit() {
    let expected = "list; open /dev/@; list; ioctl TUNSIFHEAD 1; nonblocking @; list; mtu?; \
                    flags?; ioctl TUNSTRANSIENT 1";
    creates(System::FreeBsd, &named_tun("tun7"), "tun7", expected);
    let expected = "list; open /dev/@; list; nonblocking @; list; mtu?; flags?; ioctl TAPSTRANSIENT 1";
    creates(System::FreeBsd, &named_tap("tap7"), "tap7", expected);
}

#[test]
fn netbsd_opens_the_node_of_a_tun() {
    let expected = "list; open /dev/@; list; ioctl TUNSIFHEAD 1; nonblocking @; list; mtu?; flags?";
    creates(System::NetBsd, &CreateOptions::tun(), "tun0", expected);
    creates(System::NetBsd, &named_tun("tun9"), "tun9", expected);
}

#[test]
fn netbsd_makes_a_tap_by_request_and_then_opens_it() {
    let expected = "list; configure SIOCIFCREATE @; open /dev/@; list; nonblocking @; list; mtu?; flags?";
    creates(System::NetBsd, &CreateOptions::tap(), "tap0", expected);
    creates(System::NetBsd, &named_tap("tap9"), "tap9", expected);
}

#[test]
fn openbsd_opens_nodes_and_takes_down_what_they_brought_up() {
    let expected = "list; open /dev/@; list; nonblocking @; list; mtu?; flags?; list; flags?; \
                    configure SIOCSIFFLAGS @ ";
    creates(System::OpenBsd, &CreateOptions::tun(), "tun0", &format!("{expected}0x8050"));
    creates(System::OpenBsd, &CreateOptions::tap(), "tap0", &format!("{expected}0x8042"));
    creates(System::OpenBsd, &named_tun("tun5"), "tun5", &format!("{expected}0x8050"));
}

#[test]
fn dragonfly_makes_everything_by_request() {
    let tun = "list; configure SIOCIFCREATE @; open /dev/@; list; ioctl TUNSIFHEAD 1; nonblocking @; list; \
               mtu?; flags?";
    creates(System::DragonFly, &CreateOptions::tun(), "tun0", tun);
    creates(System::DragonFly, &named_tun("tun17"), "tun17", tun);
    let tap = "list; configure SIOCIFCREATE @; open /dev/@; list; nonblocking @; list; mtu?; flags?";
    creates(System::DragonFly, &CreateOptions::tap(), "tap0", tap);
}

#[test]
fn macos_connects_a_socket_to_any_unit() {
    let expected = "connect com.apple.net.utun_control 0; socket_name @; list; pending @ 64; nonblocking @; list; \
                    mtu?; flags?; list; flags?; configure SIOCSIFFLAGS @ 0x8050";
    creates(System::MacOs, &CreateOptions::tun(), "utun0", expected);
    creates(System::MacOs, &named_tun("utun%d"), "utun0", expected);
}

#[test]
fn macos_connects_to_the_unit_after_the_number() {
    let rest = "list; pending @ 64; nonblocking @; list; mtu?; flags?; list; flags?; configure SIOCSIFFLAGS @ 0x8050";
    for (name, unit) in [("utun0", 1), ("utun7", 8)] {
        let expected = format!("list; connect com.apple.net.utun_control {unit}; {rest}");
        creates(System::MacOs, &named_tun(name), name, &expected);
    }
}

#[test]
fn a_name_of_ones_own_is_given_where_it_can_be() {
    let made = "open /dev/tun; ioctl TUNGIFNAME; list; ioctl TUNSIFHEAD 1; nonblocking tun0; list; \
                configure SIOCGIFMTU tun0; configure SIOCGIFFLAGS tun0; ioctl TUNSTRANSIENT 1";
    creates(System::FreeBsd, &named_tun("vpn%d"), "vpn0", &format!("{made}; rename tun0 vpn0; list"));
    // A whole name is first looked for.
    creates(System::FreeBsd, &named_tun("vpn"), "vpn", &format!("list; {made}; rename tun0 vpn; list"));
    let made = "list; configure SIOCIFCREATE tun0; open /dev/tun0; list; ioctl TUNSIFHEAD 1; \
                nonblocking tun0; list; configure SIOCGIFMTU tun0; configure SIOCGIFFLAGS tun0";
    creates(System::DragonFly, &named_tun("vpn%d"), "vpn0", &format!("{made}; rename tun0 vpn0; list"));
}

#[test]
fn a_number_that_is_taken_is_passed_over() {
    let fixture = Fixture::new(System::FreeBsd);
    let _first = fixture.backend.create(&named_tun("vpn%d")).unwrap();
    let second = fixture.backend.create(&named_tun("vpn%d")).unwrap();
    assert_eq!(second.name().unwrap().to_string(), "vpn1");
    assert!(fixture.calls().contains(&"rename tun1 vpn0".into()));
}

#[test]
fn every_device_is_opened_blocking_and_then_set() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let device = fixture.tun();
        let calls = fixture.calls();
        let at = |start: &str| calls.iter().position(|call| call.starts_with(start));
        let opened = at("open").or(at("connect")).unwrap();
        assert!(at("nonblocking").unwrap() > opened, "{system:?} {calls:?}");
        assert!(device.try_recv(&mut [0; 100]).is_err(), "{system:?}");
        // No request that would do it before the driver has it open.
        assert!(!calls.iter().any(|call| call.contains("FIONBIO")));
    }
}

#[test]
fn the_af_header_is_asked_for_before_any_address() {
    for system in [System::FreeBsd, System::NetBsd, System::DragonFly] {
        let fixture = Fixture::new(system);
        let device = fixture.tun();
        device.up(address("fd00::1/64")).unwrap();
        let calls = fixture.calls();
        let at = |start: &str| calls.iter().position(|call| call.starts_with(start)).unwrap();
        assert!(at("ioctl TUNSIFHEAD 1") < at("configure SIOCAIFADDR_IN6"), "{system:?}");
        assert!(at("ioctl TUNSIFHEAD 1") < at("configure SIOCSIFFLAGS"), "{system:?}");
    }
}

#[test]
fn an_opened_tun_has_the_af_header_as_well_and_stays_as_it_was() {
    for system in [System::FreeBsd, System::NetBsd] {
        let fixture = Fixture::new(system);
        fixture.made_by_another("tun3");
        let (device, calls) = fixture.calls_of(|| fixture.backend.open(&named_tun("tun3")).unwrap());
        assert_eq!(
            calls,
            trace("tun3", "list; open /dev/@; list; ioctl TUNSIFHEAD 1; nonblocking @"),
            "{system:?}"
        );
        assert!(fixture.report("tun3").unwrap().af_header);
        let ((), calls) = fixture.calls_of(|| drop(device));
        assert_eq!(calls, ["close tun3"], "{system:?}");
        assert!(fixture.report("tun3").is_some());
    }
}

#[test]
fn the_list_is_in_the_order_of_indices_whatever_the_systems() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let _devices = [fixture.tun(), fixture.tun(), fixture.tun()];
        let listed: Vec<_> =
            fixture.backend.interfaces().unwrap().iter().map(|one| one.index().get()).collect();
        let indices: Vec<_> = others(&fixture).into_iter().map(|report| report.index).collect();
        assert_eq!(listed, indices, "{system:?}");
    }
}
