//! Arguments, byte by byte, written by hand from the structures that the systems' own headers compile to.

use tunctl_core::{Interface, InterfaceAddress, MacAddress, Mtu, State, TunDevice};

use crate::fixture::{BSDS, Device, Fixture, SYSTEMS, address};
use crate::models::System;

/// Bytes at their places, and zeroes between.
fn argument(length: usize, name: &str, parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut argument = vec![0; length];
    argument[..name.len()].copy_from_slice(name.as_bytes());
    for &(at, bytes) in parts {
        argument[at..at + bytes.len()].copy_from_slice(bytes);
    }
    argument
}

/// A `sockaddr_in`: its length, the family, no port, the address.
const fn v4(a: u8, b: u8, c: u8, d: u8) -> [u8; 16] {
    [16, 2, 0, 0, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// The family of IPv6.
const fn inet6(system: System) -> u8 {
    match system {
        System::FreeBsd | System::DragonFly => 28,
        System::MacOs => 30,
        _ => 24,
    }
}

/// A `sockaddr_in6`: its length, the family, no port and no flow, the address, no scope.
fn v6(system: System, address: [u8; 16]) -> Vec<u8> {
    let mut bytes = vec![28, inet6(system), 0, 0, 0, 0, 0, 0];
    bytes.extend(address);
    bytes.extend([0; 4]);
    bytes
}

const FD00_1: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const FD00_2: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
const ONES: [u8; 16] = [0xff; 16];

const fn add_v4(system: System) -> (u32, usize) {
    match system {
        System::FreeBsd => (0x8044_692b, 68),
        _ => (0x8040_691a, 64),
    }
}

const fn add_v6(system: System) -> (u32, usize) {
    match system {
        System::FreeBsd => (0x8088_691b, 136),
        System::NetBsd => (0x8080_696b, 128),
        _ => (0x8080_691a, 128),
    }
}

const fn ifreq(system: System) -> usize {
    if matches!(system, System::NetBsd) { 144 } else { 32 }
}

/// A request of `ifreq` that goes in only.
fn in_ifreq(system: System, number: u32) -> u32 {
    0x8000_6900 | u32::try_from(ifreq(system)).unwrap() << 16 | number
}

/// A tun that is up, with what its address was sent as.
fn upped(system: System, wanted: InterfaceAddress) -> (Fixture, Device) {
    let fixture = Fixture::new(system);
    let device = fixture.tun();
    device.up(wanted).unwrap();
    (fixture, device)
}

#[test]
fn an_ipv4_address_with_a_peer() {
    for system in SYSTEMS {
        let (fixture, _device) = upped(system, address("10.1.2.3 peer 10.4.5.6/32"));
        let (opcode, length) = add_v4(system);
        let expected = argument(
            length,
            fixture.tun_name(),
            &[(16, &v4(10, 1, 2, 3)), (32, &v4(10, 4, 5, 6)), (48, &v4(255, 255, 255, 255))],
        );
        assert_eq!(fixture.sent_to_add(opcode), expected, "{system:?}");
    }
}

#[test]
fn an_ipv4_address_with_the_broadcast_address_of_its_network() {
    for system in [System::FreeBsd, System::NetBsd, System::DragonFly] {
        let (fixture, _device) = upped(system, address("172.16.5.9/12"));
        let (opcode, length) = add_v4(system);
        let expected = argument(
            length,
            fixture.tun_name(),
            &[(16, &v4(172, 16, 5, 9)), (32, &v4(172, 31, 255, 255)), (48, &v4(255, 240, 0, 0))],
        );
        assert_eq!(fixture.sent_to_add(opcode), expected, "{system:?}");
    }
}

#[test]
fn an_ipv4_address_with_a_broadcast_address_of_its_own_and_with_none() {
    for system in BSDS {
        let fixture = Fixture::new(system);
        let device = fixture.tap();
        device.interface().set_state(State::Up).unwrap();
        let own = address("10.0.0.1/24").with_broadcast(Some([10, 0, 0, 0].into())).unwrap();
        device.interface().add_address(own).unwrap();
        device.interface().add_address(address("10.0.1.1/31")).unwrap();
        let (opcode, length) = add_v4(system);
        let name = fixture.tap_name();
        let expected = [
            argument(
                length,
                name,
                &[(16, &v4(10, 0, 0, 1)), (32, &v4(10, 0, 0, 0)), (48, &v4(255, 255, 255, 0))],
            ),
            argument(length, name, &[(16, &v4(10, 0, 1, 1)), (48, &v4(255, 255, 255, 254))]),
        ];
        assert_eq!(fixture.sent(opcode), expected, "{system:?}");
    }
}

#[test]
fn an_ipv4_address_of_a_utun_leads_to_itself() {
    let (fixture, _device) = upped(System::MacOs, address("10.0.0.1/24"));
    let expected =
        argument(64, "utun0", &[(16, &v4(10, 0, 0, 1)), (32, &v4(10, 0, 0, 1)), (48, &v4(255, 255, 255, 0))]);
    assert_eq!(fixture.sent_once(0x8040_691a), expected);
}

#[test]
fn the_longest_and_the_shortest_ipv4_mask() {
    for (text, mask) in [("10.0.0.1/32", v4(255, 255, 255, 255)), ("10.0.0.1/0", v4(0, 0, 0, 0))] {
        let (fixture, _device) = upped(System::OpenBsd, address(text));
        assert_eq!(fixture.sent_once(0x8040_691a)[48..], mask, "{text}");
    }
}

/// No duplicate detection, where there is a flag for that.
fn no_dad(system: System) -> [u8; 4] {
    // OpenBSD has no such flag, and NetBSD refuses it.
    let has_none = matches!(system, System::OpenBsd | System::NetBsd);
    if has_none { [0; 4] } else { 0x20_u32.to_ne_bytes() }
}

#[test]
fn an_ipv6_address_for_ever_without_duplicate_detection() {
    for system in SYSTEMS {
        let (fixture, _device) = upped(system, address("fd00::1/64"));
        let (opcode, length) = add_v6(system);
        let mask = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];
        let expected = argument(
            length,
            fixture.tun_name(),
            &[
                (16, &v6(system, FD00_1)),
                (72, &v6(system, mask)),
                (100, &no_dad(system)),
                // Expiry and preferred lifetime: zero (never) in 8 bytes each, then all ones (never) in 4
                // bytes each.
                (120, &[0xff; 8]),
            ],
        );
        assert_eq!(fixture.sent_to_add(opcode), expected, "{system:?}");
    }
}

#[test]
fn an_ipv6_address_with_a_peer() {
    for system in SYSTEMS {
        let (fixture, _device) = upped(system, address("fd00::1 peer fd00::2/128"));
        let (opcode, length) = add_v6(system);
        let expected = argument(
            length,
            fixture.tun_name(),
            &[
                (16, &v6(system, FD00_1)),
                (44, &v6(system, FD00_2)),
                (72, &v6(system, ONES)),
                (100, &no_dad(system)),
                (120, &[0xff; 8]),
            ],
        );
        assert_eq!(fixture.sent_to_add(opcode), expected, "{system:?}");
    }
}

#[test]
fn an_ipv6_mask_ends_within_a_byte() {
    let (fixture, _device) = upped(System::NetBsd, address("fd00::1/61"));
    let mask = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf8, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(fixture.sent_to_add(0x8080_696b)[72..100], v6(System::NetBsd, mask));
}

#[test]
fn an_ipv6_address_of_a_tap_is_looked_for_at_its_neighbours() {
    for system in BSDS {
        let fixture = Fixture::new(system);
        let device = fixture.tap();
        device.up(address("fd00::1/64")).unwrap();
        let sent = fixture.sent_once(add_v6(system).0);
        assert_eq!(sent[100..104], [0; 4], "{system:?}");
    }
}

#[test]
fn openbsd_is_asked_for_ipv6_first() {
    let (fixture, _device) = upped(System::OpenBsd, address("fd00::1/64"));
    assert_eq!(fixture.sent_once(0x8011_69ab), argument(17, "tun0", &[(16, &[24])]));
}

#[test]
fn an_ipv4_address_is_deleted_by_itself() {
    for system in SYSTEMS {
        let (fixture, device) = upped(system, address("10.1.2.3/24"));
        device.interface().remove_address(address("10.1.2.3/24")).unwrap();
        let expected = argument(ifreq(system), fixture.tun_name(), &[(16, &v4(10, 1, 2, 3))]);
        assert_eq!(fixture.sent_once(in_ifreq(system, 0x19)), expected, "{system:?}");
    }
}

#[test]
fn an_ipv6_address_is_deleted_by_itself() {
    for system in SYSTEMS {
        let (fixture, device) = upped(system, address("fd00::1/64"));
        device.interface().remove_address(address("fd00::1/64")).unwrap();
        let expected = argument(288, fixture.tun_name(), &[(16, &v6(system, FD00_1))]);
        assert_eq!(fixture.sent_once(0x8120_6919), expected, "{system:?}");
    }
}

#[test]
fn flags_go_back_as_they_came_but_for_one() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let device = fixture.tun();
        device.interface().set_state(State::Up).unwrap();
        let sent = fixture.sent(in_ifreq(system, 0x10)).pop().unwrap();
        // Point-to-point and up; multicast except on NetBSD; running on OpenBSD and macOS, where opening sets
        // it.
        let flags: u16 = match system {
            System::NetBsd => 0x0011,
            System::OpenBsd | System::MacOs => 0x8051,
            _ => 0x8011,
        };
        let expected = argument(ifreq(system), fixture.tun_name(), &[(16, &flags.to_ne_bytes())]);
        assert_eq!(sent, expected, "{system:?}");
    }
}

