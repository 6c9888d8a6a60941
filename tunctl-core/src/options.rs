//! What to create, or to open.

mod configured;

use tunctl_packet::Layer;
use tunctl_packet::header::{HeaderKind, VnetFormat};

use crate::{
    CreateFlags, Error, Gid, InterfaceConfig, InterfaceIndex, InterfaceName, InvalidOptions, NamePattern,
    Offloads, Result, Uid,
};

/// What to create or to open: layer, name, packet headers, queues, and the configuration of the interface.
///
/// The default is Erlang's: a tap without packet information whose name the kernel chooses.
///
/// Setters take text and parse it, or take parsed values. The options keep the first error, and `create`
/// returns it, so that one `?` is enough for all of them:
///
/// ```
/// use tunctl_core::{CreateOptions, Result, TunBackend};
///
/// fn vpn<B: TunBackend>(backend: &B) -> Result<B::Device> {
///     backend.create(&CreateOptions::tun().name("vpn%d").mtu(1420).address("10.1.1.1/24").address("fd77::1/64").up())
/// }
/// ```
///
/// The configuration is declarative: [`open`](crate::TunBackend::open) and
/// [`open_or_create`](crate::TunBackend::open_or_create) change only what differs, and undo it if a step
/// fails; a failed [`create`](crate::TunBackend::create) leaves nothing behind.
///
/// Setters refuse values that a kernel would silently accept or cut.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct CreateOptions {
    name: Option<NamePattern>,
    flags: CreateFlags,
    vnet_format: VnetFormat,
    offloads: Option<Offloads>,
    index: Option<InterfaceIndex>,
    owner: Option<Uid>,
    group: Option<Gid>,
    persistent: Option<bool>,
    config: InterfaceConfig,
}

impl CreateOptions {
    /// A device of IP packets, without packet information.
    pub fn tun() -> Self {
        Self::with_flags(CreateFlags::TUN | CreateFlags::NO_PI)
    }

    /// A device of Ethernet frames, without packet information.
    pub fn tap() -> Self {
        Self::with_flags(CreateFlags::TAP | CreateFlags::NO_PI)
    }

    fn with_flags(flags: CreateFlags) -> Self {
        Self {
            name: None,
            flags,
            vnet_format: VnetFormat::default(),
            offloads: None,
            index: None,
            owner: None,
            group: None,
            persistent: None,
            config: InterfaceConfig::new(),
        }
    }

    /// Options with exactly these flags, and a name that the kernel chooses.
    ///
    /// # Errors
    ///
    /// The flags specify no layer, or both, or contain an unknown bit.
    pub fn from_flags(flags: CreateFlags) -> Result<Self, InvalidOptions> {
        let unknown = flags.bits() & !CreateFlags::all().bits();
        if unknown != 0 {
            return Err(InvalidOptions::UnknownBits { bits: unknown });
        }
        match (flags.contains(CreateFlags::TUN), flags.contains(CreateFlags::TAP)) {
            (true, true) => Err(InvalidOptions::BothLayers),
            (false, false) => Err(InvalidOptions::NoLayer),
            _ => Ok(Self::with_flags(flags)),
        }
    }

    /// Like [`from_flags`](Self::from_flags), from the integer that Erlang's `tunctl` and Linux use.
    ///
    /// # Errors
    ///
    /// As [`from_flags`](Self::from_flags).
    pub fn from_bits(bits: u16) -> Result<Self, InvalidOptions> {
        Self::from_flags(CreateFlags::from_bits_retain(bits))
    }

    /// A name, or a pattern in which `%d` stands for the first free number. Without one, the kernel chooses.
    pub fn name<N>(mut self, name: N) -> Self
    where
        N: TryInto<NamePattern>,
        Error: From<N::Error>,
    {
        match name.try_into() {
            Ok(name) => self.name = Some(name),
            Err(error) => self.config.invalidate(error),
        }
        self
    }

