//! The decoded view of a packet.

mod flow;
mod link;
mod protocol;
mod summary;

use core::fmt;
use core::net::IpAddr;

use etherparse::TcpHeaderSlice;

pub use self::flow::FlowKey;
use self::link::{Arp, Inside, Link, Tunnel};
pub use self::protocol::Protocol;
use crate::ip::Ip;
use crate::{EtherType, Layer, ParseError};

/// A decoded view of a packet, which borrows the bytes and copies none of them.
///
/// The view is lax: it decodes what it can, and the rest is [`payload`](Self::payload). A packet cut off by a
/// short buffer still has its addresses, and a packet that states more bytes than there are is decoded to the
/// end of the bytes. A header whose length field contradicts the header itself is not decoded; the
/// [summary](Self::summary) says so. Checksums are not verified.
///
/// ```
/// use tunctl_packet::{Layer, Packet, udp_packet};
///
/// let bytes = udp_packet("[fd77::1]:4000".parse()?, "[fd77::2]:53".parse()?, b"query")?;
/// let packet = Packet::parse(Layer::Tun, &bytes)?;
/// assert_eq!(packet.destination_port(), Some(53));
/// assert_eq!(packet.payload(), b"query");
/// assert_eq!(format!("{} {}", packet.protocol(), packet.summary()), "UDP length 5");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    bytes: &'a [u8],
    link: Option<Link>,
    ether_type: EtherType,
    /// The offset of the body, in bytes.
    network: usize,
    body: Body<'a>,
}

