//! What a caller may not do, each with its own cause and remedy.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use tunctl_core::{Cause, CreateOptions, Error, Interface, TunBackend, TunDevice};
use tunctl_linux::{LinuxBackend, Observer};
use tunctl_sys::linux::iff;
use tunctl_testing::{
    CLOSED_NODE, Case, DRIVERLESS_NODE, Snapshot, Strace, addresses, case, entry, finish, ip,
};

use super::support::{address, ask_kernel, backend, exists, has_flag, name, open, others, refused};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_missing_node_is_told_apart),
        case!(a_node_of_another_driver_is_told_apart),
        case!(a_node_without_a_driver_is_told_apart).needs_root(),
        case!(a_closed_node_is_told_apart).entry("closed", meet_a_closed_node).needs_root(),
        case!(a_node_that_a_container_forbids_is_told_apart)
            .entry("forbidden", meet_container_rules)
            .needs_tool("strace"),
        case!(without_the_capability_nothing_is_created)
            .entry("create", create_without_capability)
            .needs_root(),
        case!(without_the_capability_nothing_is_configured_deleted_or_observed)
            .entry("configure", configure_without_capability)
            .needs_root(),
        case!(without_the_capability_interfaces_are_still_listed)
            .entry("list", list_without_capability)
            .needs_root(),
        case!(an_interface_without_owner_is_open_or_refused_as_the_kernel_decides)
            .entry("ownerless", open_ownerless)
            .needs_root(),
        case!(a_capability_in_another_user_namespace_is_told_apart)
            .entry("foreign", create_in_a_foreign_namespace),
        case!(a_sandbox_is_told_apart)
            .entry("attach", meet_a_filter_of_requests)
            .entry("netlink", meet_a_filter_of_netlink)
            .entry("packet", meet_a_filter_of_packet_sockets)
            .needs_tool("strace"),
        case!(too_many_open_files_are_told_apart).entry("full", create_with_all_files_open),
    ]
}

/// The node's errors say which file it was, and what to do.
fn assert_explained(error: &Error, cause: Cause, errno: Option<i32>, word: &str) {
    assert_eq!(error.cause(), cause, "{error}");
    assert_eq!(error.raw_os_error(), errno, "{error}");
    assert!(error.remedy().is_some_and(|remedy| !remedy.is_empty()), "{error}");
    assert!(error.to_string().contains(word), "{word} is not in: {error}");
}

fn through(node: &str) -> Error {
    refused(LinuxBackend::with_node(node).create(&CreateOptions::tun().name("tun0")))
}

fn a_missing_node_is_told_apart() {
    let before = Snapshot::take();
    let error = through("/dev/net/no-such-node");
    assert_explained(&error, Cause::MissingNode, Some(2), "/dev/net/no-such-node");
    assert_eq!(Snapshot::take(), before);
}

fn a_node_of_another_driver_is_told_apart() {
    let before = Snapshot::take();
    for node in ["/dev/null", "/proc/self/comm"] {
        let error = through(node);
        // The remedy names the right node.
        assert_explained(&error, Cause::MissingDriver, Some(25), "/dev/net/tun");
    }
    assert_eq!(Snapshot::take(), before);
}

fn a_node_without_a_driver_is_told_apart() {
    let error = through(DRIVERLESS_NODE);
    assert_explained(&error, Cause::MissingDriver, Some(19), DRIVERLESS_NODE);
}

fn meet_a_closed_node() {
    let error = through(CLOSED_NODE);
    assert_explained(&error, Cause::ClosedNode, Some(13), CLOSED_NODE);
}

fn a_closed_node_is_told_apart() {
    // For root the same node is open.
    let options = CreateOptions::tun().name("tun0");
    drop(LinuxBackend::with_node(CLOSED_NODE).create(&options).unwrap());
    finish(entry("closed").uid(4001).gid(4001));
}

fn meet_container_rules() {
    let before = Snapshot::take();
    let outcome = backend().create(&CreateOptions::tun().name("tun0"));
    if std::env::var_os("FORBIDDEN").is_some() {
        let error = refused(outcome);
        assert_explained(&error, Cause::ContainerRules, Some(1), "/dev/net/tun");
        assert_eq!(Snapshot::take(), before);
    } else {
        drop(outcome.unwrap());
    }
}

