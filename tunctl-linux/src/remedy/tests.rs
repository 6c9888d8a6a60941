//! Each row: an errno, what was going on, and the cause and remedy that follow.

use std::path::Path;

use super::*;
use tunctl_core::{Gid, InterfaceIndex, InterfaceInfo, InterfaceName, Mtu, Uid};

fn user() -> CallerContext {
    CallerContext {
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

fn attempt(operation: Operation, flags: CreateFlags, existing: Option<&Link>) -> Attempt<'_> {
    let name = InterfaceName::new("vpn0").ok();
    Attempt { operation, flags, name, index: None, existing, holders: Vec::new() }
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
        (Errno::ENODEV, user(), Cause::MissingDriver, "reboot"),
        (Errno::EISDIR, user(), Cause::MissingNode, "is a directory"),
        (Errno::ELOOP, user(), Cause::MissingNode, "leads back to itself"),
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
        (Errno::EBUSY, exclusive, Some(&there), Cause::Exists, "open the existing"),
        (
            Errno::EBUSY,
            tap | CreateFlags::TUN_EXCL,
            Some(&there),
            Cause::Exists,
            "exists already, as a tun (IP packets). Choose another name, or delete it first.",
        ),
        (Errno::EBUSY, exclusive, Some(&lo), Cause::NotATun, "another kind"),
        (Errno::EINVAL, tun, Some(&lo), Cause::NotATun, "another kind"),
        (Errno::EBUSY, tun, Some(&there), Cause::Busy, "which only root sees"),
        (Errno::EINVAL, tap, Some(&there), Cause::LayerMismatch, "exists as a tun"),
        (Errno::EINVAL, queues, Some(&there), Cause::QueueMismatch, "Ask without multi_queue"),
        (Errno::EINVAL, tun, Some(&several), Cause::QueueMismatch, "Ask for multi_queue"),
        (Errno::E2BIG, queues, Some(&several), Cause::TooManyQueues, "makes room"),
        (Errno::EPERM, tun, Some(&owned), Cause::NotOwner, "user 7 and group 8"),
        (Errno::EPERM, tun, Some(&there), Cause::MissingCapability, "setcap cap_net_admin=ep /usr/bin/vpn"),
        (Errno::EPERM, exclusive, None, Cause::MissingCapability, "sudo"),
        (Errno::EPERM, tap, None, Cause::MissingCapability, "ip tuntap add dev vpn0 mode tap user 1000."),
        (Errno::EPERM, queues, None, Cause::MissingCapability, "mode tun user 1000 multi_queue."),
        (Errno::EINVAL, exclusive, None, Cause::InvalidName, "refuses the name"),
        (Errno::ENOTTY, exclusive, None, Cause::MissingDriver, "/dev/net/tun"),
    ];
    for (errno, flags, existing, cause, advice) in rows {
        let attempt = attempt(Operation::Create, flags, existing);
        let error = attach(errno, attempt, &user()).of(Operation::Create);
        assert_eq!(error.cause(), cause, "{errno} {flags:?}");
        assert!(error.to_string().contains(advice), "{error}");
    }
    let absent = attach(Errno::EPERM, attempt(Operation::Open, tun, None), &user());
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
    let refused = attach(Errno::EPERM, attempt(Operation::Open, CreateFlags::TUN, Some(&owned)), &root);
    assert_eq!(refused.cause(), Cause::Sandboxed);
}

fn send_with(flags: CreateFlags, length: usize) -> Reason {
    send(Errno::EINVAL, flags.layer().unwrap(), flags.header_kind(), length)
}

#[test]
fn a_packet_that_is_too_short_is_told_from_one_that_is_malformed() {
    let cause = |flags: CreateFlags, length| send_with(flags, length).of(Operation::Send).cause();
    let tap = CreateFlags::TAP | CreateFlags::NO_PI;
    assert_eq!(cause(tap, 13), Cause::TooShort);
    assert_eq!(cause(tap, 14), Cause::MalformedPacket);
    assert_eq!(cause(CreateFlags::TUN | CreateFlags::NO_PI, 0), Cause::TooShort);
    assert_eq!(cause(CreateFlags::TUN | CreateFlags::NO_PI, 20), Cause::MalformedPacket);
    assert_eq!(cause(CreateFlags::TUN, 4), Cause::TooShort);
    assert_eq!(cause(CreateFlags::TUN | CreateFlags::VNET_HDR, 14), Cause::TooShort);
}

