//! Answers of the kernel's that are lost, late, cut, or somebody else's.
//!
//! What happens to a system call only under pressure is made by strace, which has it fail.

use serde_json::Value;
use tunctl_core::{CreateOptions, Interface, Result, State, TunBackend, TunDevice};
use tunctl_testing::{Call, Case, Strace, Trace, addresses, case, ip, link, mark, others};

use super::support::{address, backend, name, open};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_signal_at_any_step_of_a_change_does_not_matter)
            .entry("change", change_once)
            .needs_tool("strace"),
        case!(an_answer_that_is_cut_is_an_error_and_leaves_nothing)
            .entry("create", create_once)
            .needs_tool("strace"),
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

fn a_signal_at_any_step_of_a_change_does_not_matter() {
    changes_though("EINTR", |_| true);
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
