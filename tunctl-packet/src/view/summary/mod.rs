//! The summary of a packet, on one line.

mod icmp;
mod icmpv6;

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use etherparse::{TcpHeaderSlice, ip_number};

use super::{Arp, Body, Packet, Protocol, Tunnel};
use crate::ip::Ip;
use crate::{EtherType, Layer, ParseError};

/// The text that [`Packet::summary`] returns.
pub(super) struct Summary<'p>(pub(super) &'p Packet<'p>);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let packet = self.0;
        if let Some(vlan) = packet.vlan_id() {
            write!(f, "vlan {vlan}, ")?;
        }
        match packet.tunnel() {
            Some(Tunnel::Pppoe(session)) => write!(f, "pppoe {session}, ")?,
            Some(Tunnel::Mpls(label)) => write!(f, "mpls {label}, ")?,
            None => {}
        }
        match &packet.body {
            Body::Ip(ip) => write_ip(f, packet, ip),
            Body::Arp(arp) => write_arp(f, arp),
            Body::Other(rest) => write_other(f, packet.ether_type, rest),
        }
    }
}

fn write_ip(f: &mut fmt::Formatter<'_>, packet: &Packet<'_>, ip: &Ip<'_>) -> fmt::Result {
    let Some(transport) = ip.transport() else {
        return match (ip.fragment, ip.fault) {
            (Some(fragment), _) if fragment.offset != 0 => write!(f, "fragment at {}", fragment.offset),
            (_, Some(ParseError::Length { header, stated })) => write!(f, "bad {header} length {stated}"),
            _ => f.write_str("headers cut off"),
        };
    };
    match write_transport(f, packet, transport)? {
        Written::Yes => {}
        Written::TooShort => write!(f, "header cut off, length {}", transport.len())?,
    }
    match ip.fragment {
        Some(_) => f.write_str(", fragment at 0"),
        None => Ok(()),
    }
}

/// Whether the header was long enough for a summary; if not, nothing is written.
enum Written {
    Yes,
    TooShort,
}

fn write_transport(
    f: &mut fmt::Formatter<'_>,
    packet: &Packet<'_>,
    transport: &[u8],
) -> Result<Written, fmt::Error> {
    match packet.protocol() {
        Protocol::Tcp => {
            let Ok(header) = TcpHeaderSlice::from_slice(transport) else {
                let Some(Err(ParseError::Length { header, stated })) = packet.ip().map(Ip::tcp_header) else {
                    return Ok(Written::TooShort);
                };
                write!(f, "bad {header} length {stated}")?;
                return Ok(Written::Yes);
            };
            write_tcp(f, &header, packet.payload().len())?;
        }
        protocol @ (Protocol::Udp | Protocol::Icmp | Protocol::Icmpv6 | Protocol::Igmp) => {
            let Some(header) = transport.first_chunk::<8>() else {
                return Ok(Written::TooShort);
            };
            match protocol {
                Protocol::Udp => write_udp(f, header, packet.payload().len())?,
                Protocol::Icmp => icmp::write(f, header, packet.payload())?,
                Protocol::Icmpv6 => icmpv6::write(f, header, packet.payload())?,
                _ => write_igmp(f, header)?,
            }
        }
        Protocol::Sctp => match packet.transport_header() {
            Some(_) => write!(f, "length {}", packet.payload().len())?,
            None => return Ok(Written::TooShort),
        },
        Protocol::OtherIp(number) if number == ip_number::IPV6_NO_NEXT_HEADER.0 => {
            f.write_str("no next header")?;
        }
        _ => write!(f, "length {}", transport.len())?,
    }
    Ok(Written::Yes)
}

fn write_tcp(f: &mut fmt::Formatter<'_>, header: &TcpHeaderSlice<'_>, length: usize) -> fmt::Result {
    let flags = [
        (header.syn(), "SYN"),
        (header.fin(), "FIN"),
        (header.rst(), "RST"),
        (header.psh(), "PSH"),
        (header.ack(), "ACK"),
        (header.urg(), "URG"),
        (header.ece(), "ECE"),
        (header.cwr(), "CWR"),
    ];
    let mut separator = "[";
    for (_, name) in flags.into_iter().filter(|(set, _)| *set) {
        write!(f, "{separator}{name}")?;
        separator = ", ";
    }
    if separator == "[" {
        f.write_str("[none")?;
    }
    write!(f, "] seq {}", header.sequence_number())?;
    if header.ack() {
        write!(f, " ack {}", header.acknowledgment_number())?;
    }
    write!(f, " win {}", header.window_size())?;
    if length > 0 {
        write!(f, " length {length}")?;
    }
    Ok(())
}