fn a_node_that_a_container_forbids_is_told_apart() {
    // The device cgroup's answer is EPERM, at open. strace gives it here.
    let healthy = Strace::new("forbidden").run();
    let open =
        |call: &&tunctl_testing::Call| call.name == "openat" && call.arguments.contains("\"/dev/net/tun\"");
    let opened = healthy.calls.iter().position(|call| open(&call)).unwrap();
    let position = healthy.calls[..=opened].iter().filter(|call| call.name == "openat").count();
    let forbidden = Strace::new("forbidden").env("FORBIDDEN", "1").fail("openat", "EPERM", position).run();
    let call = forbidden.calls.iter().find(open).unwrap();
    assert!(call.result.contains("INJECTED"), "{call:?}");
}

fn create_without_capability() {
    for options in [CreateOptions::tun().name("tun0"), CreateOptions::tap()] {
        for outcome in [backend().create(&options), backend().open_or_create(&options)] {
            let error = refused(outcome);
            assert_explained(&error, Cause::MissingCapability, Some(1), "CAP_NET_ADMIN");
            let remedy = error.remedy().unwrap();
            let for_a_program = remedy.contains("sudo") && remedy.contains("setcap");
            let for_a_container = remedy.contains("--cap-add");
            assert!(for_a_program || for_a_container, "{remedy}");
        }
    }
    // To open what is not there needs no capability to be told so.
    let error = refused(open(CreateOptions::tun(), "tun0"));
    assert_eq!(error.cause(), Cause::NotFound, "{error}");
}

fn without_the_capability_nothing_is_created() {
    finish(entry("create").uid(4001).gid(4001));
    assert_eq!(others(), [""; 0]);
}

fn configure_without_capability() {
    let mine = open(CreateOptions::tun(), "mine").unwrap();
    let interface = backend().interface(&name("mine")).unwrap();
    for error in [
        refused(mine.up(address("10.1.1.1"))),
        refused(interface.set_state(tunctl_core::State::Up)),
        refused(interface.add_address(address("fd77::1"))),
        refused(interface.remove_address(address("10.9.9.9/24"))),
        refused(interface.set_mtu("1400".parse().unwrap())),
        refused(interface.delete()),
    ] {
        assert_explained(&error, Cause::MissingCapability, Some(1), "mine");
    }
    let error = refused(Observer::new(&interface));
    assert_explained(&error, Cause::MissingCapability, Some(1), "CAP_NET_RAW");
}

fn without_the_capability_nothing_is_configured_deleted_or_observed() {
    ip("tuntap add dev mine mode tun user 4001");
    ip("address add 10.9.9.9/24 dev mine");
    finish(entry("configure").uid(4001).gid(4001));
    let held = addresses("mine");
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!(tunctl_testing::link("mine").unwrap()["mtu"], 1500);
    assert!(!has_flag("mine", "UP"));
}

fn list_without_capability() {
    let listed = backend().interfaces().unwrap();
    let names: Vec<_> = listed.iter().map(|found| found.name().unwrap().to_string()).collect();
    assert_eq!(names, ["mine"]);
    let info = backend().interface(&name("mine")).unwrap().info().unwrap();
    assert_eq!(info.owner.map(tunctl_core::Uid::get), Some(4001));
    assert_eq!(listed[0].addresses().unwrap().len(), 1);
}

fn without_the_capability_interfaces_are_still_listed() {
    ip("tuntap add dev mine mode tun user 4001");
    ip("address add 10.9.9.9/24 dev mine");
    finish(entry("list").uid(4003).gid(4003));
}

fn open_ownerless() {
    // Kernels differ in this: 6.1 and 6.18 permit it, 6.12 and 7.3 do not.
    let kernel = ask_kernel(b"free", iff::TUN | iff::NO_PI).map(drop);
    match (kernel, open(CreateOptions::tun(), "free")) {
        (Ok(()), Ok(_)) => {}
        (Err(expected), Err(error)) => {
            assert_eq!(expected.raw_os_error(), Some(1));
            assert_explained(&error, Cause::MissingCapability, Some(1), "CAP_NET_ADMIN");
        }
        (kernel, ours) => panic!("{kernel:?}, but {ours:?}"),
    }
}

