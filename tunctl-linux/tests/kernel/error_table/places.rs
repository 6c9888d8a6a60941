//! Where errors are provoked; and those of the place itself: of nodes, rights and limits.

use std::fs::{self, File};
use std::io::IoSlice;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::{env, thread};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use tunctl_core::{
    Cause, CreateOptions, Error, Interface, Interrupter, Operation, State, TunBackend, TunDevice,
};
use tunctl_linux::{LinuxBackend, LinuxInterface, Observer, netns};
use tunctl_testing::{CLOSED_NODE, Call, Case, DRIVERLESS_NODE, Strace, case, entry, finish, ip};

use super::super::support::{address, backend, name, open, refused, tun};
use super::{Place, Row, check, row};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(each_error_is_as_the_table_says),
        case!(each_error_of_a_node_is_as_the_table_says).needs_root().outside_namespace(),
        case!(each_error_of_a_user_is_as_the_table_says)
            .entry("user", || check_all(Place::User))
            .needs_root(),
        case!(each_error_of_a_foreign_namespace_is_as_the_table_says).entry("foreign", foreign),
        case!(each_error_of_unmapped_ids_is_as_the_table_says).entry("unmapped", unmapped),
        case!(each_error_of_a_full_process_is_as_the_table_says).entry("full", || check_all(Place::Full)),
        case!(each_error_of_forbidden_namespaces_is_as_the_table_says),
        case!(each_error_that_only_strace_can_provoke_is_as_the_table_says)
            .entry("injected", injected)
            .needs_tool("strace"),
    ]
}

fn check_all(place: Place) {
    let of_it: Vec<_> = super::rows().into_iter().filter(|row| row.place == place).collect();
    assert!(!of_it.is_empty());
    of_it.iter().for_each(check);
}

fn each_error_is_as_the_table_says() {
    check_all(Place::Here);
}

fn each_error_of_a_node_is_as_the_table_says() {
    // No device node can be made in a user namespace.
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    symlink("/dev/net/loop", "/dev/net/loop").unwrap();
    let make = |path: &str, device| {
        mknod(path, SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), device).unwrap();
    };
    // The kernel keeps this number for local use, and no driver takes it.
    make("/dev/net/nobody", makedev(240, 77));
    fs::create_dir("/dev/net/nodev").unwrap();
    let options = (Some("tmpfs"), MsFlags::MS_NODEV, None::<&Path>);
    mount(Some("nodes"), "/dev/net/nodev", options.0, options.1, options.2).unwrap();
    make("/dev/net/nodev/tun", makedev(10, 200));
    check_all(Place::Nodes);
}

fn each_error_of_a_user_is_as_the_table_says() {
    ip("tuntap add dev mine mode tun user 4001");
    ip("tuntap add dev theirs mode tun user 4002");
    ip("address add 10.9.9.9/24 dev mine");
    finish(entry("user").uid(4001).gid(4001));
}

fn each_error_of_a_foreign_namespace_is_as_the_table_says() {
    ip("tuntap add dev there mode tun");
    finish(&mut entry("foreign"));
}

fn foreign() {
    unshare(CloneFlags::CLONE_NEWUSER).unwrap();
    check_all(Place::Foreign);
}

fn each_error_of_unmapped_ids_is_as_the_table_says() {
    finish(&mut entry("unmapped"));
}

fn unmapped() {
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET).unwrap();
    fs::write("/proc/self/uid_map", "0 0 1").unwrap();
    check_all(Place::Unmapped);
}

fn each_error_of_a_full_process_is_as_the_table_says() {
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 32; exec \"$0\""]).arg(env::current_exe().unwrap());
    for (key, value) in entry("full").get_envs() {
        limited.env(key, value.unwrap());
    }
    finish(&mut limited);
}

/// An error of what is done with all descriptors taken.
fn full<T>(attempt: impl FnOnce() -> tunctl_core::Result<T>) -> Error {
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    refused(attempt())
}

fn each_error_of_forbidden_namespaces_is_as_the_table_says() {
    for limit in ["net", "user"] {
        fs::write(format!("/proc/sys/user/max_{limit}_namespaces"), "0").unwrap();
    }
    check_all(Place::Limited);
}

/// Names the row that the entry is to provoke.
const ROW: &str = "ROW";

fn injected() {
    let when = env::var(ROW).unwrap();
    let row = super::rows().into_iter().find(|row| row.when == when).unwrap();
    if env::var_os("UNHARMED").is_some() {
        // What a call that is not made to fail does is of no interest here.
        let _ = std::panic::catch_unwind(row.provoke);
    } else {
        check(&row);
    }
}