    /// The index of a new interface. Without it, the kernel chooses the next one.
    ///
    /// A test, or a program that another must find again, may want a certain one. It is refused with `Busy`
    /// if another interface of the network namespace has it, and with `InvalidOptions` if the interface
    /// exists already and has another.
    ///
    /// # Platform
    ///
    /// Linux; elsewhere it is `Unsupported`.
    #[doc(alias = "TUNSETIFINDEX")]
    pub const fn index(mut self, index: InterfaceIndex) -> Self {
        self.index = Some(index);
        self
    }

    /// Whether packets carry the [packet information header](tunctl_packet::header::PacketInfo). Off by
    /// default.
    #[doc(alias = "IFF_NO_PI")]
    pub fn packet_information(self, on: bool) -> Self {
        self.with(CreateFlags::NO_PI, !on)
    }

    /// Whether packets carry a [virtio-net header](tunctl_packet::header::VnetHeader), of 10 bytes unless
    /// [`vnet_format`](Self::vnet_format) says otherwise. Off by default.
    #[doc(alias = "IFF_VNET_HDR")]
    pub fn vnet_header(self, on: bool) -> Self {
        self.with(CreateFlags::VNET_HDR, on)
    }

    /// Length and byte order of the virtio-net header, which packets then carry. By default it has 10 bytes
    /// in the order of this machine; virtio 1 has 12, little endian.
    ///
    /// All queues of an interface share it. [`open`](crate::TunBackend::open) refuses another one than the
    /// other queues have, with `HeaderMismatch`.
    ///
    /// # Platform
    ///
    /// Linux; elsewhere there is no such header. Most kernels know the byte order of a foreign machine only
    /// if it is little endian: else it is `InvalidValue`.
    #[doc(alias = "TUNSETVNETHDRSZ")]
    #[doc(alias = "TUNSETVNETLE")]
    #[doc(alias = "TUNSETVNETBE")]
    pub fn vnet_format(mut self, format: VnetFormat) -> Self {
        self.vnet_format = format;
        self.vnet_header(true)
    }

    /// Which packets that are not finished the program takes; see
    /// [`TunDevice::set_offloads`](crate::TunDevice::set_offloads). None by
    /// default. It needs a virtio-net header, which says what is left to do: without one it is
    /// `InvalidOptions`.
    ///
    /// All queues of an interface share them. A further queue that names less than the others take is refused
    /// with `Busy`, as it would take it from them. One that names none leaves them as they are.
    ///
    /// # Platform
    ///
    /// Linux. `InvalidValue` if the running kernel does not know one of them.
    #[doc(alias = "TUNSETOFFLOAD")]
    pub const fn offloads(mut self, offloads: Offloads) -> Self {
        self.offloads = Some(offloads);
        self
    }

    /// Whether several devices may share the interface, each with its own queue. Off by default;
    /// [`create_queues`](crate::TunBackend::create_queues) turns it on.
    #[doc(alias = "IFF_MULTI_QUEUE")]
    pub fn multi_queue(self, on: bool) -> Self {
        self.with(CreateFlags::MULTI_QUEUE, on)
    }

    /// The flag `one_queue`, which old programs set. It has had no effect since Linux 3.8.
    #[doc(alias = "IFF_ONE_QUEUE")]
    pub fn one_queue(self, on: bool) -> Self {
        self.with(CreateFlags::ONE_QUEUE, on)
    }

    /// Whether packets from the program take the way of a network card's (NAPI): they are joined to longer
    /// ones (GRO), and handed on in batches. Off by default.
    ///
    /// With it, a queue that is [out of service](crate::Queues::detach_queue) sends nothing: `NoQueue`.
    ///
    /// # Platform
    ///
    /// Linux; `Unsupported` elsewhere, and where the running kernel does not know it.
    #[doc(alias = "IFF_NAPI")]
    pub fn napi(self, on: bool) -> Self {
        self.with(CreateFlags::NAPI, on)
    }

