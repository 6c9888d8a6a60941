//! The routes of allowed addresses, to be printed or set, and the MTU that the way to the peers leaves.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::{fs, io};

use ip_network::IpNetwork;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage::{self, DelRule, GetRoute, NewRoute, NewRule};
use netlink_packet_route::route::{RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};
use nix::libc::RT_TABLE_MAIN;
use nix::net::if_::if_indextoname;
use nix::sys::socket::{self, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType};
use tunctl::InterfaceAddress;
use tunctl_vpn::config::Config;

/// The headers of IPv6, UDP and the protocol, and the seal.
const OVERHEAD: u32 = 40 + 8 + 16 + 16;
const USUAL_MTU: u32 = 1500;

/// A change to the system's routing: as ip(8) would do it, and for the kernel.
pub(crate) type Step = (String, RouteNetlinkMessage);

/// The mark of what the socket sends: wg-quick's, if there is a default route to set and the file has none.
pub(crate) fn mark(config: &Config, sets_routes: bool) -> u32 {
    let mut networks = config.peers.iter().flat_map(|peer| &peer.allowed_ips);
    match config.mark {
        0 if sets_routes && networks.any(|network| network.netmask() == 0) => 51_820,
        mark => mark,
    }
}

/// The steps that route what is allowed to the interface of that name and index, to be set or only printed.
///
/// A default route is in a table of its own, into which packets with the mark do not look: those to the peer
/// would go to the peer again. The other routes of the main table hold before it.
pub(crate) fn plan(config: &Config, is_set: bool, name: &str, index: u32) -> Result<Vec<Step>, String> {
    let (mut steps, mark) = (Vec::new(), mark(config, true));
    for network in config.peers.iter().flat_map(|peer| &peer.allowed_ips) {
        let is_inside = |endpoint: &SocketAddr| network.contains(endpoint.ip());
        let endpoint = config.peers.iter().filter_map(|peer| peer.endpoint).find(is_inside);
        if let (true, Some(endpoint), 1..) = (is_set, endpoint, network.netmask()) {
            return Err(format!(
                "AllowedIPs {network} contains the endpoint {endpoint}, so that its packets would go into the tunnel for \
                 ever. Exclude it, or allow 0.0.0.0/0 or ::/0, which is routed by a mark"
            ));
        }
        let (ip, main) = (network.network_address(), u32::from(RT_TABLE_MAIN));
        let is_default = network.netmask() == 0;
        let table = if is_default { mark } else { main };
        // The kernel has the route of an address by itself.
        let is_own = |own: &InterfaceAddress| {
            IpNetwork::new_truncate(own.address(), own.prefix_length()) == Ok(*network)
        };
        if !config.addresses.iter().any(is_own) {
            let command = format!("ip route add {network} dev {name} table {table}");
            steps.push((command, NewRoute(route(*network, table, index))));
        }
        if is_default {
            let command = if ip.is_ipv4() { "ip -4 rule add" } else { "ip -6 rule add" };
            let unmarked = rule(ip, mark, RuleFlags::Invert, RuleAttribute::FwMark(mark));
            steps.push((format!("{command} not fwmark {mark} table {mark}"), NewRule(unmarked)));
            let nearer = rule(ip, main, RuleFlags::empty(), RuleAttribute::SuppressPrefixLen(0));
            steps.push((format!("{command} table main suppress_prefixlength 0"), NewRule(nearer)));
        }
    }
    Ok(steps)
}

/// Rules that were set, which are removed when this is dropped. Routes end with their interface.
#[derive(Default)]
pub(crate) struct Routing(Vec<RuleMessage>);

impl Routing {
    /// Takes the steps.
    pub(crate) fn set(steps: &[Step]) -> Result<Self, String> {
        let mut routing = Self::default();
        for (command, message) in steps {
            match (ask(message.clone(), NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL), message) {
                (Ok(_), NewRule(rule)) => routing.0.push(rule.clone()),
                // Another program has set it, and will remove it.
                (Err(error), NewRule(_)) if error.kind() == io::ErrorKind::AlreadyExists => {}
                (outcome, _) => drop(outcome.map_err(|error| format!("{command}: {error}"))?),
            }
        }
        Ok(routing)
    }
}

impl Drop for Routing {
    fn drop(&mut self) {
        for rule in self.0.drain(..) {
            if let Err(error) = ask(DelRule(rule), NLM_F_ACK) {
                eprintln!("tunctl-vpn: a rule of routing stays, see `ip rule`: {error}");
            }
        }
    }
}

/// The MTU that leaves room for our headers, on the way to each peer as the routes are now.
pub(crate) fn inner_mtu(config: &Config) -> u32 {
    let outer = config.peers.iter().filter_map(|peer| outer_mtu(peer.endpoint?.ip()));
    outer.min().unwrap_or(USUAL_MTU).saturating_sub(OVERHEAD).max(576)
}

/// That of the interface towards the peer. `None`: there is no way yet.
fn outer_mtu(to: IpAddr) -> Option<u32> {
    let host = if to.is_ipv4() { 32 } else { 128 };
    let mut question = route(IpNetwork::new(to, host).ok()?, 0, 0);
    question.attributes.retain(|attribute| matches!(attribute, RouteAttribute::Destination(_)));
    let Some(NewRoute(way)) = ask(GetRoute(question), 0).ok()? else { return None };
    let name = way.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => if_indextoname(*index).ok(),
        _ => None,
    })?;
    fs::read_to_string(format!("/sys/class/net/{}/mtu", name.to_str().ok()?)).ok()?.trim().parse().ok()
}

fn route(network: IpNetwork, table: u32, index: u32) -> RouteMessage {
    let (mut message, ip) = (RouteMessage::default(), network.network_address());
    message.header.address_family = family(ip);
    message.header.destination_prefix_length = network.netmask();
    message.header.protocol = RouteProtocol::Boot;
    message.header.scope = if ip.is_ipv4() { RouteScope::Link } else { RouteScope::Universe };
    message.header.kind = RouteType::Unicast;
    let to = RouteAttribute::Destination(ip.into());
    message.attributes = vec![to, RouteAttribute::Oif(index), RouteAttribute::Table(table)];
    message
}

fn rule(ip: IpAddr, table: u32, flags: RuleFlags, what: RuleAttribute) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = family(ip);
    message.header.action = RuleAction::ToTable;
    message.header.flags = flags;
    message.attributes = vec![RuleAttribute::Table(table), what];
    message
}

fn family(ip: IpAddr) -> AddressFamily {
    if ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

/// Asks the kernel's routing side; a question has an answer, a change that asks for it an acknowledgement.
fn ask(message: RouteNetlinkMessage, flags: u16) -> io::Result<Option<RouteNetlinkMessage>> {
    let protocol = SockProtocol::NetlinkRoute;
    let fd = socket::socket(socket::AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    socket::connect(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    let mut question = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::InnerMessage(message));
    question.header.flags = NLM_F_REQUEST | flags;
    question.finalize();
    let mut bytes = vec![0; question.buffer_len().max(32 << 10)];
    question.serialize(&mut bytes);
    socket::send(fd.as_raw_fd(), &bytes[..question.buffer_len()], MsgFlags::empty())?;
    let length = socket::recv(fd.as_raw_fd(), &mut bytes, MsgFlags::empty())?;
    match NetlinkMessage::deserialize(&bytes[..length]).map_err(io::Error::other)?.payload {
        NetlinkPayload::InnerMessage(answer) => Ok(Some(answer)),
        NetlinkPayload::Error(error) if error.code.is_some() => Err(error.to_io()),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