#[test]
fn who_holds_an_interface_decides_what_to_do() {
    let told = |holders: Vec<Holder>, uid| {
        busy(holders, &CallerContext { uid, ..user() }).of(Operation::Open).to_string()
    };
    let seen = || vec![Holder::new(7, "qemu")];
    for uid in [0, 1000] {
        let text = told(seen(), uid);
        assert!(text.contains("stop the program") && !text.contains("root"), "{text}");
    }
    let text = told(Vec::new(), 0);
    assert!(text.contains("Try again") && !text.contains("root"), "{text}");
    assert!(told(Vec::new(), 1000).contains("only root sees"));
    let root = CallerContext { uid: 0, ..user() };
    assert!(!kept_alive(Vec::new(), &root).of(Operation::Destroy).to_string().contains("root"));
}

#[test]
fn a_packet_that_is_too_short_is_told_by_its_own_numbers() {
    let told = |flags, length| {
        let text = send_with(flags, length).of(Operation::Send).to_string();
        text.split(": ").nth(1).unwrap().split(". ").next().unwrap().to_owned()
    };
    let (tun, tap) = (CreateFlags::TUN | CreateFlags::NO_PI, CreateFlags::TAP | CreateFlags::NO_PI);
    assert_eq!(told(tun, 0), "a packet has at least 1 byte, and it has 0 bytes");
    assert_eq!(told(tap, 3), "an Ethernet frame has at least 14 bytes, and it has 3 bytes");
    assert_eq!(told(CreateFlags::TUN, 3), "the packet has 3 bytes, and the headers in front of it 4 bytes");
    assert_eq!(
        told(CreateFlags::TUN, 4),
        "a packet has at least 1 byte behind the headers, and there are 0 bytes"
    );
}

#[test]
fn each_obstacle_before_another_namespace_says_how_to_go_on() {
    let moved = |errno| configure(errno, Operation::Move, &user()).of(Operation::Move);
    let opened = |errno| no_namespace_at(Path::new("/run/netns/blue"), errno).of(Operation::Namespace);
    let process = |errno| no_namespace_of(7, errno).of(Operation::Namespace);
    let rows = [
        (opened(Errno::ENOENT), Cause::NotFound, "there is no /run/netns/blue. ip netns list"),
        (opened(Errno::EACCES), Cause::MissingCapability, "closed to this user"),
        (opened(Errno::EMFILE), Cause::TooManyOpenFiles, "ulimit -n"),
        (process(Errno::ENOENT), Cause::NotFound, "there is no process 7"),
        (process(Errno::EACCES), Cause::MissingCapability, "as the user of that process"),
        (moved(Errno::EPERM), Cause::MissingCapability, "over both namespaces"),
        (moved(Errno::EEXIST), Cause::Exists, "Rename one of the two first"),
        (moved(Errno::ENODEV), Cause::Gone, "moved"),
        (may_not_enter(&user()).of(Operation::Namespace), Cause::MissingCapability, "as uid 1000"),
        (no_thread_enters().of(Operation::Namespace), Cause::SeveralThreads, "LinuxBackend::in_namespace"),
    ];
    for (error, cause, words) in rows {
        assert_eq!(error.cause(), cause, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn filters_are_refused_for_the_layer_the_length_or_the_descriptor() {
    for (errno, operation, cause, advice) in [
        (Errno::EINVAL, Operation::AttachFilter, Cause::LayerMismatch, "Create a tap"),
        (Errno::EINVAL, Operation::DetachFilter, Cause::LayerMismatch, "Create a tap"),
        (Errno::EINVAL, Operation::SetMacFilter, Cause::LayerMismatch, "Create a tap"),
        (Errno::ENOMEM, Operation::AttachFilter, Cause::InvalidValue, "net.core.optmem_max"),
        (Errno::EINVAL, Operation::SetFilterProgram, Cause::InvalidValue, "BPF_PROG_TYPE_SOCKET_FILTER"),
        (Errno::EBADF, Operation::SetSteeringProgram, Cause::InvalidValue, "BPF_PROG_TYPE_SOCKET_FILTER"),
        (Errno::EBADFD, Operation::AttachFilter, Cause::Gone, "close this device"),
    ] {
        let error = configure(errno, operation, &user()).of(operation);
        assert_eq!(error.cause(), cause);
        assert!(error.to_string().contains(advice), "{error}");
    }
}
