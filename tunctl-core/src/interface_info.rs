//! What a system reports of an interface.

use std::fmt;

use crate::{
    CreateFlags, CreateOptions, Gid, InterfaceIndex, InterfaceName, Layer, MacAddress, Mtu, Result, Uid,
};

/// Whether an interface is administratively up, and takes packets.
///
/// Carrier is another matter, and follows asynchronously.
#[doc(alias = "IFF_UP")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It takes packets.
    Up,
    /// It does not.
    Down,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Down => "down",
        })
    }
}

/// What the kernel reported of an interface at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InterfaceInfo {
    /// Its name.
    pub name: InterfaceName,
    /// Its index, which renaming does not change.
    pub index: InterfaceIndex,
    /// What a packet starts with.
    pub layer: Layer,
    /// The creation flags that the kernel still knows: layer, packet information, virtio-net header, queues.
    pub flags: CreateFlags,
    /// The most bytes a packet may have.
    pub mtu: Mtu,
    /// Its MAC address, if it is a tap.
    pub mac: Option<MacAddress>,
    /// Whether it is up.
    pub state: State,
    /// Whether it outlives its last device.
    pub persistent: bool,
    /// How many packets wait for the program at most, in each queue. `None` where the kernel does not say.
    pub queue_length: Option<u32>,
    /// The user that may attach without privilege.
    pub owner: Option<Uid>,
    /// The group whose members may attach without privilege.
    pub group: Option<Gid>,
    /// Whether it has a carrier: whether the link works, as far as its driver knows. `None` where the system
    /// has no such thing.
    ///
    /// An interface that is up and has no carrier is like one whose cable is pulled out: the system sends no
    /// packet out of it, and drops and counts those that it should send. What a program sends arrives
    /// nevertheless.
    ///
    /// On Linux, the carrier goes on when the first device is attached, off when the last one is closed, and
    /// [otherwise](crate::Interface::set_carrier) as programs switch it.
    #[doc(alias = "IFLA_CARRIER")]
    pub carrier: Option<bool>,
    /// How many queues are attached, disabled ones included. `None` where the kernel does not say.
    ///
    /// Linux counts the queues of a multi-queue interface. A single queue shows by the carrier alone: without
    /// one, a persistent interface is without device, or its carrier was switched off, and this is `None`.
    pub queues: Option<u32>,
    /// How many of these queues are [detached](crate::Queues): out of service. `None` where the kernel does
    /// not say, as Linux of an interface with a single queue, which is always in service.
    #[doc(alias = "IFLA_TUN_NUM_DISABLED_QUEUES")]
    pub detached_queues: Option<u32>,
}

impl InterfaceInfo {
    /// What is known of every interface, for a backend to complete: down, not persistent,
    /// nobody's, MAC address, carrier and queues unknown.
    #[must_use]
    pub fn new(name: InterfaceName, index: InterfaceIndex, layer: Layer, mtu: Mtu) -> Self {
        Self {
            name,
            index,
            layer,
            flags: CreateFlags::from(layer),
            mtu,
            mac: None,
            state: State::Down,
            persistent: false,
            queue_length: None,
            owner: None,
            group: None,
            carrier: None,
            queues: None,
            detached_queues: None,
        }
    }

    /// Options by which a backend opens this interface as it is: its name, its layer, its packet headers.
    ///
    /// # Errors
    ///
    /// `InvalidOptions`: the flags make no sense together, which no kernel reports.
    pub fn options(&self) -> Result<CreateOptions> {
        Ok(CreateOptions::from_flags(self.flags)?.name(self.name))
    }
}
