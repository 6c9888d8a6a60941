//! Questions to the kernel's routing side, and its answers (`rtnetlink(7)`).
//!
//! One socket serves many devices and interfaces; it stays in the network namespace where the [`Opener`]
//! opened it. Errors are the kernel's errno, as [`io::Error`]: what they mean depends on the question, so the
//! callers name their causes.

mod address;
mod link;
mod report;
mod route;
mod socket;
mod subscription;
mod together;

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader,
    NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use nix::errno::Errno;
use tunctl_core::{Operation, Reason};
use tunctl_sys::linux::process;

use crate::diagnose;
use crate::opener::{Opener, current_namespace};
use crate::remedy::CallerContext;
pub(crate) use address::DuplicateDetection;
pub(crate) use link::{Link, name_attribute};
use socket::{Socket, cut};
pub(crate) use subscription::{Report, State, Subscription};

/// How often a listing that the kernel's state overtook is asked for again.
const DUMP_ATTEMPTS: usize = 16;

/// How often a question is asked whose answer is lost.
const ATTEMPTS: usize = 4;

/// The room for one datagram, in bytes. The kernel makes those of a listing no longer (`netlink_dump`, Linux
/// 6.18); the answer about one interface has about 1500.
const ROOM: usize = 32 << 10;

pub(crate) struct Netlink {
    // Held from a question to the end of its answer. `None` if there is no socket.
    channel: Mutex<Option<Channel>>,
    namespace: PathBuf,
    opener: Opener,
    /// That of the process that opened it first.
    generation: u32,
}

/// Why a question has no answer.
enum Failure {
    /// The question was not sent, or the kernel refused: nothing has changed.
    Refused(io::Error),
    /// The question was sent, and its answer did not arrive: nobody knows whether something has changed.
    Lost(io::Error),
}

type Outcome<T> = Result<T, Failure>;

/// Those that are in use, to be shared. One that nobody uses any longer is closed all the same.
static IN_USE: Mutex<Vec<Weak<Netlink>>> = Mutex::new(Vec::new());

impl Netlink {
    /// A socket where the opener opens it: one that is in use, if a new one would be the same. Many devices
    /// then take one socket.
    pub(crate) fn open(opener: &Opener) -> Result<Arc<Self>, Reason> {
        let namespace = opener.namespace();
        let generation = process::generation();
        if let Some(shared) = Self::shared(&namespace, opener, generation) {
            return Ok(shared);
        }
        let channel = Channel::open(opener)?;
        let (channel, opener) = (Mutex::new(Some(channel)), opener.clone());
        let opened = Self { channel, namespace, opener, generation };
        let opened = Arc::new(opened);
        // Where another thread looks at the same moment, or did so when this process was forked, nothing is
        // shared: to wait for the lock might take for ever.
        if let Ok(mut in_use) = IN_USE.try_lock() {
            in_use.retain(|netlink| netlink.strong_count() > 0);
            in_use.push(Arc::downgrade(&opened));
        }
        Ok(opened)
    }

    /// One that is in use and as good as a new one. As long as its socket is open, no other namespace gets
    /// its number.
    fn shared(namespace: &Path, opener: &Opener, generation: u32) -> Option<Arc<Self>> {
        if namespace.as_os_str().is_empty() {
            return None;
        }
        let in_use = IN_USE.try_lock().ok()?;
        let is_same = |netlink: &Arc<Self>| {
            (&*netlink.namespace, &netlink.opener, netlink.generation) == (namespace, opener, generation)
        };
        in_use.iter().filter_map(Weak::upgrade).find(is_same)
    }

    /// By what it was opened.
    pub(crate) fn opener(&self) -> &Opener {
        &self.opener
    }

    /// What the system reports about the caller, with regard to this namespace.
    pub(crate) fn caller(&self) -> CallerContext {
        let caller = diagnose::caller();
        // Of the namespace of another thread, nothing is known.
        let governs = match &self.opener {
            Opener::Here => caller.governs && self.namespace == current_namespace(),
            Opener::There(namespace) => namespace.is_governed(),
        };
        CallerContext { governs, ..caller }
    }

