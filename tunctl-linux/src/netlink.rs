//! Questions to the kernel's routing side, and its answers (`rtnetlink(7)`).
//!
//! One socket serves all devices and interfaces that came from the same call; it stays in the network
//! namespace where it was opened. Errors are the kernel's errno, as [`io::Error`]: what they mean depends on
//! the question, so the callers name their causes.

mod address;
mod link;
mod route;
mod socket;

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader,
    NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use tunctl_sys::linux::process::{self, CAP_NET_ADMIN};

pub(crate) use address::DuplicateDetection;
pub(crate) use link::{Link, name_attribute};
use socket::Socket;

/// How often a listing that the kernel's state overtook is asked for again.
const DUMP_ATTEMPTS: usize = 16;

pub(crate) struct Netlink {
    // Held from a question to the end of its answer.
    socket: Mutex<Socket>,
    sequence: AtomicU32,
    namespace: PathBuf,
    // The kernel grants what both the opener and the asking thread may.
    opener_was_capable: bool,
}

impl Netlink {
    /// Opens a socket in the calling thread's network namespace.
    pub(crate) fn open() -> io::Result<Self> {
        let socket = Socket::open()?;
        let namespace = current_namespace();
        let opener_was_capable =
            process::capabilities().is_ok_and(|sets| sets.effective & 1 << CAP_NET_ADMIN != 0);
        Ok(Self { socket: Mutex::new(socket), sequence: AtomicU32::new(1), namespace, opener_was_capable })
    }

    /// Whether the thread that opened it had `CAP_NET_ADMIN`.
    pub(crate) const fn opener_was_capable(&self) -> bool {
        self.opener_was_capable
    }

    /// The network namespace of the socket, as `/proc/PID/ns/net` links to it. Empty if it could not be
    /// learnt.
    pub(crate) fn namespace(&self) -> &Path {
        &self.namespace
    }

    /// Asks for one thing, or for one change; the answers that came before the acknowledgement.
    fn request(&self, message: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<Answer>> {
        let mut answers = Vec::new();
        self.exchange(message, NLM_F_REQUEST | NLM_F_ACK | flags, &mut answers)?;
        Ok(answers)
    }

    /// Asks for a listing.
    fn dump(&self, message: &RouteNetlinkMessage) -> io::Result<Vec<Answer>> {
        for _ in 0..DUMP_ATTEMPTS {
            let mut answers = Vec::new();
            if self.exchange(message.clone(), NLM_F_REQUEST | NLM_F_DUMP, &mut answers)?
                == Listing::Consistent
            {
                return Ok(answers);
            }
        }
        Err(io::Error::new(io::ErrorKind::Interrupted, "the kernel's interfaces changed during each listing"))
    }

    fn exchange(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
        answers: &mut Vec<Answer>,
    ) -> io::Result<Listing> {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = sequence;
        let mut question = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        question.finalize();
        let mut bytes = vec![0; question.buffer_len()];
        question.serialize(&mut bytes);

        // A thread that panicked meanwhile has left at most an answer with an old number, which is passed
        // over.
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        socket.send(&bytes)?;
        let mut listing = Listing::Consistent;
        loop {
            let datagram = socket.receive()?;
            let mut rest = datagram.as_slice();
            while !rest.is_empty() {
                let answer = NetlinkMessage::<Answer>::deserialize(rest).map_err(undecodable)?;
                rest = &rest[aligned(answer.header.length).min(rest.len())..];
                if answer.header.sequence_number != sequence {
                    continue;
                }
                if answer.header.flags & NLM_F_DUMP_INTR != 0 {
                    listing = Listing::Overtaken;
                }
                match answer.payload {
                    NetlinkPayload::InnerMessage(inner) => answers.push(inner),
                    NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                    NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => return Ok(listing),
                    _ => {}
                }
            }
        }
    }
}

/// One message of an answer, not looked into: who asked knows what of it matters.
pub(crate) struct Answer {
    kind: u16,
    payload: Vec<u8>,
}

impl NetlinkDeserializable for Answer {
    type Error = Infallible;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Infallible> {
        Ok(Self { kind: header.message_type, payload: payload.to_vec() })
    }
}

/// Whether the kernel's state held still while it was listed.
#[derive(PartialEq, Eq)]
enum Listing {
    Consistent,
    Overtaken,
}

/// The calling thread's network namespace, as `/proc/thread-self/ns/net` links to it.
pub(crate) fn current_namespace() -> PathBuf {
    std::fs::read_link("/proc/thread-self/ns/net").unwrap_or_default()
}

fn undecodable(error: netlink_packet_core::DecodeError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn aligned(length: u32) -> usize {
    // A length of 0 would never end; the header alone has 16 bytes.
    usize::try_from(length).map_or(usize::MAX, |length| length.max(16).next_multiple_of(4))
}

impl std::fmt::Debug for Netlink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Netlink").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
