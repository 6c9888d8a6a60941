//! From an errno, and what was going on, to an error with its cause and a remedy: pure functions, so that every row is tested.

use std::io;

use tunctl_core::{Cause, Error, Layer, Operation};
use tunctl_packet::header::System;

use crate::errno::*;

/// What an error will say, apart from what was asked and of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) cause: Cause,
    pub(crate) detail: &'static str,
    pub(crate) remedy: &'static str,
}

const fn verdict(cause: Cause) -> Verdict {
    Verdict { cause, detail: "", remedy: "" }
}

impl Verdict {
    const fn because(self, detail: &'static str) -> Self {
        Self { detail, ..self }
    }

    const fn remedy(self, remedy: &'static str) -> Self {
        Self { remedy, ..self }
    }

    pub(crate) fn into_error(self, operation: Operation, error: &io::Error) -> Error {
        let told = Error::new(operation, self.cause);
        let told = match error.raw_os_error() {
            Some(errno) => told.with_foreign_errno(errno, text(errno)),
            None => told,
        };
        let told = if self.detail.is_empty() { told } else { told.with_detail(self.detail) };
        if self.remedy.is_empty() { told } else { told.with_remedy(self.remedy) }
    }
}

/// A node could not be opened.
pub(crate) fn node(errno: i32, system: System, layer: Layer) -> Verdict {
    match (errno, system, layer) {
        (ENOENT, System::FreeBsd, _) => verdict(Cause::MissingNode)
            .because("there is no such node for this caller: FreeBSD makes none for who may not create interfaces")
            .remedy(
                "Run it as root. If there is none for root either, load the driver: kldload if_tuntap (before \
                 FreeBSD 13: if_tun, if_tap). In a jail, show it the node by a devfs rule.",
            ),
        (ENOENT, System::DragonFly, Layer::Tun) => {
            verdict(Cause::MissingNode).remedy("Load the driver: kldload if_tun.")
        }
        (ENOENT, System::DragonFly, Layer::Tap) => {
            verdict(Cause::MissingNode).remedy("Load the driver: kldload if_tap.")
        }
        // There are no nodes.
        (ENOENT, System::MacOs, _) => verdict(Cause::MissingDriver).because("this kernel makes no utuns"),
        (ENOENT, ..) => verdict(Cause::MissingNode)
            .remedy("Make the node: cd /dev && sh MAKEDEV with its name, as root."),
        (ENXIO | ENODEV, System::NetBsd, Layer::Tun) => {
            verdict(Cause::MissingDriver).remedy("Load the driver: modload if_tun.")
        }
        (ENXIO | ENODEV, System::NetBsd, Layer::Tap) => {
            verdict(Cause::MissingDriver).remedy("Load the driver: modload if_tap.")
        }
        (ENXIO | ENODEV, ..) => {
            verdict(Cause::MissingDriver).because("no TUN/TAP driver answers behind the node")
        }
        (EACCES, System::FreeBsd, _) => verdict(Cause::ClosedNode)
            .because("the mode of the node does not let this user open it")
            .remedy("Run it as root, or open the node for good by a rule in /etc/devfs.conf."),
        (EACCES, ..) => verdict(Cause::ClosedNode)
            .because("the mode of the node does not let this user open it")
            .remedy("Run it as root, or have root change the node's owner or mode."),
        (EPERM, System::FreeBsd | System::DragonFly, Layer::Tap) => verdict(Cause::MissingCapability)
            .because("to open a tap takes root here")
            .remedy(
                "Run it as root, or permit it to all who may open the node: sysctl net.link.tap.user_open=1.",
            ),
        (EPERM, System::MacOs, _) => verdict(Cause::MissingCapability)
            .because("to make a utun takes root")
            .remedy("Run it with sudo."),
        (EBUSY, ..) => {
            verdict(Cause::Busy).because("another program has it open, and it opens for one only")
        }
        (errno, ..) => general(errno),
    }
}

/// There is no node of the driver that macOS had tuns and taps by before it had its own.
pub(crate) const NO_OLDER_NODE: Verdict = verdict(Cause::MissingNode)
    .because("the kernel extension whose interfaces are called so is not loaded, or has no more of them")
    .remedy("Ask for macOS's own: utunN for a tun, fethN for a tap, or no name.");

/// An interface could not be made by a request.
pub(crate) fn create(errno: i32, system: System, layer: Layer) -> Verdict {
    match errno {
        EEXIST => verdict(Cause::Exists),
        // There is nobody who makes interfaces of such a name.
        EINVAL | ENXIO => {
            let missing =
                verdict(Cause::MissingDriver).because("this kernel makes no interfaces of that kind");
            match system {
                // The remedy is that for a node with nothing behind, or for none.
                System::NetBsd => Verdict { remedy: node(ENXIO, system, layer).remedy, ..missing },
                System::DragonFly => Verdict { remedy: node(ENOENT, system, layer).remedy, ..missing },
                _ => missing,
            }
        }
        errno => general(errno),
    }
}

