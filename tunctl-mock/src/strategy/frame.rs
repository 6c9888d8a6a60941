//! Ethernet frames.

use std::net::Ipv4Addr;

use proptest::collection::vec;
use proptest::prelude::*;

use super::ip::v4_addresses;
use super::packet::{ipv4_packets, ipv6_packets};

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const VLAN: u16 = 0x8100;
const IPV6: u16 = 0x86dd;
const PROVIDER_VLAN: u16 = 0x88a8;
/// IEEE's EtherType for local experiments: no dissector expects a format in it.
const EXPERIMENT: u16 = 0x88b5;

/// The shortest frame on a wire, without its check sequence. Frames of a tap may be shorter.
const SHORTEST: usize = 60;

const BROADCAST: [u8; 6] = [0xff; 6];

/// Well-formed ARP for Ethernet and IPv4: requests, replies, and announcements of an address.
pub fn arp_frames() -> impl Strategy<Value = Vec<u8>> {
    arps().prop_map(|body| body.frame(&[])).boxed()
}

/// Well-formed Ethernet frames: IPv4, IPv6, ARP and others, IEEE 802.3 frames with a length among them; now
/// and then with one VLAN tag or two, and with the padding that short frames have on a wire.
pub fn ethernet_frames() -> impl Strategy<Value = Vec<u8>> {
    let ipv4 = packets(ipv4_packets().boxed(), IPV4);
    let ipv6 = packets(ipv6_packets().boxed(), IPV6);
    let bodies = prop_oneof![4 => ipv4, 4 => ipv6, 2 => arps(), 1 => others()];
    (bodies, tags(), proptest::bool::weighted(0.3))
        .prop_map(|(body, tags, padded)| {
            let mut frame = body.frame(&tags);
            if padded {
                frame.resize(frame.len().max(SHORTEST), 0);
            }
            frame
        })
        .boxed()
}

/// A frame without its tags.
#[derive(Clone, Debug)]
struct Body {
    source: [u8; 6],
    destination: [u8; 6],
    kind: u16,
    payload: Vec<u8>,
}

impl Body {
    fn frame(&self, tags: &[(u16, u16)]) -> Vec<u8> {
        let mut frame = [self.destination, self.source].concat();
        for (kind, tag) in tags {
            frame.extend([kind.to_be_bytes(), tag.to_be_bytes()].as_flattened());
        }
        frame.extend(self.kind.to_be_bytes());
        frame.extend(&self.payload);
        frame
    }
}

/// An address of one host: not a group's.
fn macs() -> BoxedStrategy<[u8; 6]> {
    any::<[u8; 6]>().prop_map(|[first, b, c, d, e, f]| [first & !1, b, c, d, e, f]).boxed()
}

/// Types and tags of no, one or two VLANs: the priority, whether it may be dropped, the number.
fn tags() -> BoxedStrategy<Vec<(u16, u16)>> {
    let tag = || {
        (0..8_u16, 0..2_u16, 1..=4094_u16).prop_map(|(priority, drop, id)| priority << 13 | drop << 12 | id)
    };
    prop_oneof![
        6 => Just(Vec::new()),
        2 => tag().prop_map(|tag| vec![(VLAN, tag)]),
        1 => (tag(), tag()).prop_map(|(outer, inner)| vec![(PROVIDER_VLAN, outer), (VLAN, inner)]),
    ]
    .boxed()
}

fn packets(packets: BoxedStrategy<Vec<u8>>, kind: u16) -> BoxedStrategy<Body> {
    (macs(), macs(), packets)
        .prop_map(move |(source, destination, payload)| Body {
            source,
            destination: group(&payload).unwrap_or(destination),
            kind,
            payload,
        })
        .boxed()
}

/// The Ethernet address of the group that an IPv6 packet goes to.
fn group(packet: &[u8]) -> Option<[u8; 6]> {
    match *packet.get(24..40)? {
        [0xff, .., a, b, c, d] if packet[0] >> 4 == 6 => Some([0x33, 0x33, a, b, c, d]),
        _ => None,
    }
}

/// An ARP message, in a frame.
fn arps() -> BoxedStrategy<Body> {
    let hosts = || (macs(), v4_addresses());
    let nobody = [0; 6];
    prop_oneof![
        (hosts(), v4_addresses()).prop_map(move |(asker, wanted)| arp(1, asker, (nobody, wanted), BROADCAST)),
        (hosts(), hosts()).prop_map(|(owner, asker)| arp(2, owner, asker, asker.0)),
        hosts().prop_map(move |owner| arp(1, owner, (nobody, owner.1), BROADCAST)),
    ]
    .boxed()
}

fn arp(
    operation: u8,
    sender: ([u8; 6], Ipv4Addr),
    target: ([u8; 6], Ipv4Addr),
    destination: [u8; 6],
) -> Body {
    // Ethernet, IPv4, and how long addresses of the two are.
    let mut payload = vec![0, 1, 8, 0, 6, 4, 0, operation];
    for (mac, address) in [sender, target] {
        payload.extend(mac);
        payload.extend(address.octets());
    }
    Body { source: sender.0, destination, kind: ARP, payload }
}

/// Frames that carry neither IP nor ARP.
fn others() -> BoxedStrategy<Body> {
    let typed = vec(any::<u8>(), 2..64).prop_map(|payload| (EXPERIMENT, payload));
    // The type is a length, and the payload that of a link-layer test, which may be any bytes.
    let measured = vec(any::<u8>(), 4..64).prop_map(|rest| {
        let payload = [&[0, 0, 0xf3][..], &rest].concat();
        (u16::try_from(payload.len()).unwrap_or_default(), payload)
    });
    (macs(), macs(), prop_oneof![typed, measured])
        .prop_map(|(source, destination, (kind, payload))| Body { source, destination, kind, payload })
        .boxed()
}

/// A frame around an IP packet, without tags and padding.
pub(super) fn around(packet: Vec<u8>) -> Vec<u8> {
    let kind = if packet[0] >> 4 == 4 { IPV4 } else { IPV6 };
    Body { source: [2, 0, 0, 0, 0, 1], destination: [2, 0, 0, 0, 0, 2], kind, payload: packet }.frame(&[])
}
