//! What a descriptor changes and polls: settings, its queue, and the end of the interface.

use tunctl_core::{Cause, CreateFlags, InterfaceName, Offloads, Readiness, Reason, State};
use tunctl_packet::header::{Endian, VnetFormat};

use super::{Event, FileId, InterfaceId, Kernel, NetDevice};
use crate::Errno;
use crate::kernel::{DETACHED, Result};

const INVALID: Reason = Errno::EINVAL.reason(Cause::InvalidQueue);

/// On a deleted interface, `tun_set_queue` returns the same errno as on a request that makes no sense.
const NO_QUEUE: Reason = Errno::EINVAL.reason(Cause::Gone);

impl Kernel {
    /// The interface of a file. After a deletion, every call on the file returns `EBADFD` (`__tun_get`).
    pub(super) fn attached(&self, file: FileId) -> Result<&NetDevice> {
        self.interface_of(file).and_then(|id| self.device(id)).ok_or(DETACHED)
    }

    pub(super) fn attached_mut(&mut self, file: FileId) -> Result<&mut NetDevice> {
        let id = self.interface_of(file).ok_or(DETACHED)?;
        self.device_mut(id).ok_or(DETACHED)
    }

    /// The current name of the interface (`TUNGETIFF`), which follows renames and moves.
    pub(crate) fn name_of(&self, file: FileId) -> Result<InterfaceName> {
        Ok(self.attached(file)?.name)
    }

    /// The flags of the interface (`TUNGETIFF`, `tun_get_iff`, Linux 6.18). The kernel reports "no packet
    /// information" also where no filter is attached; the backend finds out which it is.
    pub(crate) fn flags_of(&self, file: FileId) -> Result<CreateFlags> {
        let device = self.attached(file)?;
        Ok(device.flags | device.layer.into())
    }

    /// Keeps the interface beyond its last file. Persistence, owner and group need no privilege
    /// (`__tun_chr_ioctl`): the check was made when the file was attached, and an attached file may be handed
    /// to a process that has no privilege.
    pub(crate) fn set_persist(&mut self, file: FileId, persistent: bool) -> Result {
        self.attached_mut(file)?.persistent = persistent;
        Ok(())
    }

    pub(crate) fn set_owner(&mut self, file: FileId, owner: tunctl_core::Uid) -> Result {
        self.attached_mut(file)?.owner = Some(owner);
        Ok(())
    }

    pub(crate) fn set_group(&mut self, file: FileId, group: tunctl_core::Gid) -> Result {
        self.attached_mut(file)?.group = Some(group);
        Ok(())
    }

    /// Sets the offloads (`set_offload`). They belong to the interface and outlive the file. The kernel
    /// refuses bits that it does not know, and combinations that no packet could have, which
    /// [`Offloads`] cannot express.
    pub(crate) fn set_offloads(&mut self, file: FileId, offloads: Offloads) -> Result {
        let known = self.profile.offloads();
        let device = self.attached_mut(file)?;
        if offloads.bits() & !known != 0 {
            return Err(Errno::EINVAL
                .reason(Cause::InvalidValue)
                .with_detail(format!("this kernel does not know all of these offloads: {offloads}")));
        }
        let (id, are_other) = (device.id, device.offloads != offloads);
        device.offloads = offloads;
        if are_other {
            // The report does not have them, but whatever else changed (`netdev_features_change`).
            self.report_link(id);
        }
        Ok(())
    }

    pub(crate) fn offloads(&self, file: FileId) -> Result<Offloads> {
        Ok(self.attached(file)?.offloads)
    }

    /// Sets length and byte order of the virtio-net header (`TUNSETVNETHDRSZ`, `TUNSETVNETLE`), which belong
    /// to the interface and outlive the file. Most kernels are built without support for big endian on a
    /// machine that is little endian (`tun_set_vnet_be`, `CONFIG_TUN_VNET_CROSS_LE`).
    pub(crate) fn set_vnet_format(&mut self, file: FileId, format: VnetFormat) -> Result {
        let device = self.attached_mut(file)?;
        if format.endian == Endian::Big && cfg!(target_endian = "little") {
            return Err(Errno::EINVAL
                .reason(Cause::InvalidValue)
                .with_detail("this kernel knows no big endian virtio-net header"));
        }
        device.vnet_format = format;
        Ok(())
    }

