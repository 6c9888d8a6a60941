//! Draws virtio-net headers, and packets to stand behind them: such that fit, nearly fit, and do not.

use std::fmt;

use tunctl_core::Layer;
use tunctl_packet::header::{Endian, GsoType, VnetFormat, VnetHeader, VnetLength, VnetRules};

use crate::differential::packets::{FAR, NEAR};
use crate::differential::random::Random;
use crate::differential::seen::hex;

/// A packet to be sent, and the header in front of it.
#[derive(Clone)]
pub(super) struct Drawn {
    pub(super) layer: Layer,
    pub(super) content: Content,
    pub(super) length: VnetLength,
    pub(super) header: VnetHeader,
    pub(super) packet: Vec<u8>,
}

/// What a packet was made as, in a tunnel the inner one; it may have been cut short since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    TcpInIpv4,
    TcpInIpv6,
    UdpInIpv4,
    UdpInIpv6,
    OtherInIpv4,
    OtherInIpv6,
    /// Random bytes behind a version of IP.
    Noise,
}

/// The byte of the type of segmentation, as far as the rules tell bytes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    TcpV4,
    UdpFragments,
    TcpV6,
    Udp,
    TcpWithEcn,
    UdpWithEcn,
    Tunnel,
    Unknown,
}

impl Content {
    pub(super) const ALL: [Self; 7] = [
        Self::TcpInIpv4,
        Self::TcpInIpv6,
        Self::UdpInIpv4,
        Self::UdpInIpv6,
        Self::OtherInIpv4,
        Self::OtherInIpv6,
        Self::Noise,
    ];

    const fn is_ipv6(self) -> bool {
        matches!(self, Self::TcpInIpv6 | Self::UdpInIpv6 | Self::OtherInIpv6)
    }

    const fn protocol(self) -> u8 {
        match self {
            Self::TcpInIpv4 | Self::TcpInIpv6 => 6,
            Self::UdpInIpv4 | Self::UdpInIpv6 => 17,
            // GRE, which nobody answers.
            Self::OtherInIpv4 | Self::OtherInIpv6 | Self::Noise => 47,
        }
    }
}

impl Kind {
    pub(super) const ALL: [Self; 9] = [
        Self::Plain,
        Self::TcpV4,
        Self::UdpFragments,
        Self::TcpV6,
        Self::Udp,
        Self::TcpWithEcn,
        Self::UdpWithEcn,
        Self::Tunnel,
        Self::Unknown,
    ];

    pub(super) const fn of(header: &VnetHeader) -> Self {
        match header.gso_type() {
            _ if header.gso_byte() == 0 => Self::Plain,
            _ if header.is_tunneled_v4() || header.is_tunneled_v6() => Self::Tunnel,
            GsoType::TcpV4 | GsoType::TcpV6 if header.has_ecn() => Self::TcpWithEcn,
            GsoType::TcpV4 => Self::TcpV4,
            GsoType::TcpV6 => Self::TcpV6,
            GsoType::Udp => Self::UdpFragments,
            GsoType::UdpL4 if header.has_ecn() => Self::UdpWithEcn,
            GsoType::UdpL4 => Self::Udp,
            _ => Self::Unknown,
        }
    }

    /// Whether a kernel with these rules takes any header of this type.
    pub(super) const fn is_ever_taken(self, rules: &VnetRules) -> bool {
        match self {
            Self::UdpWithEcn | Self::Unknown => false,
            Self::Tunnel => rules.tunnels(),
            Self::Udp => rules.udp_segments().is_some(),
            _ => true,
        }
    }

    fn byte(self, random: &mut Random) -> u8 {
        match self {
            Self::Plain => 0,
            Self::TcpV4 => 1,
            Self::UdpFragments => *random.pick(&[3, 3, 0x83]),
            Self::TcpV6 => 4,
            Self::Udp => 5,
            Self::TcpWithEcn => *random.pick(&[0x81, 0x84]),
            Self::UdpWithEcn => 0x85,
            Self::Tunnel => {
                *random.pick(&[0x20, 0x20, 0x20, 0x20, 0x40, 0x40, 0x40, 0x60, 0xa0, 0xc0])
                    | *random.pick(&[0, 1, 1, 1, 1, 1, 3, 4, 4, 4, 5, 5, 5, 5, 6])
            }
            Self::Unknown => *random.pick(&[2, 6, 7, 0x10, 0x1f, 0x80, 0x82]),
        }
    }
}