/// The packet behind the link header.
#[derive(Clone, Copy, Debug)]
enum Body<'a> {
    Ip(Ip<'a>),
    Arp(Arp),
    /// An unknown packet, or one too short for its type.
    Other(&'a [u8]),
}

impl<'a> Packet<'a> {
    /// Decodes a packet that was read from a device of this layer, without packet information or virtio-net
    /// header.
    ///
    /// # Errors
    ///
    /// Only if nothing can be decoded:
    ///
    /// - [`ParseError::Truncated`]: the packet ends within its first header (14 bytes of Ethernet on a TAP
    ///   device; 20 of IPv4, 40 of IPv6 on a TUN device).
    /// - [`ParseError::NotIp`]: on a TUN device, the IP version is neither 4 nor 6.
    pub fn parse(layer: Layer, bytes: &'a [u8]) -> Result<Packet<'a>, ParseError> {
        match layer {
            Layer::Tun => {
                let ip = Ip::parse(bytes)?;
                let ether_type = if ip.source.is_ipv4() { EtherType::IPV4 } else { EtherType::IPV6 };
                Ok(Packet { bytes, link: None, ether_type, network: 0, body: Body::Ip(ip) })
            }
            Layer::Tap => {
                let (link, Inside { ether_type, rest, offset }) = Link::parse(bytes)?;
                let body = Body::parse(ether_type, rest);
                Ok(Packet { bytes, link: Some(link), ether_type, network: offset, body })
            }
        }
    }

    /// The whole packet.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The number of bytes in the packet, whatever length its headers state.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Always false, because an empty packet has no view. It exists for symmetry with [`len`](Self::len).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The type of the frame behind any VLAN tags, and of an IP packet in a PPPoE session or behind MPLS
    /// labels; on a TUN device, the type that the IP version implies.
    #[must_use]
    pub fn ether_type(&self) -> EtherType {
        self.ether_type
    }

    /// The sender's MAC address; `None` on a TUN device.
    #[must_use]
    pub fn source_mac(&self) -> Option<[u8; 6]> {
        self.link.map(|link| link.source)
    }

    /// The receiver's MAC address, which may be a group's; `None` on a TUN device.
    #[must_use]
    pub fn destination_mac(&self) -> Option<[u8; 6]> {
        self.link.map(|link| link.destination)
    }

    /// The VLAN in the outermost tag of the frame, 0 to 4095.
    #[must_use]
    pub fn vlan_id(&self) -> Option<u16> {
        self.link.and_then(|link| link.vlan)
    }

    /// The sender's IP address; in an ARP message for IPv4, the sender's protocol address.
    #[must_use]
    pub fn source(&self) -> Option<IpAddr> {
        match &self.body {
            Body::Ip(ip) => Some(ip.source),
            Body::Arp(arp) => arp.sender.map(IpAddr::V4),
            Body::Other(_) => None,
        }
    }

    /// The receiver's IP address; in an ARP message for IPv4, the target's protocol address.
    #[must_use]
    pub fn destination(&self) -> Option<IpAddr> {
        match &self.body {
            Body::Ip(ip) => Some(ip.destination),
            Body::Arp(arp) => arp.target.map(IpAddr::V4),
            Body::Other(_) => None,
        }
    }

    /// The source port of TCP, UDP and SCTP. Later fragments have none.
    #[must_use]
    pub fn source_port(&self) -> Option<u16> {
        self.ports().map(|(source, _)| source)
    }

    /// The destination port of TCP, UDP and SCTP. Later fragments have none.
    #[must_use]
    pub fn destination_port(&self) -> Option<u16> {
        self.ports().map(|(_, destination)| destination)
    }

    /// The innermost protocol that is known.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        match &self.body {
            Body::Ip(ip) => Protocol::of_ip(ip.number.0, ip.source.is_ipv4()),
            Body::Arp(_) => Protocol::Arp,
            // A truncated ARP message is still one.
            Body::Other(_) if self.ether_type == EtherType::ARP => Protocol::Arp,
            Body::Other(_) => Protocol::OtherEther(self.ether_type),
        }
    }

    /// Whether the packet is a fragment of a datagram, also if it is the first one.
    ///
    /// An IPv6 packet whose fragment header covers the whole datagram (RFC 6946) is not a fragment.
    #[must_use]
    pub fn is_fragment(&self) -> bool {
        matches!(&self.body, Body::Ip(Ip { fragment: Some(_), .. }))
    }

    /// The IP header, with its options or extension headers as far as they could be decoded; `None` if the
    /// packet is not IP.
    ///
    /// In an Ethernet frame, it follows the header and all tags, also those of PPPoE and MPLS.
    #[must_use]
    #[doc(alias = "struct iphdr")]
    #[doc(alias = "struct ipv6hdr")]
    pub fn network_header(&self) -> Option<&'a [u8]> {
        self.bytes.get(self.network..self.network + self.ip()?.upper_offset)
    }

    /// The TCP header with its options, the common header of SCTP, of 12 bytes, or the eight bytes of a UDP,
    /// ICMP, ICMPv6 or IGMP header.
    ///
    /// `None` if the packet has none of these, or the header is cut off or in another fragment.
    #[must_use]
    #[doc(alias = "struct tcphdr")]
    #[doc(alias = "struct udphdr")]
    pub fn transport_header(&self) -> Option<&'a [u8]> {
        let transport = self.transport()?;
        match self.protocol() {
            Protocol::Tcp => Some(TcpHeaderSlice::from_slice(transport).ok()?.slice()),
            Protocol::Udp | Protocol::Icmp | Protocol::Icmpv6 | Protocol::Igmp => transport.get(..8),
            Protocol::Sctp => transport.get(..12),
            _ => None,
        }
    }

    /// The bytes behind the last decoded header; empty if there are none.
    ///
    /// The headers of ICMP, ICMPv6 and IGMP count 8 bytes. Bytes beyond the lengths in the headers, such as
    /// the padding of an Ethernet frame, are not payload.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        match &self.body {
            Body::Ip(ip) => self.transport_payload().unwrap_or(ip.upper),
            Body::Arp(_) => &[],
            Body::Other(rest) => rest,
        }
    }

    /// One short line about the packet, as a sniffer prints behind the addresses and the protocol; never
    /// empty.
    ///
    /// `echo request id 7 seq 1`, `neighbor solicitation for fd77::2`, `[SYN] seq 1 win 64240`, `who-has
    /// 10.0.0.2 tell 10.0.0.1`, `length 5`, `fragment at 1480`. The text is for people and may change.
    #[must_use]
    pub fn summary(&self) -> impl fmt::Display + '_ {
        summary::Summary(self)
    }

    pub(crate) fn ip(&self) -> Option<&Ip<'a>> {
        match &self.body {
            Body::Ip(ip) => Some(ip),
            Body::Arp(_) | Body::Other(_) => None,
        }
    }

    /// What the IP packet of a frame is in.
    fn tunnel(&self) -> Option<Tunnel> {
        self.link?.tunnel
    }

    /// Whether the IP packet does not follow right behind the tags of its frame.
    pub(crate) fn is_in_tunnel(&self) -> bool {
        self.tunnel().is_some()
    }

    /// The offset of the IP header, in bytes.
    pub(crate) fn network_offset(&self) -> usize {
        self.network
    }

    /// The transport's header and the bytes behind it, unless the header is cut off or in another fragment.
    fn transport(&self) -> Option<&'a [u8]> {
        self.ip()?.transport()
    }

    fn ports(&self) -> Option<(u16, u16)> {
        if !self.protocol().has_ports() {
            return None;
        }
        let &[s0, s1, d0, d1] = self.transport()?.first_chunk()?;
        Some((u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])))
    }

    fn transport_payload(&self) -> Option<&'a [u8]> {
        let (transport, header) = (self.transport()?, self.transport_header()?);
        if let (Protocol::Udp, &[_, _, _, _, l0, l1, _, _]) = (self.protocol(), header) {
            // If the length is impossible, the packet is a jumbogram, is incomplete for offload, or is cut
            // off.
            let stated = usize::from(u16::from_be_bytes([l0, l1]));
            if let Some(payload) = transport.get(header.len()..stated) {
                return Some(payload);
            }
        }
        transport.get(header.len()..)
    }
}

impl<'a> Body<'a> {
    fn parse(ether_type: EtherType, rest: &'a [u8]) -> Body<'a> {
        let known = match ether_type {
            EtherType::ARP => Arp::parse(rest).map(Body::Arp),
            // No host accepts a packet whose version contradicts the type.
            EtherType::IPV4 | EtherType::IPV6 if EtherType::of_ip(rest) == Some(ether_type) => {
                Ip::parse(rest).map(Body::Ip).ok()
            }
            _ => None,
        };
        known.unwrap_or(Body::Other(rest))
    }
}