fn an_interface_without_owner_is_open_or_refused_as_the_kernel_decides() {
    ip("tuntap add dev free mode tun");
    finish(entry("ownerless").uid(4001).gid(4001));
    assert!(exists("free"));
}

fn create_in_a_foreign_namespace() {
    let found = backend().interface(&name("there")).unwrap();
    // A new user namespace, and the network namespace of the old one.
    unshare(CloneFlags::CLONE_NEWUSER).unwrap();
    let error = refused(backend().create(&CreateOptions::tun().name("tun0")));
    assert_explained(
        &error,
        Cause::ForeignNamespace,
        Some(1),
        "CAP_NET_ADMIN is held in another user namespace",
    );
    let error = refused(Observer::new(&found));
    assert_explained(
        &error,
        Cause::ForeignNamespace,
        Some(1),
        "CAP_NET_RAW is held in another user namespace",
    );
}

fn a_capability_in_another_user_namespace_is_told_apart() {
    ip("tuntap add dev there mode tun");
    finish(&mut entry("foreign"));
    assert_eq!(others(), ["there"]);
}

fn meet_a_filter_of_requests() {
    let error = refused(backend().create(&CreateOptions::tun().name("tun0")));
    assert_explained(&error, Cause::Sandboxed, Some(1), "SystemCallFilter=");
}

fn meet_a_filter_of_netlink() {
    let error = match &*std::env::var("OPERATION").unwrap() {
        "create" => refused(backend().create(&CreateOptions::tun().name("tun0"))),
        "interface" => refused(backend().interface(&name("there"))),
        _ => refused(backend().interfaces()),
    };
    assert_explained(&error, Cause::Sandboxed, Some(97), "Add AF_NETLINK to RestrictAddressFamilies=");
}

fn meet_a_filter_of_packet_sockets() {
    let error = refused(Observer::new(&backend().interface(&name("there")).unwrap()));
    assert_explained(&error, Cause::Sandboxed, Some(97), "Add AF_PACKET to RestrictAddressFamilies=");
}

fn a_sandbox_is_told_apart() {
    ip("tuntap add dev there mode tun");
    // Seccomp filters answer so; strace does it here. Of the requests, the first is TUNSETIFF.
    let _ = Strace::new("attach").fail("ioctl", "EPERM", 1).run();
    // Of the sockets, the first is netlink's, and the second the observer's.
    let _ = Strace::new("packet").fail("socket", "EAFNOSUPPORT", 2).run();
    for operation in ["create", "interface", "interfaces"] {
        let strace = Strace::new("netlink").env("OPERATION", operation);
        let _ = strace.fail("socket", "EAFNOSUPPORT", 1).run();
    }
    assert_eq!(others(), ["there"]);
}

fn create_with_all_files_open() {
    let mut files = Vec::new();
    while let Ok(file) = fs::File::open("/dev/null") {
        files.push(file);
    }
    let error = refused(backend().create(&CreateOptions::tun().name("tun0")));
    assert_eq!(error.cause(), Cause::TooManyOpenFiles, "{error}");
    assert_eq!(error.raw_os_error(), Some(24), "{error}");
    // With room for one descriptor, and so on until there is room for all.
    let mut more = 0;
    let device = loop {
        files.pop().expect("there is room for a device in the end");
        more += 1;
        let room = files.len();
        match backend().create(&CreateOptions::tun().name("tun0")) {
            Ok(device) => break device,
            Err(error) => assert_eq!(error.cause(), Cause::TooManyOpenFiles, "{error}"),
        }
        // What it opened, it closed: exactly as many more can be opened as before.
        while let Ok(file) = fs::File::open("/dev/null") {
            files.push(file);
        }
        assert_eq!(files.len() - room, more);
        files.truncate(room);
    };
    assert!(more > 1, "a device takes more than one descriptor");
    drop(files);
    assert!(exists("tun0"));
    drop(device);
}

fn too_many_open_files_are_told_apart() {
    let program = std::env::current_exe().unwrap();
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 32; exec \"$0\""]).arg(program);
    for (key, value) in entry("full").get_envs() {
        limited.env(key, value.unwrap());
    }
    finish(&mut limited);
    assert_eq!(others(), [""; 0]);
}