impl Drawn {
    /// Whether the kernel takes the packet behind a header of zeros.
    pub(super) fn is_a_packet(&self) -> bool {
        match self.layer {
            Layer::Tap => self.packet.len() >= 14,
            Layer::Tun => self.packet.first().is_some_and(|first| matches!(first >> 4, 4 | 6)),
        }
    }

    pub(super) const fn format(&self) -> VnetFormat {
        VnetFormat::new(self.length, Endian::Native)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let format = self.format();
        let mut bytes = vec![0; format.length.bytes()];
        self.header.write(format, &mut bytes).expect("there is room for the header");
        bytes.extend(&self.packet);
        bytes
    }
}

impl fmt::Debug for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { layer, content, length, header, packet } = self;
        let start = &packet[..packet.len().min(128)];
        write!(f, "{layer:?}, {content:?}, {} bytes: {}\n{length:?}, {header:?}", packet.len(), hex(start))
    }
}

/// The next packet and its header, for a kernel with these rules.
pub(super) fn next(random: &mut Random, rules: &VnetRules) -> Drawn {
    let layer = *random.pick(&[Layer::Tun, Layer::Tap]);
    let content = *random.pick(&Content::ALL);
    // Types that are never taken prove little, and less often. A tunnel has more that may be wrong.
    let weights = Kind::ALL.map(|kind| match kind {
        _ if !kind.is_ever_taken(rules) => (1, kind),
        Kind::Tunnel => (8, kind),
        _ => (6, kind),
    });
    let kind = random.weighted(&weights).unwrap_or(Kind::Plain);
    let length = length(random, kind);
    let byte = kind.byte(random);
    let link = if layer == Layer::Tap { 14 } else { 0 };
    let (mut packet, mut network) = packet(random, content);
    let mut is_ipv6 = content.is_ipv6();
    let mut tunnel = [0; 2];
    if kind == Kind::Tunnel {
        is_ipv6 = byte & 0x40 != 0;
        let outer = outer_headers(is_ipv6, packet.len());
        // The kernel expects an Ethernet header also on a tun, so that the true offsets are refused there.
        let shift = if layer == Layer::Tun && random.one_of(5, 6) { 14 } else { 0 };
        tunnel = [link + shift + outer.len() - OUTER_TRANSPORT, link + shift + outer.len()];
        network += outer.len() + shift;
        packet = [outer, packet].concat();
    }
    if layer == Layer::Tap {
        let ether_type = if is_ipv6 { [0x86, 0xdd] } else { [8, 0] };
        packet = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 9], &ether_type, &packet].concat();
    }
    if random.one_of(1, 12) {
        packet.truncate(random.below(80));
    }
    let header = header(random, byte, link + network, packet.len());
    let [outer, inner] = tunnel.map(|at| if random.one_of(1, 16) { random.below(200) } else { at });
    let header = match length {
        VnetLength::Tunnel => header.with_tunnel_offsets(clamp(outer), clamp(inner)),
        _ => header,
    };
    // Without a checksum to complete, no tunnel is taken.
    let completes = kind == Kind::Tunnel && random.one_of(9, 10);
    let header = header.with_flags(header.flags() | u8::from(completes));
    Drawn { layer, content, length, header, packet }
}

/// The length of the header: for a tunnel mostly that which has its offsets.
fn length(random: &mut Random, kind: Kind) -> VnetLength {
    let is_long = kind == Kind::Tunnel && random.one_of(7, 8);
    if is_long { VnetLength::Tunnel } else { *random.pick(&VnetLength::ALL) }
}

/// The headers of UDP, VXLAN and Ethernet between an outer IP header and an inner one.
const OUTER_TRANSPORT: usize = 8 + 8 + 14;

