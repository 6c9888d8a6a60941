//! From an errno and its circumstances to a reason: pure functions, so that every row is tested.
//!
//! A remedy that is the same on every system stands beside the cause, in tunctl-core; here are those that name a command.

use std::io;

use tunctl_core::{Cause, Layer, Operation, Reason};
use tunctl_packet::header::System;

use crate::errno::*;

/// The reason, with the errno of the system call that failed.
pub(crate) fn with_errno(reason: Reason, error: &io::Error) -> Reason {
    match error.raw_os_error() {
        Some(errno) => reason.with_foreign_errno(errno, text(errno)),
        None => reason,
    }
}

/// A node could not be opened.
pub(crate) fn node(errno: i32, system: System, layer: Layer) -> Reason {
    match (errno, system, layer) {
        (ENOENT, System::FreeBsd, _) => Reason::new(Cause::MissingNode)
            .with_detail("there is no such node for this caller: FreeBSD makes none for who may not create interfaces")
            .with_remedy(
                "Run it as root. If there is none for root either, load the driver: kldload if_tuntap (before \
                 FreeBSD 13: if_tun, if_tap). In a jail, show it the node by a devfs rule.",
            ),
        (ENOENT, System::DragonFly, layer) => loaded(Reason::new(Cause::MissingNode), system, layer),
        // There are no nodes.
        (ENOENT, System::MacOs, _) => Reason::new(Cause::MissingDriver).with_detail("this kernel makes no utuns"),
        (ENOENT, ..) => Reason::new(Cause::MissingNode)
            .with_remedy("Make the node: cd /dev && sh MAKEDEV with its name, as root."),
        (ENXIO | ENODEV, System::NetBsd, layer) => loaded(Reason::new(Cause::MissingDriver), system, layer),
        (ENXIO | ENODEV, ..) => {
            Reason::new(Cause::MissingDriver).with_detail("no TUN/TAP driver answers behind the node")
        }
        (EACCES, System::FreeBsd, _) => Reason::new(Cause::ClosedNode)
            .with_detail("the mode of the node does not let this user open it")
            .with_remedy("Run it as root, or open the node for good by a rule in /etc/devfs.conf."),
        (EACCES, ..) => Reason::new(Cause::ClosedNode)
            .with_detail("the mode of the node does not let this user open it")
            .with_remedy("Run it as root, or have root change the node's owner or mode."),
        (EPERM, System::FreeBsd | System::DragonFly, Layer::Tap) => Reason::new(Cause::MissingCapability)
            .with_detail("to open a tap takes root here")
            .with_remedy(
                "Run it as root, or permit it to all who may open the node: sysctl net.link.tap.user_open=1.",
            ),
        (EPERM, System::MacOs, _) => Reason::new(Cause::MissingCapability)
            .with_detail("to make a utun takes root")
            .with_remedy("Run it with sudo."),
        (EBUSY, ..) => {
            Reason::new(Cause::Busy).with_detail("another program has it open, and it opens for one only")
        }
        (errno, ..) => from_errno(errno),
    }
}

/// With the command that loads the driver, where it is a module.
fn loaded(reason: Reason, system: System, layer: Layer) -> Reason {
    match (system, layer) {
        (System::NetBsd, Layer::Tun) => reason.with_remedy("Load the driver: modload if_tun."),
        (System::NetBsd, Layer::Tap) => reason.with_remedy("Load the driver: modload if_tap."),
        (System::DragonFly, Layer::Tun) => reason.with_remedy("Load the driver: kldload if_tun."),
        (System::DragonFly, Layer::Tap) => reason.with_remedy("Load the driver: kldload if_tap."),
        _ => reason,
    }
}

/// There is no node of the driver that macOS had tuns and taps by before it had its own.
pub(crate) fn no_third_party_node() -> Reason {
    Reason::new(Cause::MissingNode)
        .with_detail(
            "the kernel extension whose interfaces are called so is not loaded, or has no more of them",
        )
        .with_remedy("Ask for macOS's own: utunN for a tun, fethN for a tap, or no name.")
}

/// An interface could not be made by a request.
pub(crate) fn create(errno: i32, system: System, layer: Layer) -> Reason {
    match errno {
        EEXIST => Reason::new(Cause::Exists),
        // There is nobody who makes interfaces of such a name.
        EINVAL | ENXIO => {
            let missing =
                Reason::new(Cause::MissingDriver).with_detail("this kernel makes no interfaces of that kind");
            loaded(missing, system, layer)
        }
        errno => from_errno(errno),
    }
}

/// A packet filter could not be had, or not set up.
pub(crate) fn filter(errno: i32) -> Reason {
    match errno {
        // They have numbers, and the first that is not there comes after the last that is in use.
        ENOENT => Reason::new(Cause::MissingNode)
            .with_detail("there is no packet filter (/dev/bpf0, /dev/bpf1, …) that is free")
            .with_remedy("End a program that captures packets."),
        EACCES => Reason::new(Cause::ClosedNode)
            .with_detail("the mode of the packet filter (/dev/bpf…) does not let this user open it")
            .with_remedy("Run it with sudo."),
        errno => from_errno(errno),
    }
}

/// An interface, or a device, could not be configured, or asked.
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
        (EBUSY, Operation::Destroy | Operation::Delete) => {
            Reason::new(Cause::Busy).with_detail("a program has it open, and it goes only after it is closed")
        }
        (errno, _) => from_errno(errno),
    }
}

/// An interface could not be removed, and is there still.
pub(crate) fn destroy(errno: i32, operation: Operation) -> Reason {
    match errno {
        ENXIO => Reason::new(Cause::Unsupported).with_detail("the system keeps it: no request has made it"),
        errno => configure(errno, operation),
    }
}

/// A packet could not be read.
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

/// A packet could not be written.
pub(crate) fn send(errno: i32) -> Reason {
    match errno {
        EAGAIN => Reason::new(Cause::WouldBlock),
        ENXIO | EBADF => Reason::new(Cause::Gone),
        EHOSTDOWN | ENETDOWN => {
            Reason::new(Cause::Down).with_remedy("Bring it up and give it an address first.")
        }
        EMSGSIZE | EIO => Reason::new(Cause::MalformedPacket)
            .with_detail("the packet is longer than this system takes, or shorter"),
        EAFNOSUPPORT | EINVAL => Reason::new(Cause::MalformedPacket),
        errno => from_errno(errno),
    }
}

/// What an errno means in any operation.
pub(crate) fn from_errno(errno: i32) -> Reason {
    match errno {
        EPERM | EACCES => Reason::new(Cause::MissingCapability).with_detail("this takes root"),
        EMFILE => Reason::new(Cause::TooManyOpenFiles),
        ENOBUFS => Reason::new(Cause::NoBuffers),
        ENFILE => Reason::new(Cause::TooManyOpenFiles)
            .with_detail("the system has as many files open as it may")
            .with_remedy("Raise the sysctl kern.maxfiles, or close some."),
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
    fn an_error_has_the_systems_own_number() {
        let error = with_errno(receive(EAGAIN), &io::Error::from_raw_os_error(EAGAIN)).of(Operation::Receive);
        assert_eq!((error.raw_os_error(), error.is_would_block()), (Some(35), true));
        assert!(error.to_string().contains("Resource temporarily unavailable"), "{error}");
    }
}
