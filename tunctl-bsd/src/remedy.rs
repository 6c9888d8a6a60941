//! From an errno and its context to a reason: pure functions, so that every row is tested.
//!
//! Remedies that hold on every system are with the causes in tunctl-core. The ones here name a system's
//! commands.

use std::io;

use tunctl_core::{Cause, Layer, Operation, Reason};
use tunctl_packet::header::System;

use crate::errno::*;

/// Adds the errno of the failed system call to a reason.
pub(crate) fn with_errno(reason: Reason, error: &io::Error) -> Reason {
    match error.raw_os_error() {
        Some(errno) => reason.with_foreign_errno(errno, text(errno)),
        None => reason,
    }
}

/// Why a node or a utun socket could not be opened.
pub(crate) fn node(errno: i32, system: System, layer: Layer) -> Reason {
    match (errno, system, layer) {
        (ENOENT, System::FreeBsd, _) => Reason::new(Cause::MissingNode)
            .with_detail("FreeBSD makes no node for a caller who may not create interfaces")
            .with_remedy(
                "Run it as root. If root has no node either, load the driver: kldload if_tuntap (before \
                 FreeBSD 13: if_tun, if_tap). In a jail, add a devfs rule that shows the node.",
            ),
        (ENOENT, System::DragonFly, layer) => loaded(Reason::new(Cause::MissingNode), system, layer),
        // macOS has no nodes: the kernel control was not found.
        (ENOENT, System::MacOs, _) => {
            Reason::new(Cause::MissingDriver).with_detail("this kernel has no utun control")
        }
        (ENOENT, ..) => Reason::new(Cause::MissingNode)
            .with_remedy("As root, create the node: cd /dev && sh MAKEDEV with the node's name."),
        (ENXIO | ENODEV, System::NetBsd, layer) => loaded(Reason::new(Cause::MissingDriver), system, layer),
        (ENXIO | ENODEV, ..) => {
            Reason::new(Cause::MissingDriver).with_detail("the node has no TUN/TAP driver")
        }
        (EACCES, System::FreeBsd, _) => Reason::new(Cause::ClosedNode)
            .with_detail("the node's mode does not let this user open it")
            .with_remedy("Run it as root, or let this user open the node with a rule in /etc/devfs.conf."),
        (EACCES, ..) => Reason::new(Cause::ClosedNode)
            .with_detail("the node's mode does not let this user open it")
            .with_remedy("Run it as root, or let root change the node's owner or mode."),
        (EPERM, System::FreeBsd | System::DragonFly, Layer::Tap) => Reason::new(Cause::MissingCapability)
            .with_detail("opening a tap requires root on this system")
            .with_remedy(
                "Run it as root, or allow every user who may open the node: sysctl net.link.tap.user_open=1.",
            ),
        (EPERM, System::MacOs, _) => Reason::new(Cause::MissingCapability)
            .with_detail("creating a utun requires root")
            .with_remedy("Run it with sudo."),
        (EBUSY, ..) => {
            Reason::new(Cause::Busy).with_detail("another program has the device open, and only one may")
        }
        (errno, ..) => from_errno(errno),
    }
}

/// Adds the command that loads the driver, where it is a module.
fn loaded(reason: Reason, system: System, layer: Layer) -> Reason {
    match (system, layer) {
        (System::NetBsd, Layer::Tun) => reason.with_remedy("Load the driver: modload if_tun."),
        (System::NetBsd, Layer::Tap) => reason.with_remedy("Load the driver: modload if_tap."),
        (System::DragonFly, Layer::Tun) => reason.with_remedy("Load the driver: kldload if_tun."),
        (System::DragonFly, Layer::Tap) => reason.with_remedy("Load the driver: kldload if_tap."),
        _ => reason,
    }
}

