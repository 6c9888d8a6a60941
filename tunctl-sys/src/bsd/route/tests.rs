use super::*;
use crate::bsd::{dragonfly, freebsd, macos, netbsd, openbsd};

const ALL: [Abi; 5] = [freebsd::ABI, netbsd::ABI, openbsd::ABI, dragonfly::ABI, macos::ABI];

fn put(message: &mut [u8], at: usize, bytes: &[u8]) {
    message[at..at + bytes.len()].copy_from_slice(bytes);
}

/// A message of a type, of `length` zeroes.
fn message(layout: &RouteLayout, kind: u8, length: usize) -> Vec<u8> {
    let mut message = vec![0; length];
    put(&mut message, 0, &u16::try_from(length).unwrap().to_ne_bytes());
    (message[2], message[3]) = (layout.version, kind);
    message
}

/// A message about an address, with these `sockaddr`s behind its header.
fn about_address(layout: &RouteLayout, kind: u8, present: u32, addresses: &[&[u8]]) -> Vec<u8> {
    let padded = addresses.iter().flat_map(|address| {
        let room = address.len().max(1).next_multiple_of(layout.alignment);
        address.iter().copied().chain(std::iter::repeat(0)).take(room)
    });
    let padded: Vec<u8> = padded.collect();
    let mut message = message(layout, kind, layout.address.length + padded.len());
    put(&mut message, layout.address.index, &7_u16.to_ne_bytes());
    put(&mut message, layout.address.present, &present.to_ne_bytes());
    put(&mut message, layout.address.length, &padded);
    message
}

fn v4(last: u8) -> Vec<u8> {
    vec![16, AF_INET, 0, 0, 10, 1, 1, last, 0, 0, 0, 0, 0, 0, 0, 0]
}

fn v6(abi: &Abi, address: &str) -> Vec<u8> {
    let mut bytes = vec![28, abi.af_inet6, 0, 0, 0, 0, 0, 0];
    bytes.extend(address.parse::<Ipv6Addr>().unwrap().octets());
    bytes.extend([0; 4]);
    bytes
}

fn address(abi: &Abi, message: &[u8]) -> (bool, String, Option<String>) {
    match abi.route_report(message) {
        Some(RouteReport::Address { index: 7, is_there, address, prefix_length, other }) => {
            (is_there, format!("{address}/{prefix_length}"), other.map(|other| other.to_string()))
        }
        report => panic!("{report:?}"),
    }
}

#[test]
fn an_interface_has_its_flags_and_its_mtu() {
    for abi in ALL {
        for layout in abi.route {
            let InterfaceLayout { kind, index, flags, mtu, mtu_bytes } = layout.interface;
            let mut message = message(layout, kind, 100);
            put(&mut message, index, &300_u16.to_ne_bytes());
            put(&mut message, flags, &0x8043_u32.to_ne_bytes());
            match mtu_bytes {
                8 => put(&mut message, mtu, &1400_u64.to_ne_bytes()),
                _ => put(&mut message, mtu, &1400_u32.to_ne_bytes()),
            }
            let expected = RouteReport::Interface { index: 300, flags: 0x8043, mtu: 1400 };
            assert_eq!(abi.route_report(&message), Some(expected), "{:?}", abi.system);
        }
    }
}

#[test]
fn an_address_stands_behind_the_others_in_the_mask() {
    for abi in ALL {
        for layout in abi.route {
            // A mask as long as its ones, the name of the interface, the address and its peer.
            let mask = [7, 0, 0, 0, 255, 255, 255];
            let link = [11, 18, 7, 0, 0, 3, 0, 0, b't', b'u', b'n'];
            let (own, peer) = (v4(1), v4(2));
            let parts = [&mask[..], &link, &own, &peer];
            for (kind, is_there) in [(layout.address.added, true), (layout.address.removed, false)] {
                let message = about_address(layout, kind, rta::NETMASK | 0x10 | rta::IFA | rta::BRD, &parts);
                let expected = (is_there, "10.1.1.1/24".to_owned(), Some("10.1.1.2".to_owned()));
                assert_eq!(address(&abi, &message), expected, "{:?}", abi.system);
            }
        }
    }
}

