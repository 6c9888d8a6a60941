//! What to create, or to open.

use tunctl_packet::Layer;

use crate::{CreateFlags, InvalidName, NamePattern};

/// What to create or to open: a layer, a name or a pattern for one, and how packets come and go.
///
/// A value of this type always makes sense: what a kernel would silently accept or cut is refused when it is built.
/// The default is Erlang's: a tap without packet information whose name the kernel chooses.
///
/// ```
/// use tunctl_core::{CreateFlags, CreateOptions, InvalidOptions};
///
/// let options = CreateOptions::tun().name("vpn%d")?.multi_queue(true);
/// assert_eq!(options.flags(), CreateFlags::TUN | CreateFlags::NO_PI | CreateFlags::MULTI_QUEUE);
/// assert_eq!(CreateOptions::default().flags().bits(), 0x1002);
/// assert_eq!(CreateOptions::from_bits(0x3), Err(InvalidOptions::BothLayers));
/// # Ok::<(), tunctl_core::InvalidName>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateOptions {
    name: Option<NamePattern>,
    flags: CreateFlags,
}

impl CreateOptions {
    /// A device of IP packets, without packet information.
    #[must_use]
    pub const fn tun() -> Self {
        Self { name: None, flags: CreateFlags::TUN.union(CreateFlags::NO_PI) }
    }

    /// A device of Ethernet frames, without packet information.
    #[must_use]
    pub const fn tap() -> Self {
        Self { name: None, flags: CreateFlags::TAP.union(CreateFlags::NO_PI) }
    }

    /// Options with exactly these flags, and a name that the kernel chooses.
    ///
    /// # Errors
    ///
    /// The flags name no layer, or both, or have a bit that no flag has.
    pub const fn from_flags(flags: CreateFlags) -> Result<Self, InvalidOptions> {
        let unknown = flags.bits() & !CreateFlags::all().bits();
        if unknown != 0 {
            return Err(InvalidOptions::UnknownBits { bits: unknown });
        }
        match (flags.contains(CreateFlags::TUN), flags.contains(CreateFlags::TAP)) {
            (true, true) => Err(InvalidOptions::BothLayers),
            (false, false) => Err(InvalidOptions::NoLayer),
            _ => Ok(Self { name: None, flags }),
        }
    }

    /// As [`from_flags`](Self::from_flags), from the integer that Erlang's `tunctl` and Linux use.
    ///
    /// # Errors
    ///
    /// As [`from_flags`](Self::from_flags).
    pub const fn from_bits(bits: u16) -> Result<Self, InvalidOptions> {
        Self::from_flags(CreateFlags::from_bits_retain(bits))
    }

    /// Asks for a name, or for a pattern in which `%d` stands for the first free number.
    ///
    /// # Errors
    ///
    /// The text is neither.
    pub fn name(self, pattern: &str) -> Result<Self, InvalidName> {
        Ok(self.pattern(NamePattern::new(pattern)?))
    }

    /// As [`name`](Self::name), with a name or pattern that is parsed already.
    #[must_use]
    pub fn pattern(mut self, pattern: impl Into<NamePattern>) -> Self {
        self.name = Some(pattern.into());
        self
    }

    /// Whether packets carry the [packet information header](tunctl_packet::header::PacketInfo). Off unless asked for.
    #[doc(alias = "IFF_NO_PI")]
    #[must_use]
    pub fn packet_information(self, on: bool) -> Self {
        self.with(CreateFlags::NO_PI, !on)
    }

    /// Whether packets carry a virtio-net header, of 10 bytes. Off unless asked for.
    #[doc(alias = "IFF_VNET_HDR")]
    #[must_use]
    pub fn vnet_header(self, on: bool) -> Self {
        self.with(CreateFlags::VNET_HDR, on)
    }

    /// Whether several devices may share the interface, each with a queue of its own. Off unless asked for.
    #[doc(alias = "IFF_MULTI_QUEUE")]
    #[must_use]
    pub fn multi_queue(self, on: bool) -> Self {
        self.with(CreateFlags::MULTI_QUEUE, on)
    }