/// A packet filter could not be had, or not set up.
pub(crate) fn filter(errno: i32) -> Verdict {
    match errno {
        // They have numbers, and the first that is not there comes after the last that is in use.
        ENOENT => verdict(Cause::MissingNode)
            .because("there is no packet filter (/dev/bpf0, /dev/bpf1, …) that is free")
            .remedy("End a program that captures packets."),
        EACCES => verdict(Cause::ClosedNode)
            .because("the mode of the packet filter (/dev/bpf…) does not let this user open it")
            .remedy("Run it with sudo."),
        errno => general(errno),
    }
}

/// An interface, or a device, could not be configured, or asked.
pub(crate) fn configure(errno: i32, operation: Operation) -> Verdict {
    match (errno, operation) {
        (ENXIO | EBADF, _) => verdict(Cause::Gone),
        (EINVAL | EOPNOTSUPP, Operation::SetMtu) => verdict(Cause::InvalidMtu),
        (EINVAL | EADDRNOTAVAIL, Operation::SetMac) => verdict(Cause::InvalidMac),
        (EADDRNOTAVAIL, Operation::RemoveAddress) => verdict(Cause::AddressNotFound),
        (EINVAL | EADDRNOTAVAIL, Operation::AddAddress) => verdict(Cause::InvalidAddress),
        (EEXIST, Operation::AddAddress) => verdict(Cause::AddressExists),
        (EAFNOSUPPORT, Operation::AddAddress | Operation::RemoveAddress) => verdict(Cause::NoIpv6),
        (EEXIST, Operation::Rename) => verdict(Cause::Exists),
        (EINVAL, Operation::Rename) => verdict(Cause::InvalidName),
        (EBUSY, Operation::Destroy | Operation::Delete) => {
            verdict(Cause::Busy).because("a program has it open, and it goes only after it is closed")
        }
        (errno, _) => general(errno),
    }
}

/// An interface could not be removed, and is there still.
pub(crate) fn destroy(errno: i32, operation: Operation) -> Verdict {
    match errno {
        ENXIO => verdict(Cause::Unsupported).because("the system keeps it: no request has made it"),
        errno => configure(errno, operation),
    }
}

/// A packet could not be read.
pub(crate) fn receive(errno: i32) -> Verdict {
    match errno {
        EAGAIN => verdict(Cause::WouldBlock),
        ENXIO | EBADF | EIO => verdict(Cause::Gone),
        EHOSTDOWN | ENETDOWN => verdict(Cause::Down).remedy("Bring it up and give it an address first."),
        errno => general(errno),
    }
}

/// A packet could not be written.
pub(crate) fn send(errno: i32) -> Verdict {
    match errno {
        EAGAIN => verdict(Cause::WouldBlock),
        ENXIO | EBADF => verdict(Cause::Gone),
        EHOSTDOWN | ENETDOWN => verdict(Cause::Down).remedy("Bring it up and give it an address first."),
        EMSGSIZE | EIO => {
            verdict(Cause::MalformedPacket).because("the packet is longer than this system takes, or shorter")
        }
        EAFNOSUPPORT | EINVAL => verdict(Cause::MalformedPacket),
        errno => general(errno),
    }
}

/// What an errno means whatever was asked.
pub(crate) fn general(errno: i32) -> Verdict {
    match errno {
        EPERM | EACCES => {
            verdict(Cause::MissingCapability).because("this takes root").remedy("Run it as root.")
        }
        EMFILE => verdict(Cause::TooManyOpenFiles).remedy("Raise the limit (ulimit -n), or close some."),
        ENFILE => verdict(Cause::TooManyOpenFiles)
            .because("the system has as many files open as it may")
            .remedy("Raise the sysctl kern.maxfiles, or close some."),
        _ => verdict(Cause::Other),
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
            let told = node(errno, system, layer);
            assert_eq!(told.cause, cause, "{errno} {system:?} {layer:?}");
            assert!(told.remedy.contains(remedy), "{told:?}");
        }
        for (errno, cause) in [
            (EEXIST, Cause::Exists),
            (EINVAL, Cause::MissingDriver),
            (EPERM, Cause::MissingCapability),
            (ENOMEM, Cause::Other),
        ] {
            assert_eq!(create(errno, NetBsd, Layer::Tap).cause, cause);
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
            assert_eq!(configure(errno, operation).cause, cause, "{errno} {operation}");
        }
        for (errno, received, sent) in [
            (EAGAIN, Cause::WouldBlock, Cause::WouldBlock),
            (ENXIO, Cause::Gone, Cause::Gone),
            (EHOSTDOWN, Cause::Down, Cause::Down),
            (EIO, Cause::Gone, Cause::MalformedPacket),
            (EMSGSIZE, Cause::Other, Cause::MalformedPacket),
            (EAFNOSUPPORT, Cause::Other, Cause::MalformedPacket),
            (ENOBUFS, Cause::Other, Cause::Other),
        ] {
            assert_eq!((receive(errno).cause, send(errno).cause), (received, sent), "{errno}");
        }
    }

    #[test]
    fn an_error_tells_the_systems_own_number() {
        let error = receive(EAGAIN).into_error(Operation::Receive, &io::Error::from_raw_os_error(EAGAIN));
        assert_eq!((error.raw_os_error(), error.is_would_block()), (Some(35), true));
        assert!(error.to_string().contains("Resource temporarily unavailable"), "{error}");
    }
}
