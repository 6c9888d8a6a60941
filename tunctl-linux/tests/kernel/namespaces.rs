//! Network namespaces: a device stays with its own, wherever the threads are.

use std::os::unix::process::{CommandExt, parent_id};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::{fs, thread};

use tunctl_core::{Cause, Interface, State, TunBackend, TunDevice};
use tunctl_linux::netns;
use tunctl_testing::{
    Case, OtherNamespace, Snapshot, Strace, addresses, case, entry, finish, link, links, mark,
};

use super::support::{address, backend, exists, has_flag, name, others, refused, tun};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_device_is_configured_in_its_own_namespace_and_a_stranger_is_left_alone),
        case!(an_interface_that_was_found_elsewhere_is_configured_there),
        case!(a_device_is_destroyed_in_its_own_namespace),
        case!(a_device_outlives_the_thread_and_the_handle_of_its_namespace),
        case!(entering_makes_a_namespace_with_nothing_but_a_loopback_that_is_up).outside_namespace(),
        case!(entering_as_root_keeps_all_ids).needs_root().outside_namespace(),
        case!(entering_as_root_needs_no_news_of_its_children)
            .entry("enter", enter_with_all_ids)
            .needs_root()
            .needs_tool("env")
            .outside_namespace(),
        case!(entering_as_root_maps_all_ids_or_says_what_is_missing)
            .entry("enter", enter_or_be_refused)
            .needs_root()
            .needs_tool("strace")
            .outside_namespace(),
        case!(entering_with_several_threads_is_refused_and_changes_nothing).outside_namespace(),
        case!(entering_where_namespaces_are_used_up_is_refused).entry("enter", enter_refused).needs_root(),
        case!(entering_with_the_capability_needs_no_user_namespace).entry("enter", enter_with_capability),
        case!(sysfs_shows_the_interfaces_of_the_namespace),
    ]
}

fn a_device_is_configured_in_its_own_namespace_and_a_stranger_is_left_alone() {
    let device = tun("tun0");
    let there = OtherNamespace::new();
    let stranger = there.run(|| tun("tun0"));
    let (before, index) = there.run(|| (Snapshot::take(), link("tun0").unwrap()["ifindex"].clone()));
    // Not only the name is the same: so is the index.
    assert_eq!(link("tun0").unwrap()["ifindex"], index);

    there.run(|| {
        device.up(address("10.1.1.1/24")).unwrap();
        device.interface().set_mtu("1300".parse().unwrap()).unwrap();
    });
    assert_eq!(addresses("tun0")[0]["local"], "10.1.1.1");
    assert_eq!(link("tun0").unwrap()["mtu"], 1300);
    assert!(has_flag("tun0", "UP"));
    there.run(|| {
        assert_eq!(Snapshot::take(), before);
        assert_eq!(link("tun0").unwrap()["mtu"], 1500);
        assert!(!has_flag("tun0", "UP"));
        // What it says of itself is said of itself, too.
        assert_eq!(device.interface().info().unwrap().mtu.get(), 1300);
        assert_eq!(device.interface().addresses().unwrap()[0], address("10.1.1.1/24"));
        device.down().unwrap();
    });
    assert!(!has_flag("tun0", "UP"));
    drop(stranger);
}

fn an_interface_that_was_found_elsewhere_is_configured_there() {
    let there = OtherNamespace::new();
    let (device, found) = there.run(|| {
        let device = tun("tun0");
        (device, backend().interface(&name("tun0")).unwrap())
    });
    let error = refused(backend().interface(&name("tun0")));
    assert_eq!(error.cause(), Cause::NotFound, "{error}");
    let stranger = tun("tun0");
    found.up(address("10.1.1.1/24")).unwrap();
    assert!(addresses("tun0").is_empty());
    assert_eq!(there.run(|| addresses("tun0"))[0]["local"], "10.1.1.1");
    found.delete().unwrap();
    assert!(exists("tun0"));
    assert!(!there.run(|| exists("tun0")));
    drop((device, stranger));
}

fn a_device_is_destroyed_in_its_own_namespace() {
    let device = tun("tun0");
    device.set_persist(true).unwrap();
    let there = OtherNamespace::new();
    let stranger = there.run(|| tun("tun0"));
    there.run(|| device.destroy().unwrap());
    assert!(!exists("tun0"));
    assert!(there.run(|| exists("tun0")));
    drop(stranger);
}

fn a_device_outlives_the_thread_and_the_handle_of_its_namespace() {
    let device = OtherNamespace::new().run(|| tun("tun0"));
    device.up(address("10.1.1.1/24")).unwrap();
    assert_eq!(device.interface().state().unwrap(), State::Up);
    assert_eq!(device.name().unwrap(), name("tun0"));
    assert_eq!(others(), [""; 0]);
    device.destroy().unwrap();
}

fn identity(kind: &str) -> String {
    let link = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
    link.to_string_lossy().into_owned()
}

/// Enters, or skips the case where namespaces are refused.
fn enter() {
    if let Err(error) = netns::enter_new() {
        assert_eq!(error.cause(), Cause::NamespacesRefused, "{error}");
        tunctl_testing::skip(&error.to_string());
    }
}

fn entering_makes_a_namespace_with_nothing_but_a_loopback_that_is_up() {
    let before = ["user", "net", "mnt"].map(identity);
    enter();
    for (kind, before) in ["user", "net", "mnt"].into_iter().zip(before) {
        assert_ne!(identity(kind), before, "{kind}");
    }
    assert_eq!(links().len(), 1);
    assert!(has_flag("lo", "UP"));
    assert_eq!(addresses("lo")[0]["local"], "127.0.0.1");
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let uids = status.lines().find(|line| line.starts_with("Uid:")).unwrap();
    assert_eq!(uids.split_whitespace().skip(1).collect::<Vec<_>>(), ["0"; 4]);
}

