//! The operations, which errors name and capabilities list.

use std::fmt;

macro_rules! operations {
    ($($(#[$docs:meta])* $name:ident = $phrase:literal,)*) => {
        /// What the caller asked a backend, a device or an interface to do.
        ///
        /// `Display` prints a phrase that the interface's name completes: `set MTU of`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Operation {
            $($(#[$docs])* $name,)*
        }

        impl Operation {
            /// All operations.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The phrase for an error without an interface's name.
            pub(crate) fn alone(self) -> &'static str {
                let phrase = self.phrase();
                match phrase.rsplit_once(' ') {
                    Some((verb, "of" | "to" | "from" | "for")) => verb,
                    _ => phrase,
                }
            }

            const fn phrase(self) -> &'static str {
                match self {
                    $(Self::$name => $phrase,)*
                }
            }
        }
    };
}

operations! {
    /// [`TunBackend::create`](crate::TunBackend::create).
    Create = "create",
    /// [`TunBackend::open`](crate::TunBackend::open).
    Open = "open",
    /// [`TunBackend::open_or_create`](crate::TunBackend::open_or_create).
    OpenOrCreate = "open or create",
    /// [`Adopt::adopt`](crate::Adopt::adopt).
    Adopt = "adopt the descriptor of",
    /// [`TunBackend::interface`](crate::TunBackend::interface).
    Lookup = "look up",
    /// [`TunBackend::interfaces`](crate::TunBackend::interfaces).
    List = "list interfaces",
    /// [`TunDevice::destroy`](crate::TunDevice::destroy).
    Destroy = "destroy",
    /// [`TunDevice::set_persist`](crate::TunDevice::set_persist).
    SetPersist = "set persistence of",
    /// [`TunDevice::set_owner`](crate::TunDevice::set_owner).
    SetOwner = "set owner of",
    /// [`TunDevice::set_group`](crate::TunDevice::set_group).
    SetGroup = "set group of",
    /// [`TunDevice::try_clone`](crate::TunDevice::try_clone).
    Duplicate = "duplicate",
    /// [`Queues::attach_queue`](crate::Queues::attach_queue).
    AttachQueue = "attach the queue to",
    /// [`Queues::detach_queue`](crate::Queues::detach_queue).
    DetachQueue = "detach the queue from",
    /// [`Filters::attach_filter`](crate::Filters::attach_filter).
    AttachFilter = "attach a filter to",
    /// [`Filters::detach_filter`](crate::Filters::detach_filter).
    DetachFilter = "detach the filter from",
    /// [`Filters::set_mac_filter`](crate::Filters::set_mac_filter).
    SetMacFilter = "set MAC filter of",
    /// Having an eBPF program drop or cut packets, on backends that can.
    SetFilterProgram = "set filter program of",
    /// Having an eBPF program choose the queue of a packet, on backends that can.
    SetSteeringProgram = "set steering program of",
    /// [`TunDevice::set_offloads`](crate::TunDevice::set_offloads).
    SetOffloads = "set offloads of",
    /// [`TunDevice::set_vnet_format`](crate::TunDevice::set_vnet_format).
    SetVnetFormat = "set virtio-net header of",
    /// [`TunDevice::recv`](crate::TunDevice::recv) and its other forms.
    Receive = "receive from",
    /// [`TunDevice::send`](crate::TunDevice::send) and its other forms.
    Send = "send to",
    /// [`TunDevice::wait`](crate::TunDevice::wait) and
    /// [`TunDevice::wait_until`](crate::TunDevice::wait_until).
    Wait = "wait for",
    /// [`Interrupter::new`](crate::Interrupter::new) and
    /// [`Interrupter::trigger`](crate::Interrupter::trigger).
    Interrupt = "make an interrupter",
    /// [`TunDevice::name`](crate::TunDevice::name).
    Name = "get the name of",
    /// [`Interface::info`](crate::Interface::info) and what follows from it.
    Inspect = "inspect",
    /// [`Interface::statistics`](crate::Interface::statistics).
    ReadStatistics = "read statistics of",
    /// [`Interface::set_state`](crate::Interface::set_state) with [`State::Up`](crate::State::Up).
    Up = "bring up",
    /// [`Interface::set_state`](crate::Interface::set_state) with [`State::Down`](crate::State::Down).
    Down = "take down",
    /// [`Interface::apply`](crate::Interface::apply), where a value of the configuration is wrong.
    Configure = "configure",
    /// [`Interface::set_mtu`](crate::Interface::set_mtu).
    SetMtu = "set MTU of",
    /// [`Interface::set_mac`](crate::Interface::set_mac).
    SetMac = "set MAC address of",
    /// [`Interface::set_queue_length`](crate::Interface::set_queue_length).
    SetQueueLength = "set queue length of",
    /// [`Interface::set_carrier`](crate::Interface::set_carrier).
    SetCarrier = "set carrier of",
    /// Making an interface the port of a bridge, on backends that can.
    SetMaster = "set master of",
    /// Setting how many bytes of sent packets may be in flight, on backends that can.
    SetSendBuffer = "set send buffer of",
    /// Setting the link type of an interface, on backends that can.
    SetLinkType = "set link type of",
    /// [`Interface::description`](crate::Interface::description) and
    /// [`Interface::set_description`](crate::Interface::set_description).
    Describe = "describe",
    /// [`Interface::addresses`](crate::Interface::addresses).
    ListAddresses = "list addresses of",
    /// [`Interface::add_address`](crate::Interface::add_address).
    AddAddress = "add an address to",
    /// [`Interface::remove_address`](crate::Interface::remove_address).
    RemoveAddress = "remove an address from",
    /// [`Interface::delete`](crate::Interface::delete).
    Delete = "delete",
    /// [`Interface::rename`](crate::Interface::rename).
    Rename = "rename",
    /// [`Namespaces::move_to`](crate::Namespaces::move_to), on backends that can.
    Move = "move",
    /// Connecting an interface to another one, or to a switch, on backends that can.
    Connect = "connect",
    /// Observing the packets that pass an interface, on backends that can.
    Observe = "observe",
    /// Asking which features the system's driver has, on backends that can.
    Probe = "ask for the features of the driver",
    /// [`Events::events`](crate::Events::events), and taking an event from an
    /// [`EventWatcher`](crate::EventWatcher).
    Watch = "watch",
    /// Entering a new network namespace, on backends that can.
    EnterNamespace = "enter a new user and network namespace",
    /// Making, finding or visiting another network namespace, on backends that can.
    Namespace = "reach a network namespace",
    /// Parsing an argument: a name, an address, options.
    Parse = "parse",
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.phrase())
    }
}
