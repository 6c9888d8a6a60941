//! `RTM_GETROUTE`: which way the kernel would send a packet.

use std::io;
use std::net::Ipv6Addr;

use netlink_packet_core::Parseable;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;
use tunctl_sys::linux::netlink::rtm;

use super::Netlink;

impl Netlink {
    /// Whether the kernel takes packets to this address for its own.
    pub(crate) fn is_local(&self, address: Ipv6Addr) -> io::Result<bool> {
        let mut question = RouteMessage::default();
        question.header.address_family = AddressFamily::Inet6;
        question.header.destination_prefix_length = 128;
        question.attributes.push(RouteAttribute::Destination(RouteAddress::Inet6(address)));
        match self.request(&RouteNetlinkMessage::GetRoute(question)) {
            Ok(answers) => Ok(answers.iter().any(|answer| {
                answer.kind == rtm::NEWROUTE
                    && RouteMessage::parse(&answer.payload)
                        .is_ok_and(|route| route.header.kind == RouteType::Local)
            })),
            Err(error) if error.raw_os_error() == Some(Errno::ENETUNREACH as i32) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
