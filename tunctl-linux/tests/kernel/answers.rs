//! Answers of the kernel's that are lost, late, cut, or somebody else's.
//!
//! What happens to a system call only under pressure is made by strace, which has it fail.

use std::fs;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::Value;
use tunctl_core::{CreateOptions, Interface, Result, State, TunBackend, TunDevice};
use tunctl_sys::linux::process::in_copy;
use tunctl_testing::{Call, Case, Strace, Trace, addresses, case, ip, link, mark, others};

use super::support::{address, backend, name, open, refused, tap};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_change_whose_acknowledgement_is_lost_has_been_made)
            .entry("change", change_once)
            .needs_tool("strace"),
        case!(a_signal_at_any_step_of_a_change_does_not_matter)
            .entry("change", change_once)
            .needs_tool("strace"),
        case!(an_address_of_somebody_else_survives_an_add_that_fails)
            .entry("add", add_beside_a_peer)
            .needs_tool("strace"),
        case!(a_listing_that_fails_midway_does_not_make_the_handle_busy)
            .entry("list", list_twice)
            .needs_tool("strace"),
        case!(an_answer_that_is_cut_is_an_error_and_leaves_nothing)
            .entry("create", create_once)
            .needs_tool("strace"),
        case!(a_handle_works_in_parent_and_child),
        case!(a_handle_does_not_follow_a_child_to_another_namespace),
    ]
}

