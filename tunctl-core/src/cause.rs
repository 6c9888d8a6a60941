//! Why an operation failed.

use std::fmt;
use std::io::ErrorKind;

macro_rules! causes {
    ($($(#[$docs:meta])* $name:ident = $explanation:literal, $kind:ident $(, $remedy:literal)?;)*) => {
        /// Why an operation failed, for programs to match on. `Display` prints the explanation for a person.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Cause {
            $($(#[$docs])* $name,)*
        }

        impl Cause {
            /// All causes.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The explanation. It is empty for [`Other`](Self::Other), which only the errno explains.
            #[must_use]
            pub const fn explanation(self) -> &'static str {
                match self {
                    $(Self::$name => $explanation,)*
                }
            }

            /// What to do about it, where the advice is the same on every system and for every operation. A
            /// backend gives its own advice where it can name a command.
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
    /// The device node exists, but its driver is not loaded, or the node belongs to another driver.
    MissingDriver = "no TUN/TAP driver answers behind the device node", NotFound;
    /// The device node's mode does not let the caller open it.
    ClosedNode = "the device node is closed to this user", PermissionDenied;
    /// The rules of a container do not let the caller open the device node.
    ContainerRules = "the container's device rules forbid the device node", PermissionDenied;
    /// A capability is missing: on Linux, `CAP_NET_ADMIN`, or `CAP_NET_RAW` to observe.
    MissingCapability = "the privilege to configure networks is missing", PermissionDenied, "Run it as root.";
    /// The capability is there, but in a user namespace that does not own the interface's network namespace.
    ForeignNamespace = "the privilege is held in another user namespace, not in the one that owns this network namespace",
        PermissionDenied;
    /// A sandbox forbids a system call: the seccomp filter of a service or container, or a security module.
    Sandboxed = "a sandbox forbids this system call", PermissionDenied;
    /// The interface belongs to another user or group.
    NotOwner = "the interface belongs to another user or group", PermissionDenied,
        "Run it as that user and group, or as root.";
    /// Another descriptor is attached to the interface's only queue, or keeps the interface alive.
    Busy = "the interface is in use", ResourceBusy, "Close it there, or choose another interface.";
    /// An interface of that name exists, and the caller asked for a new one.
    Exists = "an interface of that name exists already", AlreadyExists,
        "Choose another name, open the existing interface, or delete it first.";
    /// No interface has that name.
    NotFound = "there is no interface of that name", NotFound,
        "Create it, or look in another network namespace: each has its own interfaces.";
    /// The interface has the other layer: a tun where the caller asked for a tap, or the reverse; or the
    /// operation exists for the other layer only.
    LayerMismatch = "the interface exists with the other layer", InvalidInput,
        "Ask for its layer, choose another name, or delete it first.";
    /// The interface exists and was created with several queues where the caller asked for a single one, or
    /// the reverse.
    QueueMismatch = "the interface exists with the other multi-queue setting", InvalidInput,
        "Ask for the setting that it was created with, choose another name, or delete it first.";
    /// Another queue of the interface is attached with other packet headers. All queues of an interface share
    /// their headers.
    HeaderMismatch = "another queue of the interface uses other packet headers", InvalidInput,
        "All queues of an interface share their packet headers: ask for the same ones.";
    /// The device's packets have no virtio-net header, which the operation is about.
    NoVnetHeader = "the packets of the device have no virtio-net header", InvalidInput,
        "Ask for one when the device is created: vnet_header, or --vnet-hdr.";
    /// The interface has as many queues as the kernel allows.
    TooManyQueues = "the interface has as many queues as the kernel allows", QuotaExceeded,
        "Closing a queue that is no longer needed makes room.";
    /// The queue is already attached or detached, or it is the interface's only queue.
    InvalidQueue = "the queue is already in that state, or is the interface's only queue", InvalidInput,
        "Only an interface that was created with several queues can attach and detach them.";
    /// The carrier was to go on, and no device is attached to the interface, or all its queues are detached.
    NoQueue = "no queue of the interface is in service", ResourceBusy,
        "Open the interface first: its carrier goes on with its first device.";
    /// An interface of that name exists and is not a TUN/TAP interface.
    NotATun = "the interface is not a TUN/TAP interface", InvalidInput, "Choose another name.";
    /// A descriptor that was to become a device is another file: not one of the TUN/TAP driver, or of a mock
    /// not one of its own.
    ForeignDescriptor = "the descriptor is not one of the TUN/TAP driver", InvalidInput,
        "Pass the descriptor of an open TUN/TAP device.";
    /// A descriptor that was to become a device is the driver's, and is attached to no interface.
    NotAttached = "the descriptor is attached to no interface", NotConnected,
        "It never was, or its interface was deleted: have the program that opened it attach it first.";
    /// An adopted device is attached to an interface, and which one cannot be determined.
    UnknownInterface = "the interface of this adopted device is not known", PermissionDenied;
    /// The kernel refuses the name, or the text is not a name.
    InvalidName = "the name is invalid", InvalidInput;
    /// Options that make no sense together.
    InvalidOptions = "the options are invalid", InvalidInput;
    /// No interface can have the address, or the text is not an address.
    InvalidAddress = "the address is invalid", InvalidInput;
    /// The interface already has the address, with another prefix or peer.
    AddressExists = "the interface has that address already, with another prefix or peer", AlreadyExists,
        "Remove the old one first, or replace all addresses.";
    /// The interface does not have that address.
    AddressNotFound = "the interface does not have that address", AddrNotAvailable,
        "Prefix length and peer must match those of the existing address.";
    /// This interface cannot have the MTU.
    InvalidMtu = "the MTU is invalid", InvalidInput;
    /// No interface can have the MAC address, or the text is not a MAC address.
    InvalidMac = "the MAC address is invalid", InvalidInput;
    /// The kernel refuses the value of another property: it is too large, or too long.
    InvalidValue = "the value is one that this system refuses", InvalidInput,
        "Choose a smaller or a shorter one.";
    /// A uid or gid that is reserved to mean "none", or that the caller's user namespace does not map.
    UnmappedId = "the id is not mapped in this user namespace", InvalidInput;
    /// The interface is down, and takes no packets.
    Down = "the interface is down", NetworkDown, "Bring it up first.";
    /// The packet, or the buffer for it, is shorter than the headers that it must have.
    TooShort = "the packet is shorter than its headers", InvalidInput,
        "A packet begins with the headers that the device was created with; receive into a buffer that has room for them.";
    /// The device does not carry such packets: on a tun, it starts with neither IPv4 nor IPv6.
    MalformedPacket = "the packet is not one that this device carries", InvalidInput;
    /// A vectored call has more pieces than the system takes: 1024 on every supported system, of which the
    /// backend may need one for a header. Nothing was sent or received.
    TooManyPieces = "there are more pieces than the system takes in one call", InvalidInput,
        "Join some of them: a call takes 1024, or 1023 where the backend adds a header.";
    /// The system has no buffer for the packet, or none that is long enough. The packet is lost.
    NoBuffers = "the system has no buffers for the packet", OutOfMemory, "Count the packet as lost, and go on.";
    /// The interface was deleted while the device was open, or moved out of this network namespace.
    Gone = "the interface is gone", NotConnected,
        "It was deleted, or moved to another namespace: close this device and create a new one.";
    /// There is no packet to receive, or no room to send. Only the `try_` forms return this.
    WouldBlock = "the operation would have to wait", WouldBlock;
    /// No packet arrived within the caller's timeout.
    TimedOut = "nothing arrived in time", TimedOut;
    /// An [`Interrupter`](crate::Interrupter) ended the wait. The I/O error kind is not `Interrupted`: by
    /// convention a caller tries again after that, and each try would be interrupted until the interrupter is
    /// reset.
    Interrupted = "the wait was interrupted", Other;
    /// The process, or the whole system, has reached its limit of open files.
    TooManyOpenFiles = "too many files are open", QuotaExceeded, "Raise the limit (ulimit -n), or close some files.";
    /// The privileged helper, which creates interfaces for programs without the right to, is not installed.
    MissingHelper = "tunctl-helper is not installed", NotFound, "Install it: sudo tunctl helper install.";
    /// The policy of the privileged helper does not let this user have such an interface.
    ForbiddenByPolicy = "the policy of tunctl-helper does not allow it", PermissionDenied,
        "`tunctl policy check` shows what you may create.";
    /// The privileged helper cannot serve this program: it does not start, does not answer, or answers what
    /// it should not.
    UnusableHelper = "tunctl-helper cannot be used", Other;
    /// The system refuses new namespaces to this user.
    NamespacesRefused = "new user and network namespaces are refused here", PermissionDenied;
    /// A process with several threads cannot enter a user namespace.
    SeveralThreads = "a process with several threads cannot enter a user namespace", InvalidInput;
    /// The file is no network namespace.
    NotANamespace = "this is not a network namespace", InvalidInput;
    /// IPv6 is switched off in this network namespace or for this interface.
    NoIpv6 = "IPv6 is switched off here", Unsupported;
    /// The system cannot do this at all; [`Capabilities`](crate::Capabilities) says so beforehand.
    Unsupported = "this system cannot do that", Unsupported;
    /// Nothing is known but the errno.
    Other = "", Other;
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.explanation())
    }
}
