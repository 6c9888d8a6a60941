//! The headers in front of a packet.

use super::{UNTOUCHED, assert_untouched};
use tunctl_packet::header::{
    AddressFamily, Endian, HeaderError, HeaderKind, System, VnetFormat, VnetHeader, VnetLength,
};
use tunctl_packet::{EtherType, Framed, Layer, Packet, PacketInfo, ParseError, Truncated};

const SYSTEMS: [System; 5] =
    [System::FreeBsd, System::OpenBsd, System::NetBsd, System::DragonFly, System::MacOs];

pub(super) fn formats() -> impl Iterator<Item = VnetFormat> {
    let endians = [Endian::Native, Endian::Little, Endian::Big];
    VnetLength::ALL.into_iter().flat_map(move |length| endians.map(|endian| VnetFormat::new(length, endian)))
}

fn kinds() -> impl Iterator<Item = HeaderKind> {
    [HeaderKind::Bare, HeaderKind::PacketInfo]
        .into_iter()
        .chain(formats().map(HeaderKind::Vnet))
        .chain(formats().map(HeaderKind::PacketInfoAndVnet))
        .chain(SYSTEMS.map(HeaderKind::AddressFamily))
}

/// The type of an IP packet, by its version.
fn version(packet: &[u8]) -> Option<EtherType> {
    match packet.first()? >> 4 {
        4 => Some(EtherType::IPV4),
        6 => Some(EtherType::IPV6),
        _ => None,
    }
}

/// A packet behind headers of every kind.
pub(crate) fn framed(bytes: &[u8]) {
    for kind in kinds() {
        let length = kind.length();
        let Some((in_front, packet)) = bytes.split_at_checked(length) else {
            let whole = Truncated { need: length, have: bytes.len() };
            assert_eq!(kind.parse(bytes), Err(whole));
            assert_eq!(Framed::parse(Layer::Tun, kind, bytes).unwrap_err(), whole.into());
            continue;
        };
        let (headers, rest) = kind.parse(bytes).unwrap();
        assert_eq!((headers.kind(), rest), (kind, packet));

        let mut buffer = [UNTOUCHED; HeaderKind::MAX_LENGTH + 1];
        assert_eq!(headers.write(&mut buffer), Ok(length));
        assert_eq!(&buffer[..length], in_front);
        assert_untouched(&buffer[length..]);
        if let Some(have) = length.checked_sub(1) {
            let mut buffer = [UNTOUCHED; HeaderKind::MAX_LENGTH];
            assert_eq!(headers.write(&mut buffer[..have]), Err(Truncated { need: length, have }));
            assert_untouched(&buffer);
        }
        for layer in [Layer::Tun, Layer::Tap] {
            assert_frames(layer, kind, bytes);
            assert_makes(layer, kind, packet);
        }
    }
}

/// That the packet behind the headers is the same as without them.
fn assert_frames(layer: Layer, kind: HeaderKind, bytes: &[u8]) {
    let length = kind.length();
    match (Framed::parse(layer, kind, bytes), Packet::parse(layer, &bytes[length..])) {
        (Ok(framed), Ok(packet)) => {
            let headers = framed.headers();
            assert_eq!(Ok((headers, packet.bytes())), kind.parse(bytes));
            assert_eq!(
                (framed.packet_info(), framed.vnet(), framed.address_family()),
                (headers.packet_info(), headers.vnet(), headers.address_family())
            );
            assert_eq!(framed.packet().bytes(), packet.bytes());
            assert_eq!(framed.packet().flow_key(), packet.flow_key());
        }
        (Err(ParseError::Truncated(within)), Err(ParseError::Truncated(alone))) => {
            assert_eq!((within.need, within.have), (alone.need + length, bytes.len()));
        }
        (within, alone) => assert_eq!(within.unwrap_err(), alone.unwrap_err()),
    }
}

