//! Taps of macOS: a pair of connected `feth` Ethernets, with a packet filter at the far end.

use std::io;

use tunctl_core::Result;
use tunctl_sys::bsd::{Name, Pair, Request, iff};

use crate::BsdBackend;
use crate::attach_plan::AttachPlan;
use crate::capture::Capture;
use crate::channel::Channel;
use crate::errno;
use crate::remedy;
use crate::syscalls::{Family, Syscalls};

/// The size requested for each of the filter's two buffers, in bytes: a few hundred frames.
const BUFFER_SIZE: u32 = 256 * 1024;

impl<C: Syscalls> BsdBackend<C> {
    /// Creates both ends and opens a filter on the far one; removes both if a step fails.
    pub(crate) fn create_pair(
        &self,
        plan: &AttachPlan<'_>,
        request: Pair,
        near: &Name,
    ) -> Result<Channel<C>> {
        let far = self.system.rules.far_end(near).ok_or_else(|| plan.refuse_name())?;
        // The name of a destroyed one is taken until a worker has finished `ifnet_detach` (XNU).
        let create = |name| Self::insist(plan, errno::EBUSY, || self.create_ethernet(name));
        create(near).map_err(|error| plan.not_created(&error))?;
        if let Err(error) = create(&far) {
            // Report the first error. A far end that exists belongs to another program.
            let _ = self.remove_ethernet(near);
            return Err(plan.not_created(&error));
        }
        let connected = self.system.syscalls.pair(request, near, &far).and_then(|()| self.bring_up(&far));
        let opened = connected.map_err(|error| plan.not_created(&error)).and_then(|()| {
            self.open_filter(&far).map_err(|error| plan.failed(remedy::filter(errno::of(&error)), &error))
        });
        opened.inspect_err(|_| {
            // Report the first error.
            let _ = self.system.destroy(near);
        })
    }

    fn create_ethernet(&self, name: &Name) -> io::Result<()> {
        let abi = self.system.rules.abi;
        self.system.syscalls.configure(Family::V4, abi.requests.create, &mut abi.ifreq(name))
    }

    fn remove_ethernet(&self, name: &Name) -> io::Result<()> {
        let abi = self.system.rules.abi;
        self.system.syscalls.configure(Family::V4, abi.requests.destroy, &mut abi.ifreq(name))
    }

    /// Brings an Ethernet up; one that is down sends nothing.
    fn bring_up(&self, name: &Name) -> io::Result<()> {
        let abi = self.system.rules.abi;
        let mut argument = abi.ifreq(name);
        self.system.syscalls.configure(Family::V4, abi.requests.get_flags, &mut argument)?;
        let flags = abi.flags(&argument).unwrap_or_default() | iff::UP;
        self.system.syscalls.configure(Family::V4, abi.requests.set_flags, &mut abi.ifreq_flags(name, flags))
    }

    /// Opens a packet filter that delivers received frames immediately, and sends frames unchanged.
    fn open_filter(&self, name: &Name) -> io::Result<Channel<C>> {
        let (syscalls, abi) = (&self.system.syscalls, self.system.rules.abi);
        let filter = self.open_free_filter()?;
        let set = |request: Request, value: u32| -> io::Result<u32> {
            let mut argument = value.to_ne_bytes();
            syscalls.ioctl(&filter, request, &mut argument)?;
            Ok(u32::from_ne_bytes(argument))
        };
        // The length can be set only before the filter is bound. `bpfread` accepts only reads of exactly the
        // length that the kernel granted.
        let granted = set(abi.bpf.set_buffer_length, BUFFER_SIZE)?;
        syscalls.ioctl(&filter, abi.bpf.set_interface, &mut abi.ifreq(name))?;
        set(abi.bpf.set_immediate, 1)?;
        set(abi.bpf.set_header_complete, 1)?;
        set(abi.bpf.set_direction, abi.bpf.received_only)?;
        syscalls.set_nonblocking(&filter)?;
        let buffer_length = usize::try_from(granted).map_err(io::Error::other)?;
        Channel::far(Capture::new(self.system.clone(), filter, buffer_length)?)
    }

    /// Opens the first free `/dev/bpfN`: each node is one filter and opens for one program at a time.
    fn open_free_filter(&self) -> io::Result<C::Handle> {
        let mut number = 0_u32;
        loop {
            match self.system.syscalls.open(&format!("/dev/bpf{number}")) {
                Err(error) if errno::of(&error) == errno::EBUSY => number += 1,
                outcome => return outcome,
            }
        }
    }
}
