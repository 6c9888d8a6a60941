//! Bytes to send and to inject: sense and nonsense, in front of which stands what the device wants, or not.
//!
//! Left out, because the system would answer in its own time or in its own way: packets to an address that an
//! interface may have (it would reply to them), and frames with a VLAN tag (it drops one that ends within the
//! tag before anyone can observe it, `skb_vlan_untag`).

use tunctl_core::CreateFlags;

use crate::differential::random::Random;

/// Networks of these packets; the addresses of interfaces are in others.
pub(crate) const NEAR: [u8; 4] = [10, 99, 0, 1];
pub(crate) const FAR: [u8; 4] = [10, 99, 0, 2];

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;

/// What a program might write to a device with these flags.
///
/// `vnet` is the length of its virtio-net header.
pub(crate) fn to_send(random: &mut Random, flags: CreateFlags, vnet: usize) -> Vec<u8> {
    if random.one_of(1, 40) {
        return Vec::new();
    }
    // Now and then, headers that the device does not have, or none where it has some.
    let confused = random.one_of(1, 12);
    let mut packet = Vec::new();
    let body = body(random, flags);
    if flags.contains(CreateFlags::NO_PI) == confused {
        packet.extend(packet_information(random, &body));
    }
    if flags.contains(CreateFlags::VNET_HDR) != confused {
        packet.extend(vnet_header(random, body.len()));
        // What a longer header has more is looked at in front of a packet in a tunnel.
        packet.extend(random.bytes(vnet.saturating_sub(10)));
    }
    packet.extend(body);
    if random.one_of(1, 12) {
        packet.truncate(random.below(32));
    }
    packet
}

/// What the system might send out of an interface: no half a frame, which a packet socket does not take.
pub(crate) fn to_inject(random: &mut Random, is_tun: bool) -> Vec<u8> {
    if random.one_of(1, 40) {
        return Vec::new();
    }
    match (is_tun, random.below(4)) {
        (true, 0) => {
            let length = 1 + random.below(60);
            random.bytes(length)
        }
        (true, _) => ip(random),
        (false, 0) => frame(random, &[]),
        (false, _) => {
            let payload = ip(random);
            frame(random, &payload)
        }
    }
}

/// A packet of a flow from a program with these flags, and the system's answer to it.
pub(crate) fn conversation(flow: u8, flags: CreateFlags, vnet: usize) -> (Vec<u8>, Vec<u8>) {
    let packet = |[from, to]: [[u8; 4]; 2], ports: [u8; 4]| {
        let header = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
        let packet = [&header[..], &from, &to, &ports, &[0, 8, 0, 0]].concat();
        let link = [[0xff; 6], [2, 0, 0, 0, 0, 9]].concat();
        if flags.contains(CreateFlags::TUN) { packet } else { [&link[..], &[8, 0], &packet].concat() }
    };
    let mut sent = Vec::new();
    if !flags.contains(CreateFlags::NO_PI) {
        sent.extend([0, 0, 8, 0]);
    }
    sent.extend(vec![0; vnet]);
    sent.extend(packet([FAR, NEAR], [0, 53, 16, flow]));
    (sent, packet([NEAR, FAR], [16, flow, 0, 53]))
}

fn body(random: &mut Random, flags: CreateFlags) -> Vec<u8> {
    match random.below(12) {
        // More than the kernel has a buffer for.
        0 if random.one_of(1, 50) => vec![0x45; 5 << 20],
        0 => {
            let length = random.below(80);
            random.bytes(length)
        }
        1 => vec![0x45; random.below(40)],
        2 if random.one_of(1, 8) => vec![0x45; 65_000 + random.below(2_000)],
        2 | 3 => frame(random, &[]),
        4 => ip(random),
        _ if flags.contains(CreateFlags::TUN) => ip(random),
        _ => {
            let payload = ip(random);
            frame(random, &payload)
        }
    }
}

