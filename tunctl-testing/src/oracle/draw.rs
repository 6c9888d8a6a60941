//! Random packets that stand for several.

use tunctl_packet::Layer;
use tunctl_packet::header::{Endian, GsoType, VnetFormat, VnetHeader, VnetLength};
use tunctl_packet::offload::{Segments, sum};

use crate::differential::random::Random;
use crate::oracle::kernel::is_tunneled;
use crate::oracle::tunnel;

/// A packet, the header in front of it, and what is special about it.
#[derive(Clone, Debug)]
pub(crate) struct Large {
    pub(crate) layer: Layer,
    pub(crate) header: VnetHeader,
    pub(crate) packet: Vec<u8>,
    /// Where the outer transport of a packet in a tunnel begins, whatever the header states.
    pub(crate) outer_transport: u16,
    pub(crate) properties: Vec<&'static str>,
}

impl Large {
    pub(crate) fn has(&self, property: &str) -> bool {
        self.properties.contains(&property)
    }

    /// Whether it is of no version of IP, or in a frame of another one.
    pub(crate) fn has_other_version(&self) -> bool {
        let mut rest = match self.layer {
            Layer::Tun => {
                return !matches!(self.packet.first(), Some(0x40..0x50 | 0x60..0x70)) || self.hides_v6();
            }
            Layer::Tap => self.packet.get(12..).unwrap_or_default(),
        };
        while let [0x81 | 0x88, 0 | 0xa8, _, _, inner @ ..] = rest {
            rest = inner;
        }
        match rest {
            [8, 0, first, ..] => first >> 4 != 4,
            [0x86, 0xdd, first, ..] => first >> 4 != 6,
            // A packet socket goes by the type of segmentation then (`virtio_net_hdr_set_proto`).
            [0, 0, ..] => true,
            _ => false,
        }
    }
}

impl Large {
    /// Whether a packet socket has too little of it in one piece to see that it is IPv6
    /// (`ip_tunnel_parse_protocol`), and goes by the type of segmentation.
    fn hides_v6(&self) -> bool {
        const HEADER: u16 = 40;
        matches!(self.packet.first(), Some(0x60..0x70)) && self.header.header_length() < HEADER
    }
}

/// What at least one packet in a hundred of those that are cut has.
pub(crate) const PROPERTIES: [&str; 21] = [
    "tun",
    "tap",
    "VLAN",
    "IPv4",
    "IPv6",
    "TCP",
    "UDP",
    "IPv4 options",
    "extension headers",
    "TCP options",
    "ECN",
    "CWR",
    "FIN or PSH",
    "no DF",
    "wrapping numbers",
    "odd segments",
    "segments shorter than headers",
    "one segment",
    "another header length",
    "another stated length",
    "zero checksum",
];

/// What at least one packet in a hundred of those that are refused has.
pub(crate) const FAULTS: [&str; 4] = ["random header", "another field", "bytes changed", "cut off"];

/// The packet of a case, which may be in a tunnel.
pub(crate) fn draw(random: &mut Random, tunnels: bool) -> Large {
    let mut large = Drawing::new(random).large(random);
    if random.one_of(1, 32) {
        sum_up_to_zero(&mut large);
    }
    let is_tunneled = random.one_of(1, 4) && tunnels;
    if is_tunneled {
        large = tunnel::wrap(large, random);
    }
    if random.one_of(1, 5) {
        if is_tunneled && random.one_of(1, 2) {
            tunnel::spoil(&mut large, random);
        } else {
            spoil(&mut large, random);
        }
        // A packet socket refuses more, of whatever packet (`packet_snd`, Linux 6.18).
        let most = u16::try_from(large.packet.len()).unwrap_or(u16::MAX);
        large.header = large.header.with_header_length(large.header.header_length().min(most));
    }
    large
}

/// A packet that is being made, from the inside.
pub(crate) struct Drawing {
    pub(crate) v6: bool,
    pub(crate) tcp: bool,
    pub(crate) properties: Vec<&'static str>,
}