/// That the headers which a packet is given are those that it is read with.
fn assert_makes(layer: Layer, kind: HeaderKind, packet: &[u8]) {
    let tells = match layer {
        Layer::Tun => version(packet),
        Layer::Tap => packet.get(12..14).map(|bytes| EtherType(u16::from_be_bytes([bytes[0], bytes[1]]))),
    };
    let mut buffer = [UNTOUCHED; HeaderKind::MAX_LENGTH];
    let written = kind.write(layer, packet, &mut buffer);
    if let Err(why) = written {
        assert_untouched(&buffer);
        assert!(!matches!(kind, HeaderKind::Bare | HeaderKind::Vnet(_)));
        match why {
            HeaderError::Packet(_) => assert_eq!(tells, None),
            HeaderError::NoAddressFamily { ether_type } => {
                assert_eq!((layer, Some(ether_type)), (Layer::Tap, tells));
                assert!(!matches!(ether_type, EtherType::IPV4 | EtherType::IPV6));
            }
            other => panic!("{other}"),
        }
        return;
    }
    assert_eq!(written, Ok(kind.length()));
    let (headers, rest) = kind.parse(&buffer).unwrap();
    assert_untouched(rest);
    assert_eq!(headers.vnet().unwrap_or_default(), VnetHeader::default());
    assert_eq!(headers.packet_info(), headers.packet_info().and(tells).map(PacketInfo::new));
    if let Some(family) = headers.address_family() {
        let expected = if tells == Some(EtherType::IPV4) { AddressFamily::V4 } else { AddressFamily::V6 };
        assert_eq!(family, expected);
    }
}

/// Linux' packet information.
pub(crate) fn packet_info(bytes: &[u8]) {
    let made = PacketInfo::for_packet(bytes);
    assert_eq!(made.map(|header| (header.protocol(), header.flags())), version(bytes).map(|kind| (kind, 0)));
    let (header, rest) = match PacketInfo::parse(bytes) {
        Ok(parsed) => parsed,
        Err(why) => {
            assert_eq!(why, Truncated { need: 4, have: bytes.len() });
            return assert!(bytes.len() < 4);
        }
    };
    assert_eq!([&header.to_bytes(), rest].concat(), bytes);
    assert_eq!(header.is_stripped(), header.flags() & 1 == 1);
    assert_eq!(PacketInfo::new(header.protocol()).with_flags(header.flags()), header);
    let mut buffer = [UNTOUCHED; 5];
    assert_eq!(header.write(&mut buffer[..3]), Err(Truncated { need: 4, have: 3 }));
    assert_untouched(&buffer);
    assert_eq!(header.write(&mut buffer), Ok(()));
    assert_eq!(buffer, [&bytes[..4], &[UNTOUCHED]].concat()[..]);
}

/// The address family of BSD systems and macOS.
pub(crate) fn address_family(bytes: &[u8]) {
    let expected = version(bytes).map(|kind| match kind {
        EtherType::IPV4 => AddressFamily::V4,
        _ => AddressFamily::V6,
    });
    assert_eq!(AddressFamily::for_packet(bytes), expected);
    for system in SYSTEMS {
        let (family, rest) = match AddressFamily::parse(system, bytes) {
            Ok(parsed) => parsed,
            Err(why) => {
                assert_eq!(why, Truncated { need: 4, have: bytes.len() });
                return assert!(bytes.len() < 4);
            }
        };
        assert_eq!([&family.to_bytes(system), rest].concat(), bytes);
        assert_eq!(family.number(system).to_be_bytes(), bytes[..4]);
        assert_eq!(AddressFamily::from_number(system, family.number(system)), family);
        let mut buffer = [UNTOUCHED; 5];
        assert_eq!(family.write(system, &mut buffer[..3]), Err(Truncated { need: 4, have: 3 }));
        assert_untouched(&buffer);
        assert_eq!(family.write(system, &mut buffer), Ok(()));
        assert_eq!(buffer, [&bytes[..4], &[UNTOUCHED]].concat()[..]);
        if let AddressFamily::Other(other) = family {
            assert_eq!(other.number().to_be_bytes(), bytes[..4]);
            continue;
        }
        // IPv4 is IPv4 everywhere, and IPv6 too, by whatever number.
        for other in SYSTEMS {
            assert_eq!(AddressFamily::parse(other, &family.to_bytes(other)).unwrap().0, family);
        }
    }
}
