//! Headers keep every bit: what was parsed is written as the same bytes.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use proptest::collection::vec;
use proptest::prelude::*;
use tunctl_packet::header::{
    AddressFamily, Endian, GsoType, HeaderKind, System, Truncated, VnetFormat, VnetHeader, VnetLength,
};
use tunctl_packet::{Framed, Layer, Packet, PacketInfo};

const SYSTEMS: [System; 5] =
    [System::FreeBsd, System::OpenBsd, System::NetBsd, System::DragonFly, System::MacOs];

fn system() -> impl Strategy<Value = System> {
    proptest::sample::select(&SYSTEMS[..])
}

fn format() -> impl Strategy<Value = VnetFormat> {
    let endian = proptest::sample::select(vec![Endian::Native, Endian::Little, Endian::Big]);
    (proptest::sample::select(&VnetLength::ALL[..]), endian)
        .prop_map(|(length, endian)| VnetFormat::new(length, endian))
}

fn kind() -> impl Strategy<Value = HeaderKind> {
    prop_oneof![
        Just(HeaderKind::Bare),
        Just(HeaderKind::PacketInfo),
        format().prop_map(HeaderKind::Vnet),
        format().prop_map(HeaderKind::PacketInfoAndVnet),
        system().prop_map(HeaderKind::AddressFamily),
    ]
}

