//! Several changes of an interface, in one datagram.

use std::io;

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::LinkAttribute;
use nix::errno::Errno;
use tunctl_core::{Changes, InterfaceIndex};
use tunctl_sys::linux::process;

use super::address::{DuplicateDetection, NEW, new_address};
use super::link::link_change;
use super::{Channel, Netlink, messages, question};

/// How many requests are made at once: the kernel's answers to more might not find room in the socket, which
/// has it for 92 by default (Linux 6.18).
const MOST: usize = 64;

/// The room for one acknowledgement, in bytes. One that refuses repeats the request, which is shorter.
const ROOM: usize = 1024;

/// A request, and its flags beside those that each has.
type Request = (RouteNetlinkMessage, u16);

impl Netlink {
    /// Makes several changes, in the order of `Changes`. The kernel carries out all requests of a datagram,
    /// those behind a refused one too (`netlink_rcv_skb`, Linux 6.18). If one is refused, or it is not known
    /// whether all are made, this is an error; the changes can be made again then.
    pub(crate) fn change_together(
        &self,
        index: InterfaceIndex,
        changes: &Changes,
        detection: DuplicateDetection,
    ) -> io::Result<()> {
        let requests = requests(index, changes, detection);
        if requests.len() > MOST {
            return Err(Errno::E2BIG.into());
        }
        let mut channel = self.channel();
        match channel.as_mut() {
            // What a fork takes is done one by one.
            Some(channel) if channel.generation == process::generation() => channel.change_together(requests),
            _ => Err(Errno::ENOTCONN.into()),
        }
    }
}

fn requests(index: InterfaceIndex, changes: &Changes, detection: DuplicateDetection) -> Vec<Request> {
    let mtu = changes.mtu.map(|mtu| LinkAttribute::Mtu(mtu.get()));
    let properties: Vec<_> =
        mtu.into_iter().chain(changes.queue_length.map(LinkAttribute::TxQueueLen)).collect();
    let changes_link = !properties.is_empty() || changes.state.is_some();
    let link = changes_link.then(|| (link_change(index, properties, changes.state), 0));
    let addresses = changes.addresses.iter().map(|&address| (new_address(index, address, detection), NEW));
    link.into_iter().chain(addresses).collect()
}

impl Channel {
    fn change_together(&mut self, requests: Vec<Request>) -> io::Result<()> {
        if self.is_stale {
            self.socket.drain();
        }
        let count = requests.len();
        let mut datagram = Vec::new();
        for (message, flags) in requests {
            self.sequence = self.sequence.wrapping_add(1);
            datagram.extend(question(message, NLM_F_REQUEST | NLM_F_ACK | flags, self.sequence));
        }
        self.socket.send(&datagram)?;
        // Until the last answer has come, one may be left for the next question.
        self.is_stale = true;
        let mut outstanding = count;
        let mut refused = None;
        let mut rooms = vec![[0; ROOM]; count];
        while outstanding > 0 {
            let lengths = self.socket.receive_several(&mut rooms[..outstanding])?;
            for (room, length) in rooms.iter().zip(lengths) {
                // An answer to an older question was drained.
                for answer in messages(&room[..length]) {
                    if let NetlinkPayload::Error(error) = answer?.payload {
                        outstanding = outstanding.saturating_sub(1);
                        if error.code.is_some() {
                            refused.get_or_insert_with(|| error.to_io());
                        }
                    }
                }
            }
        }
        self.is_stale = false;
        refused.map_or(Ok(()), Err)
    }
}