fn each_error_that_only_strace_can_provoke_is_as_the_table_says() {
    for row in super::rows() {
        let Place::Injected { call } = row.place else { continue };
        let strace = || Strace::new("injected").env(ROW, row.when);
        let mut position = 1;
        if call == "openat" {
            // Which of them opens the node, a run without a failure shows.
            let trace = strace().env("UNHARMED", "1").run();
            let is_open = |found: &&Call| found.name == call;
            let opened = trace.calls.iter().filter(is_open);
            position = 1 + opened.take_while(|call| !call.arguments.contains("\"/dev/net/tun\"")).count();
        }
        let errno = format!("{:?}", row.errnos[0]);
        let trace = strace().fail(call, &errno, position).run();
        assert!(trace.calls.iter().any(|call| call.result.contains("INJECTED")), "{}", row.when);
    }
}

fn plain() -> CreateOptions {
    CreateOptions::tun().name("tun0")
}

fn through(node: &str) -> Error {
    refused(LinuxBackend::with_node(node).create(&plain()))
}

fn interface(text: &str) -> LinuxInterface {
    backend().interface(&name(text)).unwrap()
}

fn mine() -> LinuxInterface {
    interface("mine")
}

fn observe(text: &str) -> Error {
    refused(Observer::new(&interface(text)))
}

/// Another descriptor of a device that is to be destroyed.
fn destroy_a_clone() -> Error {
    let device = open(CreateOptions::tun(), "mine").unwrap();
    let _other = device.try_clone().unwrap();
    refused(device.destroy())
}

fn enter_with_a_thread() -> Error {
    let (end, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || ended.recv());
        let error = refused(netns::enter_new());
        drop(end);
        error
    })
}

fn packet_without_room() -> Error {
    let device = tun("tun0");
    // In pieces: a single one would take the call by which the test prints.
    refused(device.try_send_vectored(&[IoSlice::new(&[0x45; 20]), IoSlice::new(&[0; 20])]))
}

pub(super) fn rows() -> Vec<Row> {
    [nodes(), users(), limits(), sandboxes()].into_iter().flatten().collect()
}

fn nodes() -> Vec<Row> {
    use Cause::{ClosedNode, MissingDriver, MissingNode};
    let node =
        |errnos, when, reason, provoke| row(Place::Nodes, Operation::Create, errnos, when, reason, provoke);
    vec![
        node(
            &[Errno::ENOENT],
            "the node does not exist",
            (MissingNode, "/dev/net/none does not exist"),
            || through("/dev/net/none"),
        ),
        node(
            &[Errno::ENOTDIR],
            "a file is where its folder should be",
            (MissingNode, "/dev/null/tun does not exist"),
            || through("/dev/null/tun"),
        ),
        node(&[Errno::EISDIR], "the node is a folder", (MissingNode, "is a directory"), || {
            through("/dev/net")
        }),
        node(&[Errno::ELOOP], "the node is a link to itself", (MissingNode, "leads back to itself"), || {
            through("/dev/net/loop")
        }),
        node(&[Errno::ENODEV], "the driver is not loaded", (MissingDriver, "modprobe tun"), || {
            through(DRIVERLESS_NODE)
        }),
        node(&[Errno::ENXIO], "the node has a number of no driver", (MissingDriver, "reboot"), || {
            through("/dev/net/nobody")
        }),
        node(&[Errno::EACCES], "the node is on a mount with nodev", (ClosedNode, "nodev mount"), || {
            through("/dev/net/nodev/tun")
        }),
        node(&[Errno::ENOTTY], "the node is another driver's", (MissingDriver, "10, 200"), || {
            through("/dev/null")
        }),
    ]
}

