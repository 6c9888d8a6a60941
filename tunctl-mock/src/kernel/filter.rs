//! The filters of taps: which frames to the program are dropped or cut before they are queued.

use tunctl_core::{Cause, Layer, MacFilter, Reason};
use tunctl_packet::bpf::Program;

use super::{Attached, FileId, Kernel, NetDevice};
use crate::Errno;
use crate::kernel::Result;

/// A tun has no filters of this kind (`__tun_chr_ioctl`).
const NOT_A_TAP: Reason = Errno::EINVAL.reason(Cause::LayerMismatch);

impl Kernel {
    /// Sets the program of all queues that are in service (`tun_attach_filter`). The kernel would run it for
    /// a queue that is attached later as well, but for a defect in `tun_attach`, for which the Linux backend
    /// makes it forget the program.
    pub(crate) fn attach_filter(&mut self, file: FileId, program: &Program) -> Result {
        let device = self.tap(file)?;
        if device.attached.is_empty() {
            return Err(Reason::new(Cause::NoQueue));
        }
        self.set_filters(file, Some(program))
    }

    /// Removes the program from all queues that are in service (`tun_detach_filter`).
    pub(crate) fn detach_filter(&mut self, file: FileId) -> Result {
        self.tap(file)?;
        self.set_filters(file, None)
    }

    fn set_filters(&mut self, file: FileId, program: Option<&Program>) -> Result {
        for queue in self.attached(file)?.attached.clone() {
            if let Some(queue) = self.file_mut(queue) {
                queue.filter = program.cloned();
            }
        }
        Ok(())
    }

    /// Sets the MAC addresses whose frames pass (`update_filter`).
    pub(crate) fn set_mac_filter(&mut self, file: FileId, filter: Option<&MacFilter>) -> Result {
        self.tap(file)?;
        self.attached_mut(file)?.mac_filter = filter.cloned();
        Ok(())
    }

    /// What the Linux backend does when it opens an interface that no other file is attached to: the kernel
    /// would keep the MAC filter of the last one.
    pub(crate) fn forget_mac_filter(&mut self, attached: &Attached) {
        if let Some(device) = self.device_mut(attached.interface).filter(|device| device.queues() == 1) {
            device.mac_filter = None;
        }
    }

    fn tap(&self, file: FileId) -> Result<&NetDevice> {
        let device = self.attached(file)?;
        if device.layer == Layer::Tap { Ok(device) } else { Err(NOT_A_TAP) }
    }
}

impl NetDevice {
    /// Whether the MAC filter lets a packet pass (`check_filter`).
    pub(super) fn passes_mac_filter(&self, packet: &[u8]) -> bool {
        match (&self.mac_filter, packet.first_chunk()) {
            (Some(filter), Some(&destination)) => filter.accepts(destination),
            _ => true,
        }
    }
}

/// What a program leaves of a packet; `None` if it drops it (`sk_filter_trim_cap`).
pub(super) fn filtered(program: Option<&Program>, mut packet: Vec<u8>) -> Option<Vec<u8>> {
    if let Some(program) = program {
        let kept = program.run(&packet);
        if kept == 0 {
            return None;
        }
        packet.truncate(usize::try_from(kept).unwrap_or(usize::MAX));
    }
    Some(packet)
}