#[test]
fn the_mtu_is_an_int() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let device = fixture.tun();
        device.interface().set_mtu(Mtu::new(1280).unwrap()).unwrap();
        let number = if matches!(system, System::NetBsd | System::OpenBsd) { 0x7f } else { 0x34 };
        let expected = argument(ifreq(system), fixture.tun_name(), &[(16, &1280_i32.to_ne_bytes())]);
        assert_eq!(fixture.sent_once(in_ifreq(system, number)), expected, "{system:?}");
    }
}

#[test]
fn interfaces_are_made_and_destroyed_by_their_names_alone() {
    let fixture = Fixture::new(System::NetBsd);
    drop(fixture.tap());
    assert_eq!(fixture.sent_once(0x8090_697a), argument(144, "tap0", &[]));
    assert_eq!(fixture.sent_once(0x8090_6979), argument(144, "tap0", &[]));
    let fixture = Fixture::new(System::DragonFly);
    drop(fixture.tun());
    assert_eq!(fixture.sent_once(0xc020_697a), argument(32, "tun0", &[]));
    assert_eq!(fixture.sent_once(0x8020_6979), argument(32, "tun0", &[]));
    for (system, name) in [(System::FreeBsd, "tun0"), (System::OpenBsd, "tun0")] {
        let fixture = Fixture::new(system);
        fixture.made_by_another(name);
        fixture.backend_interface(name).delete().unwrap();
        assert_eq!(fixture.sent_once(0x8020_6979), argument(32, name, &[]), "{system:?}");
    }
}