fn users() -> Vec<Row> {
    use Cause::{ClosedNode, ForeignNamespace, MissingCapability, NotOwner};
    use Operation as O;
    const EPERM: &[Errno] = &[Errno::EPERM];
    const NO_RIGHT: &str = "the caller has no `CAP_NET_ADMIN`";
    let user = |operation, provoke| {
        row(Place::User, operation, EPERM, NO_RIGHT, (MissingCapability, "CAP_NET_ADMIN is missing"), provoke)
    };
    let foreign = |operation, words, provoke| {
        let when = "the caller's capabilities are those of another user namespace";
        row(Place::Foreign, operation, EPERM, when, (ForeignNamespace, words), provoke)
    };
    const ADMIN: &str = "CAP_NET_ADMIN is held in another user namespace";
    vec![
        row(
            Place::User,
            O::Create,
            &[Errno::EACCES],
            "the node's mode is closed",
            (ClosedNode, "chmod"),
            || through(CLOSED_NODE),
        ),
        user(O::Create, || refused(backend().create(&plain()))),
        user(O::OpenOrCreate, || refused(backend().open_or_create(&plain()))),
        row(Place::User, O::Open, EPERM, "it is another user's", (NotOwner, "belongs to user 4002"), || {
            refused(open(CreateOptions::tun(), "theirs"))
        }),
        user(O::Up, || refused(mine().set_state(State::Up))),
        user(O::SetMtu, || refused(mine().set_mtu("1400".parse().unwrap()))),
        user(O::SetQueueLength, || refused(mine().set_queue_length(7))),
        user(O::Describe, || refused(mine().set_description(c"mine"))),
        user(O::AddAddress, || refused(mine().add_address(address("10.1.1.1/24")))),
        user(O::RemoveAddress, || refused(mine().remove_address(address("10.9.9.9/24")))),
        user(O::Rename, || refused(mine().rename(&name("other")))),
        user(O::Delete, || refused(mine().delete())),
        row(
            Place::User,
            O::Destroy,
            &[],
            "a duplicate is open, and `CAP_NET_ADMIN` is missing",
            (Cause::Busy, "other descriptors keep"),
            destroy_a_clone,
        ),
        row(
            Place::User,
            O::Observe,
            EPERM,
            "the caller has no `CAP_NET_RAW`",
            (MissingCapability, "CAP_NET_RAW"),
            || observe("mine"),
        ),
        foreign(O::Create, ADMIN, || refused(backend().create(&plain()))),
        foreign(O::SetMtu, ADMIN, || refused(interface("there").set_mtu("1400".parse().unwrap()))),
        foreign(O::Observe, "CAP_NET_RAW is held in another user namespace", || observe("there")),
    ]
}

fn limits() -> Vec<Row> {
    use Operation as O;
    let of_full = |operation, provoke| {
        let when = "the process has as many files open as it may";
        row(Place::Full, operation, &[Errno::EMFILE], when, (Cause::TooManyOpenFiles, "ulimit -n"), provoke)
    };
    vec![
        of_full(O::Create, || full(|| backend().create(&plain()))),
        of_full(O::Open, || full(|| open(CreateOptions::tun(), "tun0"))),
        of_full(O::Lookup, || full(|| backend().interface(&name("lo")))),
        of_full(O::List, || full(|| backend().interfaces())),
        of_full(O::Probe, || full(|| backend().features())),
        of_full(O::Interrupt, || full(Interrupter::new)),
        of_full(O::EnterNamespace, || full(netns::enter_new)),
        of_full(O::Duplicate, || {
            let device = tun("tun0");
            full(|| device.try_clone())
        }),
        of_full(O::Observe, || {
            let device = tun("tun0");
            full(|| Observer::new(device.interface()))
        }),
        row(
            Place::Limited,
            O::EnterNamespace,
            &[Errno::ENOSPC],
            "the limit of namespaces is reached",
            (Cause::NamespacesRefused, "sysctl user.max_user_namespaces"),
            || refused(netns::enter_new()),
        ),
        row(
            Place::Here,
            O::EnterNamespace,
            &[Errno::EINVAL],
            "the process has several threads",
            (Cause::SeveralThreads, "first thing in main"),
            enter_with_a_thread,
        ),
    ]
}

fn sandboxes() -> Vec<Row> {
    use Operation as O;
    let injected = |call, operation, errnos, when, reason, provoke| {
        row(Place::Injected { call }, operation, errnos, when, reason, provoke)
    };
    vec![
        injected(
            "openat",
            O::Create,
            &[Errno::EPERM],
            "the device rules of a container forbid the node",
            (Cause::ContainerRules, "--device /dev/net/tun"),
            || refused(backend().create(&plain())),
        ),
        injected(
            "ioctl",
            O::Create,
            &[Errno::EPERM],
            "a sandbox forbids the request",
            (Cause::Sandboxed, "SystemCallFilter="),
            || refused(backend().create(&plain())),
        ),
        injected(
            "socket",
            O::List,
            &[Errno::EAFNOSUPPORT],
            "a sandbox forbids netlink",
            (Cause::Sandboxed, "Add AF_NETLINK"),
            || refused(backend().interfaces()),
        ),
        injected(
            "socket",
            O::Lookup,
            &[Errno::ENFILE],
            "the system has as many files open as it may",
            (Cause::TooManyOpenFiles, "fs.file-max"),
            || refused(backend().interface(&name("lo"))),
        ),
        injected(
            "writev",
            O::Send,
            &[Errno::ENOBUFS],
            "the system has no buffers",
            (Cause::NoBuffers, "Count the packet as lost"),
            packet_without_room,
        ),
    ]
}