fn write_udp(f: &mut fmt::Formatter<'_>, header: &[u8; 8], available: usize) -> fmt::Result {
    // The stated length counts the whole datagram, also if part of it is cut off or in other fragments.
    let &[_, _, _, _, l0, l1, _, _] = header;
    match usize::from(u16::from_be_bytes([l0, l1])) {
        // A jumbogram (RFC 2675), or a datagram whose length field the hardware was to fill in.
        0 => write!(f, "length {available}"),
        stated @ 1..8 => write!(f, "bad UDP datagram length {stated}"),
        stated => write!(f, "length {}", stated - 8),
    }
}

fn write_igmp(f: &mut fmt::Formatter<'_>, header: &[u8; 8]) -> fmt::Result {
    let &[kind, _, _, _, g0, g1, g2, g3] = header;
    let group = Ipv4Addr::new(g0, g1, g2, g3);
    match kind {
        0x11 if group.is_unspecified() => f.write_str("membership query"),
        0x11 => write!(f, "membership query for {group}"),
        0x12 => write!(f, "membership report v1 for {group}"),
        0x16 => write!(f, "membership report v2 for {group}"),
        0x17 => write!(f, "leave group {group}"),
        0x22 => f.write_str("membership report v3"),
        _ => write!(f, "type {kind}"),
    }
}

fn write_arp(f: &mut fmt::Formatter<'_>, arp: &Arp) -> fmt::Result {
    match (arp.operation, arp.sender, arp.target) {
        (1, Some(sender), Some(target)) if sender.is_unspecified() => write!(f, "who-has {target} (probe)"),
        (1, Some(sender), Some(target)) if sender == target => write!(f, "announcement of {sender}"),
        (1, Some(sender), Some(target)) => write!(f, "who-has {target} tell {sender}"),
        (2, Some(sender), _) => match arp.sender_mac {
            Some(mac) => write!(f, "{sender} is-at {}", Mac(mac)),
            None => write!(f, "{sender} is-at an address that is no MAC"),
        },
        (operation, ..) => write!(f, "operation {operation}"),
    }
}

fn write_other(f: &mut fmt::Formatter<'_>, ether_type: EtherType, rest: &[u8]) -> fmt::Result {
    match ether_type {
        EtherType::ARP | EtherType::IPV4 | EtherType::IPV6 => {
            write!(f, "no {ether_type} header, length {}", rest.len())
        }
        EtherType(length) if ether_type < EtherType::MIN => write!(f, "802.3 length {length}"),
        _ => write!(f, "length {}", rest.len()),
    }
}

/// Writes the destination of the packet that an ICMP error quotes; nothing if the quote cannot be decoded.
fn write_quoted(f: &mut fmt::Formatter<'_>, quoted: &[u8]) -> fmt::Result {
    let Ok(packet) = Packet::parse(Layer::Tun, quoted) else {
        return Ok(());
    };
    match (packet.destination(), packet.destination_port()) {
        (Some(address), Some(port)) => {
            write!(f, " for {} {}", packet.protocol(), SocketAddr::new(address, port))
        }
        (Some(address), None) => write!(f, " for {} {address}", packet.protocol()),
        (None, _) => Ok(()),
    }
}

/// Writes an echo message. Its types differ between ICMP and ICMPv6, and its fields do not.
fn write_echo(f: &mut fmt::Formatter<'_>, what: &str, header: &[u8; 8]) -> fmt::Result {
    let &[_, _, _, _, i0, i1, s0, s1] = header;
    let [identifier, sequence] = [[i0, i1], [s0, s1]].map(u16::from_be_bytes);
    write!(f, "echo {what} id {identifier} seq {sequence}")
}

/// Formats a MAC address with colons.
struct Mac([u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// The IPv6 address that the bytes begin with.
fn leading_ipv6(bytes: &[u8]) -> Option<IpAddr> {
    bytes.first_chunk::<16>().map(|octets| IpAddr::from(*octets))
}