#[test]
fn the_af_header_is_switched_on_by_an_int() {
    for (system, opcode) in
        [(System::FreeBsd, 0x8004_7460), (System::DragonFly, 0x8004_7460), (System::NetBsd, 0x8004_7442)]
    {
        let fixture = Fixture::new(system);
        let _device = fixture.tun();
        assert_eq!(fixture.sent_once(opcode), 1_i32.to_ne_bytes(), "{system:?}");
    }
}

#[test]
fn the_mode_is_an_int_of_flags() {
    for (system, opcode) in [
        (System::FreeBsd, 0x8004_745e),
        (System::DragonFly, 0x8004_745e),
        (System::NetBsd, 0x8004_7458),
        (System::OpenBsd, 0x8004_745d),
    ] {
        // A tun leads to a peer from the start, but NetBSD's without multicast. OpenBSD's always does.
        let (fixture, _device) = upped(system, address("10.0.0.1 peer 10.0.0.2/32"));
        let expected: &[_] = if system == System::NetBsd { &[0x8010_i32.to_ne_bytes()] } else { &[] };
        assert_eq!(fixture.sent(opcode), expected, "{system:?}");
        let (fixture, _device) = upped(system, address("10.0.0.1/24"));
        let expected: &[_] = if system == System::OpenBsd { &[] } else { &[0x8002_i32.to_ne_bytes()] };
        assert_eq!(fixture.sent(opcode), expected, "{system:?}");
    }
}

#[test]
fn the_end_by_the_kernel_is_an_int() {
    let fixture = Fixture::new(System::FreeBsd);
    let device = fixture.tun();
    device.set_persist(true).unwrap();
    assert_eq!(fixture.sent(0x8004_7462), [1_i32.to_ne_bytes(), 0_i32.to_ne_bytes()]);
}

#[test]
fn names_are_asked_for_in_zeroes() {
    let fixture = Fixture::new(System::FreeBsd);
    let _devices = [fixture.tun(), fixture.tap()];
    assert_eq!(fixture.sent(0x4020_745d), [[0; 32]; 2]);
}

#[test]
fn a_mac_address_is_an_address_as_long_as_itself() {
    let mac: MacAddress = "02:00:5e:10:00:07".parse().unwrap();
    for (system, opcode) in
        [(System::FreeBsd, 0x8020_693c), (System::OpenBsd, 0x8020_691f), (System::DragonFly, 0x8020_693c)]
    {
        let fixture = Fixture::new(system);
        let device = fixture.tap();
        device.interface().set_mac(mac).unwrap();
        // Six bytes long, of the link level.
        let expected = argument(32, fixture.tap_name(), &[(16, &[6, 18, 0x02, 0, 0x5e, 0x10, 0, 0x07])]);
        assert_eq!(fixture.sent_once(opcode), expected, "{system:?}");
        assert_eq!(fixture.report(fixture.tap_name()).unwrap().mac, Some(mac.octets()), "{system:?}");
    }
}

#[test]
fn a_mac_address_of_netbsd_is_added_and_becomes_the_one_in_use() {
    let mac: MacAddress = "02:00:5e:10:00:07".parse().unwrap();
    let fixture = Fixture::new(System::NetBsd);
    let device = fixture.tap();
    device.interface().set_mac(mac).unwrap();
    let expected = argument(
        280,
        "tap0",
        &[
            (16, &0x4000_u32.to_ne_bytes()),
            // 14 bytes, of the link level, without a name; six of an address.
            (24, &[14, 18, 0, 0, 0, 0, 6, 0, 0x02, 0, 0x5e, 0x10, 0, 0x07]),
        ],
    );
    assert_eq!(fixture.sent_once(0x8118_691c), expected);
    assert_eq!(fixture.report("tap0").unwrap().mac, Some(mac.octets()));
}