/// A packet of IPv4 or IPv6 that is well formed but for its checksum, or may be.
fn ip(random: &mut Random) -> Vec<u8> {
    let payload = random.below(40);
    let payload = random.bytes(payload);
    let length = |header: usize| u16::try_from(header + payload.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut packet = if random.one_of(2, 3) {
        let [high, low] = length(20);
        let mut header = vec![0x45, 0, high, low, 0, 0, 0, 0, 64, 17, 0, 0];
        header.extend([FAR, NEAR].concat());
        header
    } else {
        let [high, low] = length(0);
        let mut header = vec![0x60, 0, 0, 0, high, low, 59, 64];
        for last in [2, 1] {
            header.extend([0xfd, 0x99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        }
        header
    };
    packet.extend(payload);
    packet
}

fn frame(random: &mut Random, payload: &[u8]) -> Vec<u8> {
    let to = *random.pick(&[[0xff; 6], [2, 0, 0, 0, 0, 1], [1, 0, 0x5e, 0, 0, 9]]);
    let ether_type = match payload.first() {
        Some(0x45) if !random.one_of(1, 8) => IPV4,
        Some(0x60) if !random.one_of(1, 8) => IPV6,
        // 802.3 has a length in that place; 0x88b5 is for experiments.
        _ => *random.pick(&[ARP, 0x0003, 0x05dc, 0x88b5, IPV4, IPV6]),
    };
    let mut frame = to.to_vec();
    frame.extend([2, 0, 0, 0, 0, 9]);
    frame.extend(ether_type.to_be_bytes());
    if ether_type == ARP && payload.is_empty() {
        frame.extend([0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 9]);
        frame.extend(FAR);
        frame.extend([0; 6]);
        frame.extend(NEAR);
    }
    frame.extend(payload);
    frame
}

/// Flags and EtherType.
fn packet_information(random: &mut Random, body: &[u8]) -> [u8; 4] {
    let ether_type = match body.first().map(|first| first >> 4) {
        Some(6) if !random.one_of(1, 6) => IPV6,
        Some(_) if !random.one_of(1, 6) => IPV4,
        _ => *random.pick(&[0, 0x0001, ARP, 0x88b5, IPV6]),
    };
    let [high, low] = ether_type.to_be_bytes();
    [*random.pick(&[0, 0, 0, 1, 0xff]), 0, high, low]
}

/// Ten bytes: flags, segmentation type, and four numbers.
fn vnet_header(random: &mut Random, body: usize) -> [u8; 10] {
    let mut header = [0; 10];
    if random.one_of(3, 5) {
        return header;
    }
    let mut near =
        |edge: usize| u16::try_from((edge + random.below(3)).saturating_sub(1)).unwrap_or(u16::MAX);
    let numbers = [near(body), 0, near(body.saturating_sub(2)), near(0)];
    let [header_length, size, start, offset] = numbers;
    // 1: a checksum is to be completed; 2: it was checked.
    header[0] = *random.pick(&[0, 1, 1, 1, 2, 3, 4, 0x80]);
    // 0: none. 1, 3, 4 and 5 are segments, with congestion notification or in a tunnel; no kernel knows the
    // others.
    header[1] = *random.pick(&[0, 0, 0, 0, 1, 3, 4, 5, 0x81, 0x85, 0x21, 2, 6, 0x80, 0x10]);
    let header_length = *random.pick(&[0, 0, header_length, 20, 40, u16::MAX]);
    let start = *random.pick(&[0, 14, 19, 20, 34, start, 65_470, 65_471, u16::MAX]);
    let offset = *random.pick(&[0, 6, 16, offset, u16::MAX]);
    let size = *random.pick(&[0, 0, size, 1400]);
    for (at, number) in [(2, header_length), (4, size), (6, start), (8, offset)] {
        header[at..at + 2].copy_from_slice(&number.to_ne_bytes());
    }
    header
}