impl Drawing {
    fn new(random: &mut Random) -> Self {
        Self { v6: random.one_of(1, 2), tcp: random.one_of(2, 3), properties: Vec::new() }
    }

    fn has(&mut self, property: &'static str, holds: bool) -> bool {
        if holds {
            self.properties.push(property);
        }
        holds
    }

    fn large(mut self, random: &mut Random) -> Large {
        let transport = self.transport(random);
        let network = self.network(random);
        let layer = if random.one_of(1, 2) { Layer::Tap } else { Layer::Tun };
        let link = if layer == Layer::Tap { self.link(random) } else { Vec::new() };
        let fixed = network.len() + transport.len();
        let (size, payload) = self.payload(random, fixed);
        let mut packet = [link.clone(), network, transport.clone(), payload].concat();
        let start = link.len() + fixed - transport.len();
        self.finish(&mut packet, link.len(), start);
        if self.has("another stated length", random.one_of(1, 16)) {
            // Each segment has its own: that of the packet is not read.
            let at = link.len() + if self.v6 { 4 } else { 2 };
            let bound = if random.one_of(1, 2) { 120 } else { 65_536 };
            let stated = u16::try_from(random.below(bound)).unwrap_or_default();
            packet[at..at + 2].copy_from_slice(&stated.to_be_bytes());
        }
        let (v6, tcp) = (self.v6, self.tcp);
        self.has("IPv6", v6);
        self.has("IPv4", !v6);
        self.has("TCP", tcp);
        self.has("UDP", !tcp);
        self.has("tap", layer == Layer::Tap);
        self.has("tun", layer == Layer::Tun);
        let gso_type = match (self.tcp, self.v6) {
            (true, false) => GsoType::TcpV4,
            (true, true) => GsoType::TcpV6,
            (false, _) => GsoType::UdpL4,
        };
        let half = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        let mut header = VnetHeader::default()
            .with_segments(gso_type, half(size))
            .with_checksum(half(start), if self.tcp { 16 } else { 6 })
            .with_header_length(half(start + transport.len()));
        if self.tcp && random.one_of(1, 4) {
            header = header.with_ecn(true);
            self.has("ECN", true);
        }
        if random.one_of(1, 8) {
            // A hint, which may be that of what was contiguous in memory.
            header = header.with_header_length(half(random.below(packet.len() + 1)));
            self.has("another header length", true);
        }
        Large { layer, header, packet, outer_transport: 0, properties: self.properties }
    }

    pub(crate) fn transport(&mut self, random: &mut Random) -> Vec<u8> {
        let mut header = random.bytes(4);
        if !self.tcp {
            header.extend([0; 4]);
            return header;
        }
        let sequence = if self.has("wrapping numbers", random.one_of(1, 10)) { 0xffff_ff00 } else { 7 };
        let options = if random.one_of(1, 2) { random.below(11) * 4 } else { 0 };
        self.has("TCP options", options > 0);
        let flags = random.next().to_le_bytes()[0] & if random.one_of(1, 2) { 0x99 } else { 0x10 } | 0x10;
        self.has("CWR", flags & 0x80 != 0);
        self.has("FIN or PSH", flags & 9 != 0);
        header.extend(u32::to_be_bytes(sequence));
        header.extend(random.bytes(4));
        header.extend([u8::try_from((20 + options) / 4 * 16).unwrap_or(0), flags, 1, 2, 0, 0, 0, 0]);
        header.extend(random.bytes(options));
        header
    }

