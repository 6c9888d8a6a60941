//! Adopting: what the Linux backend does from a descriptor to a device.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use tunctl_core::{Adopt, AdoptError, Cause, CreateFlags, Layer, Operation, Reason, Result};

use tunctl_packet::header::HeaderKind;

use crate::kernel::{self, FileId, Kernel, NetDevice};
use crate::rig::{Signal, World, identity};
use crate::{Errno, MockBackend, MockDevice, MockInterface};

impl Adopt for MockBackend {
    /// The descriptor is one that a device of the same system lends or was, or a duplicate of such: in this
    /// process, since another has no model to ask.
    fn adopt(&self, fd: OwnedFd) -> Result<MockDevice, AdoptError> {
        let mut world = self.world.lock();
        let (file, signal, interface, (flags, headers)) = match self.identify(&mut world, &fd) {
            Ok(found) => found,
            Err((reason, device)) => {
                let error = reason.of(Operation::Adopt);
                return Err(AdoptError::new(
                    device.into_iter().fold(error, tunctl_core::Error::with_name),
                    fd,
                ));
            }
        };
        let adopted = match world.open_file(file) {
            Some(open) => match open.expect_another() {
                Ok(()) => Ok((open, Some(UnixStream::from(fd)))),
                Err(_) => Err((open, fd)),
            },
            None => Ok((world.reopen(&self.world, file, signal, UnixStream::from(fd)), None)),
        };
        drop(world);
        match adopted {
            Ok((open, own)) => {
                let device = MockDevice::new(open, interface, flags, headers);
                Ok(own.into_iter().fold(device, MockDevice::lending))
            }
            Err((_open, fd)) => {
                let reason = Errno::EMFILE.reason(Cause::TooManyOpenFiles);
                Err(AdoptError::new(reason.of(Operation::Adopt).with_name(interface.last_name()), fd))
            }
        }
    }
}

/// What a descriptor is of; its flags and its headers come last.
type Found = (FileId, Arc<Signal>, MockInterface, (CreateFlags, HeaderKind));
/// Why it is of nothing, and the interface's name as far as it is known.
type Refusal = (Reason, Option<tunctl_core::InterfaceName>);

impl MockBackend {
    /// The file of a descriptor, and its interface as far as the Linux backend could reach it.
    fn identify(&self, world: &mut World, fd: &OwnedFd) -> Result<Found, Refusal> {
        world.apply_fault(Operation::Adopt, None).map_err(|reason| (reason, None))?;
        let file = identity(fd).ok().and_then(|identity| world.file_of(identity));
        // The driver of another file does not know the request.
        let (file, signal) = file.ok_or_else(|| (Errno::ENOTTY.reason(Cause::ForeignDescriptor), None))?;
        let not_attached = || (Errno::EBADFD.reason(Cause::NotAttached), None);
        let flags = world.kernel().flags_of(file).map_err(|_| not_attached())?;
        let id = world.kernel().interface_of(file);
        let device = id.and_then(|id| world.kernel().device(id)).ok_or_else(not_attached)?;
        let headers = flags.header_kind_with(device.vnet_format().unwrap_or_default());
        let (id, unreadable) = (device.id(), self.unreadable_packets(world.kernel(), device));
        let interface = match self.may_reach(world, device) {
            Ok(()) => MockInterface::new(self.world.clone(), device.key().namespace, &device.info()),
            Err(reason) => {
                let info = device.info();
                MockInterface::unknown(self.world.clone(), self.namespace, &info, reason)
            }
        };
        world.step(|kernel| kernel.drop_unreadable(id, unreadable));
        Ok((file, signal, interface, (flags, headers)))
    }

    /// How many packets that cannot be read the Linux backend offers on the descriptor, to see which
    /// interface drops them, and which headers it expects.
    fn unreadable_packets(&self, kernel: &Kernel, device: &NetDevice) -> u64 {
        let is_here = device.key().namespace == self.namespace;
        if kernel.caller.is_capable() && (is_here || kernel.caller.uid() == 0) {
            return 0;
        }
        let namesake = kernel.named(self.namespace, &device.name());
        let candidate = namesake.filter(|other| !kernel.caller.is_capable() && other.is_like(device));
        let counted = match candidate {
            Some(_) if is_here => 5,
            Some(_) => 2,
            None => 0,
        };
        let is_bare = device.layer() == Layer::Tun && device.headers_length() == 0;
        counted + u64::from(!is_here && is_bare)
    }

    /// The Linux backend finds an interface of the caller's own namespace without any right, by what it
    /// counts. To learn of another namespace takes `CAP_NET_ADMIN` (`TUNGETDEVNETNS`), and to go there
    /// `CAP_SYS_ADMIN` (`netns_install`), which of the model's callers root has alone.
    fn may_reach(&self, world: &World, device: &NetDevice) -> kernel::Result {
        let caller = &world.kernel().caller;
        if device.key().namespace == self.namespace || (caller.is_capable() && caller.uid() == 0) {
            return Ok(());
        }
        let unknown = |reason: Reason, why| {
            Err(reason
                .with_detail(format!("{}: {why}", Cause::UnknownInterface))
                .with_remedy("Adopt the descriptor where the interface is, or as root."))
        };
        if caller.is_capable() {
            let reason = Errno::EPERM.reason(Cause::UnknownInterface);
            return unknown(reason, "it is in another network namespace, which this program may not enter");
        }
        let why = "no interface of this network namespace could be shown to be it";
        unknown(Reason::new(Cause::UnknownInterface), why)
    }
}
