//! Arguments, byte by byte, as the headers of each system lay them out.

use super::*;
use crate::bsd::{dragonfly, freebsd, in6_iff, macos, netbsd, openbsd};

const SYSTEMS: [Abi; 5] = [freebsd::ABI, netbsd::ABI, openbsd::ABI, dragonfly::ABI, macos::ABI];
const TUN3: &[u8; 16] = b"tun3\0\0\0\0\0\0\0\0\0\0\0\0";

fn tun3() -> Name {
    Name::new(b"tun3").unwrap()
}

/// Pieces, one after the other, padded with zeroes.
fn laid_out(size: usize, pieces: &[&[u8]]) -> Vec<u8> {
    let mut bytes = pieces.concat();
    assert!(bytes.len() <= size);
    bytes.resize(size, 0);
    bytes
}

#[test]
fn a_name_has_one_to_fifteen_bytes_and_its_nul() {
    assert_eq!(Name::new(b"abcdefghijklmno").unwrap().padded(), b"abcdefghijklmno\0");
    assert_eq!(tun3().as_bytes(), b"tun3");
    assert_eq!(Name::new(b"abcdefghijklmnop"), None);
    assert_eq!(Name::new(b""), None);
    assert_eq!(Name::new(b"a\0"), None);
}

#[test]
fn a_name_in_an_answer_ends_at_its_nul() {
    assert_eq!(Name::parse(b"tap12\0xxxxxxxxxx, and more"), Name::new(b"tap12"));
    assert_eq!(Name::parse(b"0123456789abcdef"), None, "no NUL");
    assert_eq!(Name::parse(&[0; 32]), None, "no name");
    assert_eq!(Name::parse(b"tun0\0"), None, "too short");
    assert_eq!(netbsd::ABI.interface_name(&netbsd::ABI.ifreq(&tun3())), Some(tun3()));
}

#[test]
fn an_ifreq_is_a_name_and_room() {
    assert_eq!(SYSTEMS.map(|abi| abi.ifreq(&tun3()).len()), [32, 144, 32, 32, 32]);
    for abi in SYSTEMS {
        assert_eq!(abi.ifreq(&tun3()), laid_out(abi.ifreq, &[TUN3]), "{:?}", abi.system);
    }
}

#[test]
fn flags_are_one_half_or_two() {
    let low = 0x8043_u16.to_ne_bytes();
    let high = 0x0008_u16.to_ne_bytes();
    for abi in [freebsd::ABI, dragonfly::ABI] {
        let argument = abi.ifreq_flags(&tun3(), 0x0008_8043);
        assert_eq!(argument, laid_out(32, &[TUN3, &low, &high]), "{:?}", abi.system);
        assert_eq!(abi.flags(&argument), Some(0x0008_8043), "{:?}", abi.system);
    }
    for abi in [netbsd::ABI, openbsd::ABI, macos::ABI] {
        let argument = abi.ifreq_flags(&tun3(), 0x0008_8043);
        assert_eq!(argument, laid_out(abi.ifreq, &[TUN3, &low]), "{:?}", abi.system);
        // The rest of the union does not matter.
        let answer = [TUN3.as_slice(), &low, &[0xff; 14]].concat();
        assert_eq!(abi.flags(&answer), Some(0x8043), "{:?}", abi.system);
    }
    assert_eq!(openbsd::ABI.flags(&[0; 17]), None);
    assert_eq!(freebsd::ABI.flags(&[0; 19]), None);
}

#[test]
fn an_mtu_is_an_int() {
    for abi in SYSTEMS {
        let argument = abi.ifreq_mtu(&tun3(), 0x0001_2345);
        assert_eq!(
            argument,
            laid_out(abi.ifreq, &[TUN3, &0x0001_2345_u32.to_ne_bytes()]),
            "{:?}",
            abi.system
        );
        assert_eq!(abi.mtu(&argument), Some(0x0001_2345));
        assert_eq!(abi.mtu(&argument[..19]), None);
    }
}

#[test]
fn a_mac_is_an_address_of_the_link_level_as_long_as_itself() {
    let mac = [2, 0, 0, 0xaa, 0xbb, 0xcc];
    let expected = laid_out(32, &[TUN3, &[6, 18, 2, 0, 0, 0xaa, 0xbb, 0xcc]]);
    assert_eq!(freebsd::ABI.ifreq_mac(&tun3(), mac), expected);
}

