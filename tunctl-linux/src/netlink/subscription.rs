//! What the kernel reports unasked: a socket of its own, in the groups for interfaces and addresses.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use nix::errno::Errno;
use tunctl_core::{InterfaceIndex, Notification, Reason};
use tunctl_sys::linux::netlink::rtmgrp;

use super::address::{self, list_addresses};
use super::link::{self, link_message, list_tun_links};
use super::socket::Socket;
use super::{Answer, DUMP_ATTEMPTS, Message, messages, question};
use crate::diagnose;
use crate::opener::Opener;

/// A subscription to the changes of all interfaces in a network namespace.
///
/// State and changes come by one socket: so a change is either in a state that was asked for, or comes after
/// it.
#[derive(Debug)]
pub(crate) struct Subscription {
    socket: Socket,
    /// The socket's own address, by which answers are told from reports: a report carries the address and the
    /// sequence number of the question that another program asked.
    port: u32,
    sequence: u32,
}

/// A report, or that some were lost.
pub(crate) enum Report {
    /// What a datagram contained: perhaps nothing that matters.
    Notifications(Vec<Notification>),
    /// The kernel dropped reports, because the program did not take them in time.
    Overrun,
    /// There is none.
    None,
}

/// The answer to a question for the present state.
#[derive(Default)]
pub(crate) struct State {
    /// The interfaces and addresses that are there.
    pub(crate) present: Vec<Notification>,
    /// What was reported since the question: partly it is in the state already.
    pub(crate) since: Vec<Notification>,
    /// Nothing was lost meanwhile, and the state held still while it was listed.
    pub(crate) is_reliable: bool,
}

impl Subscription {
    pub(crate) fn open(opener: &Opener) -> Result<Self, Reason> {
        let socket = opener.netlink_socket()?;
        Self::by(socket).map_err(|error| diagnose::reason(&error))
    }

    fn by(socket: OwnedFd) -> io::Result<Self> {
        let groups = rtmgrp::LINK | rtmgrp::IPV4_IFADDR | rtmgrp::IPV6_IFADDR;
        let socket = Socket::subscribed(socket, groups)?;
        socket.make_room();
        let port = socket.port()?;
        Ok(Self { socket, port, sequence: 0 })
    }

    /// The present state of one interface, or of all. Reports that arrived before the question are let go.
    ///
    /// If reports are lost meanwhile, or the kernel's state changes during a listing, it asks again, a few
    /// times.
    pub(crate) fn state(&mut self, only: Option<InterfaceIndex>) -> io::Result<State> {
        let links = match only {
            Some(index) => (RouteNetlinkMessage::GetLink(link_message(index)), NLM_F_ACK),
            None => (list_tun_links(), NLM_F_DUMP),
        };
        let mut state = State::default();
        for _ in 0..DUMP_ATTEMPTS {
            self.socket.drain();
            state = State { is_reliable: true, ..State::default() };
            for (message, flags) in [links.clone(), (list_addresses(only), NLM_F_DUMP)] {
                self.ask(message, flags, &mut state)?;
            }
            if state.is_reliable {
                break;
            }
        }
        // Old kernels list the addresses of all interfaces.
        state.present.retain(|notification| only.is_none_or(|index| notification.index() == index));
        Ok(state)
    }

    /// Takes a report, if there is one.
    pub(crate) fn try_next(&self) -> io::Result<Report> {
        match self.socket.try_receive() {
            Ok(datagram) => {
                let reported =
                    messages(&datagram).filter_map(Result::ok).filter_map(|message| report(&message));
                Ok(Report::Notifications(reported.collect()))
            }
            Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::ENOBUFS) => Ok(Report::Overrun),
                Some(Errno::EAGAIN) => Ok(Report::None),
                _ => Err(error),
            },
        }
    }

    /// Asks for a part of the state. There may be no such interface.
    fn ask(&mut self, message: RouteNetlinkMessage, flags: u16, state: &mut State) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        self.socket.send(&question(message, NLM_F_REQUEST | flags, self.sequence))?;
        loop {
            let datagram = match self.socket.receive() {
                Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => {
                    // The error is about reports. The answer still comes.
                    state.is_reliable = false;
                    continue;
                }
                received => received?,
            };
            for message in messages(&datagram) {
                let message = message?;
                let header = &message.header;
                if (header.port_number, header.sequence_number) != (self.port, self.sequence) {
                    state.since.extend(report(&message));
                    continue;
                }
                state.is_reliable &= header.flags & NLM_F_DUMP_INTR == 0;
                match message.payload {
                    NetlinkPayload::InnerMessage(answer) => state.present.extend(notification(&answer)),
                    NetlinkPayload::Error(error) if error.code.is_some() => {
                        let error = error.to_io();
                        let is_gone = error.raw_os_error() == Some(Errno::ENODEV as i32);
                        return if is_gone { Ok(()) } else { Err(error) };
                    }
                    NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => return Ok(()),
                    _ => {}
                }
            }
        }
    }
}

impl AsFd for Subscription {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn report(message: &Message) -> Option<Notification> {
    match &message.payload {
        NetlinkPayload::InnerMessage(answer) => notification(answer),
        _ => None,
    }
}

fn notification(answer: &Answer) -> Option<Notification> {
    link::notification(answer).or_else(|| address::notification(answer))
}
