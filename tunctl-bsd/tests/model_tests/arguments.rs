//! Addresses, flags and MACs: what the crate's builders write is what the models read.

use std::net::IpAddr;

use tunctl_bsd::{Family, ListedAddress, Syscalls};

use crate::fixture::{Answer, Fixture, POINTOPOINT, SYSTEMS, UP, errno, name, peered};
use crate::models::System;
use crate::models::numbers::{EADDRNOTAVAIL, EDESTADDRREQ, EINVAL, ENODEV, ENOTTY, ENXIO, EOPNOTSUPP, EPERM};

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn addresses_of_a_tun_have_a_peer() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let _tun = fixture.tun();
        let of = fixture.tun_name();
        let takes_none = matches!(system, System::NetBsd | System::OpenBsd);
        let without = if takes_none { Ok(()) } else { Err(EDESTADDRREQ) };
        assert_eq!(fixture.add(of, "10.0.0.1", None, "255.255.255.0"), without, "{system:?}");
        fixture.add(of, "10.0.0.1", Some("10.0.0.9"), "255.255.255.252").unwrap();
        assert_eq!(fixture.addresses(of), [peered("10.0.0.1", 30, "10.0.0.9")], "{system:?}");
        assert_eq!(fixture.flags(of).unwrap() & (UP | POINTOPOINT), UP | POINTOPOINT, "{system:?}");
        assert_eq!(fixture.delete(of, "10.0.0.9"), Err(EADDRNOTAVAIL));
        assert_eq!(
            [fixture.delete(of, "10.0.0.1"), fixture.delete(of, "10.0.0.1")],
            [Ok(()), Err(EADDRNOTAVAIL)]
        );
        assert_eq!(fixture.add("none0", "10.0.0.1", None, "255.0.0.0"), Err(ENXIO));
        assert_eq!(fixture.add(of, "10.0.0.1", Some("10.0.0.2"), "255.0.255.0"), Err(EINVAL));
        fixture.set_caller(false);
        assert_eq!(fixture.add(of, "10.0.0.1", Some("10.0.0.2"), "255.0.0.0"), Err(EPERM));
    }
}

#[test]
fn addresses_of_a_tap_have_a_broadcast_address() {
    for system in [System::FreeBsd, System::OpenBsd, System::DragonFly, System::NetBsd] {
        let fixture = Fixture::new(system);
        fixture.create("tap5").unwrap();
        fixture.set_address_ups_tap(false);
        fixture.add("tap5", "10.0.0.1", None, "255.255.255.0").unwrap();
        fixture.add("tap5", "10.1.0.1", Some("10.1.255.255"), "255.255.0.0").unwrap();
        let listed = |address, prefix_length, broadcast| ListedAddress {
            address: ip(address),
            prefix_length,
            destination: None,
            broadcast: Some(ip(broadcast)),
        };
        let expected = [listed("10.0.0.1", 24, "10.0.0.255"), listed("10.1.0.1", 16, "10.1.255.255")];
        assert_eq!(fixture.addresses("tap5"), expected, "{system:?}");
        assert!(!fixture.report("tap5").unwrap().is_up);
        fixture.set_address_ups_tap(true);
        fixture.add("tap5", "10.2.0.1", None, "255.255.255.255").unwrap();
        assert!(fixture.report("tap5").unwrap().is_up);
    }
}

#[test]
fn an_address_brings_an_interface_up_but_a_utun() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let _tun = fixture.tun();
        let tap = if system == System::MacOs { "feth5" } else { "tap5" };
        fixture.create(tap).unwrap();
        for (of, destination) in [(fixture.tun_name(), Some("10.0.0.2")), (tap, None)] {
            let comes_up = |add: &dyn Fn() -> Answer| {
                fixture.set_flags(of, 0).unwrap();
                add().unwrap();
                fixture.flags(of).unwrap() & UP != 0
            };
            let v4 = comes_up(&|| fixture.add(of, "10.0.0.1", destination, "255.255.255.255"));
            let v6 = comes_up(&|| fixture.add_v6(of, "fd00::1", 64, 0));
            assert_eq!([v4, v6], [of != "utun0"; 2], "{system:?} {of}");
        }
    }
}

