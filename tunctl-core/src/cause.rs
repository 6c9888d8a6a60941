//! Why an operation failed.

use std::fmt;
use std::io::ErrorKind;

macro_rules! causes {
    ($($(#[$docs:meta])* $name:ident = $explanation:literal, $kind:ident $(, $remedy:literal)?;)*) => {
        /// Why an operation failed, for programs to match on. Displayed, it is the explanation for a person.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Cause {
            $($(#[$docs])* $name,)*
        }

        impl Cause {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The explanation; empty for [`Other`](Self::Other), which only its errno explains.
            #[must_use]
            pub const fn explanation(self) -> &'static str {
                match self {
                    $(Self::$name => $explanation,)*
                }
            }

            /// What to do about it, where that is the same on every system and in every operation. A backend
            /// says more where it can name a command.
            #[must_use]
            pub const fn remedy(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => causes!(@remedy $($remedy)?),)*
                }
            }

            /// The nearest kind of I/O error, for an error without an errno.
            #[must_use]
            pub const fn io_kind(self) -> ErrorKind {
                match self {
                    $(Self::$name => ErrorKind::$kind,)*
                }
            }
        }
    };
    (@remedy) => { None };
    (@remedy $remedy:literal) => { Some($remedy) };
}

causes! {
    /// The device node does not exist.
    MissingNode = "the device node does not exist", NotFound;
    /// The device node exists; the driver behind it does not, or it is another driver's.
    MissingDriver = "no TUN/TAP driver answers behind the device node", NotFound;
    /// The device node's mode does not let the caller open it.
    ClosedNode = "the device node is closed to this user", PermissionDenied;
    /// The rules of a container do not let the caller open the device node.
    ContainerRules = "the container's device rules forbid the device node", PermissionDenied;
    /// A capability is missing: on Linux, `CAP_NET_ADMIN`, or `CAP_NET_RAW` to observe.
    MissingCapability = "the privilege to configure networks is missing", PermissionDenied, "Run it as root.";
    /// The capability is there, but in a user namespace that does not own the interface's network namespace.
    ForeignNamespace = "the privilege is held in another user namespace than the one that owns this network namespace",
        PermissionDenied;
    /// The interface belongs to another user or group.
    NotOwner = "the interface belongs to another user or group", PermissionDenied,
        "Run it as that user and group, or as root.";
    /// Another descriptor is attached to the interface's only queue, or keeps the interface alive.
    Busy = "the interface is in use", ResourceBusy, "Close it there, or choose another interface.";
    /// An interface of that name exists, and a new one was asked for.
    Exists = "an interface of that name exists already", AlreadyExists,
        "Choose another name, open the one that exists, or delete it first.";
    /// No interface has that name.
    NotFound = "there is no interface of that name", NotFound,
        "Create it, or look where it is: each network namespace has interfaces of its own.";
    /// The interface exists with the other layer: a tun where a tap was asked for, or the reverse; or what
    /// was asked is of that layer alone.
    LayerMismatch = "the interface exists with the other layer", InvalidInput,
        "Ask for the layer that it has, choose another name, or delete it first.";
    /// The interface exists and was made with, or without, multiple queues.
    QueueMismatch = "the interface exists, and differs in whether it has several queues", InvalidInput,
        "Ask for what it was made with, choose another name, or delete it first.";
    /// Another queue of the interface is attached with other packet headers, which belong to all of its
    /// queues.
    HeaderMismatch = "another queue of the interface uses other packet headers", InvalidInput,
        "Packet headers belong to all queues of an interface: ask for the same.";
    /// The interface has as many queues as the kernel allows.
    TooManyQueues = "the interface has as many queues as the kernel allows", QuotaExceeded,
        "Closing a queue that is no longer needed makes room.";
    /// The queue is attached, or detached, already; or the interface has a single one, which stays.
    InvalidQueue = "the queue is already in that state, or is the interface's only queue", InvalidInput,
        "Queues come and go on an interface that was created with several queues.";
    /// An interface of that name exists and is no TUN/TAP interface.
    NotATun = "the interface is not a TUN/TAP interface", InvalidInput, "Choose another name.";
    /// A name that the kernel refuses, or a text that is none.
    InvalidName = "the name is refused", InvalidInput;
    /// Options that make no sense together.
    InvalidOptions = "the options are refused", InvalidInput;
    /// An address that no interface can have, or a text that is none.
    InvalidAddress = "the address is refused", InvalidInput;
    /// The address is on the interface already, in another form.
    AddressExists = "the interface has that address already, with another prefix or peer", AlreadyExists,
        "Remove the old one first, or replace the addresses as a whole.";
    /// The interface does not have that address.
    AddressNotFound = "the interface does not have that address", AddrNotAvailable,
        "Prefix length and peer must be those of the address that is there.";
    /// An MTU that this interface cannot have.
    InvalidMtu = "the MTU is refused", InvalidInput;
    /// A MAC address that no interface can have, or a text that is none.
    InvalidMac = "the MAC address is refused", InvalidInput;
    /// A uid or gid that means nobody, or that the caller's user namespace does not map.
    UnmappedId = "the id has no meaning in this user namespace", InvalidInput;
    /// The interface is down, and takes no packets.
    Down = "the interface is down", NetworkDown, "Bring it up first.";
    /// The packet is shorter than the headers that it must have.
    TooShort = "the packet is shorter than its headers", InvalidInput,
        "A packet begins with the headers that the device was created with; receive into a buffer that has room for them.";
    /// The packet is not what the device carries: on a tun, it starts with neither IPv4 nor IPv6.
    MalformedPacket = "the packet is not one that this device carries", InvalidInput;
    /// The system has no buffers for the packet, or the packet is longer than any that it has. The packet is
    /// lost.
    NoBuffers = "the system has no buffers for the packet", OutOfMemory, "Count the packet as lost, and go on.";
    /// The interface was deleted while the device was open, or moved out of this network namespace.
    Gone = "the interface is gone", NotConnected,
        "It was deleted, or moved to another namespace: close this device and create a new one.";
    /// Nothing is there to receive, or there is no room to send; only the `try_` forms answer so.
    WouldBlock = "the operation would have to wait", WouldBlock;
    /// Nothing came in the time that the caller was willing to wait.
    TimedOut = "nothing came in time", TimedOut;
    /// An [`Interrupter`](crate::Interrupter) ended the wait. Its kind of I/O error is not `Interrupted`,
    /// which by convention asks for another try, and that would end the same until it is reset.
    Interrupted = "the wait was interrupted", Other;
    /// This process, or the whole system, has as many open files as it may.
    TooManyOpenFiles = "too many files are open", QuotaExceeded, "Raise the limit (ulimit -n), or close some.";
    /// New namespaces are refused to this user.
    NamespacesRefused = "new user and network namespaces are refused here", PermissionDenied;
    /// A process with several threads cannot enter a user namespace.
    SeveralThreads = "a process with several threads cannot enter a user namespace", InvalidInput;
    /// IPv6 is switched off in this network namespace or for this interface.
    NoIpv6 = "IPv6 is switched off here", Unsupported;
    /// The system cannot do this at all; [`Capabilities`](crate::Capabilities) says so beforehand.
    Unsupported = "this system cannot do that", Unsupported;
    /// What the errno says, and nothing more is known.
    Other = "", Other;
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.explanation())
    }
}
