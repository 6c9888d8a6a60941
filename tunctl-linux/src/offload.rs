//! Offloads, and the format of the virtio-net header that says what is left to do.

use std::io;

use nix::errno::Errno;
use tunctl_core::{Cause, CreateOptions, InterfaceName, Offloads, Operation, Reason, Result, TunDevice};
use tunctl_packet::header::{Endian, HeaderKind, VnetFormat, VnetLength};
use tunctl_sys::linux::ethtool::ActiveFeatures;
use tunctl_sys::linux::tun::{self, TunFile, VnetOrder};

use crate::attach::attached_name;
use crate::netlink::Netlink;
use crate::{LinuxDevice, errno, remedy};

/// How often the features are asked for again because the interface was renamed in between.
const ATTEMPTS: usize = 8;

/// What `ethtool -k` calls the offloads.
const FEATURES: [(u32, &str); 7] = [
    (0x01, "tx-checksum-ip-generic"),
    (0x02, "tx-tcp-segmentation"),
    (0x04, "tx-tcp6-segmentation"),
    (0x08, "tx-tcp-ecn-segmentation"),
    (0x60, "tx-udp-segmentation"),
    (0x80, "tx-udp_tnl-segmentation"),
    (0x100, "tx-udp_tnl-csum-segmentation"),
];

/// The offloads in force on the interface that a descriptor is attached to, which is in the socket's
/// namespace.
pub(crate) fn active(fd: &TunFile, netlink: &Netlink) -> io::Result<Offloads> {
    let mut name = attached_name(fd)?;
    for _ in 0..ATTEMPTS {
        let features = features_of(&name, netlink);
        // The kernel is asked by the name, which may have become another interface's.
        let still = attached_name(fd)?;
        if still == name {
            let features = features?;
            let of = |(bits, feature): &(u32, &str)| if features.has(feature) { *bits } else { 0 };
            return Ok(Offloads::from_bits_truncate(FEATURES.iter().map(of).sum()));
        }
        name = still;
    }
    Err(io::Error::other("the interface was renamed during each attempt"))
}

fn features_of(name: &InterfaceName, netlink: &Netlink) -> io::Result<ActiveFeatures> {
    netlink.with_socket(|socket| ActiveFeatures::of(socket, name.as_bytes()))
}

/// Sets the format of the virtio-net header of all packets of the interface. The byte order comes first,
/// since a kernel may not know it.
fn set_format(fd: &TunFile, format: VnetFormat) -> io::Result<()> {
    match format.endian {
        Endian::Native => tun::set_vnet_header_native(fd)?,
        Endian::Little => tun::set_vnet_little_endian(fd, true)?,
        Endian::Big => {
            tun::set_vnet_header_native(fd)?;
            // Few kernels know the request. It is not needed where that is the machine's own order.
            if cfg!(target_endian = "little") {
                tun::set_vnet_big_endian(fd, true)?;
            }
        }
    }
    let bytes = i32::try_from(format.length.bytes()).unwrap_or(i32::MAX);
    tun::set_vnet_header_size(fd, bytes)
}

/// Sets format and offloads as the options have them. Of a refusal: its errno and its reason.
pub(crate) fn set_header(fd: &TunFile, options: &CreateOptions) -> Result<(), (Errno, Reason)> {
    let refused = |error: &io::Error, explain: &dyn Fn(Errno) -> Reason| {
        let errno = errno::of(error);
        (errno, explain(errno))
    };
    let format = options.get_vnet_format().unwrap_or_default();
    set_format(fd, format).map_err(|error| refused(&error, &|errno| format_refused(errno, format)))?;
    let offloads = options.get_offloads().unwrap_or_default();
    tun::set_offload(fd, offloads.bits())
        .map_err(|error| refused(&error, &|errno| offloads_refused(errno, offloads)))
}

