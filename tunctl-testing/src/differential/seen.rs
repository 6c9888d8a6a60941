//! What a sequence sees: the answer to an operation, and what else changed with it.

use std::fmt;

use tunctl_conformance::PollState;
use tunctl_core::{
    Cause, CreateFlags, Error, InterfaceAddress, InterfaceIndex, InterfaceInfo, InterfaceName, Offloads,
    Operation, Statistics,
};

use crate::differential::op::SLOTS;

/// Everything that is compared after an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) answer: Answer,
    /// Of every open device.
    pub(crate) polls: [Option<PollState>; SLOTS],
    /// What was counted of the packets of its interface.
    pub(crate) counted: [Option<Statistics>; SLOTS],
    /// What the system received from each interface that was ever attached to, by the order in which they
    /// were.
    pub(crate) received: Vec<Vec<Vec<u8>>>,
    /// What was reported of all interfaces, and of each that was ever attached to, without carriers.
    pub(crate) events: Vec<Vec<String>>,
}

/// What an operation answered.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// There was nothing to do it to.
    Absent,
    Done,
    Refused(Refusal),
    /// A receive was refused: why, and what it had written into the buffers by then.
    NotReceived(Refusal, Vec<u8>),
    /// `destroy` was refused: why, and whether it gave the device back.
    NotDestroyed(Refusal, bool),
    Attached {
        name: InterfaceName,
        index: InterfaceIndex,
        flags: CreateFlags,
    },
    /// How many queues could be opened, and why not more.
    Crowded(usize, Refusal),
    Bool(bool),
    Length(usize),
    /// The length that was told, and the bytes in the buffers.
    Packet(usize, Vec<u8>),
    Name(InterfaceName),
    Info(Box<InterfaceInfo>),
    Infos(Vec<InterfaceInfo>),
    Addresses(Vec<InterfaceAddress>),
    Statistics(Statistics),
    Offloads(Offloads),
    /// How many packets from the system reached a queue, and, where the kernel chose the queue, the packets
    /// of all queues before and after.
    Injected {
        reached: usize,
        before: Vec<Vec<u8>>,
        after: Vec<Vec<u8>>,
    },
    /// The slot at which an answer from the system arrived, the packet that was answered and the answer, and
    /// what was taken out of all queues before.
    Steered {
        slot: Option<usize>,
        packets: [Vec<u8>; 2],
        before: Vec<Vec<u8>>,
    },
    Survey(Vec<Surveyed>),
    /// It panicked, which no answer of either side may be.
    Panicked(String),
}

/// An error, as far as programs see it. Its text is not compared: who holds an interface, and what to do,
/// differ.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) operation: Operation,
    pub(crate) cause: Cause,
    pub(crate) errno: Option<i32>,
}

/// An interface, in all respects that the system reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Surveyed {
    pub(crate) info: InterfaceInfo,
    pub(crate) addresses: Vec<InterfaceAddress>,
    /// Whether it has a carrier, as the events said.
    pub(crate) carrier: Option<bool>,
    pub(crate) statistics: Statistics,
    /// In the namespace where interfaces are moved to.
    pub(crate) elsewhere: bool,
}

impl From<&Error> for Refusal {
    fn from(error: &Error) -> Self {
        Self { operation: error.operation(), cause: error.cause(), errno: error.raw_os_error() }
    }
}

impl Answer {
    /// The answer to a call, whose success `done` describes.
    pub(crate) fn of<T>(outcome: tunctl_core::Result<T>, done: impl FnOnce(T) -> Self) -> Self {
        match outcome {
            Ok(value) => done(value),
            Err(error) => Self::Refused(Refusal::from(&error)),
        }
    }

    pub(crate) const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal)
            | Self::NotReceived(refusal, _)
            | Self::NotDestroyed(refusal, _)
            | Self::Crowded(_, refusal) => Some(refusal),
            _ => None,
        }
    }

    /// In a word or two, for tables and for telling kinds of differences apart.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Absent => "Absent".into(),
            Self::Panicked(_) => "Panicked".into(),
            _ => self.refusal().map_or_else(|| "Ok".into(), |refusal| format!("{:?}", refusal.cause)),
        }
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} refused: {:?}", self.operation, self.cause)?;
        match self.errno {
            Some(errno) => write!(f, " (errno {errno})"),
            None => write!(f, " (no errno)"),
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => write!(f, "nothing to do"),
            Self::Done => write!(f, "done"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::NotReceived(refusal, bytes) => write!(f, "{refusal:?}, buffers: {}", hex(bytes)),
            Self::NotDestroyed(refusal, back) => write!(f, "{refusal:?}, device given back: {back}"),
            Self::Attached { name, index, flags } => {
                write!(f, "attached to {name:?}, index {index}, flags {:#06x}", flags.bits())
            }
            Self::Crowded(opened, refusal) => write!(f, "{opened} queues opened, then {refusal:?}"),
            Self::Bool(value) => value.fmt(f),
            Self::Length(length) => write!(f, "{length} bytes"),
            Self::Packet(length, bytes) => write!(f, "{length} bytes: {}", hex(bytes)),
            Self::Name(name) => name.fmt(f),
            Self::Info(info) => info.fmt(f),
            Self::Infos(infos) => infos.fmt(f),
            Self::Addresses(addresses) => addresses.fmt(f),
            Self::Offloads(value) => write!(f, "{value:?}"),
            Self::Statistics(statistics) => statistics.fmt(f),
            Self::Injected { reached, before, after } => {
                write!(f, "{reached} reached a queue")?;
                for (when, packets) in [("before", before), ("after", after)] {
                    for packet in packets {
                        write!(f, "; {when}: {}", hex(packet))?;
                    }
                }
                Ok(())
            }
            Self::Steered { before, slot, .. } => {
                write!(f, "arrived at {slot:?}")?;
                before.iter().try_for_each(|packet| write!(f, "; before: {}", hex(packet)))
            }
            Self::Survey(surveyed) => surveyed.fmt(f),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
        }
    }
}

/// Bytes, two digits each.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