    /// Whether the pieces of a vectored send become the pieces of the packet, which tests the system's own
    /// paths for such packets. It takes a tap, and includes [`napi`](Self::napi). Off by default.
    ///
    /// A frame then has at most 65,471 bytes and 18 pieces, else the errno is `EMSGSIZE`; none of those
    /// behind the first one is empty or longer than 4,096 bytes, else the frame is malformed.
    ///
    /// # Platform
    ///
    /// Linux, with `CAP_NET_ADMIN` in the first user namespace; `Unsupported` elsewhere, and where the
    /// running kernel does not know it.
    #[doc(alias = "IFF_NAPI_FRAGS")]
    pub fn napi_fragments(self, on: bool) -> Self {
        let napi = on || self.flags.contains(CreateFlags::NAPI);
        self.with(CreateFlags::NAPI_FRAGS, on).napi(napi)
    }

    /// Whether the interface has no carrier until the program
    /// [switches it on](crate::Interface::set_carrier): nothing is sent to it before. Off by default.
    /// [`carrier(false)`](Self::carrier) does the same a moment later, and works on each kernel.
    ///
    /// # Platform
    ///
    /// Linux; `Unsupported` elsewhere, and where the running kernel does not know it.
    #[doc(alias = "IFF_NO_CARRIER")]
    pub fn no_carrier(self, on: bool) -> Self {
        self.with(CreateFlags::NO_CARRIER, on)
    }

    /// Whether packets wait outside of a queue that is full, in the interface's queueing discipline, instead
    /// of being dropped there. Off by default.
    ///
    /// # Platform
    ///
    /// Linux; `Unsupported` elsewhere, and where the running kernel does not know it.
    #[doc(alias = "IFF_BACKPRESSURE")]
    pub fn backpressure(self, on: bool) -> Self {
        self.with(CreateFlags::BACKPRESSURE, on)
    }

    /// Whether an existing interface is refused: [`open_or_create`](crate::TunBackend::open_or_create) then
    /// behaves like [`create`](crate::TunBackend::create).
    #[doc(alias = "IFF_TUN_EXCL")]
    pub fn exclusive(self, on: bool) -> Self {
        self.with(CreateFlags::TUN_EXCL, on)
    }

    fn with(mut self, flag: CreateFlags, on: bool) -> Self {
        self.flags.set(flag, on);
        self
    }

    /// The user who may attach without privilege; see [`TunDevice::set_owner`](crate::TunDevice::set_owner).
    pub fn owner(mut self, owner: Uid) -> Self {
        self.owner = Some(owner);
        self
    }

    /// The group whose members may attach without privilege; see
    /// [`TunDevice::set_group`](crate::TunDevice::set_group).
    pub fn group(mut self, group: Gid) -> Self {
        self.group = Some(group);
        self
    }

    /// Whether the interface outlives its last device; see
    /// [`TunDevice::set_persist`](crate::TunDevice::set_persist).
    pub fn persistent(mut self, on: bool) -> Self {
        self.persistent = Some(on);
        self
    }

    /// The name or pattern; `None` leaves it to the kernel.
    #[must_use]
    pub const fn get_name(&self) -> Option<&NamePattern> {
        self.name.as_ref()
    }

    /// The name; `None` if it is a pattern, or left to the kernel.
    #[must_use]
    pub fn get_exact_name(&self) -> Option<InterfaceName> {
        self.name.as_ref().and_then(NamePattern::exact)
    }

    /// The index that a new interface is to have; `None` leaves it to the kernel.
    #[must_use]
    pub const fn get_index(&self) -> Option<InterfaceIndex> {
        self.index
    }

    /// The flags.
    #[must_use]
    pub const fn get_flags(&self) -> CreateFlags {
        self.flags
    }

    /// The headers in front of each packet.
    #[must_use]
    pub const fn get_header_kind(&self) -> HeaderKind {
        self.flags.header_kind_with(self.vnet_format)
    }

    /// Length and byte order of a virtio-net header, if packets are to have one.
    #[must_use]
    pub const fn get_vnet_format(&self) -> Option<VnetFormat> {
        if self.flags.contains(CreateFlags::VNET_HDR) { Some(self.vnet_format) } else { None }
    }