/// The format of the virtio-net header of all packets of the interface; the length as an error, if it is none
/// that [`VnetFormat`] knows.
pub(crate) fn format_of(fd: &TunFile) -> io::Result<Result<VnetFormat, i32>> {
    let bytes = tun::vnet_header_size(fd)?;
    let endian = match tun::vnet_order(fd)? {
        VnetOrder::Native => Endian::Native,
        VnetOrder::Little => Endian::Little,
        VnetOrder::Big => Endian::Big,
    };
    let length = usize::try_from(bytes).ok().and_then(VnetLength::from_bytes);
    Ok(length.map(|length| VnetFormat::new(length, endian)).ok_or(bytes))
}

/// Why the kernel refuses a format.
fn format_refused(errno: Errno, format: VnetFormat) -> Reason {
    match errno {
        Errno::EINVAL => Reason::new(Cause::InvalidValue)
            .with_detail(format!("this kernel knows no {:?} endian virtio-net header", format.endian))
            .with_remedy("Use the byte order of this machine, or little endian."),
        errno => remedy::attached(errno),
    }
}

/// Why the kernel refuses offloads.
fn offloads_refused(errno: Errno, offloads: Offloads) -> Reason {
    match errno {
        Errno::EINVAL => Reason::new(Cause::InvalidValue)
            .with_detail(format!("this kernel does not know all of these offloads: {offloads}"))
            .with_remedy("Leave out what `tunctl features` says is absent."),
        errno => remedy::attached(errno),
    }
}

impl LinuxDevice {
    /// The format of the virtio-net header.
    fn vnet_format(&self, operation: Operation) -> Result<VnetFormat> {
        match self.header_kind() {
            HeaderKind::Vnet(format) | HeaderKind::PacketInfoAndVnet(format) => Ok(format),
            _ => Err(Reason::new(Cause::NoVnetHeader).of(operation).with_name(self.interface().last_name())),
        }
    }

    pub(crate) fn offloads_of(&self, operation: Operation) -> Result<Offloads> {
        // In another namespace, an interface of the same name may be a stranger.
        self.interface().report(operation)?;
        active(self.file(), self.interface().netlink())
            .map_err(|error| self.refused(operation, &error, remedy::attached))
    }

    fn without_room(&self, operation: Operation) -> tunctl_core::Error {
        let reason = Reason::new(Cause::InvalidValue)
            .with_detail("offloads of UDP tunnels need a virtio-net header of 24 bytes")
            .with_remedy("Set the format first, and take the offloads back before it.");
        reason.of(operation).with_name(self.interface().last_name())
    }

    fn refused(
        &self,
        operation: Operation,
        error: &io::Error,
        explain: impl FnOnce(Errno) -> Reason,
    ) -> tunctl_core::Error {
        let errno = errno::of(error);
        self.error(operation, errno, explain(errno))
    }
}

/// The device's own methods of these names, for [`TunDevice`].
impl LinuxDevice {
    pub(crate) fn choose_offloads(&self, offloads: Offloads) -> Result<()> {
        const OPERATION: Operation = Operation::SetOffloads;
        if !offloads.fit(self.vnet_format(OPERATION)?.length) {
            return Err(self.without_room(OPERATION));
        }
        tun::set_offload(self.file(), offloads.bits())
            .map_err(|error| self.refused(OPERATION, &error, |errno| offloads_refused(errno, offloads)))
    }

    pub(crate) fn choose_vnet_format(&mut self, format: VnetFormat) -> Result<()> {
        const OPERATION: Operation = Operation::SetVnetFormat;
        self.vnet_format(OPERATION)?;
        // Where they cannot be learnt, whoever set them has to know.
        if self.offloads_of(OPERATION).is_ok_and(|offloads| !offloads.fit(format.length)) {
            return Err(self.without_room(OPERATION));
        }
        set_format(self.file(), format)
            .map_err(|error| self.refused(OPERATION, &error, |errno| format_refused(errno, format)))?;
        self.headers = self.flags().header_kind_with(format);
        Ok(())
    }
}