/// No file of failures beside the source.
fn config() -> ProptestConfig {
    ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn packet_information_keeps_every_bit(bytes in vec(any::<u8>(), 0..12), flags: u16) {
        match PacketInfo::parse(&bytes) {
            Ok((header, rest)) => {
                prop_assert_eq!([&header.to_bytes(), rest].concat(), bytes);
                prop_assert_eq!(PacketInfo::new(header.protocol()).with_flags(header.flags()), header);
                let other = header.with_flags(flags);
                prop_assert_eq!(PacketInfo::parse(&other.to_bytes()).unwrap().0, other);
            }
            Err(error) => prop_assert_eq!(error, Truncated { need: 4, have: bytes.len() }),
        }
    }

    #[test]
    fn address_families_keep_every_bit(
        mut bytes in vec(prop_oneof![Just(0), any::<u8>()], 0..12),
        system in system(),
        near in proptest::option::of(0..=40_u8),
    ) {
        if let (Some(number), Some(place)) = (near, bytes.first_chunk_mut()) {
            *place = [0, 0, 0, number];
        }
        match AddressFamily::parse(system, &bytes) {
            Ok((family, rest)) => {
                prop_assert_eq!([&family.to_bytes(system), rest].concat(), &bytes[..]);
                prop_assert_eq!(AddressFamily::from_number(system, family.number(system)), family);
                let mut written = vec![7; bytes.len()];
                family.write(system, &mut written).unwrap();
                prop_assert_eq!(&written[..4], &bytes[..4]);
                prop_assert!(written[4..].iter().all(|byte| *byte == 7));
            }
            Err(error) => prop_assert_eq!(error, Truncated { need: 4, have: bytes.len() }),
        }
    }

    /// However a number came about, two families of a system are the same exactly if their bytes are.
    #[test]
    fn families_are_equal_as_their_bytes_are(system in system(), a in 0..40_u32, b in 0..40_u32) {
        let [a, b] = [a, b].map(|number| AddressFamily::from_number(system, number));
        prop_assert_eq!(a == b, a.to_bytes(system) == b.to_bytes(system));
    }

    #[test]
    fn virtio_net_headers_keep_every_bit(bytes in vec(any::<u8>(), 0..40), format in format()) {
        let length = format.length.bytes();
        match VnetHeader::parse(format, &bytes) {
            Ok((header, rest)) => {
                let mut written = vec![7; bytes.len()];
                header.write(format, &mut written).unwrap();
                prop_assert_eq!(&written[..length], &bytes[..length]);
                prop_assert!(written[length..].iter().all(|byte| *byte == 7));
                prop_assert_eq!(rest, &bytes[length..]);
                // What the accessors say is all there is to the type.
                let again = header.with_segments(header.gso_type(), header.segment_size());
                prop_assert_eq!(again, header);
            }
            Err(error) => prop_assert_eq!(error, Truncated { need: length, have: bytes.len() }),
        }
    }

    #[test]
    fn virtio_net_headers_are_read_as_they_were_made(
        place: (u16, u16),
        sizes: (u16, u16),
        rest: (u16, u32, u16, u16, u16),
        ecn: bool,
        endian in proptest::sample::select(vec![Endian::Native, Endian::Little, Endian::Big]),
    ) {
        let header = VnetHeader::default()
            .with_checksum(place.0, place.1)
            .with_segments(GsoType::TcpV6, sizes.0)
            .with_ecn(ecn)
            .with_header_length(sizes.1)
            .with_buffers(rest.0)
            .with_hash(rest.1, rest.2)
            .with_tunnel_offsets(rest.3, rest.4);
        let format = VnetFormat::new(VnetLength::Tunnel, endian);
        let mut bytes = [0; 24];
        header.write(format, &mut bytes).unwrap();
        let (read, _) = VnetHeader::parse(format, &bytes).unwrap();
        prop_assert_eq!(read, header);
        prop_assert_eq!((read.needs_checksum(), read.has_ecn()), (Some(place), ecn));
        prop_assert_eq!((read.gso_type(), read.segment_size(), read.header_length()), (
            GsoType::TcpV6,
            sizes.0,
            sizes.1,
        ));
    }

    #[test]
    fn headers_of_all_kinds_keep_every_bit(bytes in vec(any::<u8>(), 0..100), kind in kind(), tap: bool) {
        let layer = if tap { Layer::Tap } else { Layer::Tun };
        let framed = Framed::parse(layer, kind, &bytes);
        let Ok((headers, rest)) = kind.parse(&bytes) else {
            prop_assert!(bytes.len() < kind.length() && framed.is_err());
            return Ok(());
        };
        let mut written = vec![7; bytes.len()];
        prop_assert_eq!(headers.write(&mut written), Ok(kind.length()));
        prop_assert_eq!(&written[..kind.length()], &bytes[..kind.length()]);
        prop_assert_eq!([&written[..kind.length()], rest].concat(), &bytes[..]);
        match (framed, Packet::parse(layer, rest)) {
            (Ok(framed), Ok(packet)) => {
                prop_assert_eq!(framed.headers(), headers);
                prop_assert_eq!(framed.packet().bytes(), packet.bytes());
            }
            (framed, packet) => prop_assert!(framed.is_err() && packet.is_err()),
        }
    }

    /// What is written for a packet is read as that packet's.
    #[test]
    fn headers_that_are_made_fit(mut packet in vec(any::<u8>(), 0..60), kind in kind(), v6: bool, tap: bool) {
        if let Some(first) = packet.first_mut() {
            *first = if v6 { 0x60 } else { 0x45 };
        }
        let layer = if tap { Layer::Tap } else { Layer::Tun };
        let mut buffer = [7; HeaderKind::MAX_LENGTH];
        let Ok(length) = kind.write(layer, &packet, &mut buffer) else {
            prop_assert!(packet.len() < 14 || tap);
            return Ok(());
        };
        let read = [&buffer[..length], &packet].concat();
        let (headers, rest) = kind.parse(&read).unwrap();
        prop_assert_eq!(rest, &packet[..]);
        prop_assert_eq!(headers, kind.headers_for(layer, &packet).unwrap());
        prop_assert!(headers.vnet().is_none_or(|vnet| vnet == VnetHeader::default()));
        if !tap {
            let (info, family) = (headers.packet_info(), headers.address_family());
            prop_assert!(info.is_none_or(|info| Some(info) == PacketInfo::for_packet(&packet)));
            prop_assert!(family.is_none_or(|family| Some(family) == AddressFamily::for_packet(&packet)));
        }
    }
}
