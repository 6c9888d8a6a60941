//! What a value means with the words in front of it.

use alloc::borrow::Cow;
use alloc::format;

use super::condition::Condition;
use super::primitive::{self, Direction, Link};
use super::value::{self, Net};
use crate::Layer;

/// What is wrong with a word.
pub(super) type Message = Cow<'static, str>;

/// The qualifiers of a value. Those of the last value hold for a next one that has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Qualifiers<'a> {
    pub(super) protocol: Option<&'a str>,
    pub(super) direction: Direction,
    pub(super) kind: Kind,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Host,
    Net,
    Port,
    PortRange,
    Protocol,
}

/// Why there is nothing of Ethernet on a tun.
pub(super) const NO_FRAMES: &str = "the packets of a tun have no Ethernet header";

impl Qualifiers<'_> {
    /// What a value means with these qualifiers.
    pub(super) fn condition(self, link: Link, text: &str, mask: Option<&str>) -> Result<Condition, Message> {
        let Qualifiers { protocol, direction, kind } = self;
        match kind {
            Kind::Host if protocol == Some("ether") => ether_host(link.layer(), direction, text),
            Kind::Host => match value::host(text) {
                Some(net) => self.net(link, net),
                None if value::mac(text).is_some() => Err("a MAC address needs `ether` in front".into()),
                None if value::net(text).is_ok() => Err("a network needs `net` in front".into()),
                None => Err(format!("`{text}` is no IP address; names are not resolved").into()),
            },
            Kind::Net => {
                let net = mask.map_or_else(|| value::net(text), |mask| value::masked(text, mask))?;
                self.net(link, net)
            }
            Kind::Port | Kind::PortRange => {
                let protocol = match protocol {
                    None => None,
                    Some(name @ ("tcp" | "udp" | "sctp")) => value::named_ip_protocol(name),
                    Some(name) => {
                        return Err(format!("`{name}` has no ports; `tcp`, `udp` and `sctp` have").into());
                    }
                };
                let range = match kind {
                    Kind::Port => value::port(text).map(|port| port..=port)?,
                    _ => value::ports(text)?,
                };
                Ok(primitive::ports(link, protocol, direction, &range))
            }
            Kind::Protocol => match protocol {
                None => Ok(primitive::ip_protocol(link, value::ip_protocol(text)?)),
                Some("ip") => Ok(primitive::ipv4_protocol(link, value::ip_protocol(text)?)),
                Some("ip6") => Ok(primitive::ipv6_protocol(link, value::ip_protocol(text)?)),
                Some("ether") => Ok(primitive::ether_type(link, value::ether_type(text)?)),
                Some(name) => {
                    Err(format!("`{name}` has no protocols in it: use `ip`, `ip6` or `ether`").into())
                }
            },
        }
    }

    /// An address or a network of IP. Of IPv4, also ARP and RARP carry addresses.
    fn net(self, link: Link, net: Net) -> Result<Condition, Message> {
        let Qualifiers { protocol, direction, .. } = self;
        let arp = |kind, address, mask| primitive::arp_net(link, kind, direction, address, mask);
        Ok(match (net, protocol) {
            (Net::V4(address, mask), Some("ip")) => primitive::ipv4_net(link, direction, address, mask),
            (Net::V4(address, mask), Some("arp")) => arp(primitive::arp(link), address, mask),
            (Net::V4(address, mask), Some("rarp")) => arp(primitive::rarp(link), address, mask),
            (Net::V4(address, mask), None) => primitive::ipv4_net(link, direction, address, mask)
                .or(arp(primitive::arp(link), address, mask))
                .or(arp(primitive::rarp(link), address, mask)),
            (Net::V6(address, mask), None | Some("ip6")) => {
                primitive::ipv6_net(link, direction, address, mask)
            }
            (Net::V4(..), Some("ip6")) => return Err("`ip6` has no IPv4 addresses".into()),
            (Net::V6(..), Some(name @ ("ip" | "arp" | "rarp"))) => {
                return Err(format!("`{name}` has no IPv6 addresses").into());
            }
            (_, Some(name)) => return Err(format!("`{name}` has no addresses: join them by `and`").into()),
        })
    }
}

fn ether_host(layer: Layer, direction: Direction, text: &str) -> Result<Condition, Message> {
    let mac = value::mac(text).ok_or_else(|| format!("`{text}` is no MAC address"))?;
    if layer == Layer::Tun { Err(NO_FRAMES.into()) } else { Ok(primitive::mac(direction, mac)) }
}