    /// With zeros for lengths and sums.
    pub(crate) fn network(&mut self, random: &mut Random) -> Vec<u8> {
        let number = if self.tcp { 6 } else { 17 };
        let [service, hops, id0, id1] = random.next().to_le_bytes()[..4].try_into().unwrap_or_default();
        if self.v6 {
            let chain = if self.has("extension headers", random.one_of(1, 5)) {
                extension_headers(random, number)
            } else {
                (number, Vec::new())
            };
            let mut header = vec![0x60 | service >> 4, service << 4, 0, 0, 0, 0, chain.0, hops.max(1)];
            for host in [1, 2] {
                header.extend([0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
            }
            header.extend(chain.1);
            return header;
        }
        let options =
            if self.has("IPv4 options", random.one_of(1, 6)) { (1 + random.below(10)) * 4 } else { 0 };
        let identification =
            if self.has("wrapping numbers", random.one_of(1, 10)) { [0xff, 0xfe] } else { [id0, id1] };
        let fragments = if self.has("no DF", random.one_of(1, 3)) { 0 } else { 0x40 };
        let words = u8::try_from((20 + options) / 4).unwrap_or(0);
        let mut header = vec![0x40 | words, service, 0, 0];
        header.extend(identification);
        header.extend([fragments, 0, hops.max(1), number, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        // No operation: each one byte.
        header.extend(vec![1; options]);
        header
    }

    pub(crate) fn link(&mut self, random: &mut Random) -> Vec<u8> {
        let mut header = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        for _ in 0..if self.has("VLAN", random.one_of(1, 6)) { 1 + random.below(2) } else { 0 } {
            header.extend([0x81, 0, 0, 7]);
        }
        header.extend(if self.v6 { [0x86, 0xdd] } else { [8, 0] });
        header
    }

    /// The size of a segment, and the payload of them all.
    fn payload(&mut self, random: &mut Random, headers: usize) -> (usize, Vec<u8>) {
        let count = match random.below(20) {
            0..2 => 1,
            2..8 => 2 + random.below(6),
            8..17 => 8 + random.below(32),
            _ => 40 + random.below(100),
        };
        let longest = (65_535 - headers) / count;
        let size = match random.below(4) {
            0 => 1 + random.below(120),
            1 => 1448,
            2 => 1 + random.below(1500),
            _ => 1 + random.below(9000),
        };
        let size = size.min(longest).max(1);
        self.has("odd segments", size % 2 == 1);
        self.has("segments shorter than headers", size < headers);
        self.has("one segment", count == 1);
        let last = 1 + random.below(size);
        (size, filled(random, size * (count - 1) + last))
    }

    /// Writes lengths, the sum of an IPv4 header, and that of the pseudo-header.
    pub(crate) fn finish(&self, packet: &mut [u8], network: usize, transport: usize) {
        let half = |number: usize| u16::try_from(number).unwrap_or(0).to_be_bytes();
        let (all, length) = (packet.len(), packet.len() - transport);
        let number = if self.tcp { 6 } else { 17 };
        let addresses = if self.v6 { 8..40 } else { 12..20 };
        if self.v6 {
            packet[network + 4..network + 6].copy_from_slice(&half(all - network - 40));
        } else {
            packet[network + 2..network + 4].copy_from_slice(&half(all - network));
            let sum = !folded(&packet[network..transport]);
            packet[network + 10..network + 12].copy_from_slice(&sum.to_be_bytes());
        }
        if !self.tcp {
            packet[transport + 4..transport + 6].copy_from_slice(&half(length));
        }
        let addresses = &packet[network + addresses.start..network + addresses.end];
        let pseudo =
            folded(&[addresses, &u32::try_from(length).unwrap_or(0).to_be_bytes(), &[0, number]].concat());
        let place = transport + if self.tcp { 16 } else { 6 };
        packet[place..place + 2].copy_from_slice(&pseudo.to_be_bytes());
    }
}

/// Random bytes, which repeat after a prime number, so that no two segments are alike.
fn filled(random: &mut Random, length: usize) -> Vec<u8> {
    const PERIOD: usize = 1021;
    let mut bytes = random.bytes(PERIOD.min(length)).repeat(length.div_ceil(PERIOD));
    bytes.truncate(length);
    bytes
}

/// One or two extension headers, and the number of the first. Seldom, it is one that the kernel does not
/// pass.
fn extension_headers(random: &mut Random, last: u8) -> (u8, Vec<u8>) {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const AUTHENTICATION: u8 = 51;
    const DESTINATION_OPTIONS: u8 = 60;
    let mut chain = Vec::new();
    let mut number = last;
    for _ in 0..1 + random.below(2) {
        let eights = 1 + random.below(4);
        let mut header = vec![number, u8::try_from(eights - 1).unwrap_or(0), 1];
        header.push(u8::try_from(eights * 8 - 4).unwrap_or(0));
        header.resize(eights * 8, 0);
        number = *random.pick(&[HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS]);
        if random.one_of(1, 64) {
            // Of eight bytes, both; the fragment is a whole datagram.
            header = vec![header[0], 0, 0, 0, 0, 0, 0, 0];
            number = *random.pick(&[FRAGMENT, AUTHENTICATION]);
        }
        chain.splice(0..0, header);
    }
    (number, chain)
}

/// The sum of words, as RFC 1071 has it.
pub(crate) fn folded(bytes: &[u8]) -> u16 {
    let mut sum: u64 = 0;
    for pair in bytes.chunks(2) {
        sum += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(0)
}

/// Changes the payload so that the first segment's checksum is zero.
fn sum_up_to_zero(large: &mut Large) {
    let Some((start, offset)) = large.header.needs_checksum() else { return };
    let (start, place) = (usize::from(start), usize::from(start + offset));
    let mut packet = large.packet.clone();
    let first = Segments::new(&large.header, large.layer, &mut packet, sum).ok();
    let Some(first) = first.and_then(|mut segments| segments.next().map(<[u8]>::to_vec)) else { return };
    // Both transports have headers of an even length.
    let payload = start + if large.has("TCP") { usize::from(first[start + 12] >> 4) * 4 } else { 8 };
    if first.len() < payload + 2 {
        return;
    }
    let word = folded(&[&first[payload..payload + 2], &first[place..place + 2]].concat());
    large.packet[payload..payload + 2].copy_from_slice(&word.to_be_bytes());
    large.properties.push("zero checksum");
}

/// Makes something wrong.
fn spoil(large: &mut Large, random: &mut Random) {
    let format = VnetFormat::new(VnetLength::Tunnel, Endian::Native);
    let length = large.packet.len();
    match random.below(4) {
        0 => {
            let mut bytes = random.bytes(10);
            bytes.resize(format.length.bytes(), 0);
            // Without the bits of a tunnel, unless the packet is in one.
            bytes[1] &= 0x9f | large.header.gso_byte();
            if let Ok((header, _)) = VnetHeader::parse(format, &bytes) {
                let (outer, inner) = large.header.tunnel_offsets();
                large.header = header.with_tunnel_offsets(outer, inner);
            }
            large.properties.push("random header");
        }
        1 => {
            let header = large.header;
            let (start, offset) = header.needs_checksum().unwrap_or_default();
            let number = u16::from_le_bytes([random.next().to_le_bytes()[0], 0]);
            large.header = match random.below(8) {
                0 => header.with_segments(header.gso_type(), 0),
                1 => header.with_segments(header.gso_type(), u16::MAX),
                2 => header.with_checksum(start.wrapping_add(number), offset),
                3 => header.with_checksum(start, number),
                4 => header.without_checksum(),
                5 => header.with_segments(
                    *random.pick(&[GsoType::TcpV4, GsoType::TcpV6, GsoType::UdpL4, GsoType::Udp]),
                    100,
                ),
                6 => header.with_gso_byte(random.next().to_le_bytes()[0] & (0x9f | header.gso_byte())),
                _ => header.with_ecn(true),
            };
            large.properties.push("another field");
        }
        2 => {
            // The headers' bytes, where it matters.
            for _ in 0..1 + random.below(2) {
                let end = length.min(100 + usize::from(large.header.tunnel_offsets().1));
                // A bridge goes by the MAC addresses, and drops some.
                let begin = if is_tunneled(&large.header) && large.layer == Layer::Tap { 12 } else { 0 };
                let at = begin + random.below(end.saturating_sub(begin).max(1));
                large.packet[at] = random.next().to_le_bytes()[0];
            }
            large.properties.push("bytes changed");
        }
        _ => {
            let end = length.min(120 + usize::from(large.header.tunnel_offsets().1));
            large.packet.truncate(1 + random.below(end));
            large.properties.push("cut off");
        }
    }
}
