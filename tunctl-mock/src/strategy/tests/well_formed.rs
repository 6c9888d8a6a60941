//! Well-formed packets, by another implementation's judgement.

use std::net::IpAddr;

use etherparse::checksum::Sum16BitWords;
use etherparse::{IpNumber, NetSlice, SlicedPacket, TransportSlice};
use tunctl_packet::EtherType;

use super::*;

/// What is wrong with a packet, if anything is: that it cannot be decoded, its length, a checksum.
pub(super) fn fault(layer: Layer, packet: &[u8]) -> Option<String> {
    let sliced = match layer {
        Layer::Tun => SlicedPacket::from_ip(packet),
        Layer::Tap => SlicedPacket::from_ethernet(packet),
    };
    let sliced = match sliced {
        Ok(sliced) => sliced,
        Err(error) => return Some(error.to_string()),
    };
    let Some(net) = &sliced.net else {
        return None;
    };
    let (addresses, stated) = match net {
        NetSlice::Ipv4(ip) => {
            let header = ip.header();
            if header.header_checksum() != header.to_header().calc_header_checksum() {
                return Some("the checksum of the IPv4 header".to_owned());
            }
            ([header.source(), header.destination()].map(IpAddr::from), header.total_len().into())
        }
        NetSlice::Ipv6(ip) => {
            let header = ip.header();
            let stated = 40 + usize::from(header.payload_length());
            ([header.source(), header.destination()].map(IpAddr::from), stated)
        }
        NetSlice::Arp(_) => return None,
    };
    if layer == Layer::Tun && stated != packet.len() {
        return Some(format!("{} bytes, and {stated} are stated", packet.len()));
    }
    let payload = net.ip_payload_ref()?;
    let is_summed = [1, 6, 17, 58].map(IpNumber).contains(&payload.ip_number);
    let right = payload.fragmented || !is_summed || adds_up(addresses, payload.ip_number, payload.payload);
    (!right).then(|| "the checksum of the transport".to_owned())
}

fn adds_up(addresses: [IpAddr; 2], number: IpNumber, message: &[u8]) -> bool {
    let mut sum = Sum16BitWords::new();
    if number != IpNumber::ICMP {
        for address in addresses {
            sum = match address {
                IpAddr::V4(address) => sum.add_4bytes(address.octets()),
                IpAddr::V6(address) => sum.add_16bytes(address.octets()),
            };
        }
        let length = u32::try_from(message.len()).unwrap();
        sum = sum.add_4bytes(length.to_be_bytes()).add_2bytes([0, number.0]);
    }
    sum.add_slice(message).ones_complement() == 0
}

fn check(layer: Layer, packet: &[u8]) {
    assert_eq!(fault(layer, packet), None, "{packet:02x?}");
    assert!(packet.len() <= if layer == Layer::Tun { 1500 } else { 1522 }, "{} bytes", packet.len());
    Packet::parse(layer, packet).unwrap();
}

/// Samples of a strategy, each and all its simpler forms well-formed.
fn checked(layer: Layer, strategy: fn() -> BoxedStrategy<Vec<u8>>) -> Vec<Vec<u8>> {
    let packets = samples(strategy(), 1000);
    packets.iter().for_each(|packet| check(layer, packet));
    shrink(strategy(), |packet| check(layer, &packet));
    packets
}

fn protocols(layer: Layer, packets: &[Vec<u8>]) -> HashSet<String> {
    kinds(packets, |packet| Packet::parse(layer, packet).unwrap().protocol().to_string())
}

fn summaries(packets: &[Vec<u8>]) -> HashSet<String> {
    let word = |packet: &Vec<u8>| {
        let summary = Packet::parse(Layer::Tun, packet).unwrap().summary().to_string();
        summary.split([' ', ',']).take(2).collect::<Vec<_>>().join(" ")
    };
    kinds(packets, word)
}

fn set(words: &[&str]) -> HashSet<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[test]
fn ipv4() {
    let packets = checked(Layer::Tun, || ipv4_packets().boxed());
    let names = protocols(Layer::Tun, &packets);
    assert!(names.is_superset(&set(&["UDP", "TCP", "ICMP"])) && names.len() == 5, "{names:?}");
    assert_eq!(kinds(&packets, |packet| packet[0] & 0x0f), HashSet::from([5, 6, 7, 15]));
    // Neither; the first fragment, the last.
    let fragments =
        kinds(&packets, |packet| (packet[6] & 0x20 != 0, packet[6] & 0x1f != 0 || packet[7] != 0));
    assert_eq!(fragments, HashSet::from([(false, false), (true, false), (false, true)]));
    assert!(packets.iter().any(|packet| packet.len() > 1000));
}

#[test]
fn ipv6() {
    let packets = checked(Layer::Tun, || ipv6_packets().boxed());
    let names = protocols(Layer::Tun, &packets);
    assert!(names.is_superset(&set(&["UDP", "TCP", "ICMPv6"])) && names.len() == 5, "{names:?}");
    // Straight, and the extension that comes first.
    let first = kinds(&packets, |packet| packet[6]);
    assert_eq!(first, HashSet::from([6, 17, 50, 58, 253, 0, 43, 44, 60]));
    let fragments = kinds(&packets, |packet| Packet::parse(Layer::Tun, packet).unwrap().is_fragment());
    assert_eq!(fragments.len(), 2);
}