/// Why a node of macOS's third-party driver could not be opened.
pub(crate) fn no_third_party_node() -> Reason {
    Reason::new(Cause::MissingNode)
        .with_detail(
            "the third-party kernel extension with these names is not loaded, or has no more interfaces",
        )
        .with_remedy("Request macOS's own: utunN for a tun, fethN for a tap, or no name.")
}

/// Why a request to create an interface failed.
pub(crate) fn create(errno: i32, system: System, layer: Layer) -> Reason {
    match errno {
        EEXIST => Reason::new(Cause::Exists),
        // macOS's `ifnet_attach` (XNU) finds the name of one whose `ifnet_detach` has not ended.
        EBUSY => Reason::new(Cause::Busy).with_detail("an interface of that name is just being removed"),
        // No driver is registered for the name's prefix.
        EINVAL | ENXIO => {
            let missing = Reason::new(Cause::MissingDriver)
                .with_detail("this kernel has no driver for interfaces of that kind");
            loaded(missing, system, layer)
        }
        errno => from_errno(errno),
    }
}

/// Whether an errno is the answer of a file that does not know a request or a socket option.
pub(crate) fn is_foreign(errno: i32) -> bool {
    matches!(errno, ENOTTY | EINVAL | ENODEV | ENOTSOCK | ENOPROTOOPT | EOPNOTSUPP | EOPNOTSUPP_OF_MACOS | 0)
}

/// Why a descriptor could not be adopted.
pub(crate) fn adopt(errno: i32) -> Reason {
    match errno {
        // The driver no longer finds the interface, or the system has taken the descriptor away.
        ENXIO | EBADF | EIO => Reason::new(Cause::NotAttached),
        errno if is_foreign(errno) => Reason::new(Cause::ForeignDescriptor),
        errno => from_errno(errno),
    }
}

/// A tun's packets have no address family in front, so that it carries no IPv6.
pub(crate) fn no_af_header() -> Reason {
    Reason::new(Cause::HeaderMismatch)
        .with_detail("its packets have no address family in front")
        .with_remedy("Have the program that opened it switch that on (TUNSIFHEAD).")
}

/// A tap's frames have virtio-net headers of another length than this library's.
pub(crate) fn other_vnet_header(length: i32) -> Reason {
    Reason::new(Cause::HeaderMismatch)
        .with_detail(format!("its frames have virtio-net headers of {length} bytes"))
        .with_remedy("Have the program that opened it choose 10 bytes, or none (TAPSVNETHDR).")
}

/// Why a packet filter could not be opened or set up.
pub(crate) fn filter(errno: i32) -> Reason {
    match errno {
        // The nodes are numbered, and `open_free_filter` passed all that are in use.
        ENOENT => Reason::new(Cause::MissingNode)
            .with_detail("no packet filter (/dev/bpf0, /dev/bpf1, …) is free")
            .with_remedy("Stop a program that captures packets."),
        EACCES => Reason::new(Cause::ClosedNode)
            .with_detail("the packet filter's mode (/dev/bpf…) does not let this user open it")
            .with_remedy("Run it with sudo."),
        errno => from_errno(errno),
    }
}

/// Why an interface or device could not be configured or queried.
pub(crate) fn configure(errno: i32, operation: Operation) -> Reason {
    match (errno, operation) {
        (ENXIO | EBADF, _) => Reason::new(Cause::Gone),
        (EINVAL | EOPNOTSUPP, Operation::SetMtu) => Reason::new(Cause::InvalidMtu),
        (EINVAL | EADDRNOTAVAIL, Operation::SetMac) => Reason::new(Cause::InvalidMac),
        (EADDRNOTAVAIL, Operation::RemoveAddress) => Reason::new(Cause::AddressNotFound),
        (EINVAL | EADDRNOTAVAIL, Operation::AddAddress) => Reason::new(Cause::InvalidAddress),
        (EEXIST, Operation::AddAddress) => Reason::new(Cause::AddressExists),
        (EAFNOSUPPORT, Operation::AddAddress | Operation::RemoveAddress) => Reason::new(Cause::NoIpv6),
        (EEXIST, Operation::Rename) => Reason::new(Cause::Exists),
        (EINVAL, Operation::Rename) => Reason::new(Cause::InvalidName),
        (EBUSY, Operation::Destroy | Operation::Delete) => Reason::new(Cause::Busy)
            .with_detail("a program has it open, and it can be removed only once it is closed"),
        (ENAMETOOLONG, _) => Reason::new(Cause::InvalidValue),
        (errno, _) => from_errno(errno),
    }
}