fn entering_as_root_keeps_all_ids() {
    enter();
    for map in ["uid_map", "gid_map"] {
        let map = fs::read_to_string(format!("/proc/self/{map}")).unwrap();
        let numbers: Vec<_> = map.split_whitespace().collect();
        assert_eq!(numbers, ["0", "0", "4294967295"]);
    }
}

fn has_all_ids() -> bool {
    ["uid_map", "gid_map"].iter().all(|map| {
        let map = fs::read_to_string(format!("/proc/self/{map}")).unwrap();
        map.split_whitespace().eq(["0", "0", "4294967295"])
    })
}

fn enter_with_all_ids() {
    netns::enter_new().unwrap();
    assert!(has_all_ids());
}

fn entering_as_root_needs_no_news_of_its_children() {
    // A program inherits what its caller ignores; the kernel then keeps no status of a child that has ended.
    let program = entry("enter");
    let mut ignoring = Command::new("env");
    ignoring.arg("--ignore-signal=CHLD").arg(std::env::current_exe().unwrap());
    ignoring.envs(program.get_envs().filter_map(|(key, value)| Some((key, value?))));
    finish(&mut ignoring);
}

/// Enters, while one step of it fails. The process must not end up where ids are missing.
fn enter_or_be_refused() {
    let before = ["user", "net", "mnt"].map(identity);
    mark("from");
    let outcome = netns::enter_new();
    mark("to");
    match outcome {
        Ok(()) => {
            println!("entered");
            assert!(has_all_ids(), "ids are missing inside, and nobody said so");
        }
        Err(error) => {
            println!("{error}");
            let is_outside = ["user", "net", "mnt"].map(identity) == before;
            assert!(is_outside || has_all_ids(), "ids are missing inside: {error}");
        }
    }
}

fn entering_as_root_maps_all_ids_or_says_what_is_missing() {
    let healthy = Strace::new("enter").run();
    assert_eq!(healthy.printed, "entered\n");
    let mut failed = 0;
    for (call, position) in healthy.numbered_between("from", "to") {
        let errno = match call.name.as_str() {
            "pipe2" | "openat" => "EMFILE",
            "clone" | "clone3" => "EAGAIN",
            _ => continue,
        };
        let trace = Strace::new("enter").fail(&call.name, errno, position).attempt();
        assert!(trace.failure.is_none(), "when {call:?}: {:?}", trace.failure);
        // Not every file matters.
        if call.name != "openat" {
            let expected = if errno == "EMFILE" { "os error 24" } else { "os error 11" };
            assert!(trace.printed.contains(expected), "when {call:?}: {}", trace.printed);
            failed += 1;
        }
    }
    assert_eq!(failed, 3, "two pipes and a process");
}

fn entering_with_several_threads_is_refused_and_changes_nothing() {
    let before = ["user", "net", "mnt"].map(identity);
    let (stop, stopped) = mpsc::channel::<()>();
    let waiter = thread::spawn(move || stopped.recv());
    let error = refused(netns::enter_new());
    assert_eq!(error.cause(), Cause::SeveralThreads, "{error}");
    assert_eq!(["user", "net", "mnt"].map(identity), before);
    drop(stop);
    assert!(waiter.join().unwrap().is_err());
}

fn enter_refused() {
    let before = ["user", "net", "mnt"].map(identity);
    let error = refused(netns::enter_new());
    assert_eq!(error.cause(), Cause::NamespacesRefused, "{error}");
    assert!(error.raw_os_error().is_some() && error.remedy().is_some(), "{error}");
    assert!(error.to_string().contains("max_user_namespaces"), "{error}");
    assert_eq!(["user", "net", "mnt"].map(identity), before);
}

/// For this user namespace and what is below it; never for the machine's.
fn forbid_user_namespaces() {
    forbid_namespaces("user");
}

/// As [`forbid_user_namespaces`], of this kind.
pub(crate) fn forbid_namespaces(kind: &str) {
    let outside = fs::read_link(format!("/proc/{}/ns/user", parent_id()));
    if outside.is_ok_and(|outside| outside == Path::new(&identity("user"))) {
        tunctl_testing::skip("the case has no user namespace of its own");
    }
    fs::write(format!("/proc/sys/user/max_{kind}_namespaces"), "0").unwrap();
}

fn entering_where_namespaces_are_used_up_is_refused() {
    forbid_user_namespaces();
    finish(entry("enter").uid(4001).gid(4001));
}

fn enter_with_capability() {
    let before = ["user", "net"].map(identity);
    netns::enter_new().unwrap();
    assert_eq!(identity("user"), before[0]);
    assert_ne!(identity("net"), before[1]);
    assert!(has_flag("lo", "UP"));
    drop(tun("tun0"));
}

fn entering_with_the_capability_needs_no_user_namespace() {
    forbid_user_namespaces();
    finish(&mut entry("enter"));
}

fn sysfs_shows_the_interfaces_of_the_namespace() {
    let _device = tun("tun0");
    let listed = || {
        let entries = fs::read_dir("/sys/class/net").unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    if !Path::new("/sys/class/net/tun0").exists() {
        tunctl_testing::skip("sysfs could not be mounted anew");
    }
    assert_eq!(listed(), ["lo", "tun0"]);
    assert_eq!(fs::read_to_string("/sys/class/net/tun0/tun_flags").unwrap().trim(), "0x1001");
}
