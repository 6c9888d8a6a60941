//! A tap of macOS: two Ethernets that are connected, and a packet filter at the far end.

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

/// The bytes that a filter is asked to keep, twice, while nobody reads: some hundred frames.
const ROOM: u32 = 256 * 1024;

impl<C: Syscalls> BsdBackend<C> {
    /// Makes both ends, and opens the far one. If anything fails, they go again.
    pub(crate) fn make_pair(&self, plan: &AttachPlan<'_>, request: Pair, near: &Name) -> Result<Channel<C>> {
        let far = self.system.rules.far_end(near).ok_or_else(|| plan.refuse_name())?;
        self.make_ethernet(near).map_err(|error| plan.not_made(&error))?;
        if let Err(error) = self.make_ethernet(&far) {
            // The first failure is the one to tell; the far end, if there is one, is somebody else's.
            let _ = self.remove_ethernet(near);
            return Err(plan.not_made(&error));
        }
        let connected = self.system.syscalls.pair(request, near, &far).and_then(|()| self.set_up(&far));
        let opened = connected.map_err(|error| plan.not_made(&error)).and_then(|()| {
            self.open_filter(&far).map_err(|error| plan.failed(remedy::filter(errno::of(&error)), &error))
        });
        opened.inspect_err(|_| {
            // The first failure is the one to tell.
            let _ = self.system.destroy(near);
        })
    }

    fn make_ethernet(&self, name: &Name) -> io::Result<()> {
        let abi = self.system.rules.abi;
        self.system.syscalls.configure(Family::V4, abi.requests.create, &mut abi.ifreq(name))
    }

    fn remove_ethernet(&self, name: &Name) -> io::Result<()> {
        let abi = self.system.rules.abi;
        self.system.syscalls.configure(Family::V4, abi.requests.destroy, &mut abi.ifreq(name))
    }

    /// Nothing is sent through an Ethernet that is down.
    fn set_up(&self, name: &Name) -> io::Result<()> {
        let abi = self.system.rules.abi;
        let mut argument = abi.ifreq(name);
        self.system.syscalls.configure(Family::V4, abi.requests.get_flags, &mut argument)?;
        let flags = abi.flags(&argument).unwrap_or_default() | iff::UP;
        self.system.syscalls.configure(Family::V4, abi.requests.set_flags, &mut abi.ifreq_flags(name, flags))
    }

    /// A packet filter that gives what arrives at an Ethernet, at once, and sends what it is given, as it is.
    fn open_filter(&self, name: &Name) -> io::Result<Channel<C>> {
        let (syscalls, abi) = (&self.system.syscalls, self.system.rules.abi);
        let filter = self.open_free_filter()?;
        let set = |request: Request, value: u32| -> io::Result<u32> {
            let mut argument = value.to_ne_bytes();
            syscalls.ioctl(&filter, request, &mut argument)?;
            Ok(u32::from_ne_bytes(argument))
        };
        // Only before it is bound; and reads have to have room for exactly what it came to.
        let room = set(abi.bpf.set_buffer_length, ROOM)?;
        syscalls.ioctl(&filter, abi.bpf.set_interface, &mut abi.ifreq(name))?;
        set(abi.bpf.set_immediate, 1)?;
        set(abi.bpf.set_header_complete, 1)?;
        set(abi.bpf.set_direction, abi.bpf.received_only)?;
        syscalls.set_nonblocking(&filter)?;
        let room = usize::try_from(room).map_err(io::Error::other)?;
        Channel::far(Capture::new(self.system.clone(), filter, room)?)
    }

    /// Each node is one filter's, and opens for one program.
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