/// Why an interface could not be removed and still exists.
pub(crate) fn destroy(errno: i32, operation: Operation) -> Reason {
    match errno {
        ENXIO => {
            Reason::new(Cause::Unsupported).with_detail("the system keeps it, because no request created it")
        }
        errno => configure(errno, operation),
    }
}

/// Why a packet could not be read.
pub(crate) fn receive(errno: i32) -> Reason {
    match errno {
        EAGAIN => Reason::new(Cause::WouldBlock),
        ENXIO | EBADF | EIO => Reason::new(Cause::Gone),
        EHOSTDOWN | ENETDOWN => {
            Reason::new(Cause::Down).with_remedy("Bring it up and give it an address first.")
        }
        errno => from_errno(errno),
    }
}

/// Why a packet could not be written.
pub(crate) fn send(errno: i32) -> Reason {
    match errno {
        EAGAIN => Reason::new(Cause::WouldBlock),
        ENXIO | EBADF => Reason::new(Cause::Gone),
        EHOSTDOWN | ENETDOWN => {
            Reason::new(Cause::Down).with_remedy("Bring it up and give it an address first.")
        }
        EMSGSIZE | EIO => Reason::new(Cause::MalformedPacket)
            .with_detail("the packet is too long or too short for this system"),
        EAFNOSUPPORT | EINVAL => Reason::new(Cause::MalformedPacket),
        errno => from_errno(errno),
    }
}

