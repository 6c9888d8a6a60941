//! Options that make no sense.

use crate::InterfaceIndex;

/// Why a set of flags, or a use of options, makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOptions {
    /// Both tun and tap. (Linux would make a tun.)
    #[error("a device is either a tun or a tap, not both")]
    BothLayers,
    /// Neither tun nor tap.
    #[error("a device is either a tun or a tap: choose one")]
    NoLayer,
    /// Unknown bits. (Linux would ignore them.)
    #[error("no flag has the bits {bits:#06x}")]
    UnknownBits {
        /// The unknown bits.
        bits: u16,
    },
    /// The options have no whole name, which opening an existing interface needs.
    #[error("to open an existing interface, specify its whole name")]
    NoName,
    /// The options name an index, and the interface exists with another.
    #[error("the interface exists with the index {index}; only a new one can be given an index")]
    OtherIndex {
        /// The index that the interface has.
        index: InterfaceIndex,
    },
    /// The caller asked for no queue at all.
    #[error("an interface has at least one queue")]
    NoQueues,
    /// The options name offloads of UDP tunnels, and a virtio-net header that has no room for them.
    #[error("offloads of UDP tunnels need a virtio-net header of 24 bytes")]
    TunnelsWithoutRoom,
    /// Fragments of a tun, or without NAPI. (Linux knows them of a tap with it.)
    #[error("napi_fragments is for a tap with napi")]
    FragmentsWithoutNapi,
    /// The options name offloads, and no virtio-net header.
    #[error("packets that are not finished need a virtio-net header, which says what is left to do")]
    OffloadsWithoutHeader,
    /// `exclusive` demands a new interface, and `open` an existing one.
    #[error("an existing interface cannot be opened exclusively: that flag is for new ones")]
    ExclusiveOpen,
}
