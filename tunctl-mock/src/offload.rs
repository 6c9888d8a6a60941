//! Offloads, and the format of the virtio-net header, as the Linux backend sets them.

use tunctl_core::{Cause, CreateOptions, Interface, Offloads, Operation, Reason, Result, TunDevice};
use tunctl_packet::header::{Endian, HeaderKind, VnetFormat};

use crate::MockDevice;
use crate::kernel::{self, FileId};
use crate::rig::World;

/// Sets what a new interface, or one that nobody else has open, is to have.
pub(crate) fn set_header(world: &mut World, file: FileId, options: &CreateOptions) -> kernel::Result {
    let format = options.get_vnet_format().unwrap_or_default();
    let offloads = options.get_offloads().unwrap_or_default();
    world.step(|kernel| kernel.set_vnet_format(file, format))?;
    world.step(|kernel| kernel.set_offloads(file, offloads))
}

/// A rule of the library, which the kernel does not have: a further queue neither reads headers of another
/// format, nor changes the offloads of the others.
pub(crate) fn check_shared(world: &World, file: FileId, options: &CreateOptions) -> kernel::Result {
    let Some(wanted) = options.get_vnet_format() else { return Ok(()) };
    let id = world.kernel().interface_of(file);
    let theirs = id.and_then(|id| world.kernel().device(id)).and_then(kernel::NetDevice::vnet_format);
    let is_little = |format: VnetFormat| match format.endian {
        Endian::Native => cfg!(target_endian = "little"),
        Endian::Little => true,
        Endian::Big => false,
    };
    let same = |theirs: VnetFormat| (theirs.length, is_little(theirs)) == (wanted.length, is_little(wanted));
    if let Some(theirs) = theirs.filter(|theirs| !same(*theirs)) {
        let bytes = theirs.length.bytes();
        return Err(Reason::new(Cause::HeaderMismatch)
            .with_detail(format!("its other queues use a virtio-net header of {bytes} bytes")));
    }
    let theirs = world.kernel().offloads(file)?;
    match options.get_offloads() {
        Some(wanted) if wanted != theirs => Err(Reason::new(Cause::Busy)
            .with_detail(format!("its other queues share their offloads, which are: {theirs}"))),
        _ => Ok(()),
    }
}

impl MockDevice {
    fn vnet_format(&self, operation: Operation) -> Result<VnetFormat> {
        match self.headers {
            HeaderKind::Vnet(format) | HeaderKind::PacketInfoAndVnet(format) => Ok(format),
            _ => Err(self.error(&self.world().lock(), operation, Cause::NoVnetHeader.into())),
        }
    }

    fn without_room(&self, operation: Operation) -> tunctl_core::Error {
        let detail = "offloads of UDP tunnels need a virtio-net header of 24 bytes";
        let reason = Reason::new(Cause::InvalidValue).with_detail(detail);
        self.error(&self.world().lock(), operation, reason)
    }
}

/// The device's own methods of these names, for [`TunDevice`].
impl MockDevice {
    pub(crate) fn choose_offloads(&self, offloads: Offloads) -> Result<()> {
        let format = self.vnet_format(Operation::SetOffloads)?;
        if !offloads.fit(format.length) {
            return Err(self.without_room(Operation::SetOffloads));
        }
        self.apply(Operation::SetOffloads, |kernel, file| kernel.set_offloads(file, offloads))
    }

    pub(crate) fn offloads_now(&self) -> Result<Offloads> {
        // The Linux backend asks first whether the interface is here.
        self.interface().info()?;
        let world = self.world().lock();
        let offloads = world.kernel().offloads(self.file());
        offloads.map_err(|reason| self.error(&world, Operation::Inspect, reason))
    }

    pub(crate) fn choose_vnet_format(&mut self, format: VnetFormat) -> Result<()> {
        self.vnet_format(Operation::SetVnetFormat)?;
        if self.offloads_now().is_ok_and(|offloads| !offloads.fit(format.length)) {
            return Err(self.without_room(Operation::SetVnetFormat));
        }
        self.apply(Operation::SetVnetFormat, |kernel, file| kernel.set_vnet_format(file, format))?;
        self.headers = self.flags().header_kind_with(format);
        Ok(())
    }
}