    /// Puts a detached queue back in service (`tun_set_queue`). The file stayed attached to the interface
    /// meanwhile, so neither capability nor ownership is asked for again.
    pub(crate) fn attach_queue(&mut self, file: FileId) -> Result {
        let id = self.attached(file).map_err(|_| NO_QUEUE)?.id;
        if !self.file(file).is_some_and(|file| file.detached) {
            return Err(INVALID);
        }
        if let Some(device) = self.device_mut(id) {
            device.detached.retain(|&other| other != file);
            device.attached.push(file);
        }
        if let Some(file) = self.file_mut(file) {
            file.detached = false;
        }
        Ok(())
    }

    /// Takes a queue out of service (`__tun_detach`); packets that wait in it are lost (`tun_queue_purge`).
    pub(crate) fn detach_queue(&mut self, file: FileId) -> Result {
        let device = self.attached(file).map_err(|_| NO_QUEUE)?;
        let (id, several) = (device.id, device.is_multi_queue());
        if !several || self.file(file).is_some_and(|file| file.detached) {
            return Err(INVALID);
        }
        if let Some(device) = self.device_mut(id) {
            device.remove_queue(file);
            device.detached.push(file);
        }
        if let Some(file) = self.file_mut(file) {
            file.detached = true;
            file.queue.clear();
        }
        self.events.push_back(Event::PollChanged(file));
        Ok(())
    }

    /// The last descriptor of a file is closed (`tun_chr_close`, `__tun_detach`). An interface that is not
    /// persistent is deleted with its last file, detached ones included; another one loses its carrier.
    pub(crate) fn close(&mut self, file: FileId) {
        let Some(closed) = self.files.get_mut(file.0).and_then(Option::take) else { return };
        let Some(device) = closed.interface.and_then(|id| self.interfaces.get_mut(&id)) else { return };
        device.remove_queue(file);
        device.detached.retain(|&other| other != file);
        let id = device.id;
        let (queues, persistent) = (device.queues(), device.persistent);
        if queues == 0 {
            self.switch_carrier(id, false);
            if !persistent {
                self.unregister(id);
            }
        }
    }

    /// Deletes an interface, also if files are attached to it (`unregister_netdevice`, `tun_detach_all`).
    /// They stay open, attached to nothing.
    pub(crate) fn unregister(&mut self, id: InterfaceId) {
        self.leave(id, false);
        let Some(device) = self.interfaces.remove(&id) else { return };
        let files = device.files();
        for &file in &files {
            if let Some(open) = self.file_mut(file) {
                open.interface = None;
                open.queue.clear();
            }
        }
        self.events.push_back(Event::Deleted(Box::new(device)));
        self.events.extend(files.into_iter().map(Event::PollChanged));
    }

    /// What a poll of the file reports (`tun_chr_poll`): whether it is readable, writable, in error. Packets
    /// can be read while the interface is down; it is writable while up. After a deletion, an error is
    /// reported and nothing else.
    pub(crate) fn poll(&self, file: FileId) -> (bool, bool, bool) {
        match (self.attached(file), self.file(file)) {
            (Ok(device), Some(open)) => (!open.queue.is_empty(), device.state == State::Up, false),
            _ => (false, false, true),
        }
    }

    /// Whether a wait for this readiness would end. An error ends every wait.
    pub(crate) fn is_ready(&self, file: FileId, readiness: Readiness) -> bool {
        let (readable, writable, error) = self.poll(file);
        error
            || match readiness {
                Readiness::Readable => readable,
                Readiness::Writable => writable,
            }
    }
}

impl NetDevice {
    /// Takes a queue out of service if it is in service (`__tun_detach`). The last queue takes its index, so
    /// that the indices have no gap.
    fn remove_queue(&mut self, file: FileId) {
        if let Some(position) = self.attached.iter().position(|&other| other == file) {
            self.attached.swap_remove(position);
            self.flows.forget_queue(self.attached.len());
        }
    }
}