    /// Asks something of the socket itself.
    pub(crate) fn with_socket<T>(&self, ask: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>) -> io::Result<T> {
        match &*self.channel() {
            Some(channel) => ask(channel.socket.as_fd()),
            None => Err(Errno::ENOTCONN.into()),
        }
    }

    /// No socket: each question is refused with `ENOTCONN`.
    pub(crate) fn none() -> Self {
        let (channel, namespace, opener) = (Mutex::new(None), PathBuf::new(), Opener::Here);
        Self { channel, namespace, opener, generation: 0 }
    }

    /// The network namespace of the socket, as `/proc/PID/ns/net` links to it. Empty if it could not be
    /// learnt.
    pub(crate) fn namespace(&self) -> &Path {
        &self.namespace
    }

    /// Asks for one thing. The kernel answers with one message, which needs no acknowledgement.
    fn request(&self, message: &RouteNetlinkMessage) -> io::Result<Vec<Answer>> {
        self.ask(message, NLM_F_REQUEST, || Ok(false))
    }

    /// Makes a change. If the acknowledgement is lost and `is_made` does not see the change, it is asked for
    /// again: it was refused, and only the kernel knows why. So a change that does no harm twice needs no
    /// look.
    fn change(
        &self,
        message: &RouteNetlinkMessage,
        flags: u16,
        is_made: impl Fn() -> io::Result<bool>,
    ) -> io::Result<()> {
        self.ask(message, NLM_F_REQUEST | NLM_F_ACK | flags, is_made).map(drop)
    }

    fn ask(
        &self,
        message: &RouteNetlinkMessage,
        flags: u16,
        is_made: impl Fn() -> io::Result<bool>,
    ) -> io::Result<Vec<Answer>> {
        let mut lost = None;
        for _ in 0..ATTEMPTS {
            match self.exchange(message, flags) {
                Ok((answers, _)) => return Ok(answers),
                Err(Failure::Refused(error)) => return Err(error),
                Err(Failure::Lost(error)) => lost = Some(error),
            }
            if is_made()? {
                return Ok(Vec::new());
            }
        }
        Err(lost.unwrap_or_else(no_attempt))
    }

