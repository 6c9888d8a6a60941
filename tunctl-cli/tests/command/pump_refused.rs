//! `tunctl pump` where it cannot do what was asked, and who may use it.

use std::process::Command;

use tunctl_testing::{Case, case, ip, others};

use super::process::{Running, run, tunctl, wait_until};
use super::support::{exists, shown};
use super::unprivileged::Program;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(interfaces_that_cannot_be_joined_are_refused),
        case!(what_makes_no_sense_is_refused),
        case!(an_owner_needs_no_privilege).needs_root(),
        case!(without_threads_it_says_so).needs_root().needs_tool("prlimit"),
    ]
}

fn interfaces_that_cannot_be_joined_are_refused() {
    ip("tuntap add dev tun0 mode tun");
    ip("tuntap add dev tap0 mode tap");
    tunctl("pump tun0 tap0").failed(1, &["tun0 is a tun", "tap0 a tap", "Ethernet header"]);
    tunctl("pump tun0 new --tap").failed(1, &["tun0", "--tun or --tap"]);
    tunctl("pump lo new").failed(1, &["lo", "not a TUN/TAP interface"]);
    tunctl("pump new lo").failed(1, &["lo", "not a TUN/TAP interface"]);
    let mut holder = Running::start("create held --tun --hold");
    holder.line();
    tunctl("pump held new").failed(1, &["held", "tunctl"]);
    ip("tuntap add dev many mode tun multi_queue");
    let reader = Running::start("run many -- sleep 100");
    wait_until("it has the interface", || shown("many")["queues"] == 1);
    tunctl("pump many new").failed(1, &["many", "--offload off"]);
    assert!(tunctl("pump many new --offload off --for 0.1").ok().contains("one packet a call"));
    drop(reader);
    tunctl("pump new b --netns-b no-such-name").failed(1, &["/run/netns/no-such-name"]);
    drop(holder);
    wait_until("it is gone", || !exists("held"));
    assert!(!exists("new") && !exists("b"), "{:?}", others());
}

fn what_makes_no_sense_is_refused() {
    for (words, reason) in [
        ("a", "<B>"),
        ("a b c", "'c'"),
        ("a a", "cannot be joined to itself"),
        ("a b/c", "'/'"),
        ("a b --tun --tap", "cannot be used with"),
        ("a b --offload perhaps", "passthrough"),
        ("a b --offload passthrough --loss 1%", "leave out --loss"),
        ("a b --offload passthrough --rate 1mbit", "leave out --rate"),
        ("a b --loss 1", "1%"),
        ("a b --loss 101%", "1%"),
        ("a b --loss much", "'much'"),
        ("a b --reorder nan", "0.01"),
        ("a b --corrupt 2", "0.01"),
        ("a b --delay 10", "10ms"),
        ("a b --delay 2000h", "10ms"),
        ("a b --delay 7200s", "an hour"),
        ("a b --rate 100", "100mbit"),
        ("a b --rate 0mbit", "1bit"),
        ("a b --rate 1mbit --queues 2", "leave out --queues"),
        ("a b --queues 0", "1..=256"),
        ("a b --queues 257", "1..=256"),
        ("a b --seed x", "'x'"),
        ("a b --mtu 67", "from 68 to 65535"),
        ("a b --address-a 10.1.1.1/33", "33"),
        ("a b --for 0", "0"),
    ] {
        tunctl(&format!("pump {words}")).failed(2, &[reason]);
    }
    tunctl("netem a b").failed(2, &["'pump'"]);
    assert_eq!(others(), [""; 0]);
}

/// Two interfaces that this user may open, and that are up already.
fn owned_by(user: u32) {
    for name in ["a", "b"] {
        ip(&format!("tuntap add dev {name} mode tun user {user}"));
        ip(&format!("link set dev {name} up"));
    }
}

fn an_owner_needs_no_privilege() {
    let program = Program::new();
    owned_by(4001);
    let printed = run(program.command(4001, 65534, "pump a b --for 0.2")).ok();
    assert!(printed.contains("\nb > a: "), "{printed}");
    let refused = run(program.command(4002, 65534, "pump new b --for 5"));
    refused.failed(1, &["new", "CAP_NET_ADMIN is missing", "tunctl helper install"]);
    assert_eq!(others(), ["a", "b"]);
}

fn without_threads_it_says_so() {
    let program = Program::new();
    owned_by(4099);
    let mut failures = 0;
    for processes in 1..6 {
        let pump = program.command(4099, 4099, "pump a b --for 0.2");
        let mut limited = Command::new("prlimit");
        limited.arg(format!("--nproc={processes}")).arg("setpriv");
        limited.args(["--clear-groups", "--reuid", "4099", "--regid", "4099"]);
        limited.arg(pump.get_program()).args(pump.get_args()).current_dir("/");
        let ended = run(limited);
        assert!(!ended.stderr.contains("panicked"), "{ended:#?}");
        if !ended.status.success() {
            failures += 1;
            assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
            assert!(ended.stderr.contains("thread") && ended.stderr.contains("ulimit -u"), "{ended:#?}");
        }
    }
    assert_eq!(failures, 3, "it has four threads");
}
