//! Each row: an errno, what was going on, and the cause and remedy that follow.

use std::path::Path;

use super::*;
use tunctl_core::{Gid, InterfaceIndex, InterfaceInfo, InterfaceName, Mtu, Uid};

fn user() -> CallerContext {
    CallerContext {
        opened_without: false,
        container: false,
        net_admin: false,
        net_raw: false,
        governs: true,
        net_admin_in_reach: false,
        uid: 1000,
        program: "/usr/bin/vpn".into(),
    }
}

fn existing(flags: CreateFlags) -> InterfaceInfo {
    let name = InterfaceName::new("vpn0").unwrap();
    let index = InterfaceIndex::new(7).unwrap();
    let mut info = InterfaceInfo::new(name, index, flags.layer().unwrap(), Mtu::new(1500).unwrap());
    info.flags = flags;
    info
}

#[test]
fn each_refusal_of_the_node_has_a_remedy_of_its_own() {
    let path = Path::new("/dev/net/tun");
    let reported = |errno, context: &CallerContext| {
        let error = node(errno, path, context).of(Operation::Create);
        (error.cause(), error.to_string())
    };
    let container = CallerContext { container: true, ..user() };
    let rows = [
        (Errno::ENOENT, user(), Cause::MissingNode, "mknod"),
        (Errno::ENOENT, container.clone(), Cause::MissingNode, "--device /dev/net/tun"),
        (Errno::ENODEV, user(), Cause::MissingDriver, "modprobe tun"),
        (Errno::ENXIO, user(), Cause::MissingDriver, "modprobe tun"),
        (Errno::EACCES, user(), Cause::ClosedNode, "chmod 0666"),
        (Errno::EACCES, CallerContext { uid: 0, ..user() }, Cause::ClosedNode, "root of the machine"),
        (Errno::EPERM, container, Cause::ContainerRules, "--device /dev/net/tun"),
        (Errno::EMFILE, user(), Cause::TooManyOpenFiles, "ulimit -n"),
    ];
    for (errno, context, cause, advice) in rows {
        let (found, text) = reported(errno, &context);
        assert_eq!(found, cause, "{errno}");
        assert!(text.contains(advice), "{text}");
    }
}

#[test]
fn each_refusal_to_attach_has_a_cause_of_its_own() {
    let tun = CreateFlags::TUN | CreateFlags::NO_PI;
    let there = Link::Tun(existing(tun));
    let several = Link::Tun(existing(tun | CreateFlags::MULTI_QUEUE));
    let lo = Link::Other(InterfaceIndex::new(1).unwrap());
    let mut owned = existing(tun);
    (owned.owner, owned.group) = (Uid::new(7), Gid::new(8));
    let owned = Link::Tun(owned);
    let exclusive = tun | CreateFlags::TUN_EXCL;
    let tap = CreateFlags::TAP | CreateFlags::NO_PI;
    let queues = tun | CreateFlags::MULTI_QUEUE;
    let rows = [
        (Errno::EBUSY, exclusive, Some(&there), Cause::Exists, "another name"),
        (Errno::EBUSY, exclusive, Some(&lo), Cause::NotATun, "another kind"),
        (Errno::EINVAL, tun, Some(&lo), Cause::NotATun, "another kind"),
        (Errno::EBUSY, tun, Some(&there), Cause::Busy, "multi_queue"),
        (Errno::EINVAL, tap, Some(&there), Cause::LayerMismatch, "exists as a tun"),
        (Errno::EINVAL, queues, Some(&there), Cause::QueueMismatch, "Ask without multi_queue"),
        (Errno::EINVAL, tun, Some(&several), Cause::QueueMismatch, "Ask for multi_queue"),
        (Errno::E2BIG, queues, Some(&several), Cause::TooManyQueues, "makes room"),
        (Errno::EPERM, tun, Some(&owned), Cause::NotOwner, "user 7 and group 8"),
        (Errno::EPERM, tun, Some(&there), Cause::MissingCapability, "setcap cap_net_admin=ep /usr/bin/vpn"),
        (Errno::EPERM, exclusive, None, Cause::MissingCapability, "sudo"),
        (Errno::EINVAL, exclusive, None, Cause::InvalidName, "refuses the name"),
        (Errno::ENOTTY, exclusive, None, Cause::MissingDriver, "/dev/net/tun"),
    ];
    for (errno, flags, existing, cause, advice) in rows {
        let error = attach(errno, Operation::Create, flags, existing, &user()).of(Operation::Create);
        assert_eq!(error.cause(), cause, "{errno} {flags:?}");
        assert!(error.to_string().contains(advice), "{error}");
    }
    let absent = attach(Errno::EPERM, Operation::Open, tun, None, &user());
    assert_eq!(absent, not_found());
}