/// What an errno means for every operation.
pub(crate) fn from_errno(errno: i32) -> Reason {
    match errno {
        EPERM | EACCES => Reason::new(Cause::MissingCapability).with_detail("this requires root"),
        EMFILE => Reason::new(Cause::TooManyOpenFiles),
        ENOBUFS => Reason::new(Cause::NoBuffers),
        ENFILE => Reason::new(Cause::TooManyOpenFiles)
            .with_detail("the system has reached its limit of open files")
            .with_remedy("Raise the sysctl kern.maxfiles, or close some files."),
        _ => Reason::new(Cause::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_its_cause() {
        use System::{DragonFly, FreeBsd, MacOs, NetBsd, OpenBsd};
        for (errno, system, layer, cause, remedy) in [
            (ENOENT, FreeBsd, Layer::Tun, Cause::MissingNode, "kldload if_tuntap"),
            (ENOENT, DragonFly, Layer::Tun, Cause::MissingNode, "kldload if_tun"),
            (ENOENT, DragonFly, Layer::Tap, Cause::MissingNode, "kldload if_tap"),
            (ENOENT, OpenBsd, Layer::Tun, Cause::MissingNode, "MAKEDEV"),
            (ENXIO, NetBsd, Layer::Tun, Cause::MissingDriver, "modload if_tun"),
            (ENXIO, NetBsd, Layer::Tap, Cause::MissingDriver, "modload if_tap"),
            (ENXIO, OpenBsd, Layer::Tap, Cause::MissingDriver, ""),
            (EACCES, FreeBsd, Layer::Tun, Cause::ClosedNode, "devfs.conf"),
            (EACCES, NetBsd, Layer::Tun, Cause::ClosedNode, "as root"),
            (EPERM, FreeBsd, Layer::Tap, Cause::MissingCapability, "user_open=1"),
            (EPERM, DragonFly, Layer::Tap, Cause::MissingCapability, "user_open=1"),
            (EPERM, FreeBsd, Layer::Tun, Cause::MissingCapability, "as root"),
            (EPERM, MacOs, Layer::Tun, Cause::MissingCapability, "sudo"),
            (EBUSY, OpenBsd, Layer::Tun, Cause::Busy, ""),
            (EMFILE, OpenBsd, Layer::Tun, Cause::TooManyOpenFiles, "ulimit -n"),
            (ENFILE, OpenBsd, Layer::Tun, Cause::TooManyOpenFiles, "kern.maxfiles"),
        ] {
            let reason = node(errno, system, layer);
            assert_eq!(reason.cause(), cause, "{errno} {system:?} {layer:?}");
            let error = reason.of(Operation::Create);
            assert!(error.remedy().unwrap_or_default().contains(remedy), "{error}");
        }
        for (errno, cause) in [
            (EEXIST, Cause::Exists),
            (EINVAL, Cause::MissingDriver),
            (EPERM, Cause::MissingCapability),
            (ENOMEM, Cause::Other),
        ] {
            assert_eq!(create(errno, NetBsd, Layer::Tap).cause(), cause);
        }
        for (errno, operation, cause) in [
            (ENXIO, Operation::Up, Cause::Gone),
            (EBADF, Operation::Up, Cause::Gone),
            (EINVAL, Operation::SetMtu, Cause::InvalidMtu),
            (EINVAL, Operation::SetMac, Cause::InvalidMac),
            (EINVAL, Operation::AddAddress, Cause::InvalidAddress),
            (EINVAL, Operation::Up, Cause::Other),
            (EADDRNOTAVAIL, Operation::RemoveAddress, Cause::AddressNotFound),
            (EEXIST, Operation::AddAddress, Cause::AddressExists),
            (EEXIST, Operation::Rename, Cause::Exists),
            (EAFNOSUPPORT, Operation::AddAddress, Cause::NoIpv6),
            (EBUSY, Operation::Destroy, Cause::Busy),
            (EPERM, Operation::Down, Cause::MissingCapability),
        ] {
            assert_eq!(configure(errno, operation).cause(), cause, "{errno} {operation}");
        }
        for (errno, received, sent) in [
            (EAGAIN, Cause::WouldBlock, Cause::WouldBlock),
            (ENXIO, Cause::Gone, Cause::Gone),
            (EHOSTDOWN, Cause::Down, Cause::Down),
            (EIO, Cause::Gone, Cause::MalformedPacket),
            (EMSGSIZE, Cause::Other, Cause::MalformedPacket),
            (EAFNOSUPPORT, Cause::Other, Cause::MalformedPacket),
            (ENOBUFS, Cause::NoBuffers, Cause::NoBuffers),
        ] {
            assert_eq!((receive(errno).cause(), send(errno).cause()), (received, sent), "{errno}");
        }
    }

    #[test]
    fn a_descriptor_is_of_nothing_or_of_something_else() {
        for (errno, cause) in [
            (ENXIO, Cause::NotAttached),
            (EBADF, Cause::NotAttached),
            (EIO, Cause::NotAttached),
            (ENOTTY, Cause::ForeignDescriptor),
            (ENOTSOCK, Cause::ForeignDescriptor),
            (ENOPROTOOPT, Cause::ForeignDescriptor),
            (EMFILE, Cause::TooManyOpenFiles),
            (ENOMEM, Cause::Other),
        ] {
            assert_eq!(adopt(errno).cause(), cause, "{errno}");
        }
        assert!(other_vnet_header(12).of(Operation::Adopt).to_string().contains("12 bytes"));
        assert_eq!(no_af_header().cause(), Cause::HeaderMismatch);
    }

    #[test]
    fn an_error_has_the_systems_own_number() {
        let error = with_errno(receive(EAGAIN), &io::Error::from_raw_os_error(EAGAIN)).of(Operation::Receive);
        assert_eq!((error.raw_os_error(), error.is_would_block()), (Some(35), true));
        assert!(error.to_string().contains("Resource temporarily unavailable"), "{error}");
    }
}