/// Each change of an interface, and how iproute2 shows that it was made.
type Change = (&'static str, fn() -> Result<()>, fn() -> bool);

fn interface() -> tunctl_linux::LinuxInterface {
    backend().interface(&name("tap0")).unwrap()
}

fn has_address(text: &str) -> bool {
    addresses("tap0").iter().any(|address| address["local"] == text)
}

fn property(key: &str) -> Value {
    link("tap0").unwrap()[key].clone()
}

const CHANGES: &[Change] = &[
    ("up", || interface().set_state(State::Up), || has_flag("UP")),
    ("down", || interface().set_state(State::Down), || !has_flag("UP")),
    ("MTU", || interface().set_mtu("1400".parse().unwrap()), || property("mtu") == 1400),
    (
        "MAC address",
        || interface().set_mac("02:00:00:00:00:07".parse().unwrap()),
        || property("address") == "02:00:00:00:00:07",
    ),
    ("queue length", || interface().set_queue_length(77), || property("txqlen") == 77),
    ("name", || interface().rename(&name("other0")), || others() == ["other0"]),
    (
        "an address",
        || interface().add_address(address("10.9.9.9/24")).map(|is_new| assert!(is_new)),
        || has_address("10.9.9.9"),
    ),
    (
        "an IPv6 address",
        || interface().add_address(address("fd99::9/64")).map(|is_new| assert!(is_new)),
        || has_address("fd99::9"),
    ),
    ("no address", || interface().remove_address(address("10.1.1.1/24")), || !has_address("10.1.1.1")),
    ("deletion", || interface().delete(), || others().is_empty()),
    (
        "destruction",
        || open(CreateOptions::tap(), "tap0")?.destroy().map_err(Into::into),
        || others().is_empty(),
    ),
];

fn has_flag(flag: &str) -> bool {
    tunctl_testing::has_flag("tap0", flag)
}

/// Makes the change that the environment names.
fn change_once() {
    let wanted = std::env::var("CHANGE").unwrap();
    let (_, change, _) = CHANGES.iter().find(|(what, ..)| *what == wanted).unwrap();
    mark("from");
    let outcome = change();
    mark("to");
    match outcome {
        Ok(()) => println!("changed"),
        Err(error) => println!("{error}"),
    }
}

fn prepare() {
    for left in others() {
        ip(&format!("link delete {left}"));
    }
    ip("tuntap add dev tap0 mode tap");
    ip("address add 10.1.1.1/24 dev tap0");
}

fn is_netlink(call: &Call) -> bool {
    call.name.starts_with("send") || call.name.starts_with("recv")
}

/// Makes each change once for each of its system calls of this kind, which fails with this errno.
fn changes_though(errno: &str, fails: fn(&Call) -> bool) {
    let mut failed = 0;
    for (what, _, is_made) in CHANGES {
        let strace = || {
            prepare();
            if *what == "down" {
                ip("link set tap0 up");
            }
            Strace::new("change").env("CHANGE", what)
        };
        let healthy = strace().run();
        for (call, position) in healthy.numbered_between("from", "to") {
            if is_netlink(&call) && fails(&call) {
                let trace = strace().fail(&call.name, errno, position).run();
                assert_eq!(trace.printed, "changed\n", "{what}, when {call:?}");
                assert!(is_made(), "{what}, when {call:?}");
                failed += 1;
            }
        }
    }
    assert!(failed > CHANGES.len(), "{failed}");
}

fn a_change_whose_acknowledgement_is_lost_has_been_made() {
    changes_though("ENOBUFS", |call| call.name.starts_with("recv"));
}

fn a_signal_at_any_step_of_a_change_does_not_matter() {
    changes_though("EINTR", |_| true);
}

fn add_beside_a_peer() {
    let interface = interface();
    mark("from");
    let outcome = interface.add_address(address("10.0.0.1/24"));
    mark("to");
    println!("{outcome:?}");
}

/// `RTM_DELADDR` takes an address with any peer of the same network for the one to be deleted
/// (`inet_rtm_deladdr`, Linux 6.18).
fn an_address_of_somebody_else_survives_an_add_that_fails() {
    let before = |there: bool| {
        prepare();
        if there {
            ip("address add 10.0.0.1 peer 10.0.0.9/24 dev tap0");
        }
    };
    before(false);
    let healthy = Strace::new("add").run();
    let window = healthy.numbered_between("from", "to");
    let sent: Vec<_> = window
        .iter()
        .filter(|(call, _)| call.name.starts_with("send") && call.arguments.contains("RTM_NEWADDR"))
        .collect();
    assert_eq!(sent.len(), 1, "{window:#?}");
    before(true);
    let trace = Strace::new("add").fail(&sent[0].0.name, "ENOBUFS", sent[0].1).run();
    assert!(trace.printed.contains("Err"), "{}", trace.printed);
    let peers: Vec<_> = addresses("tap0").iter().map(|held| held["address"].clone()).collect();
    assert!(peers.contains(&"10.0.0.9".into()), "it is gone, after: {}", trace.printed);
}

fn list_twice() {
    let interface = backend().interface(&name("t0")).unwrap();
    mark("from");
    let first = interface.addresses();
    mark("to");
    match first {
        Ok(addresses) => println!("{} addresses", addresses.len()),
        Err(error) => println!("{error}"),
    }
    for _ in 0..2 {
        match interface.addresses() {
            Ok(addresses) => println!("{} addresses", addresses.len()),
            Err(error) => println!("{error}"),
        }
    }
}

fn a_listing_that_fails_midway_does_not_make_the_handle_busy() {
    /// More than the kernel puts into one message.
    const MANY: usize = 2000;
    ip("tuntap add dev t0 mode tun");
    let batch: String =
        (0..MANY).map(|n| format!("address add 10.{}.{}.1/24 dev t0\n", n / 250, n % 250)).collect();
    let file = std::env::temp_dir().join(format!("tunctl-batch-{}", std::process::id()));
    fs::write(&file, batch).unwrap();
    ip(&format!("-batch {}", file.display()));
    fs::remove_file(file).unwrap();

    let healthy = Strace::new("list").run();
    let all = format!("{MANY} addresses\n");
    assert_eq!(healthy.printed, all.repeat(3));
    let receives: Vec<_> = healthy
        .numbered_between("from", "to")
        .into_iter()
        .filter(|(call, _)| call.name.starts_with("recv"))
        .collect();
    assert!(receives.len() > 4, "it is one message: {receives:#?}");
    for (call, position) in &receives[1..5] {
        let trace = Strace::new("list").fail(&call.name, "ENOBUFS", *position).run();
        assert!(trace.printed.ends_with(&all.repeat(2)), "{}", trace.printed);
    }
}

fn create_once() {
    mark("from");
    let outcome = backend().create(&CreateOptions::tun().name("cut0").persistent(true));
    mark("to");
    match outcome {
        Ok(device) => drop(device),
        Err(error) => println!("{error}"),
    }
}

fn an_answer_that_is_cut_is_an_error_and_leaves_nothing() {
    let leaves_nothing = |trace: &Trace, call: &Call| {
        assert!(trace.failure.is_none(), "when {call:?} is cut: {:?}", trace.failure);
        if !trace.printed.is_empty() {
            assert_eq!(others(), [""; 0], "when {call:?} is cut: {}", trace.printed);
        }
    };
    let healthy = Strace::new("create").run();
    ip("link delete cut0");
    for (call, position) in healthy.numbered_between("from", "to") {
        if !call.name.starts_with("recv") {
            continue;
        }
        for bytes in [0, 7, 16, 20] {
            let trace = Strace::new("create").answer(&call.name, bytes, position).attempt();
            leaves_nothing(&trace, &call);
            for left in others() {
                ip(&format!("link delete {left}"));
            }
        }
    }
}

/// Uses a handle very often.
fn ask_often(interface: &tunctl_linux::LinuxInterface) {
    for _ in 0..2000 {
        assert_eq!(interface.info().unwrap().name, name("tap0"));
        assert_eq!(interface.addresses().unwrap().len(), 1);
    }
}

fn a_handle_works_in_parent_and_child() {
    prepare();
    let interface = interface();
    let child = in_copy(|| {
        ask_often(&interface);
        0
    });
    ask_often(&interface);
    let child = Pid::from_raw(child.unwrap());
    assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
}

fn a_handle_does_not_follow_a_child_to_another_namespace() {
    let device = tap("tap0");
    let child = in_copy(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        // The other namespace may have an interface of the same number.
        ip("tuntap add dev tap0 mode tap");
        let error = refused(device.interface().set_mtu("1400".parse().unwrap()));
        assert!(error.to_string().contains("namespace"), "{error}");
        assert_eq!(link("tap0").unwrap()["mtu"], 1500);
        0
    });
    let child = Pid::from_raw(child.unwrap());
    assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
    assert_eq!(link("tap0").unwrap()["mtu"], 1500);
}
