//! The operations that a sequence is made of, as plain values: so they can be replayed, shrunk and printed.

use tunctl_core::{MacFilter, Offloads, Operation, Readiness};
use tunctl_packet::bpf::Program;
use tunctl_packet::header::VnetFormat;

use crate::differential::interface_call::InterfaceCall;

/// How many devices a sequence may hold open at once. Not all are used often: see `generate.rs`.
pub(crate) const SLOTS: usize = 6;

/// One step of a sequence. Devices are named by the slot that they lie in; an operation on an empty slot, or
/// one that would open a device into a full one, does nothing on either side, so that any operation can be
/// left out of a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// `create`, `open`, `open_or_create`.
    Attach {
        verb: Verb,
        slot: usize,
        flags: u16,
        name: Option<String>,
        also: Option<Also>,
    },
    /// Opens queues of an interface until one is refused, and closes them again but one.
    Crowd {
        slot: usize,
        flags: u16,
        name: String,
    },
    Duplicate {
        from: usize,
        to: usize,
    },
    /// `OwnedFd::from`, and `adopt` by the present caller.
    HandOver {
        slot: usize,
    },
    Close {
        slot: usize,
    },
    Destroy {
        slot: usize,
    },
    /// `try_send`, or `try_send_vectored` of the pieces between the cuts.
    Send {
        slot: usize,
        packet: Vec<u8>,
        cuts: Option<Vec<usize>>,
    },
    Receive {
        slot: usize,
        room: usize,
        patience: Patience,
    },
    ReceiveVectored {
        slot: usize,
        rooms: Vec<usize>,
    },
    Wait {
        slot: usize,
        readiness: Readiness,
    },
    /// Watches the interface of the device, and waits for what there is to hear: nothing, or that it is gone.
    Listen {
        slot: usize,
        patience: Patience,
    },
    Name {
        slot: usize,
    },
    SetPersist {
        slot: usize,
        on: bool,
    },
    SetOwner {
        slot: usize,
        id: u32,
    },
    SetGroup {
        slot: usize,
        id: u32,
    },
    Queue {
        slot: usize,
        attached: bool,
    },
    /// Which packets the program takes unfinished.
    SetOffloads {
        slot: usize,
        offloads: Offloads,
    },
    Offloads {
        slot: usize,
    },
    /// Another virtio-net header, unless another device of the interface is open: that one would not know.
    SetVnetFormat {
        slot: usize,
        format: VnetFormat,
    },
    /// `attach_filter`, or `detach_filter`.
    Filter {
        slot: usize,
        program: Option<Program>,
    },
    MacFilter {
        slot: usize,
        filter: Option<MacFilter>,
    },
    /// The program sends a packet of this flow, and the system answers it: which of several queues the answer
    /// reaches.
    Reply {
        slot: usize,
        flow: u8,
    },
    /// `TunDevice::up`.
    Up {
        slot: usize,
        address: String,
    },
    /// `TunDevice::down`.
    Down {
        slot: usize,
    },
    Interface {
        on: On,
        call: InterfaceCall,
    },
    /// Moves an interface to the other namespace, by the backend.
    Move {
        on: On,
    },
    List,
    /// From now on, the caller is another.
    Caller(Caller),
    /// Another program, or the system itself, does something.
    System(System),
    /// Everything that can be seen of all interfaces.
    Survey,
}

/// What options may say beside flags and name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Also {
    /// The index of a new interface.
    Index(u32),
    Offloads(Offloads),
    VnetFormat(VnetFormat),
    Mtu(u32),
}

/// In which of its forms a receive is called. None may wait, since nothing would come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// `try_recv`.
    None,
    /// `recv_timeout`, of no time.
    NoTime,
    /// `recv_interruptible`, of no time, with an interrupter that was used or was not.
    Interruptible { used: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Create,
    Open,
    OpenOrCreate,
}

/// By what an interface is reached: through a device, or looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Slot(usize),
    Name(String),
}

/// What happens outside of the library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum System {
    Delete {
        name: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Move {
        name: String,
    },
    SetUp {
        name: String,
        up: bool,
    },
    /// The same packet some times, more often than a queue has room for in the extreme.
    Inject {
        name: String,
        packet: Vec<u8>,
        times: usize,
    },
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) capable: bool,
}

impl Caller {
    /// Root of the namespace.
    pub(crate) const ROOT: Self = Self { uid: 0, gid: 0, capable: true };
}

