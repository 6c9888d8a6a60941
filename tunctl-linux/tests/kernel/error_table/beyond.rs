//! Errors of what goes beyond the traits' required methods: descriptors, namespaces, the link.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use tunctl_core::{Adopt, Cause, CreateOptions, Error, Interface, Operation, TunBackend, TunDevice};
use tunctl_linux::{LinkType, LinuxBackend, Namespace};
use tunctl_sys::linux::{iff, tun as driver};
use tunctl_testing::ip;

use super::super::adopt::raw;
use super::super::support::{address, backend, name, refused, tap, tun};
use super::{Place, Row, here};

pub(super) fn rows() -> Vec<Row> {
    [descriptors(), namespaces(), links()].into_iter().flatten().collect()
}

fn adopt(fd: impl Into<OwnedFd>) -> Error {
    refused(backend().adopt(fd.into()).map_err(Error::from))
}

/// A device whose virtio-net header has a length that nobody defines.
fn adopt_with_a_header_of_16_bytes() -> Error {
    let fd = raw("tun0", iff::TUN | iff::NO_PI | iff::VNET_HDR);
    driver::set_vnet_header_size(fd.as_fd(), 16).unwrap();
    adopt(fd)
}

fn descriptors() -> Vec<Row> {
    use Operation as O;
    let unknown = Row {
        place: Place::Injected { call: "socket" },
        ..here(
            O::Inspect,
            &[Errno::EAFNOSUPPORT],
            "the device was adopted where a sandbox forbids netlink",
            (Cause::UnknownInterface, "add AF_NETLINK"),
            || {
                let device = backend().adopt(raw("tun0", iff::TUN | iff::NO_PI)).unwrap();
                refused(device.interface().info())
            },
        )
    };
    vec![
        here(
            O::Adopt,
            &[Errno::ENOTTY],
            "the descriptor is that of another file",
            (Cause::ForeignDescriptor, "Pass the descriptor of an open TUN/TAP device"),
            || adopt(File::open("/dev/null").unwrap()),
        ),
        here(
            O::Adopt,
            &[Errno::EBADFD],
            "the descriptor was never attached, or its interface was deleted",
            (Cause::NotAttached, "attach it first"),
            || {
                let fd = raw("tun0", iff::TUN | iff::NO_PI);
                ip("link delete tun0");
                adopt(fd)
            },
        ),
        here(
            O::Adopt,
            &[],
            "its virtio-net header has a length that virtio does not define",
            (Cause::HeaderMismatch, "of 10, 12, 20 and 24"),
            adopt_with_a_header_of_16_bytes,
        ),
        unknown,
    ]
}

fn move_to_a_namesake() -> Error {
    let elsewhere = Namespace::new().unwrap();
    let there = LinuxBackend::new().in_namespace(&elsewhere).unwrap();
    let _namesake = there.create(&CreateOptions::tun().name("tun0")).unwrap();
    refused(tun("tun0").interface().move_to(&elsewhere))
}

fn namespaces() -> Vec<Row> {
    use Operation as O;
    vec![
        here(
            O::Namespace,
            &[Errno::ENOENT],
            "there is no such file",
            (Cause::NotFound, "ip netns list"),
            || refused(Namespace::open("/run/netns/none")),
        ),
        here(
            O::Namespace,
            &[],
            "the file is no network namespace",
            (Cause::NotANamespace, "ip netns delete"),
            || refused(Namespace::open("/proc/self/ns/uts")),
        ),
        here(
            O::Namespace,
            &[Errno::ENOENT],
            "there is no such process",
            (Cause::NotFound, "look with ps"),
            || refused(Namespace::of_process(u32::MAX)),
        ),
        here(
            O::Move,
            &[Errno::EEXIST],
            "the other namespace has an interface of that name",
            (Cause::Exists, "Rename one of the two"),
            move_to_a_namesake,
        ),
    ]
}

fn without_a_queue() -> Error {
    let device = tun("tun0");
    device.set_persist(true).unwrap();
    drop(device);
    let interface = backend().interface(&name("tun0")).unwrap();
    let error = refused(interface.set_carrier(true));
    interface.delete().unwrap();
    error
}

fn join_a_bridge_with_a_tun() -> Error {
    ip("link add br0 type bridge");
    refused(tun("tun0").interface().set_master("br0"))
}

fn links() -> Vec<Row> {
    use Operation as O;
    vec![
        here(
            O::Create,
            &[Errno::EBUSY],
            "the chosen index is another interface's",
            (Cause::Busy, "Choose another index"),
            || {
                let taken = tun("tun0");
                let index = taken.interface().index();
                refused(backend().create(&CreateOptions::tun().name("tun1").index(index)))
            },
        ),
        here(
            O::SetCarrier,
            &[Errno::EPERM],
            "it is to go on, and no queue is in service",
            (Cause::NoQueue, "Open the interface first"),
            without_a_queue,
        ),
        here(
            O::SetMaster,
            &[],
            "there is no interface of that name",
            (Cause::NotFound, "type bridge"),
            || refused(tap("tap0").interface().set_master("br0")),
        ),
        here(
            O::SetMaster,
            &[Errno::EOPNOTSUPP],
            "that interface has no ports",
            (Cause::InvalidValue, "Name a bridge"),
            || refused(tap("tap0").interface().set_master("lo")),
        ),
        here(
            O::SetMaster,
            &[Errno::EINVAL],
            "it is a bridge, and this is a tun",
            (Cause::LayerMismatch, "Create a tap"),
            join_a_bridge_with_a_tun,
        ),
        here(
            O::SetSendBuffer,
            &[],
            "it is too small, and a wait would never end",
            (Cause::InvalidValue, "from 2 to"),
            || refused(tun("tun0").set_send_buffer(1)),
        ),
        here(
            O::SetLinkType,
            &[Errno::EBUSY],
            "the interface is up",
            (Cause::Busy, "Take it down first"),
            || {
                let device = tun("tun0");
                device.up(address("10.1.1.1/24")).unwrap();
                refused(device.set_link_type(LinkType::ETHERNET))
            },
        ),
    ]
}