    /// The flag `one_queue`, which old programs set. It has no effect on any kernel since Linux 3.8.
    #[doc(alias = "IFF_ONE_QUEUE")]
    #[must_use]
    pub fn one_queue(self, on: bool) -> Self {
        self.with(CreateFlags::ONE_QUEUE, on)
    }

    /// Whether an interface that exists is refused: of effect on
    /// [`open_or_create`](crate::TunBackend::open_or_create), which so becomes
    /// [`create`](crate::TunBackend::create).
    #[doc(alias = "IFF_TUN_EXCL")]
    #[must_use]
    pub fn exclusive(self, on: bool) -> Self {
        self.with(CreateFlags::TUN_EXCL, on)
    }

    fn with(mut self, flag: CreateFlags, on: bool) -> Self {
        self.flags.set(flag, on);
        self
    }

    /// The name or pattern asked for; `None` leaves it to the kernel.
    #[must_use]
    pub const fn name_pattern(&self) -> Option<&NamePattern> {
        self.name.as_ref()
    }

    /// The flags.
    #[must_use]
    pub const fn flags(&self) -> CreateFlags {
        self.flags
    }

    /// The layer: what a packet of the device starts with.
    #[must_use]
    pub const fn layer(&self) -> Layer {
        if self.flags.contains(CreateFlags::TUN) { Layer::Tun } else { Layer::Tap }
    }
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self::tap()
    }
}

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
    /// Bits that no flag has. (Linux would ignore them.)
    #[error("no flag has the bits {bits:#06x}")]
    UnknownBits {
        /// Those bits.
        bits: u16,
    },
    /// An existing interface is to be opened, but no name says which.
    #[error("to open an existing interface, give its whole name")]
    NoName,
    /// An existing interface is to be opened, and must not exist.
    #[error("an existing interface cannot be opened exclusively: that flag is for new ones")]
    ExclusiveOpen,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_a_kernel_would_accept_silently_are_refused() {
        assert_eq!(CreateOptions::from_bits(0x1003), Err(InvalidOptions::BothLayers));
        assert_eq!(CreateOptions::from_bits(0x1000), Err(InvalidOptions::NoLayer));
        assert_eq!(CreateOptions::from_bits(0), Err(InvalidOptions::NoLayer));
        for bit in [0x0004, 0x0008, 0x0010, 0x0020, 0x0040, 0x0080, 0x0200, 0x0400, 0x0800] {
            assert_eq!(CreateOptions::from_bits(bit | 1), Err(InvalidOptions::UnknownBits { bits: bit }));
        }
    }

    #[test]
    fn every_accepted_set_of_flags_keeps_its_bits() {
        for bits in 0..=u16::MAX {
            if let Ok(options) = CreateOptions::from_bits(bits) {
                assert_eq!(options.flags().bits(), bits);
                assert_eq!(Some(options.layer()), options.flags().layer());
            }
        }
    }

    #[test]
    fn each_switch_turns_its_own_flag_on_and_off() {
        type Switch = fn(CreateOptions, bool) -> CreateOptions;
        let switches: [(CreateFlags, Switch); 4] = [
            (CreateFlags::VNET_HDR, CreateOptions::vnet_header),
            (CreateFlags::MULTI_QUEUE, CreateOptions::multi_queue),
            (CreateFlags::ONE_QUEUE, CreateOptions::one_queue),
            (CreateFlags::TUN_EXCL, CreateOptions::exclusive),
        ];
        for (flag, switch) in switches {
            let on = switch(CreateOptions::tun(), true);
            assert_eq!(on.flags(), CreateOptions::tun().flags() | flag);
            assert_eq!(switch(on, false), CreateOptions::tun());
        }
        assert_eq!(CreateOptions::tap().packet_information(true).flags(), CreateFlags::TAP);
    }
}
