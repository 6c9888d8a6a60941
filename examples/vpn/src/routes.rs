//! The routes of allowed addresses, to be printed or set, and the MTU that the way to the peers leaves.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use ip_network::IpNetwork;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::libc::{ENETUNREACH, RT_TABLE_MAIN};

use crate::config::Config;
use crate::rtnetlink::Rtnetlink;

/// The mark and the table of a default route, unless the file has a mark: as wg-quick(8) has them.
const TABLE: u32 = 51_820;
/// The headers of IPv6, UDP and WireGuard, and the seal.
const OVERHEAD: u32 = 40 + 8 + 16 + 16;
const USUAL_MTU: u32 = 1500 - OVERHEAD;

/// A change to the system's routing; as text, the arguments of ip(8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A network is behind the interface, says this table.
    Route(IpNetwork, u32),
    /// What has not this mark looks into the table of the same number.
    Unmarked(AddressFamily, u32),
    /// Before that, all but default routes of the main table hold.
    Suppressed(AddressFamily),
}

/// The steps that route what is allowed, and the mark that they need on what the socket sends.
///
/// A default route is in a table of its own, into which marked packets do not look: else those for the peer
/// would go to the peer.
///
/// # Errors
///
/// An endpoint is in a network that is allowed: its packets would come back, for ever.
pub fn plan(config: &Config) -> Result<(Vec<Step>, u32), String> {
    let networks = || config.peers.iter().flat_map(|peer| &peer.allowed_ips);
    for endpoint in config.peers.iter().filter_map(|peer| peer.endpoint) {
        let is_around = |network: &&IpNetwork| network.netmask() > 0 && network.contains(endpoint.ip());
        if let Some(network) = networks().find(is_around) {
            return Err(format!(
                "AllowedIPs {network} contains the endpoint {endpoint}: what is sent there would go into the tunnel \
                 again. Exclude it, or allow all (0.0.0.0/0, ::/0), which is routed by a mark"
            ));
        }
    }
    let table = if config.mark == 0 { TABLE } else { config.mark };
    let (mut steps, mut mark) = (Vec::new(), config.mark);
    for &network in networks() {
        let is_own = |ip: IpAddr, length| IpNetwork::new_truncate(ip, length) == Ok(network);
        if network.netmask() == 0 {
            let family = family(network.network_address());
            steps.extend([
                Step::Route(network, table),
                Step::Unmarked(family, table),
                Step::Suppressed(family),
            ]);
            mark = table;
        } else if !config.addresses.iter().any(|own| is_own(own.address(), own.prefix_length())) {
            // The kernel routes the network of an address by itself.
            steps.push(Step::Route(network, RT_TABLE_MAIN.into()));
        }
    }
    Ok((steps, mark))
}

/// What was set: routes end with their interface, rules when this is dropped.
#[derive(Debug)]
pub struct Routing {
    netlink: Rtnetlink,
    rules: Vec<RuleMessage>,
}

impl Routing {
    /// Takes the steps, for the interface of that name and index.
    ///
    /// # Errors
    ///
    /// The step that failed, and why. The rules before it are removed.
    pub fn set(steps: &[Step], name: &dyn fmt::Display, interface: u32) -> Result<Self, String> {
        let netlink = Rtnetlink::open().map_err(|error| format!("open a netlink socket: {error}"))?;
        let mut routing = Self { netlink, rules: Vec::new() };
        for step in steps {
            routing.take(*step, interface).map_err(|error| format!("ip {}: {error}", step.on(name)))?;
        }
        Ok(routing)
    }