#[test]
fn ipv6_addresses_are_in_service_after_a_while() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let _tun = fixture.tun();
        let of = fixture.tun_name();
        // While it is down, there is no detection.
        fixture.set_flags(of, 0).unwrap();
        fixture.add_v6(of, "fd00::9", 64, 0).unwrap();
        fixture.set_flags(of, 1).unwrap();
        fixture.add_v6(of, "fd00::1", 64, 0).unwrap();
        let flags = |address: &str| {
            let mut argument = fixture.abi.query_v6(&name(of), address.parse().expect("an address"));
            fixture
                .model
                .configure(Family::V6, fixture.abi.requests.get_address_flags_v6, &mut argument)
                .map_err(errno)?;
            Ok(fixture.abi.address_flags(&argument).expect("flags"))
        };
        assert_eq!(flags("fd00::9"), Ok(0), "{system:?}");
        let all = [(); 4].map(|()| flags("fd00::1"));
        // utuns never do it.
        let expected = if system == System::MacOs { [Ok(0); 4] } else { [Ok(2), Ok(2), Ok(2), Ok(0)] };
        assert_eq!(all, expected, "{system:?}");
        fixture.duplicate_found(ip("fd00::1"));
        assert_eq!([flags("fd00::1"), flags("fd00::2")], [Ok(4), Err(EADDRNOTAVAIL)]);
        if let Some(flag) = fixture.abi.no_duplicate_detection {
            fixture.add_v6(of, "fd00::3", 64, flag).unwrap();
            // FreeBSD takes the flag, and does it all the same.
            let expected = if system == System::FreeBsd { 2 } else { 0 };
            assert_eq!(flags("fd00::3"), Ok(expected), "{system:?}");
        }
        assert_eq!(fixture.addresses(of)[0].prefix_length, 64);
    }
}

#[test]
fn an_ipv6_peer_is_all_of_its_network() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let _tun = fixture.tun();
        let of = name(fixture.tun_name());
        let add = |prefix, family| {
            let (address, peer) = ("fd00::1".parse().expect("one"), "fd00::2".parse().expect("another"));
            let mut argument = fixture.abi.alias_v6(&of, address, Some(peer), prefix, 0);
            fixture.model.configure(family, fixture.abi.requests.add_address_v6, &mut argument).map_err(errno)
        };
        assert_eq!([add(64, Family::V6), add(128, Family::V6)], [Err(EINVAL), Ok(())], "{system:?}");
        assert_eq!(fixture.addresses(fixture.tun_name())[0].destination, Some(ip("fd00::2")));
        // Through a socket for IPv4.
        let refused = if system == System::NetBsd { ENOTTY } else { EOPNOTSUPP };
        assert_eq!(add(128, Family::V4), Err(refused));
        let mut argument = fixture.abi.delete_v6(&of, "fd00::1".parse().unwrap());
        fixture.model.configure(Family::V6, fixture.abi.requests.delete_address_v6, &mut argument).unwrap();
        assert_eq!(fixture.addresses(fixture.tun_name()), []);
    }
}

#[test]
fn flags_leave_what_the_driver_has_said() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let _tun = fixture.tun();
        let of = fixture.tun_name();
        let driver = fixture.flags(of).unwrap() & !UP;
        fixture.set_flags(of, 0).unwrap();
        assert_eq!(fixture.flags(of), Ok(driver), "{system:?}");
        fixture.set_flags(of, UP | 0x1000).unwrap();
        assert_eq!(fixture.flags(of), Ok(driver | UP | 0x1000), "{system:?}");
    }
}

#[test]
fn taps_have_a_mac_where_it_can_be_set() {
    for system in [System::FreeBsd, System::OpenBsd, System::DragonFly] {
        let fixture = Fixture::new(system);
        fixture.create("tap5").unwrap();
        let _tun = fixture.tun();
        let request = fixture.abi.requests.set_mac.unwrap();
        let mac = [2, 0, 0, 0, 0, 1];
        fixture.request(request, fixture.abi.ifreq_mac(&name("tap5"), mac)).unwrap();
        assert_eq!(fixture.report("tap5").unwrap().mac, Some(mac), "{system:?}");
        assert_eq!(fixture.request(request, fixture.abi.ifreq_mac(&name("tun0"), mac)), Err(ENODEV));
    }
}

#[test]
fn an_mtu_is_set_and_asked_for() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let _tun = fixture.tun();
        fixture.set_mtu(fixture.tun_name(), 1400).unwrap();
        let answer = fixture
            .request(fixture.abi.requests.get_mtu, fixture.abi.ifreq(&name(fixture.tun_name())))
            .unwrap();
        assert_eq!(fixture.abi.mtu(&answer), Some(1400), "{system:?}");
        assert_eq!(fixture.set_mtu("lo0", 10), Err(EINVAL));
    }
}
