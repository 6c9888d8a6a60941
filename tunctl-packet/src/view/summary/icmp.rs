//! ICMP for IPv4.

use core::fmt;
use core::net::Ipv4Addr;

use etherparse::icmpv4::{
    TYPE_ADDRESS, TYPE_ADDRESSREPLY, TYPE_DEST_UNREACH, TYPE_ECHO_REPLY, TYPE_ECHO_REQUEST,
    TYPE_PARAMETER_PROBLEM, TYPE_REDIRECT, TYPE_ROUTER_ADVERTISEMENT, TYPE_ROUTER_SOLICITATION,
    TYPE_SOURCE_QUENCH, TYPE_TIME_EXCEEDED, TYPE_TIMESTAMP, TYPE_TIMESTAMP_REPLY,
};

use super::{write_echo, write_quoted};

pub(super) fn write(f: &mut fmt::Formatter<'_>, header: &[u8; 8], payload: &[u8]) -> fmt::Result {
    let &[kind, code, _, _, b4, b5, b6, b7] = header;
    match (kind, code) {
        (TYPE_ECHO_REQUEST, 0) => write_echo(f, "request", header),
        (TYPE_ECHO_REPLY, 0) => write_echo(f, "reply", header),
        (TYPE_DEST_UNREACH, _) => {
            write_unreachable(f, code, u16::from_be_bytes([b6, b7]))?;
            write_quoted(f, payload)
        }
        (TYPE_TIME_EXCEEDED, 0) => {
            f.write_str("time exceeded in transit")?;
            write_quoted(f, payload)
        }
        (TYPE_TIME_EXCEEDED, 1) => {
            f.write_str("reassembly time exceeded")?;
            write_quoted(f, payload)
        }
        (TYPE_REDIRECT, _) => {
            write!(f, "redirect to {}", Ipv4Addr::new(b4, b5, b6, b7))?;
            write_quoted(f, payload)
        }
        (TYPE_PARAMETER_PROBLEM, 0) => write!(f, "parameter problem at byte {b4}"),
        (TYPE_PARAMETER_PROBLEM, 1) => f.write_str("parameter problem, required option missing"),
        (TYPE_PARAMETER_PROBLEM, 2) => f.write_str("parameter problem, bad length"),
        (TYPE_SOURCE_QUENCH, 0) => f.write_str("source quench"),
        (TYPE_TIMESTAMP, 0) => f.write_str("timestamp request"),
        (TYPE_TIMESTAMP_REPLY, 0) => f.write_str("timestamp reply"),
        (TYPE_ADDRESS, 0) => f.write_str("address mask request"),
        (TYPE_ADDRESSREPLY, 0) => f.write_str("address mask reply"),
        (TYPE_ROUTER_SOLICITATION, 0) => f.write_str("router solicitation"),
        (TYPE_ROUTER_ADVERTISEMENT, _) => f.write_str("router advertisement"),
        _ => write!(f, "type {kind} code {code}"),
    }
}

fn write_unreachable(f: &mut fmt::Formatter<'_>, code: u8, mtu: u16) -> fmt::Result {
    match code {
        0 => f.write_str("network unreachable"),
        1 => f.write_str("host unreachable"),
        2 => f.write_str("protocol unreachable"),
        3 => f.write_str("port unreachable"),
        4 => write!(f, "fragmentation needed, mtu {mtu}"),
        5 => f.write_str("source route failed"),
        6 => f.write_str("network unknown"),
        7 => f.write_str("host unknown"),
        8 => f.write_str("source host isolated"),
        9 => f.write_str("network prohibited"),
        10 => f.write_str("host prohibited"),
        11 => f.write_str("network unreachable for type of service"),
        12 => f.write_str("host unreachable for type of service"),
        13 => f.write_str("administratively prohibited"),
        14 => f.write_str("host precedence violation"),
        15 => f.write_str("precedence cutoff"),
        _ => write!(f, "unreachable, code {code}"),
    }
}
