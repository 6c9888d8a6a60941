//! Random UDP tunnels around packets that stand for several.

use tunctl_packet::header::{GsoMismatch, GsoType};
use tunctl_packet::offload::{Segments, SplitError, sum};
use tunctl_packet::{Layer, Protocol};

use crate::differential::random::Random;
use crate::oracle::draw::{Drawing, Large, folded};
use crate::oracle::kernel::is_tunneled;

/// What at least one packet in a hundred of those that are cut has, where the kernel has tunnels.
pub(crate) const PROPERTIES: [&str; 13] = [
    "tunnel",
    "tunnel over IPv4",
    "tunnel over IPv6",
    "tunnel behind options",
    "tunnel behind a tag",
    "IP in a tunnel",
    "Ethernet in a tunnel",
    "UDP in a tunnel",
    "outer checksum",
    "no outer checksum",
    "outer checksum as it is",
    "outer checksum of zero",
    "options of a tunnel",
];

/// What at least one packet in a hundred of those that are refused has, where the kernel has tunnels.
pub(crate) const FAULTS: [&str; 2] = ["tunnel", "offsets of a tunnel"];

/// The flag and the types of a tunnel.
const CHECKSUM: u8 = 8;
const OVER_V4: u8 = 0x20;
const OVER_V6: u8 = 0x40;
/// As long as the header of VXLAN, or of Geneve without options.
const HEADER: usize = 8;

/// Puts a packet into a tunnel: a frame, or the packet of a tun.
pub(crate) fn wrap(inner: Large, random: &mut Random) -> Large {
    let mut outer = Drawing { v6: random.one_of(1, 2), tcp: false, properties: Vec::new() };
    let network = outer.network(random);
    let layer = if random.one_of(1, 4) { Layer::Tun } else { Layer::Tap };
    let link = if layer == Layer::Tap { outer.link(random) } else { Vec::new() };
    let options = if random.one_of(1, 2) { random.below(17) * 4 } else { 0 };
    // No tunnel has a header of odd length, and nothing forbids it.
    let odd = usize::from(random.one_of(1, 16));
    let transport = link.len() + network.len();
    let base = transport + 8 + HEADER + options + odd;
    let mut packet = [link.clone(), network, outer.transport(random)].concat();
    packet.extend(random.bytes(base - packet.len()));
    packet.extend(&inner.packet);
    outer.finish(&mut packet, link.len(), transport);

    let mut properties = inner.properties.clone();
    properties.retain(|property| !["tun", "tap"].contains(property));
    let mut has = |property, holds| {
        if holds {
            properties.push(property);
        }
    };
    has("tunnel", true);
    has(if outer.v6 { "tunnel over IPv6" } else { "tunnel over IPv4" }, true);
    let is_behind = |what| outer.properties.contains(&what);
    has("tunnel behind options", is_behind("IPv4 options") || is_behind("extension headers"));
    has("tunnel behind a tag", is_behind("VLAN"));
    has(if inner.layer == Layer::Tap { "Ethernet in a tunnel" } else { "IP in a tunnel" }, true);
    has("UDP in a tunnel", inner.has("UDP"));
    has("options of a tunnel", options > 0);
    has("odd tunnel", odd > 0);
    has(if layer == Layer::Tap { "tap" } else { "tun" }, true);

    let mut flags = inner.header.flags();
    match random.below(4) {
        0 | 1 => {
            flags |= CHECKSUM;
            has("outer checksum", true);
        }
        2 => {
            packet[transport + 6..transport + 8].fill(0);
            has("no outer checksum", true);
        }
        _ => has("outer checksum as it is", true),
    }
    let half = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    let (start, offset) = inner.header.needs_checksum().unwrap_or_default();
    let header = inner
        .header
        .with_checksum(half(base + usize::from(start)), offset)
        .with_flags(flags)
        .with_header_length(half(base + usize::from(inner.header.header_length())))
        .with_gso_byte(inner.header.gso_byte() | if outer.v6 { OVER_V6 } else { OVER_V4 })
        .with_tunnel_offsets(half(transport), half(base + network_offset(&inner)));
    let mut large = Large { layer, header, packet, properties, outer_transport: half(transport) };
    if flags & CHECKSUM != 0 && random.one_of(1, 4) {
        sum_up_to_zero(&mut large, transport);
    }
    large
}

