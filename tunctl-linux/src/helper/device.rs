//! The device: Linux's, with an interface of which a part is refused.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use tunctl_core::{
    CreateFlags, DestroyError, Filters, Gid, InterfaceName, Interrupter, MacFilter, Offloads, Readiness,
    Result, TunDevice, Uid, WaitOutcome,
};
use tunctl_packet::bpf::Program;
use tunctl_packet::header::{HeaderKind, VnetFormat};

use super::HelperInterface;
use crate::LinuxDevice;

/// An open TUN/TAP device of a program without privilege.
///
/// It is a [`LinuxDevice`], whose descriptor permits all that the methods of a device do. Its
/// [interface](HelperInterface) permits less.
#[derive(Debug)]
pub struct HelperDevice {
    linux: LinuxDevice,
    interface: HelperInterface,
}

impl HelperDevice {
    pub(super) fn new(linux: LinuxDevice) -> Self {
        let interface = HelperInterface::new(linux.interface().clone());
        Self { linux, interface }
    }

    /// The same device with all that Linux has, such as the [send buffer](LinuxDevice::set_send_buffer), the
    /// [link type](LinuxDevice::set_link_type), and [programs of eBPF](LinuxDevice::set_filter_program).
    #[must_use]
    pub const fn as_linux(&self) -> &LinuxDevice {
        &self.linux
    }
}

impl AsFd for HelperDevice {
    /// Lends the descriptor, as [`LinuxDevice`] does.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.linux.as_fd()
    }
}

impl From<HelperDevice> for OwnedFd {
    /// Hands the descriptor over, as [`LinuxDevice`] does.
    fn from(device: HelperDevice) -> Self {
        device.linux.into()
    }
}

impl TunDevice for HelperDevice {
    type Interface = HelperInterface;

    fn interface(&self) -> &HelperInterface {
        &self.interface
    }

    fn name(&self) -> Result<InterfaceName> {
        self.linux.name()
    }

    fn flags(&self) -> CreateFlags {
        self.linux.flags()
    }

    fn header_kind(&self) -> HeaderKind {
        self.linux.header_kind()
    }

    #[inline]
    fn try_recv(&self, buffer: &mut [u8]) -> Result<usize> {
        self.linux.try_recv(buffer)
    }

    #[inline]
    fn try_recv_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize> {
        self.linux.try_recv_vectored(buffers)
    }

    #[inline]
    fn try_send(&self, packet: &[u8]) -> Result<usize> {
        self.linux.try_send(packet)
    }

    #[inline]
    fn try_send_vectored(&self, pieces: &[IoSlice<'_>]) -> Result<usize> {
        self.linux.try_send_vectored(pieces)
    }

    fn wait_until(
        &self,
        readiness: Readiness,
        timeout: Option<Duration>,
        interrupter: Option<&Interrupter>,
    ) -> Result<WaitOutcome> {
        self.linux.wait_until(readiness, timeout, interrupter)
    }

    fn set_persist(&self, persistent: bool) -> Result<()> {
        self.linux.set_persist(persistent)
    }

    fn set_owner(&self, owner: Uid) -> Result<()> {
        self.linux.set_owner(owner)
    }

    fn set_group(&self, group: Gid) -> Result<()> {
        self.linux.set_group(group)
    }

    fn set_offloads(&self, offloads: Offloads) -> Result<()> {
        self.linux.set_offloads(offloads)
    }

    fn offloads(&self) -> Result<Offloads> {
        self.linux.offloads()
    }

    fn set_vnet_format(&mut self, format: VnetFormat) -> Result<()> {
        self.linux.set_vnet_format(format)
    }

    fn try_clone(&self) -> Result<Self> {
        self.linux.try_clone().map(Self::new)
    }

    /// The kernel removes the interface when its last descriptor closes, so this one must be the last.
    fn destroy(self) -> Result<(), DestroyError<Self>> {
        self.linux.destroy().map_err(|failed| {
            let error = failed.error().clone();
            DestroyError::new(error, failed.into_device().map(Self::new))
        })
    }
}

impl Filters for HelperDevice {
    fn attach_filter(&self, program: &Program) -> Result<()> {
        self.linux.attach_filter(program)
    }

    fn detach_filter(&self) -> Result<()> {
        self.linux.detach_filter()
    }

    fn set_mac_filter(&self, filter: Option<&MacFilter>) -> Result<()> {
        self.linux.set_mac_filter(filter)
    }
}