    fn take(&mut self, step: Step, interface: u32) -> io::Result<()> {
        let rule = match step {
            Step::Route(network, table) => {
                let message = RouteNetlinkMessage::NewRoute(route(network, table, interface));
                return self.netlink.ask(message, NLM_F_CREATE | NLM_F_EXCL).map(drop);
            }
            Step::Unmarked(family, table) => {
                rule(family, table, RuleFlags::Invert, RuleAttribute::FwMark(table))
            }
            Step::Suppressed(family) => {
                rule(family, RT_TABLE_MAIN.into(), RuleFlags::empty(), RuleAttribute::SuppressPrefixLen(0))
            }
        };
        match self.netlink.ask(RouteNetlinkMessage::NewRule(rule.clone()), NLM_F_CREATE | NLM_F_EXCL) {
            // It is another program's, to remove as well.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            outcome => outcome?,
        };
        self.rules.push(rule);
        Ok(())
    }
}

impl Drop for Routing {
    fn drop(&mut self) {
        for rule in self.rules.drain(..) {
            if let Err(error) = self.netlink.ask(RouteNetlinkMessage::DelRule(rule), NLM_F_EXCL) {
                eprintln!("tunctl-vpn: a routing rule stays behind: {error}. See: ip rule");
            }
        }
    }
}

/// The MTU that leaves room for our headers on the way to each peer.
#[must_use]
pub fn inner_mtu(config: &Config) -> u32 {
    let outer = config.peers.iter().filter_map(|peer| outer_mtu(peer.endpoint?).ok().flatten());
    outer.min().map_or(USUAL_MTU, |outer| outer.saturating_sub(OVERHEAD).max(576))
}

/// That of the interface towards the peer, unless the route has one. `None`: there is no way yet.
fn outer_mtu(to: SocketAddr) -> io::Result<Option<u32>> {
    let netlink = Rtnetlink::open()?;
    let mut question = RouteMessage::default();
    question.header.address_family = family(to.ip());
    question.header.destination_prefix_length = if to.is_ipv4() { 32 } else { 128 };
    question.attributes.push(RouteAttribute::Destination(to.ip().into()));
    let route = match netlink.ask(RouteNetlinkMessage::GetRoute(question), 0) {
        Ok(Some(RouteNetlinkMessage::NewRoute(route))) => route,
        Err(error) if error.raw_os_error() != Some(ENETUNREACH) => return Err(error),
        _ => return Ok(None),
    };
    let oif = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    });
    let mut question = LinkMessage::default();
    question.header.index = oif.unwrap_or_default();
    let Some(RouteNetlinkMessage::NewLink(link)) = netlink.ask(RouteNetlinkMessage::GetLink(question), 0)?
    else {
        return Ok(None);
    };
    Ok(link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Mtu(mtu) => Some(*mtu),
        _ => None,
    }))
}

fn route(network: IpNetwork, table: u32, interface: u32) -> RouteMessage {
    let mut message = RouteMessage::default();
    let destination = network.network_address();
    message.header.address_family = family(destination);
    message.header.destination_prefix_length = network.netmask();
    message.header.protocol = RouteProtocol::Boot;
    message.header.scope = if destination.is_ipv4() { RouteScope::Link } else { RouteScope::Universe };
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![RouteAttribute::Oif(interface), RouteAttribute::Table(table)];
    if network.netmask() > 0 {
        message.attributes.push(RouteAttribute::Destination(RouteAddress::from(destination)));
    }
    message
}

fn rule(family: AddressFamily, table: u32, flags: RuleFlags, what: RuleAttribute) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = family;
    message.header.action = RuleAction::ToTable;
    message.header.flags = flags;
    message.attributes = vec![RuleAttribute::Table(table), what];
    message
}

fn family(ip: IpAddr) -> AddressFamily {
    if ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

impl Step {
    /// As arguments of ip(8), for the interface of that name.
    #[must_use]
    pub fn on(&self, interface: &dyn fmt::Display) -> String {
        let flag = |family: &AddressFamily| if *family == AddressFamily::Inet { "-4" } else { "-6" };
        match self {
            Self::Route(network, table) => format!("route add {network} dev {interface} table {table}"),
            Self::Unmarked(family, table) => {
                format!("{} rule add not fwmark {table} table {table}", flag(family))
            }
            Self::Suppressed(family) => {
                format!("{} rule add table main suppress_prefixlength 0", flag(family))
            }
        }
    }
}

#[cfg(test)]
mod tests;