impl Op {
    /// The operation that it is a call of; `None` if it is no single call of the library's.
    pub(crate) fn operation(&self) -> Option<Operation> {
        Some(match self {
            Self::Attach { verb: Verb::Create, .. } => Operation::Create,
            Self::Attach { verb: Verb::Open, .. } | Self::Crowd { .. } => Operation::Open,
            Self::Attach { verb: Verb::OpenOrCreate, .. } => Operation::OpenOrCreate,
            Self::Duplicate { .. } => Operation::Duplicate,
            Self::HandOver { .. } => Operation::Adopt,
            Self::Destroy { .. } => Operation::Destroy,
            Self::Send { .. } => Operation::Send,
            Self::Receive { .. } | Self::ReceiveVectored { .. } => Operation::Receive,
            Self::Wait { .. } => Operation::Wait,
            Self::Listen { .. } => Operation::Watch,
            Self::Name { .. } => Operation::Name,
            Self::SetPersist { .. } => Operation::SetPersist,
            Self::SetOwner { .. } => Operation::SetOwner,
            Self::SetGroup { .. } => Operation::SetGroup,
            Self::Queue { attached: true, .. } => Operation::AttachQueue,
            Self::Queue { attached: false, .. } => Operation::DetachQueue,
            Self::SetOffloads { .. } => Operation::SetOffloads,
            Self::Offloads { .. } => Operation::Inspect,
            Self::SetVnetFormat { .. } => Operation::SetVnetFormat,
            Self::Filter { program: Some(_), .. } => Operation::AttachFilter,
            Self::Filter { program: None, .. } => Operation::DetachFilter,
            Self::MacFilter { .. } => Operation::SetMacFilter,
            Self::Up { .. } => Operation::Up,
            Self::Down { .. } => Operation::Down,
            Self::Interface { call, .. } => return call.operation(),
            Self::Move { .. } => Operation::Move,
            Self::List => Operation::List,
            Self::Close { .. } | Self::Reply { .. } | Self::Caller(_) | Self::System(_) | Self::Survey => {
                return None;
            }
        })
    }

    /// Its row in the table of outcomes.
    pub(crate) fn row(&self) -> String {
        match (self.operation(), self) {
            (Some(operation), _) => format!("{operation:?}"),
            (None, Self::Close { .. }) => "(close)".into(),
            (None, Self::Reply { .. }) => "(answer from the system)".into(),
            (None, Self::Interface { .. }) => "(configuration)".into(),
            (None, Self::Caller(_)) => "(change of caller)".into(),
            (None, Self::System(System::Delete { .. })) => "(deleted by another)".into(),
            (None, Self::System(System::Rename { .. })) => "(renamed by another)".into(),
            (None, Self::System(System::Move { .. })) => "(moved by another)".into(),
            (None, Self::System(System::SetUp { .. })) => "(switched by another)".into(),
            (None, Self::System(System::Inject { .. })) => "(packet from the system)".into(),
            (None, _) => "(survey)".into(),
        }
    }

    /// The slot of the device, or the name of the interface, that it is about.
    pub(crate) fn subject(&self) -> Option<On> {
        match self {
            Self::Duplicate { from: slot, .. }
            | Self::HandOver { slot }
            | Self::Close { slot }
            | Self::Destroy { slot }
            | Self::Send { slot, .. }
            | Self::Receive { slot, .. }
            | Self::ReceiveVectored { slot, .. }
            | Self::Wait { slot, .. }
            | Self::Listen { slot, .. }
            | Self::Name { slot }
            | Self::SetPersist { slot, .. }
            | Self::SetOwner { slot, .. }
            | Self::SetGroup { slot, .. }
            | Self::Queue { slot, .. }
            | Self::SetOffloads { slot, .. }
            | Self::Offloads { slot }
            | Self::SetVnetFormat { slot, .. }
            | Self::Filter { slot, .. }
            | Self::MacFilter { slot, .. }
            | Self::Reply { slot, .. }
            | Self::Up { slot, .. }
            | Self::Down { slot } => Some(On::Slot(*slot)),
            Self::Interface { on, .. } | Self::Move { on } => Some(on.clone()),
            Self::Attach { name: Some(name), .. } | Self::Crowd { name, .. } => Some(On::Name(name.clone())),
            Self::System(
                System::Delete { name }
                | System::Move { name }
                | System::Rename { from: name, .. }
                | System::SetUp { name, .. }
                | System::Inject { name, .. },
            ) => Some(On::Name(name.clone())),
            Self::Attach { name: None, .. } | Self::List | Self::Caller(_) | Self::Survey => None,
        }
    }
}
