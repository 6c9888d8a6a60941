//! Why an operation failed.

use std::fmt;
use std::io::ErrorKind;

macro_rules! causes {
    ($($(#[$docs:meta])* $name:ident = $explanation:literal, $kind:ident;)*) => {
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

            /// The nearest kind of I/O error, for an error without an errno.
            #[must_use]
            pub const fn io_kind(self) -> ErrorKind {
                match self {
                    $(Self::$name => ErrorKind::$kind,)*
                }
            }
        }
    };
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
    MissingCapability = "CAP_NET_ADMIN is missing", PermissionDenied;
    /// The capability is there, but in a user namespace that does not own the interface's network namespace.
    ForeignNamespace = "CAP_NET_ADMIN is held in another user namespace than the one that owns this network namespace",
        PermissionDenied;
    /// The interface belongs to another user or group.
    NotOwner = "the interface belongs to another user or group", PermissionDenied;
    /// Another descriptor is attached to the interface's only queue, or keeps the interface alive.
    Busy = "the interface is in use", ResourceBusy;
    /// An interface of that name exists, and a new one was asked for.
    Exists = "an interface of that name exists already", AlreadyExists;
    /// No interface has that name.
    NotFound = "there is no interface of that name", NotFound;
    /// The interface exists with the other layer: a tun where a tap was asked for, or the reverse; or what was asked is of that
    /// layer alone.
    LayerMismatch = "the interface exists with the other layer", InvalidInput;
    /// The interface exists and was made with, or without, multiple queues.
    QueueMismatch = "the interface exists, and differs in whether it has several queues", InvalidInput;
    /// Another queue of the interface is attached with other packet headers, which belong to all of its queues.
    HeaderMismatch = "another queue of the interface uses other packet headers", InvalidInput;
    /// The interface has as many queues as the kernel allows.
    TooManyQueues = "the interface has as many queues as the kernel allows", QuotaExceeded;
    /// The queue is attached, or detached, already; or the interface has a single one, which stays.
    InvalidQueue = "the queue is so already, or is the interface's only one", InvalidInput;
    /// An interface of that name exists and is no TUN/TAP interface.
    NotATun = "the interface is not a TUN/TAP interface", InvalidInput;
    /// A name that the kernel refuses, or a text that is none.
    InvalidName = "the name is refused", InvalidInput;
    /// Options that make no sense together.
    InvalidOptions = "the options are refused", InvalidInput;
    /// An address that no interface can have, or a text that is none.
    InvalidAddress = "the address is refused", InvalidInput;
    /// The address is on the interface already, in another form.
    AddressExists = "the interface has that address already, with another prefix or peer", AlreadyExists;
    /// The interface does not have that address.
    AddressNotFound = "the interface does not have that address", AddrNotAvailable;
    /// An MTU that this interface cannot have.
    InvalidMtu = "the MTU is refused", InvalidInput;
    /// A MAC address that no interface can have, or a text that is none.
    InvalidMac = "the MAC address is refused", InvalidInput;
    /// A uid or gid that means nobody, or that the caller's user namespace does not map.
    UnmappedId = "the id has no meaning in this user namespace", InvalidInput;
    /// The interface is down, and takes no packets.
    Down = "the interface is down", NetworkDown;
    /// The packet is shorter than the headers that it must have.
    TooShort = "the packet is shorter than its headers", InvalidInput;
    /// The packet is not what the device carries: on a tun, it starts with neither IPv4 nor IPv6.
    MalformedPacket = "the packet is not one that this device carries", InvalidInput;
    /// The interface was deleted while the device was open, or moved out of this network namespace.
    Gone = "the interface is gone", NotConnected;
    /// Nothing is there to receive, or there is no room to send; only the `try_` forms answer so.
    WouldBlock = "the operation would have to wait", WouldBlock;
    /// Nothing came in the time that the caller was willing to wait.
    TimedOut = "nothing came in time", TimedOut;
    /// An [`Interrupter`](crate::Interrupter) ended the wait. Its kind of I/O error is not `Interrupted`, which by convention
    /// asks for another try, and that would end the same until it is reset.
    Interrupted = "the wait was interrupted", Other;
    /// This process, or the whole system, has as many open files as it may.
    TooManyOpenFiles = "too many files are open", QuotaExceeded;
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
