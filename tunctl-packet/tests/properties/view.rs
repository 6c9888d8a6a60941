//! The view of a packet.

use core::net::IpAddr;

use super::layout::Layout;
use tunctl_packet::{EtherType, FlowKey, Layer, Packet, ParseError, Protocol, Truncated, ethernet_frame};

/// What a view says of the network, without what is only Ethernet's.
#[derive(Debug, PartialEq)]
struct Said<'a> {
    kind: (EtherType, Protocol, bool),
    addresses: (Option<IpAddr>, Option<IpAddr>),
    ports: (Option<u16>, Option<u16>),
    slices: [Option<&'a [u8]>; 3],
    flow: Option<FlowKey>,
    summary: String,
}

impl<'a> Said<'a> {
    fn by(packet: &Packet<'a>) -> Self {
        let summary = packet.summary().to_string();
        let tagged = packet.vlan_id().map(|vlan| format!("vlan {vlan}, ")).unwrap_or_default();
        Said {
            kind: (packet.ether_type(), packet.protocol(), packet.is_fragment()),
            addresses: (packet.source(), packet.destination()),
            ports: (packet.source_port(), packet.destination_port()),
            slices: [packet.network_header(), packet.transport_header(), Some(packet.payload())],
            flow: packet.flow_key(),
            summary: summary.strip_prefix(&tagged).unwrap().to_owned(),
        }
    }
}

/// A packet as a TUN device gives it.
pub(crate) fn packet_tun(bytes: &[u8]) {
    let packet = match Packet::parse(Layer::Tun, bytes) {
        Ok(packet) => packet,
        Err(ParseError::Truncated(Truncated { need, have })) => {
            return assert!(have == bytes.len() && need > have);
        }
        Err(ParseError::NotIp { first_byte }) => {
            return assert!(first_byte == bytes[0] && !matches!(first_byte >> 4, 4 | 6));
        }
        Err(other) => panic!("{other}"),
    };
    assert_holds_together(bytes, &packet);
    assert_eq!((packet.source_mac(), packet.destination_mac(), packet.vlan_id()), (None, None, None));
    let said = Said::by(&packet);

    // A TAP device would give the same in a frame.
    let frame = ethernet_frame([2; 6], [4; 6], packet.ether_type(), bytes);
    assert_eq!(Said::by(&Packet::parse(Layer::Tap, &frame).unwrap()), said);

    // Bytes behind a stated end mean nothing.
    if let Some(layout) = Layout::of(bytes)
        && layout.end > 40
    {
        let longer = [bytes, &[0x45, 6, 17, 58]].concat();
        assert_eq!(Said::by(&Packet::parse(Layer::Tun, &longer).unwrap()), said);
    }

    // A short buffer takes no address away.
    let header: usize = if bytes[0] >> 4 == 4 { 20 } else { 40 };
    for length in [header, header.midpoint(bytes.len())] {
        let short = Packet::parse(Layer::Tun, &bytes[..length]).unwrap();
        assert_eq!((short.source(), short.destination()), said.addresses);
    }
    assert!(Packet::parse(Layer::Tun, &bytes[..header - 1]).is_err());
}

/// A frame as a TAP device gives it.
pub(crate) fn packet_tap(bytes: &[u8]) {
    let packet = match Packet::parse(Layer::Tap, bytes) {
        Ok(packet) => packet,
        Err(why) => {
            assert_eq!(why, Truncated { need: 14, have: bytes.len() }.into());
            return assert!(bytes.len() < 14);
        }
    };
    assert_holds_together(bytes, &packet);
    let (destination, rest) = bytes.split_at(6);
    let (source, rest) = rest.split_at(6);
    assert_eq!(packet.destination_mac().unwrap(), destination);
    assert_eq!(packet.source_mac().unwrap(), source);

    // One tag more, and nothing but the tag is new.
    let tagged = [destination, source, &[0x81, 0, 0x61, 0x23], rest].concat();
    let tagged = Packet::parse(Layer::Tap, &tagged).unwrap();
    assert_eq!(tagged.vlan_id(), Some(0x123));
    assert_eq!(Said::by(&tagged), Said::by(&packet));
}

/// That what a view says contradicts neither itself nor the bytes.
fn assert_holds_together(bytes: &[u8], packet: &Packet<'_>) {
    assert_eq!((packet.bytes(), packet.len(), packet.is_empty()), (bytes, bytes.len(), bytes.is_empty()));
    let (source, destination) = (packet.source(), packet.destination());
    assert_eq!(source.map(|address| address.is_ipv4()), destination.map(|address| address.is_ipv4()));
    assert_eq!(packet.source_port().is_some(), packet.destination_port().is_some());
    assert!(packet.vlan_id().is_none_or(|vlan| vlan < 4096));
    let words =
        [packet.protocol().to_string(), packet.summary().to_string(), packet.ether_type().to_string()];
    assert!(words.iter().all(|text| !text.is_empty() && !text.contains('\n')));

    // The slices are those of the bytes, in order: network, transport, payload.
    let (network, transport) = (packet.network_header(), packet.transport_header());
    let mut at = 0;
    for slice in [network, transport, Some(packet.payload())].into_iter().flatten() {
        let place = slice.as_ptr().addr().checked_sub(bytes.as_ptr().addr());
        // An empty one need not be anywhere.
        let Some(start) = place.filter(|_| !slice.is_empty()) else {
            assert!(slice.is_empty());
            continue;
        };
        assert!(start >= at && bytes[start..].starts_with(slice), "{start} {at}");
        at = start + slice.len();
    }
    if let (Some(network), Some(transport)) = (network, transport) {
        assert_eq!(network.as_ptr_range().end, transport.as_ptr());
        assert_eq!(transport.as_ptr_range().end, packet.payload().as_ptr());
    }
    assert!(transport.is_none() || network.is_some());

    if let Some(key) = packet.flow_key() {
        assert_eq!((Some(key.source), Some(key.destination)), (source, destination));
        assert_eq!((key.protocol(), key.reversed().reversed()), (packet.protocol(), key));
        let has_ports = matches!(packet.protocol(), Protocol::Tcp | Protocol::Udp | Protocol::Sctp);
        let has_ports = has_ports && !packet.is_fragment();
        assert_eq!(key.ports.is_some(), has_ports);
        assert!(!key.to_string().is_empty());
    }
}