#[test]
fn a_missing_capability_is_told_from_one_held_elsewhere() {
    let told = |context: &CallerContext| unprivileged(context).of(Operation::Create);
    let container = told(&CallerContext { container: true, ..user() });
    assert!(container.to_string().contains("--cap-add NET_ADMIN"), "{container}");
    let root_could = told(&CallerContext { container: true, net_admin_in_reach: true, ..user() });
    assert!(root_could.to_string().contains("setcap"), "{root_could}");
    let elsewhere = told(&CallerContext { net_admin: true, governs: false, ..user() });
    assert_eq!(elsewhere.cause(), Cause::ForeignNamespace);
}

#[test]
fn too_many_pieces_are_told_from_a_malformed_packet() {
    for (errno, count, cause) in [
        (Errno::EINVAL, 1025, Some(Cause::TooManyPieces)),
        (Errno::EINVAL, 1024, None),
        (Errno::EIO, 1025, None),
    ] {
        assert_eq!(pieces(errno, count).map(|reason| reason.cause()), cause);
    }
}

#[test]
fn a_sandbox_is_told_from_a_missing_right() {
    let root = CallerContext { net_admin: true, net_raw: true, ..user() };
    let stranger = CallerContext { governs: false, ..root.clone() };
    let observe = |errno, context| observe(errno, context).of(Operation::Observe);
    let rows = [
        (unprivileged(&root).of(Operation::Create), Cause::Sandboxed, "SystemCallFilter="),
        (observe(Errno::EPERM, &user()), Cause::MissingCapability, "CAP_NET_RAW"),
        (observe(Errno::EPERM, &stranger), Cause::ForeignNamespace, "CAP_NET_RAW is held in another"),
        (observe(Errno::EPERM, &root), Cause::Sandboxed, "RestrictAddressFamilies="),
        (observe(Errno::EAFNOSUPPORT, &user()), Cause::Sandboxed, "Add AF_PACKET"),
        (socket(Errno::EPERM, "AF_NETLINK").of(Operation::List), Cause::Sandboxed, "Add AF_NETLINK"),
        (socket(Errno::EMFILE, "AF_NETLINK").of(Operation::List), Cause::TooManyOpenFiles, "ulimit"),
    ];
    for (error, cause, words) in rows {
        assert_eq!(error.cause(), cause, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    // An owner with the right is not refused for the owner's sake.
    let mut owned = existing(CreateFlags::TUN | CreateFlags::NO_PI);
    owned.owner = Uid::new(7);
    let owned = Link::Tun(owned);
    let refused = attach(Errno::EPERM, Operation::Open, CreateFlags::TUN, Some(&owned), &root);
    assert_eq!(refused.cause(), Cause::Sandboxed);
}

#[test]
fn a_packet_that_is_too_short_is_told_from_one_that_is_malformed() {
    let cause = |flags, length| send(Errno::EINVAL, flags, length).of(Operation::Send).cause();
    let tap = CreateFlags::TAP | CreateFlags::NO_PI;
    assert_eq!(cause(tap, 13), Cause::TooShort);
    assert_eq!(cause(tap, 14), Cause::MalformedPacket);
    assert_eq!(cause(CreateFlags::TUN | CreateFlags::NO_PI, 0), Cause::TooShort);
    assert_eq!(cause(CreateFlags::TUN | CreateFlags::NO_PI, 20), Cause::MalformedPacket);
    assert_eq!(cause(CreateFlags::TUN, 4), Cause::TooShort);
    assert_eq!(cause(CreateFlags::TUN | CreateFlags::VNET_HDR, 14), Cause::TooShort);
}
