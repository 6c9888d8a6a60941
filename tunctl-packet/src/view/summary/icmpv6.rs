//! ICMP for IPv6, with neighbor discovery (RFC 4861) and multicast listener discovery (RFC 2710, RFC 3810).

use core::fmt;
use core::net::IpAddr;

use etherparse::icmpv6::{
    TYPE_DST_UNREACH, TYPE_ECHO_REPLY, TYPE_ECHO_REQUEST, TYPE_MULTICAST_LISTENER_QUERY,
    TYPE_MULTICAST_LISTENER_REDUCTION, TYPE_MULTICAST_LISTENER_REPORT, TYPE_NEIGHBOR_ADVERTISEMENT,
    TYPE_NEIGHBOR_SOLICITATION, TYPE_PACKET_TOO_BIG, TYPE_PARAMETER_PROBLEM, TYPE_REDIRECT_MESSAGE,
    TYPE_ROUTER_ADVERTISEMENT, TYPE_ROUTER_SOLICITATION, TYPE_TIME_EXCEEDED,
};

use super::{leading_ipv6, write_echo, write_quoted};

/// Version 2 of the report (RFC 3810). Etherparse has no name for it.
const TYPE_MULTICAST_LISTENER_REPORT_V2: u8 = 143;

pub(super) fn write(f: &mut fmt::Formatter<'_>, header: &[u8; 8], payload: &[u8]) -> fmt::Result {
    let &[kind, code, _, _, b4, b5, b6, b7] = header;
    let word = u32::from_be_bytes([b4, b5, b6, b7]);
    match (kind, code) {
        (TYPE_ECHO_REQUEST, 0) => write_echo(f, "request", header),
        (TYPE_ECHO_REPLY, 0) => write_echo(f, "reply", header),
        (TYPE_ROUTER_SOLICITATION, 0) => f.write_str("router solicitation"),
        (TYPE_ROUTER_ADVERTISEMENT, 0) => f.write_str("router advertisement"),
        (TYPE_NEIGHBOR_SOLICITATION, 0) => write_for(f, "neighbor solicitation", leading_ipv6(payload)),
        (TYPE_NEIGHBOR_ADVERTISEMENT, 0) => write_for(f, "neighbor advertisement", leading_ipv6(payload)),
        (TYPE_REDIRECT_MESSAGE, 0) => {
            // The better first hop comes first, then the destination that it is better for.
            f.write_str("redirect")?;
            if let Some(hop) = leading_ipv6(payload) {
                write!(f, " to {hop}")?;
            }
            write_for(f, "", payload.get(16..).and_then(leading_ipv6))
        }
        (TYPE_MULTICAST_LISTENER_QUERY, 0) => {
            let group = leading_ipv6(payload).filter(|group| !group.is_unspecified());
            write_for(f, "multicast listener query", group)
        }
        (TYPE_MULTICAST_LISTENER_REPORT, 0) => {
            write_for(f, "multicast listener report", leading_ipv6(payload))
        }
        (TYPE_MULTICAST_LISTENER_REDUCTION, 0) => {
            write_for(f, "multicast listener done", leading_ipv6(payload))
        }
        (TYPE_MULTICAST_LISTENER_REPORT_V2, _) => f.write_str("multicast listener report"),
        _ => write_error(f, kind, code, word, payload),
    }
}

fn write_error(f: &mut fmt::Formatter<'_>, kind: u8, code: u8, word: u32, payload: &[u8]) -> fmt::Result {
    match (kind, code) {
        (TYPE_DST_UNREACH, 0) => f.write_str("no route to destination")?,
        (TYPE_DST_UNREACH, 1) => f.write_str("administratively prohibited")?,
        (TYPE_DST_UNREACH, 2) => f.write_str("beyond scope of source address")?,
        (TYPE_DST_UNREACH, 3) => f.write_str("address unreachable")?,
        (TYPE_DST_UNREACH, 4) => f.write_str("port unreachable")?,
        (TYPE_DST_UNREACH, 5) => f.write_str("source address failed policy")?,
        (TYPE_DST_UNREACH, 6) => f.write_str("route rejected")?,
        (TYPE_DST_UNREACH, _) => write!(f, "unreachable, code {code}")?,
        (TYPE_PACKET_TOO_BIG, _) => write!(f, "packet too big, mtu {word}")?,
        (TYPE_TIME_EXCEEDED, 0) => f.write_str("time exceeded in transit")?,
        (TYPE_TIME_EXCEEDED, 1) => f.write_str("reassembly time exceeded")?,
        (TYPE_PARAMETER_PROBLEM, 1) => write!(f, "unknown next header at byte {word}")?,
        (TYPE_PARAMETER_PROBLEM, 2) => write!(f, "unknown option at byte {word}")?,
        (TYPE_PARAMETER_PROBLEM, _) => write!(f, "parameter problem at byte {word}")?,
        _ => return write!(f, "type {kind} code {code}"),
    }
    write_quoted(f, payload)
}

fn write_for(f: &mut fmt::Formatter<'_>, what: &str, address: Option<IpAddr>) -> fmt::Result {
    f.write_str(what)?;
    match address {
        Some(address) => write!(f, " for {address}"),
        None => Ok(()),
    }
}
