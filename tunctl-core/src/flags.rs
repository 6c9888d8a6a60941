//! The flags that a device is created with.

use std::fmt;

use tunctl_packet::Layer;
use tunctl_packet::header::{Endian, HeaderKind, VnetFormat, VnetLength};

bitflags::bitflags! {
    /// The flags that a device was created with; [`bits`](Self::bits) is the integer that Erlang's `tunctl`
    /// and Linux use for them.
    ///
    /// These are not the flags of the interface (`IFF_UP` and its kin), which share names and values with
    /// them by accident. A set of flags may be nonsense; [`CreateOptions`](crate::CreateOptions) accepts only
    /// sense.
    ///
    /// # Platform
    ///
    /// The numbers are Linux's, everywhere. A backend refuses what its system lacks.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct CreateFlags: u16 {
        /// The device carries IP packets.
        #[doc(alias = "IFF_TUN")]
        const TUN = 0x0001;
        /// The device carries Ethernet frames.
        #[doc(alias = "IFF_TAP")]
        const TAP = 0x0002;
        /// Packets from the program are handed on in batches, as a network card does it.
        #[doc(alias = "IFF_NAPI")]
        const NAPI = 0x0010;
        /// The pieces of a vectored send become the pieces of the packet.
        #[doc(alias = "IFF_NAPI_FRAGS")]
        const NAPI_FRAGS = 0x0020;
        /// The device leaves the interface without carrier.
        #[doc(alias = "IFF_NO_CARRIER")]
        const NO_CARRIER = 0x0040;
        /// Packets wait outside of a queue that is full, instead of being dropped.
        #[doc(alias = "IFF_BACKPRESSURE")]
        const BACKPRESSURE = 0x0080;
        /// Several devices may share the interface, each with a queue of its own.
        #[doc(alias = "IFF_MULTI_QUEUE")]
        const MULTI_QUEUE = 0x0100;
        /// Packets come and go without the packet information header.
        #[doc(alias = "IFF_NO_PI")]
        const NO_PI = 0x1000;
        /// Accepted for old programs' sake. Linux has given it no effect since 3.8.
        #[doc(alias = "IFF_ONE_QUEUE")]
        const ONE_QUEUE = 0x2000;
        /// Packets come and go with a virtio-net header in front.
        #[doc(alias = "IFF_VNET_HDR")]
        const VNET_HDR = 0x4000;
        /// The interface must not exist yet.
        #[doc(alias = "IFF_TUN_EXCL")]
        const TUN_EXCL = 0x8000;
    }
}

impl CreateFlags {
    /// The flags that some kernels do not know, and would ignore.
    pub const OPTIONAL: Self =
        Self::NAPI.union(Self::NAPI_FRAGS).union(Self::NO_CARRIER).union(Self::BACKPRESSURE);

    /// The layer, if the flags name exactly one.
    #[must_use]
    pub const fn layer(self) -> Option<Layer> {
        match (self.contains(Self::TUN), self.contains(Self::TAP)) {
            (true, false) => Some(Layer::Tun),
            (false, true) => Some(Layer::Tap),
            _ => None,
        }
    }

    /// The headers in front of each packet of a device with these flags.
    #[must_use]
    pub const fn header_kind(self) -> HeaderKind {
        self.header_kind_with(VnetFormat::new(VnetLength::Basic, Endian::Native))
    }

    /// The same, where a virtio-net header has this format.
    #[must_use]
    pub const fn header_kind_with(self, format: VnetFormat) -> HeaderKind {
        match (self.contains(Self::NO_PI), self.contains(Self::VNET_HDR)) {
            (true, false) => HeaderKind::Bare,
            (false, false) => HeaderKind::PacketInfo,
            (true, true) => HeaderKind::Vnet(format),
            (false, true) => HeaderKind::PacketInfoAndVnet(format),
        }
    }

    /// The names of the flags in lower case, in the order of their bits: `tap`, `no_pi`.
    pub fn names(self) -> impl Iterator<Item = String> {
        self.iter_names().map(|(name, _)| name.to_lowercase())
    }
}

impl From<Layer> for CreateFlags {
    fn from(layer: Layer) -> Self {
        match layer {
            Layer::Tun => Self::TUN,
            Layer::Tap => Self::TAP,
        }
    }
}

impl fmt::Display for CreateFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(", "))
    }
}
