//! The routes of allowed addresses, to be printed or set, and the MTU that the way to the peers leaves.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, UdpSocket};

use ip_network::IpNetwork;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::sys::socket::{self, SockFlag, SockProtocol, SockType, getsockopt, sockopt::IpMtu};
use tunctl::InterfaceAddress;
use tunctl_vpn::config::Config;

/// Routes what is allowed to the interface of that name and index if it `sets` the routes, or else returns
/// the commands that do so.
pub(crate) fn route(config: &Config, sets: bool, name: &str, index: u32) -> Result<Vec<String>, String> {
    let mut commands = Vec::new();
    for network in config.peers.iter().flat_map(|peer| &peer.allowed_ips) {
        let command = format!("ip route add {network} dev {name}");
        let mut endpoints = config.peers.iter().filter_map(|peer| Some(peer.endpoint?.ip().to_canonical()));
        // The kernel has the route of an address by itself.
        let is_own = |own: &InterfaceAddress| {
            network.netmask() == own.prefix_length() && network.contains(own.address())
        };
        if network.netmask() == 0 || endpoints.any(|ip| network.contains(ip)) {
            let rule = if network.is_ipv4() { "ip -4 rule add" } else { "ip -6 rule add" };
            let refusal = format!(
                "AllowedIPs {network} contains the way to the peer, whose packets would go into the tunnel for ever. \
                 Exclude it; or route by a mark, as wg-quick does: write FwMark = 51820, leave --routes away, and run \
                 `{command} table 51820`, `{rule} not fwmark 51820 table 51820`, \
                 `{rule} table main suppress_prefixlength 0`"
            );
            if sets {
                return Err(refusal);
            }
            commands.push(refusal);
        } else if !config.addresses.iter().any(is_own) {
            if sets {
                add(*network, index).map_err(|error| format!("{command}: {error}"))?;
            } else {
                commands.push(command);
            }
        }
    }
    Ok(commands)
}

/// Adds a route, which ends with its interface unless that is persistent.
fn add(network: IpNetwork, index: u32) -> io::Result<()> {
    let (mut route, ip) = (RouteMessage::default(), network.network_address());
    (route.header.address_family, route.header.scope) = match network {
        IpNetwork::V4(_) => (AddressFamily::Inet, RouteScope::Link),
        IpNetwork::V6(_) => (AddressFamily::Inet6, RouteScope::Universe),
    };
    route.header.destination_prefix_length = network.netmask();
    route.header.table = RouteHeader::RT_TABLE_MAIN;
    route.header.protocol = RouteProtocol::Boot;
    route.header.kind = RouteType::Unicast;
    route.attributes = vec![RouteAttribute::Destination(ip.into()), RouteAttribute::Oif(index)];
    // A persistent interface has it since the last time, and a peer may name it twice.
    let _ = ask(RouteNetlinkMessage::DelRoute(route.clone()), 0);
    // Another interface's route stays, and is the error.
    ask(RouteNetlinkMessage::NewRoute(route), NLM_F_CREATE | NLM_F_EXCL)
}

/// Has the kernel do so.
fn ask(what: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
    let mut question = NetlinkMessage::from(what);
    question.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    question.finalize();
    let mut bytes = vec![0; question.buffer_len()];
    question.serialize(&mut bytes);

    let (family, protocol) = (socket::AddressFamily::Netlink, SockProtocol::NetlinkRoute);
    let mut kernel = File::from(socket::socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?);
    kernel.write_all(&bytes)?;
    let mut room = [0; 1 << 12];
    let length = kernel.read(&mut room)?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&room[..length]);
    match answer.map_err(io::Error::other)?.payload {
        NetlinkPayload::Error(error) if error.code.is_some() => Err(error.to_io()),
        _ => Ok(()),
    }
}

/// The MTU that leaves room for our headers, on the way to each peer as the routes are now.
pub(crate) fn inner_mtu(config: &Config) -> u32 {
    let outer = config.peers.iter().filter_map(|peer| outer_mtu(peer.endpoint?));
    // The headers of IPv6, UDP and the protocol, and the seal.
    outer.min().unwrap_or(1500).saturating_sub(40 + 8 + 16 + 16).max(576)
}

/// `None`: there is no way yet.
fn outer_mtu(to: SocketAddr) -> Option<u32> {
    let socket = UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).ok()?;
    socket.connect(to).ok()?;
    // An IPv6 socket answers it as well.
    getsockopt(&socket, IpMtu).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests;
