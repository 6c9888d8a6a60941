//! What a kernel counts of an interface's packets.

/// What the kernel has counted of an interface's packets since the interface was made. Nothing resets it.
///
/// Each direction has the name of what the program does. Linux names them as the system sees them, which is
/// the reverse: what a program sends, the system receives.
///
/// | here | the packets | Linux: `ip -s link`, `/proc/net/dev` |
/// |---|---|---|
/// | [`from_program`](Self::from_program) | those that [`send`](crate::TunDevice::send) sent | RX |
/// | [`to_program`](Self::to_program) | those that [`recv`](crate::TunDevice::recv) returns | TX |
///
/// ```
/// # use tunctl_core::{Interface, Result};
/// # fn example<I: Interface>(interface: &I) -> Result<()> {
/// let before = interface.statistics()?;
/// // … later …
/// let after = interface.statistics()?;
/// println!("{} bytes to the program", after.to_program.bytes - before.to_program.bytes);
/// println!("{} packets lost on the way to it", after.to_program.dropped - before.to_program.dropped);
/// # Ok(())
/// # }
/// ```
///
/// # Platform
///
/// Linux's driver lumps these together:
///
/// | counter | what is in it |
/// |---|---|
/// | `from_program.packets` | what a send handed to the system, which may still drop it |
/// | `from_program.errors` | on a tun, a virtio-net header that does not fit its packet (`rx_frame_errors`) |
/// | `from_program.dropped` | a send refused because the interface was down, because a tun's packet was neither IPv4 nor IPv6, or for lack of buffers; a packet whose EtherType no protocol takes |
/// | in no counter | a send too short for its headers; a virtio-net header that makes no sense by itself, and on a tap also one that does not fit its packet |
/// | `to_program.packets` | what a receive returned, cut or not: packets that still wait are not in it |
/// | `to_program.errors` | nothing: it stays 0 |
/// | `to_program.dropped` | a full queue, no queue in service, no carrier, a socket filter of the device |
/// | in no counter | a packet lost because the buffer had no room for the headers in front |
#[doc(alias = "rtnl_link_stats64")]
#[doc(alias = "IFLA_STATS64")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Statistics {
    /// Packets from the program to the system. Linux calls them received: `rx_packets`, and so on.
    #[doc(alias = "rx_packets")]
    pub from_program: Counters,
    /// Packets from the system to the program. Linux calls them transmitted: `tx_packets`, and so on.
    #[doc(alias = "tx_packets")]
    pub to_program: Counters,
}

/// The packets of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Counters {
    /// Packets that passed.
    pub packets: u64,
    /// Their bytes, a tap's Ethernet header included, and without packet information and virtio-net header.
    pub bytes: u64,
    /// Packets that had a fault.
    pub errors: u64,
    /// Packets that the kernel dropped.
    pub dropped: u64,
}
