//! Why the device node could not be opened.

use std::path::Path;

use nix::errno::Errno;
use tunctl_core::{Cause, Reason};

use super::{CallerContext, from_errno};

/// The device node could not be opened.
pub(crate) fn node(errno: Errno, node: &Path, context: &CallerContext) -> Reason {
    let node = node.display();
    match errno {
        Errno::ENOENT | Errno::ENOTDIR if context.container => Reason::new(Cause::MissingNode)
            .with_detail(format!("{node} does not exist in this container"))
            .with_remedy("Start the container with --device /dev/net/tun --cap-add NET_ADMIN."),
        Errno::ENOENT | Errno::ENOTDIR => {
            Reason::new(Cause::MissingNode).with_detail(format!("{node} does not exist")).with_remedy(
                "Load the driver: sudo modprobe tun. On a system without udev, make the node: \
                 sudo mkdir -p /dev/net && sudo mknod -m 0666 /dev/net/tun c 10 200.",
            )
        }
        // Docker makes it so, if the node was missing when a container was started with --volume.
        Errno::EISDIR => Reason::new(Cause::MissingNode)
            .with_detail(format!("{node} is a directory, not the driver's node"))
            .with_remedy(
                "Remove it: sudo rmdir /dev/net/tun. Then load the driver, sudo modprobe tun, and start \
                 containers with --device /dev/net/tun.",
            ),
        Errno::ELOOP => Reason::new(Cause::MissingNode)
            .with_detail(format!("{node} is a symbolic link that leads back to itself"))
            .with_remedy(
                "Replace it by the driver's node: sudo rm /dev/net/tun && \
                 sudo mknod -m 0666 /dev/net/tun c 10 200.",
            ),
        Errno::ENODEV | Errno::ENXIO => Reason::new(Cause::MissingDriver)
            .with_detail(format!("no driver answers behind {node}"))
            .with_remedy(
                "Load the driver: sudo modprobe tun. If its module is not found, the kernel was probably \
                 upgraded and still runs: reboot. (A kernel built without CONFIG_TUN has none.)",
            ),
        Errno::EACCES if context.uid == 0 => Reason::new(Cause::ClosedNode)
            .with_detail(format!(
                "{node} is closed to this user: by its mode, which root of a user namespace or container \
                 does not override, or by a nodev mount"
            ))
            .with_remedy(
                "Run it with sudo, or let root of the machine open the node: sudo chmod 0666 /dev/net/tun.",
            ),
        Errno::EACCES => Reason::new(Cause::ClosedNode)
            .with_detail(format!("the mode of {node} does not let this user open it"))
            .with_remedy(
                "Run it with sudo, or open the node: sudo chmod 0666 /dev/net/tun. (Creating an interface \
                 still takes the capability.)",
            ),
        Errno::EPERM => Reason::new(Cause::ContainerRules)
            .with_detail(format!("the device rules of this container, or service, forbid {node}"))
            .with_remedy(
                "Start the container with --device /dev/net/tun --cap-add NET_ADMIN; give a systemd service \
                 DeviceAllow=/dev/net/tun rw.",
            ),
        errno => from_errno(errno),
    }
}

/// The node could be opened, and a request to it failed.
pub(crate) fn other_driver(errno: Errno) -> Reason {
    match errno {
        Errno::ENOTTY | Errno::ENOSYS => Reason::new(Cause::MissingDriver)
            .with_detail("the opened node does not belong to the TUN/TAP driver")
            .with_remedy("The driver's node is /dev/net/tun (character device 10, 200)."),
        errno => from_errno(errno),
    }
}