    /// Asks for a listing.
    fn dump(&self, message: &RouteNetlinkMessage) -> io::Result<Vec<Answer>> {
        let mut last = None;
        for _ in 0..DUMP_ATTEMPTS {
            match self.exchange(message, NLM_F_REQUEST | NLM_F_DUMP) {
                Ok((answers, Listing::Consistent)) => return Ok(answers),
                Ok((_, Listing::Overtaken)) => {
                    let what = "the kernel's interfaces changed during each listing";
                    last = Some(io::Error::new(io::ErrorKind::Interrupted, what));
                }
                // An earlier listing was not read to its end. The next attempt does so first.
                Err(Failure::Refused(error)) if error.raw_os_error() == Some(Errno::EBUSY as i32) => {
                    last = Some(error);
                }
                Err(Failure::Refused(error)) => return Err(error),
                Err(Failure::Lost(error)) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(no_attempt))
    }

    fn exchange(&self, message: &RouteNetlinkMessage, flags: u16) -> Outcome<(Vec<Answer>, Listing)> {
        let mut channel = self.channel();
        let channel = channel.as_mut().ok_or_else(|| Failure::Refused(Errno::ENOTCONN.into()))?;
        if channel.generation != process::generation() {
            channel.reopen(&self.opener, &self.namespace).map_err(Failure::Refused)?;
        }
        channel.exchange(message.clone(), flags)
    }

    fn channel(&self) -> MutexGuard<'_, Option<Channel>> {
        // A thread that panicked meanwhile has left answers to an old question, as the channel knows.
        self.channel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The attempts are more than none, so one of them has returned or failed.
fn no_attempt() -> io::Error {
    io::Error::other("the question was not asked")
}

/// A socket, and what has been said on it.
struct Channel {
    socket: Socket,
    /// That of the process that opened it. After a fork, two processes would take answers from each other.
    generation: u32,
    sequence: u32,
    /// Answers to an earlier question may still come.
    is_stale: bool,
    /// The room for one datagram.
    room: usize,
}

impl Channel {
    fn open(opener: &Opener) -> Result<Self, Reason> {
        let socket = opener.netlink_socket()?;
        let socket = Socket::new(socket).map_err(|error| diagnose::reason(&error))?;
        let generation = process::generation();
        Ok(Self { socket, generation, sequence: 0, is_stale: false, room: ROOM })
    }

    /// Opens a socket of this process's own, in the namespace of the old one.
    fn reopen(&mut self, opener: &Opener, namespace: &Path) -> io::Result<()> {
        if namespace.as_os_str().is_empty() || opener.namespace() != namespace {
            return Err(io::Error::other(
                "the handle comes from before a fork, and from another network namespace than this process \
                 is in: look the interface up again",
            ));
        }
        *self = Self::open(opener).map_err(|reason| io::Error::from(reason.of(Operation::Inspect)))?;
        Ok(())
    }

    fn exchange(&mut self, message: RouteNetlinkMessage, flags: u16) -> Outcome<(Vec<Answer>, Listing)> {
        if self.is_stale {
            self.socket.drain();
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.socket.send(&question(message, flags, self.sequence)).map_err(Failure::Refused)?;
        self.is_stale = true;
        let outcome = self.collect(flags & (NLM_F_ACK | NLM_F_DUMP) == 0);
        // The kernel is busy with a listing to which the answer is outstanding.
        let is_busy = |error: &io::Error| error.raw_os_error() == Some(Errno::EBUSY as i32);
        self.is_stale = match &outcome {
            Ok(_) => false,
            Err(Failure::Refused(error)) => is_busy(error),
            Err(Failure::Lost(_)) => true,
        };
        outcome
    }

    /// The answers to the last question: a single one, or all up to the acknowledgement.
    fn collect(&mut self, is_single: bool) -> Outcome<(Vec<Answer>, Listing)> {
        let (mut answers, mut listing) = (Vec::new(), Listing::Consistent);
        let mut buffer = vec![0; self.room];
        loop {
            let length = self.socket.receive_into(&mut buffer).map_err(Failure::Lost)?;
            if length == 0 || length > buffer.len() {
                // The next attempt has the room.
                self.room = self.room.max(length);
                return Err(Failure::Lost(cut()));
            }
            for answer in messages(&buffer[..length]) {
                let answer = answer.map_err(Failure::Lost)?;
                if answer.header.sequence_number != self.sequence {
                    continue;
                }
                if answer.header.flags & NLM_F_DUMP_INTR != 0 {
                    listing = Listing::Overtaken;
                }
                match answer.payload {
                    NetlinkPayload::InnerMessage(inner) => {
                        answers.push(inner);
                        if is_single {
                            return Ok((answers, listing));
                        }
                    }
                    NetlinkPayload::Error(error) if error.code.is_some() => {
                        return Err(Failure::Refused(error.to_io()));
                    }
                    NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => return Ok((answers, listing)),
                    _ => {}
                }
            }
        }
    }
}

/// A question, as it is sent.
fn question(message: RouteNetlinkMessage, flags: u16, sequence: u32) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    header.sequence_number = sequence;
    let mut question = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
    question.finalize();
    let mut bytes = vec![0; question.buffer_len()];
    question.serialize(&mut bytes);
    bytes
}

type Message = NetlinkMessage<Answer>;

/// The messages of a datagram. After one that cannot be read, there is no other.
fn messages(datagram: &[u8]) -> impl Iterator<Item = io::Result<Message>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let message = Message::deserialize(rest);
        let length = message.as_ref().map_or(usize::MAX, |message| aligned(message.header.length));
        rest = &rest[length.min(rest.len())..];
        Some(message.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)))
    })
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

fn aligned(length: u32) -> usize {
    // A length of 0 would never end; the header alone has 16 bytes.
    let length = usize::try_from(length).unwrap_or(usize::MAX).max(16);
    length.checked_next_multiple_of(4).unwrap_or(usize::MAX)
}

impl std::fmt::Debug for Netlink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Netlink").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::aligned;

    #[test]
    fn no_length_of_a_message_overflows() {
        assert_eq!([0, 16, 17, 20].map(aligned), [16, 16, 20, 20]);
        assert!(usize::try_from(u32::MAX).unwrap() <= aligned(u32::MAX));
    }
}