/// What stands in front of a packet in a tunnel: IP, UDP, VXLAN and Ethernet.
fn outer_headers(is_ipv6: bool, inner: usize) -> Vec<u8> {
    let number = |length: usize| u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    let [high, low] = number(OUTER_TRANSPORT + inner);
    let mut headers = if is_ipv6 {
        let mut header = vec![0x60, 0, 0, 0, high, low, 17, 64];
        for last in [2, 1] {
            header.extend([0xfd, 0x99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        }
        header
    } else {
        let [high, low] = number(20 + OUTER_TRANSPORT + inner);
        [&[0x45, 0, high, low, 0, 0, 0, 0, 64, 17, 0, 0][..], &FAR, &NEAR].concat()
    };
    headers.extend([0x30, 0x39, 0x12, 0xb5, high, low, 0, 0, 8, 0, 0, 0, 0, 0, 7, 0]);
    headers.extend([2, 0, 0, 0, 0, 8, 2, 0, 0, 0, 0, 7, 8, 0]);
    headers
}

/// A packet, and the length of its network header.
fn packet(random: &mut Random, content: Content) -> (Vec<u8>, usize) {
    let length = match random.below(40) {
        0 => 60_000 + random.below(5_400),
        1..=12 => random.below(3_000),
        _ => random.below(120),
    };
    let payload = random.bytes(length);
    if content == Content::Noise {
        let version = *random.pick(&[0x40, 0x45, 0x60, 0x6f]);
        return ([&[version][..], &payload].concat(), *random.pick(&[20, 40]));
    }
    let [source, destination] = [4000_u16, 53].map(u16::to_be_bytes);
    let ports = [source, destination].concat();
    let transport = match content.protocol() {
        6 => [&ports[..], &[0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0, 100, 0, 0, 0, 0]].concat(),
        17 => {
            let length = u16::try_from(8 + payload.len()).unwrap_or(u16::MAX);
            [&ports[..], &length.to_be_bytes(), &[0, 0]].concat()
        }
        _ => Vec::new(),
    };
    let mut network = network_header(random, content, transport.len() + payload.len());
    // Lies, which the kernel does not look at here.
    if random.one_of(1, 10) {
        let at = random.below(network.len() - 1) + 1;
        network[at] = random.bytes(1)[0];
    }
    let length = network.len();
    ([network, transport, payload].concat(), length)
}

/// The header of IP, now and then with options or an extension header.
fn network_header(random: &mut Random, content: Content, payload: usize) -> Vec<u8> {
    let more = random.one_of(1, 8);
    let number = |length: usize| u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    let protocol = content.protocol();
    if content.is_ipv6() {
        // Destination options of eight bytes: padding.
        let extension = if more { vec![protocol, 0, 1, 4, 0, 0, 0, 0] } else { Vec::new() };
        let [high, low] = number(payload + extension.len());
        let mut header = vec![0x60, 0, 0, 0, high, low, if more { 60 } else { protocol }, 64];
        for last in [2, 1] {
            header.extend([0xfd, 0x99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        }
        return [header, extension].concat();
    }
    let options = if more { vec![1; 4] } else { Vec::new() };
    let [high, low] = number(20 + options.len() + payload);
    let first = if more { 0x46 } else { 0x45 };
    let header = [first, 0, high, low, 0, 0, 0, 0, 64, protocol, 0, 0];
    [&header[..], &FAR, &NEAR, &options].concat()
}

/// A header for a packet of this length whose transport begins at `transport`.
fn header(random: &mut Random, byte: u8, transport: usize, length: usize) -> VnetHeader {
    let natural_offset = if matches!(byte & 0x1f, 1 | 4) { 16 } else { 6 };
    let transport_header = if natural_offset == 16 { 20 } else { 8 };
    let near = |edge: usize, random: &mut Random| clamp((edge + random.below(5)).saturating_sub(2));
    let any = |random: &mut Random| clamp(random.below(65_536));
    let start = match random.below(12) {
        0 => near(*random.pick(&[14, 20, 34, 40, 54]), random),
        1 => near(length, random),
        2 => near(65_471, random),
        3 => any(random),
        _ => clamp(transport),
    };
    let offset = match random.below(12) {
        0 => *random.pick(&[0, 4, 6, 8, 14, 16, 18]),
        1 => near(length.saturating_sub(usize::from(start)), random),
        2 => any(random),
        _ => natural_offset,
    };
    let payload = length.saturating_sub(transport + transport_header);
    let size = match random.below(12) {
        0 => *random.pick(&[0, 1, 65_534, 65_535]),
        1 | 2 => near(payload / 128, random),
        3 => near(payload, random),
        4 => any(random),
        _ => *random.pick(&[100, 500, 1_000, 1_448]),
    };
    let header_length = match random.below(10) {
        0 => near(length, random),
        1 => near(*random.pick(&[2, 14]), random),
        2 => any(random),
        3..=5 => 0,
        _ => clamp(transport + transport_header),
    };
    // 1: a checksum is to be completed; 2: it was checked; 8: also that of a tunnel's own UDP.
    let flags = *random.pick(&[0, 0, 1, 1, 1, 1, 1, 1, 2, 3, 4, 9, 0x81]);
    let header = VnetHeader::default().with_checksum(start, offset).with_flags(flags).with_gso_byte(byte);
    header.with_segments(header.gso_type(), size).with_header_length(header_length)
}

fn clamp(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}
