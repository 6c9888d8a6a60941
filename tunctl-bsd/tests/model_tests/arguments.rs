//! Addresses, flags and MACs: what the crate's builders write is what the models read.

use std::net::IpAddr;

use tunctl_bsd::{Family, ListedAddress, Syscalls};

use crate::fixture::{POINTOPOINT, Rig, SYSTEMS, UP, errno, name, peered};
use crate::models::System;
use crate::models::numbers::{EADDRNOTAVAIL, EDESTADDRREQ, EINVAL, ENODEV, ENXIO, EOPNOTSUPP, EPERM};

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn addresses_of_a_tun_have_a_peer() {
    for system in SYSTEMS {
        let rig = Rig::new(system);
        let _tun = rig.tun();
        let of = rig.tun_name();
        assert_eq!(rig.add(of, "10.0.0.1", None, "255.255.255.0"), Err(EDESTADDRREQ), "{system:?}");
        rig.add(of, "10.0.0.1", Some("10.0.0.9"), "255.255.255.252").unwrap();
        assert_eq!(rig.addresses(of), [peered("10.0.0.1", 30, "10.0.0.9")], "{system:?}");
        assert_eq!(rig.flags(of).unwrap() & (UP | POINTOPOINT), UP | POINTOPOINT, "{system:?}");
        assert_eq!(rig.delete(of, "10.0.0.9"), Err(EADDRNOTAVAIL));
        assert_eq!([rig.delete(of, "10.0.0.1"), rig.delete(of, "10.0.0.1")], [Ok(()), Err(EADDRNOTAVAIL)]);
        assert_eq!(rig.add("none0", "10.0.0.1", None, "255.0.0.0"), Err(ENXIO));
        assert_eq!(rig.add(of, "10.0.0.1", Some("10.0.0.2"), "255.0.255.0"), Err(EINVAL));
        rig.set_caller(false);
        assert_eq!(rig.add(of, "10.0.0.1", Some("10.0.0.2"), "255.0.0.0"), Err(EPERM));
    }
}

#[test]
fn addresses_of_a_tap_have_a_broadcast_address() {
    for system in [System::FreeBsd, System::OpenBsd, System::DragonFly, System::NetBsd] {
        let rig = Rig::new(system);
        rig.create("tap5").unwrap();
        rig.add("tap5", "10.0.0.1", None, "255.255.255.0").unwrap();
        rig.add("tap5", "10.1.0.1", Some("10.1.255.255"), "255.255.0.0").unwrap();
        let listed = |address, prefix_length, broadcast| ListedAddress {
            address: ip(address),
            prefix_length,
            destination: None,
            broadcast: Some(ip(broadcast)),
        };
        let expected = [listed("10.0.0.1", 24, "10.0.0.255"), listed("10.1.0.1", 16, "10.1.255.255")];
        assert_eq!(rig.addresses("tap5"), expected, "{system:?}");
        assert!(!rig.report("tap5").unwrap().is_up);
        rig.set_address_ups_tap(true);
        rig.add("tap5", "10.2.0.1", None, "255.255.255.255").unwrap();
        assert!(rig.report("tap5").unwrap().is_up);
    }
}

#[test]
fn ipv6_addresses_are_in_service_after_a_while() {
    for system in SYSTEMS {
        let rig = Rig::new(system);
        let _tun = rig.tun();
        let of = rig.tun_name();
        rig.add_v6(of, "fd00::1", 64, 0).unwrap();
        let flags = |address: &str| {
            let mut argument = rig.abi.query_v6(&name(of), address.parse().expect("an address"));
            rig.model
                .configure(Family::V6, rig.abi.requests.get_address_flags_v6, &mut argument)
                .map_err(errno)?;
            Ok(rig.abi.address_flags(&argument).expect("flags"))
        };
        let all = [(); 4].map(|()| flags("fd00::1"));
        assert_eq!(all, [Ok(2), Ok(2), Ok(2), Ok(0)], "{system:?}");
        rig.duplicate_found(ip("fd00::1"));
        assert_eq!([flags("fd00::1"), flags("fd00::2")], [Ok(4), Err(EADDRNOTAVAIL)]);
        if let Some(flag) = rig.abi.no_duplicate_detection {
            rig.add_v6(of, "fd00::3", 64, flag).unwrap();
            assert_eq!(flags("fd00::3"), Ok(0), "{system:?}");
        }
        assert_eq!(rig.addresses(of)[0].prefix_length, 64);
    }
}

#[test]
fn an_ipv6_peer_is_all_of_its_network() {
    for system in SYSTEMS {
        let rig = Rig::new(system);
        let _tun = rig.tun();
        let of = name(rig.tun_name());
        let add = |prefix, family| {
            let (address, peer) = ("fd00::1".parse().expect("one"), "fd00::2".parse().expect("another"));
            let mut argument = rig.abi.alias_v6(&of, address, Some(peer), prefix, 0);
            rig.model.configure(family, rig.abi.requests.add_address_v6, &mut argument).map_err(errno)
        };
        assert_eq!([add(64, Family::V6), add(128, Family::V6)], [Err(EINVAL), Ok(())], "{system:?}");
        assert_eq!(rig.addresses(rig.tun_name())[0].destination, Some(ip("fd00::2")));
        // Through a socket for IPv4.
        assert_eq!(add(128, Family::V4), Err(EOPNOTSUPP));
        let mut argument = rig.abi.delete_v6(&of, "fd00::1".parse().unwrap());
        rig.model.configure(Family::V6, rig.abi.requests.delete_address_v6, &mut argument).unwrap();
        assert_eq!(rig.addresses(rig.tun_name()), []);
    }
}

#[test]
fn flags_leave_what_the_driver_has_said() {
    for system in SYSTEMS {
        let rig = Rig::new(system);
        let _tun = rig.tun();
        let of = rig.tun_name();
        let driver = rig.flags(of).unwrap() & !UP;
        rig.set_flags(of, 0).unwrap();
        assert_eq!(rig.flags(of), Ok(driver), "{system:?}");
        rig.set_flags(of, UP | 0x1000).unwrap();
        assert_eq!(rig.flags(of), Ok(driver | UP | 0x1000), "{system:?}");
    }
}

#[test]
fn taps_have_a_mac_where_it_can_be_set() {
    for system in [System::FreeBsd, System::OpenBsd, System::DragonFly] {
        let rig = Rig::new(system);
        rig.create("tap5").unwrap();
        let _tun = rig.tun();
        let request = rig.abi.requests.set_mac.unwrap();
        let mac = [2, 0, 0, 0, 0, 1];
        rig.request(request, rig.abi.ifreq_mac(&name("tap5"), mac)).unwrap();
        assert_eq!(rig.report("tap5").unwrap().mac, Some(mac), "{system:?}");
        assert_eq!(rig.request(request, rig.abi.ifreq_mac(&name("tun0"), mac)), Err(ENODEV));
    }
}

#[test]
fn an_mtu_is_set_and_asked_for() {
    for system in SYSTEMS {
        let rig = Rig::new(system);
        let _tun = rig.tun();
        rig.set_mtu(rig.tun_name(), 1400).unwrap();
        let answer = rig.request(rig.abi.requests.get_mtu, rig.abi.ifreq(&name(rig.tun_name()))).unwrap();
        assert_eq!(rig.abi.mtu(&answer), Some(1400), "{system:?}");
        assert_eq!(rig.set_mtu("lo0", 10), Err(EINVAL));
    }
}