#[test]
fn of_one_protocol() {
    let udp = checked(Layer::Tun, || udp_packets().boxed());
    assert_eq!(protocols(Layer::Tun, &udp), set(&["UDP"]));
    let tcp = checked(Layer::Tun, || tcp_packets().boxed());
    assert_eq!(protocols(Layer::Tun, &tcp), set(&["TCP"]));
    for packets in [&udp, &tcp] {
        assert_eq!(kinds(packets, |packet| packet[0] >> 4), HashSet::from([4, 6]));
        for packet in packets {
            assert!(!Packet::parse(Layer::Tun, packet).unwrap().is_fragment());
        }
    }
    let opens = |packet: &&Vec<u8>| match SlicedPacket::from_ip(packet).unwrap().transport {
        Some(TransportSlice::Tcp(tcp)) => tcp.syn(),
        _ => false,
    };
    assert!((200..300).contains(&tcp.iter().filter(opens).count()));
}

#[test]
fn of_icmp() {
    let packets = checked(Layer::Tun, || icmp_packets().boxed());
    assert_eq!(protocols(Layer::Tun, &packets), set(&["ICMP"]));
    assert_eq!(summaries(&packets).len(), 7, "{:?}", summaries(&packets));
    let packets = checked(Layer::Tun, || icmpv6_packets().boxed());
    assert_eq!(protocols(Layer::Tun, &packets), set(&["ICMPv6"]));
    assert_eq!(summaries(&packets).len(), 12, "{:?}", summaries(&packets));
}

#[test]
fn frames() {
    let packets = checked(Layer::Tap, || ethernet_frames().boxed());
    assert!(protocols(Layer::Tap, &packets).is_superset(&set(&["UDP", "TCP", "ICMP", "ICMPv6", "ARP"])));
    let tags = |packet: &Vec<u8>| SlicedPacket::from_ethernet(packet).unwrap().vlan_ids().len();
    assert_eq!(kinds(&packets, tags), HashSet::from([0, 1, 2]));
    // Below 0x600, the type is a length.
    let types =
        kinds(&packets, |packet| Packet::parse(Layer::Tap, packet).unwrap().ether_type().0.max(0x5ff));
    assert_eq!(types, HashSet::from([0x5ff, 0x0800, 0x0806, 0x86dd, 0x88b5]));
    assert!(packets.iter().any(|packet| packet.len() < 60));
    let arp = checked(Layer::Tap, || arp_frames().boxed());
    for packet in &arp {
        assert_eq!(Packet::parse(Layer::Tap, packet).unwrap().ether_type(), EtherType::ARP);
        assert_eq!(packet.len(), 42);
    }
    // The operation, and whether it speaks of one address only.
    assert_eq!(kinds(&arp, |packet| (packet[21], packet[28..32] == packet[38..42])).len(), 3);
}

#[test]
fn of_a_layer() {
    for layer in [Layer::Tun, Layer::Tap] {
        for packet in samples(packets(layer), 200) {
            check(layer, &packet);
        }
    }
}

/// What a receiver of the packet would do: sums from where the header says, and puts the sum where it says.
fn completed(gso: &GsoPacket) -> Vec<u8> {
    let (start, offset) = gso.header.needs_checksum().unwrap();
    let sum = Sum16BitWords::new().add_slice(&gso.packet[start.into()..]).to_ones_complement_with_no_zero();
    let mut packet = gso.packet.clone();
    packet[usize::from(start + offset)..][..2].copy_from_slice(&sum.to_ne_bytes());
    packet
}

#[test]
fn super_segments_are_what_their_header_says() {
    for layer in [Layer::Tun, Layer::Tap] {
        let check = |gso: &GsoPacket| {
            gso.header.check(layer, &gso.packet).unwrap();
            assert_eq!(fault(layer, &completed(gso)), None, "{gso:?}");
            let mut packet = gso.packet.clone();
            assert!(gso.header.complete_checksum(&mut packet).unwrap());
            assert_eq!(packet, completed(gso));
            let packet = Packet::parse(layer, &gso.packet).unwrap();
            let payload = packet.payload().len();
            assert_eq!(payload, gso.packet.len() - usize::from(gso.header.header_length()));
            assert!(payload > usize::from(gso.header.segment_size()));
            let bytes = gso.to_bytes();
            assert_eq!(bytes[..2], [1, gso.header.gso_byte()]);
            assert_eq!(bytes[4..6], gso.header.segment_size().to_ne_bytes());
            assert_eq!(bytes[10..], gso.packet);
            (gso.header.gso_byte(), packet.protocol().to_string(), packet.source().unwrap().is_ipv4())
        };
        let all = samples(gso_packets(layer), 60);
        let found = kinds(&all, check);
        let expected = [
            (1, "TCP".to_owned(), true),
            (4, "TCP".to_owned(), false),
            (5, "UDP".to_owned(), true),
            (5, "UDP".to_owned(), false),
        ];
        assert_eq!(found, HashSet::from(expected));
        assert!(all.iter().any(|gso| gso.packet.len() > 40_000));
        shrink(gso_packets(layer), |gso| drop(check(&gso)));
    }
}