    /// The offloads; `None` if they are not named.
    #[must_use]
    pub const fn get_offloads(&self) -> Option<Offloads> {
        self.offloads
    }

    /// The layer: what a packet of the device starts with.
    #[must_use]
    pub const fn get_layer(&self) -> Layer {
        if self.flags.contains(CreateFlags::TUN) { Layer::Tun } else { Layer::Tap }
    }

    /// The configuration of the interface.
    pub const fn get_config(&self) -> &InterfaceConfig {
        &self.config
    }

    pub(crate) const fn get_owner(&self) -> Option<Uid> {
        self.owner
    }

    pub(crate) const fn get_group(&self) -> Option<Gid> {
        self.group
    }

    pub(crate) const fn get_persistent(&self) -> Option<bool> {
        self.persistent
    }

    /// Why options that are right one by one do not go together.
    pub(crate) fn contradiction(&self) -> Option<InvalidOptions> {
        let has_offloads = self.offloads.is_some_and(|offloads| !offloads.is_empty());
        let has_room = self.offloads.is_none_or(|offloads| offloads.fit(self.vnet_format.length));
        let fragments = self.flags.contains(CreateFlags::NAPI_FRAGS);
        if has_offloads && self.get_vnet_format().is_none() {
            Some(InvalidOptions::OffloadsWithoutHeader)
        } else if !has_room {
            Some(InvalidOptions::TunnelsWithoutRoom)
        } else if fragments && !self.flags.contains(CreateFlags::TAP | CreateFlags::NAPI) {
            Some(InvalidOptions::FragmentsWithoutNapi)
        } else {
            None
        }
    }

    /// The first error of a setter, if there is one.
    pub(crate) const fn invalid(&self) -> Option<&Error> {
        self.config.invalid.as_ref()
    }
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self::tap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_a_kernel_would_accept_silently_are_refused() {
        assert_eq!(CreateOptions::from_bits(0x1003), Err(InvalidOptions::BothLayers));
        assert_eq!(CreateOptions::from_bits(0x1000), Err(InvalidOptions::NoLayer));
        assert_eq!(CreateOptions::from_bits(0), Err(InvalidOptions::NoLayer));
        for bit in [0x0004, 0x0008, 0x0200, 0x0400, 0x0800] {
            assert_eq!(CreateOptions::from_bits(bit | 1), Err(InvalidOptions::UnknownBits { bits: bit }));
        }
    }

    #[test]
    fn every_accepted_set_of_flags_keeps_its_bits() {
        for bits in 0..=u16::MAX {
            if let Ok(options) = CreateOptions::from_bits(bits) {
                assert_eq!(options.get_flags().bits(), bits);
                assert_eq!(Some(options.get_layer()), options.get_flags().layer());
            }
        }
    }

    #[test]
    fn each_switch_turns_its_own_flag_on_and_off() {
        type Switch = fn(CreateOptions, bool) -> CreateOptions;
        let switches: [(CreateFlags, Switch); 7] = [
            (CreateFlags::VNET_HDR, CreateOptions::vnet_header),
            (CreateFlags::MULTI_QUEUE, CreateOptions::multi_queue),
            (CreateFlags::ONE_QUEUE, CreateOptions::one_queue),
            (CreateFlags::TUN_EXCL, CreateOptions::exclusive),
            (CreateFlags::NAPI, CreateOptions::napi),
            (CreateFlags::NO_CARRIER, CreateOptions::no_carrier),
            (CreateFlags::BACKPRESSURE, CreateOptions::backpressure),
        ];
        for (flag, switch) in switches {
            let on = switch(CreateOptions::tun(), true);
            assert_eq!(on.get_flags(), CreateOptions::tun().get_flags() | flag);
            assert_eq!(switch(on, false), CreateOptions::tun());
        }
        assert_eq!(CreateOptions::tap().packet_information(true).get_flags(), CreateFlags::TAP);
    }
}