#[test]
fn an_address_may_have_no_mask_and_no_peer() {
    for abi in ALL {
        let layout = &abi.route[0];
        let added = layout.address.added;
        let six = v6(&abi, "fd77::1");
        let message = about_address(layout, added, rta::IFA, &[&six]);
        assert_eq!(address(&abi, &message), (true, "fd77::1/128".to_owned(), None), "{:?}", abi.system);
        // A peer of no length, or unspecified.
        for none in [&[][..], &v6(&abi, "::")] {
            let message = about_address(layout, added, rta::IFA | rta::BRD, &[&six, none]);
            assert_eq!(address(&abi, &message).2, None, "{:?}", abi.system);
        }
        // A mask without a length is all zeroes.
        let message = about_address(layout, added, rta::NETMASK | rta::IFA, &[&[], &six]);
        assert_eq!(address(&abi, &message).1, "fd77::1/0", "{:?}", abi.system);
    }
}

#[test]
fn a_link_local_address_has_no_index_in_it() {
    for abi in ALL {
        let layout = &abi.route[0];
        let own = v6(&abi, "fe80:7::1");
        let message = about_address(layout, layout.address.added, rta::IFA, &[&own]);
        assert_eq!(address(&abi, &message).1, "fe80::1/128", "{:?}", abi.system);
    }
    for same in ["fe7f:7::1", "fec0:7::1", "fd80:7::1", "fe80::1", "febf::7:1"] {
        assert_eq!(without_scope(same.parse().unwrap()).to_string(), same);
    }
    assert_eq!(without_scope("febf:7::1".parse().unwrap()).to_string(), "febf::1");
}

#[test]
fn an_announcement_has_a_name() {
    for abi in ALL {
        for layout in abi.route {
            let Some(AnnouncementLayout { kind, index, name, what }) = layout.announcement else { continue };
            let mut message = message(layout, kind, 26);
            put(&mut message, index, &7_u16.to_ne_bytes());
            put(&mut message, name, b"tun0");
            let tun0 = Name::new(b"tun0").unwrap();
            put(&mut message, what, &ARRIVAL.to_ne_bytes());
            let expected = RouteReport::Arrived { index: 7, name: tun0 };
            assert_eq!(abi.route_report(&message), Some(expected), "{:?}", abi.system);
            put(&mut message, what, &DEPARTURE.to_ne_bytes());
            let expected = RouteReport::Departed { index: 7, name: tun0 };
            assert_eq!(abi.route_report(&message), Some(expected), "{:?}", abi.system);
            put(&mut message, what, &9_u16.to_ne_bytes());
            assert_eq!(abi.route_report(&message), None, "{:?}", abi.system);
        }
    }
}

#[test]
fn what_was_dropped_or_is_of_another_version_is_lost() {
    for abi in ALL {
        let layout = &abi.route[0];
        let unknown = RouteLayout { version: 99, ..*layout };
        assert_eq!(abi.route_report(&message(&unknown, 1, 100)), Some(RouteReport::Lost), "{:?}", abi.system);
        // A route.
        assert_eq!(abi.route_report(&message(layout, 1, 100)), None, "{:?}", abi.system);
    }
    let overflow = message(&openbsd::ABI.route[0], 0x10, 8);
    assert_eq!(openbsd::ABI.route_report(&overflow), Some(RouteReport::Lost));
}

#[test]
fn a_message_that_is_cut_short_is_nothing() {
    for abi in ALL {
        let layout = &abi.route[0];
        let (own, peer) = (v4(1), v4(2));
        let address = about_address(layout, layout.address.added, rta::IFA | rta::BRD, &[&own, &peer]);
        let interface = message(layout, layout.interface.kind, 100);
        for message in [address, interface] {
            for length in 0..message.len() {
                assert_eq!(abi.route_report(&message[..length]), None, "{:?} {length}", abi.system);
            }
            // The same, with a length that says so.
            for length in 0..message.len() {
                let mut message = message[..length].to_vec();
                if length >= 2 {
                    put(&mut message, 0, &u16::try_from(length).unwrap().to_ne_bytes());
                }
                let _ = abi.route_report(&message);
            }
        }
    }
}

#[test]
fn no_bytes_make_it_panic() {
    let mut state = 1_u32;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    for round in 0..20_000_u32 {
        let abi = &ALL[round as usize % ALL.len()];
        let layout = &abi.route[0];
        let mut message: Vec<u8> = (0..next() % 120).map(|_| next()).collect();
        if message.len() >= 4 {
            let kinds = [layout.interface.kind, layout.address.added, layout.address.removed, next()];
            let length = u16::try_from(message.len()).unwrap();
            put(&mut message, 0, &length.to_ne_bytes());
            (message[2], message[3]) = (layout.version, kinds[usize::from(next()) % kinds.len()]);
        }
        let _ = abi.route_report(&message);
    }
}