/// Whether the kernel does not look at what is wrong.
///
/// As it cuts, it asks the packet alone where the outer transport begins, and which one it is
/// (`inet_gso_segment`, `ipv6_gso_segment`, Linux 6.18): GRE passes for a tunnel of UDP's
/// (`gre_gso_segment`). It asks the header alone which version of IP is in the tunnel
/// (`skb_udp_tunnel_segment`).
pub(crate) fn is_refused_by_us_alone(large: &Large, error: &SplitError) -> bool {
    if !is_tunneled(&large.header) {
        return false;
    }
    let (outer, inner) = large.header.tunnel_offsets();
    let version = large.packet.get(usize::from(inner)).map_or(0, |first| first >> 4);
    let is_version = match large.header.gso_type() {
        GsoType::TcpV4 => version == 4,
        GsoType::TcpV6 => version == 6,
        _ => matches!(version, 4 | 6),
    };
    let is_spoilt = ["offsets of a tunnel", "bytes changed", "cut off"].iter().any(|what| large.has(what));
    let is_misplaced = matches!(error, SplitError::UdpTunnel(GsoMismatch::TunnelPlace { .. }));
    let is_gre = matches!(error, SplitError::Protocol { protocol: Protocol::Gre, .. });
    !is_version || outer != large.outer_transport || is_spoilt && (is_misplaced || is_gre)
}

/// Whether the header is one that the kernel hands out with a tag in the frame, which it has not added to the
/// two offsets (`tun_put_user`, `virtio_net_hdr_tnl_from_skb`, Linux 6.18). What it takes has the true ones.
pub(crate) fn lacks_a_tag(large: &Large) -> bool {
    let (outer, _) = large.header.tunnel_offsets();
    is_tunneled(&large.header) && outer.wrapping_add(4) == large.outer_transport
}

/// Whether the header is one that the kernel hands out with packets that are not cut
/// (`virtio_net_hdr_tnl_from_skb`, Linux 6.18), but does not take (`virtio_net_hdr_tnl_to_skb`).
pub(crate) fn is_plain(large: &Large) -> bool {
    is_tunneled(&large.header) && large.header.gso_type() == GsoType::None
}

/// Where an outer checksum is that the kernel gets wrong. It adds up the headers of the tunnel, and to that
/// the inner sum, whose bytes change places behind an odd number of them (`gso_make_checksum`, Linux 6.18).
pub(crate) fn wrong_checksum(large: &Large) -> Option<usize> {
    let (transport, _) = large.header.tunnel_offsets();
    let (start, _) = large.header.needs_checksum()?;
    let is_made = is_tunneled(&large.header) && large.header.needs_tunnel_checksum();
    (is_made && start.wrapping_sub(transport) % 2 == 1).then_some(usize::from(transport) + 6)
}

/// Where the IP header is.
fn network_offset(large: &Large) -> usize {
    if large.layer == Layer::Tun {
        return 0;
    }
    let tags = large.packet[12..].chunks(4).take_while(|tag| tag[..2] == [0x81, 0]);
    14 + 4 * tags.count()
}

/// Changes the outer source port so that the outer checksum of the first segment is zero.
fn sum_up_to_zero(large: &mut Large, transport: usize) {
    let mut packet = large.packet.clone();
    let Ok(mut segments) = Segments::new(&large.header, large.layer, &mut packet, sum) else { return };
    if segments.left() < 2 {
        return;
    }
    let Some(first) = segments.next() else { return };
    let [port, checksum] = [transport, transport + 6].map(|at| &first[at..at + 2]);
    let port = folded(&[port, checksum].concat());
    large.packet[transport..transport + 2].copy_from_slice(&port.to_be_bytes());
    large.properties.push("outer checksum of zero");
}

/// Makes something wrong with the tunnel.
pub(crate) fn spoil(large: &mut Large, random: &mut Random) {
    let header = large.header;
    let (outer, inner) = header.tunnel_offsets();
    let near = |offset: u16, random: &mut Random| {
        let by = u16::try_from(random.below(81)).unwrap_or_default();
        offset.wrapping_add(by).wrapping_sub(40)
    };
    large.header = match random.below(6) {
        0 => header.with_tunnel_offsets(near(outer, random), inner),
        1 => header.with_tunnel_offsets(outer, near(inner, random)),
        2 => header.with_tunnel_offsets(near(outer, random), near(inner, random)),
        3 => header.with_gso_byte(header.gso_byte() ^ (OVER_V4 | OVER_V6)),
        4 => header.with_gso_byte(header.gso_byte() | OVER_V4 | OVER_V6),
        _ => header.with_flags(header.flags() ^ CHECKSUM),
    };
    large.properties.push("offsets of a tunnel");
}