#[test]
fn an_ipv4_address_with_its_peer_and_mask() {
    let [address, peer, mask] = ["10.1.2.3", "10.9.8.7", "255.255.255.0"].map(|text| text.parse().unwrap());
    let pieces: [&[u8]; 4] = [
        TUN3,
        &[16, 2, 0, 0, 10, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0],
        &[16, 2, 0, 0, 10, 9, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0],
        &[16, 2, 0, 0, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ];
    for (abi, size) in SYSTEMS.into_iter().zip([68, 64, 64, 64, 64]) {
        assert_eq!(
            abi.alias_v4(&tun3(), address, Some(peer), mask),
            laid_out(size, &pieces),
            "{:?}",
            abi.system
        );
        let alone = laid_out(size, &[pieces[0], pieces[1], &[0; 16], pieces[3]]);
        assert_eq!(abi.alias_v4(&tun3(), address, None, mask), alone, "{:?}", abi.system);
        let removal = laid_out(abi.ifreq, &pieces[..2]);
        assert_eq!(abi.delete_v4(&tun3(), address), removal, "{:?}", abi.system);
    }
}

#[test]
fn an_ipv6_address_with_its_peer_mask_flags_and_lifetimes() {
    let address: Ipv6Addr = "fd00::1".parse().unwrap();
    let peer: Ipv6Addr = "fd00::2".parse().unwrap();
    for (abi, (size, family)) in
        SYSTEMS.into_iter().zip([(136, 28), (128, 24), (128, 24), (128, 28), (128, 30)])
    {
        let socket = |ending: u8| {
            let mut bytes = vec![28, family, 0, 0, 0, 0, 0, 0, 0xfd];
            bytes.extend([0; 14]);
            bytes.push(ending);
            bytes.extend([0; 4]);
            bytes
        };
        let mask = [&[28, family, 0, 0, 0, 0, 0, 0][..], &[0xff; 8], &[0; 12]].concat();
        let whole = laid_out(
            size,
            &[
                TUN3,
                &socket(1),
                &socket(2),
                &mask,
                &0x20_u32.to_ne_bytes(),
                // The kernel fills in the two times.
                &[0; 16],
                &[0xff; 8],
            ],
        );
        assert_eq!(abi.alias_v6(&tun3(), address, Some(peer), 64, 0x20), whole, "{:?}", abi.system);
        let alone = abi.alias_v6(&tun3(), address, None, 64, 0x20);
        assert_eq!(alone[44..72], [0; 28], "{:?}", abi.system);
        let removal = laid_out(288, &[TUN3, &socket(1)]);
        assert_eq!(abi.delete_v6(&tun3(), address), removal, "{:?}", abi.system);
        assert_eq!(abi.query_v6(&tun3(), address), removal, "{:?}", abi.system);
    }
}

#[test]
fn a_prefix_becomes_a_mask() {
    let mask = |prefix| {
        let argument = openbsd::ABI.alias_v6(&tun3(), Ipv6Addr::LOCALHOST, None, prefix, 0);
        let octets: [u8; 16] = argument[80..96].try_into().unwrap();
        Ipv6Addr::from(octets).to_string()
    };
    assert_eq!(mask(0), "::");
    assert_eq!(mask(1), "8000::");
    assert_eq!(mask(65), "ffff:ffff:ffff:ffff:8000::");
    assert_eq!(mask(128), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    assert_eq!(mask(129), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "no prefix is longer");
}

#[test]
fn the_flags_of_an_address_stand_where_it_stood() {
    let answer = laid_out(288, &[TUN3, &6_u32.to_ne_bytes()]);
    let flags = freebsd::ABI.address_flags(&answer).unwrap();
    assert_eq!(flags, in6_iff::TENTATIVE | in6_iff::DUPLICATED);
    assert_eq!(freebsd::ABI.address_flags(&answer[..16]), None);
}

#[test]
fn a_tuninfo_is_narrow_or_wide() {
    let info = TunInfo { mtu: 1400, kind: 53, flags: 0, baudrate: 7 };
    let narrow = [&7_u32.to_ne_bytes()[..], &1400_u16.to_ne_bytes(), &[53, 0]].concat();
    for abi in [freebsd::ABI, dragonfly::ABI] {
        assert_eq!(abi.tun_info(&info).as_deref(), Some(&narrow[..]), "{:?}", abi.system);
        assert_eq!(abi.parse_tun_info(&narrow), Some(info), "{:?}", abi.system);
        assert_eq!(abi.tun_info(&TunInfo { mtu: 0x1_0000, ..info }), None);
        assert_eq!(abi.tun_info(&TunInfo { kind: 0x100, ..info }), None);
        assert_eq!(abi.parse_tun_info(&narrow[..6]), None);
    }
    let info = TunInfo { flags: 0x8010, ..info };
    let wide =
        [&1400_u32.to_ne_bytes()[..], &53_u16.to_ne_bytes(), &0x8010_u16.to_ne_bytes(), &7_u32.to_ne_bytes()];
    assert_eq!(openbsd::ABI.tun_info(&info), Some(wide.concat()));
    assert_eq!(openbsd::ABI.parse_tun_info(&wide.concat()), Some(info));
    assert_eq!(netbsd::ABI.tun_info(&info), None);
    assert_eq!(macos::ABI.parse_tun_info(&wide.concat()), None);
}

#[test]
fn a_family_is_attached_by_number() {
    assert_eq!(openbsd::attach_v6(&tun3()), *b"tun3\0\0\0\0\0\0\0\0\0\0\0\0\x18");
}

#[test]
fn a_control_has_a_name_a_number_and_an_address() {
    let argument = macos::control_info();
    assert_eq!(argument[..4], [0; 4]);
    assert_eq!(argument[4..31], *b"com.apple.net.utun_control\0");
    assert_eq!(argument[31..], [0; 69]);
    let mut answer = argument;
    answer[..4].copy_from_slice(&9_u32.to_ne_bytes());
    assert_eq!(macos::control_id(&answer), 9);
    let expected =
        laid_out(32, &[&[32, 32], &2_u16.to_ne_bytes(), &9_u32.to_ne_bytes(), &5_u32.to_ne_bytes()]);
    assert_eq!(macos::sockaddr_ctl(9, 5)[..], expected);
}
