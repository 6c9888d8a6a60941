//! `tunctl lab` on the driver in memory: asked for, or because the kernel's can't be had.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;
use serde_json::Value;
use tunctl_testing::{CLOSED_NODE, Case, DRIVERLESS_NODE, OPEN_NODE, Snapshot, case};

use super::lab::{KINDS, assert_all_answered, assert_all_shown, assert_lines_and_table, events, forbid};
use super::process::{PROGRAM, Run, Running, run, tunctl};
use super::support::others;
use super::unprivileged::Program;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(without_options_it_takes_five_seconds_and_all_is_answered),
        case!(every_request_and_reply_is_shown),
        case!(in_text_it_prints_what_the_kernels_lab_prints),
        case!(it_takes_as_long_as_told),
        case!(signals_end_it),
        case!(it_touches_no_device_and_no_network).needs_tool("strace"),
        case!(it_needs_no_privilege_and_no_node).needs_root(),
        case!(no_command_runs_inside),
        case!(the_summary_tells_whose_driver_it_was),
        case!(auto_goes_on_without_a_node),
        case!(auto_goes_on_at_a_closed_node).needs_root(),
        case!(auto_goes_on_without_a_driver).needs_root(),
        case!(auto_goes_on_without_network_namespaces),
        case!(auto_goes_on_where_users_have_no_namespaces).needs_root(),
        case!(auto_goes_on_where_a_container_forbids_the_node).needs_tool("strace"),
        case!(auto_goes_on_where_a_service_forbids_what_it_takes).needs_tool("strace"),
        case!(auto_does_not_hide_other_failures).needs_tool("strace"),
    ]
}

fn without_options_it_takes_five_seconds_and_all_is_answered() {
    let start = Instant::now();
    let printed = tunctl("lab --backend mock --json").ok();
    let took = start.elapsed();
    assert!((Duration::from_secs(3)..Duration::from_secs(10)).contains(&took), "{took:?}");
    assert_all_answered(&printed, 5);
}

fn every_request_and_reply_is_shown() {
    let printed = tunctl("lab --backend mock --count 2 --json").ok();
    assert_all_answered(&printed, 2);
    assert_all_shown(&printed);
    // Nobody else is there to send anything.
    assert_eq!(events(&printed).0.len(), 2 * 2 * KINDS.len(), "{printed}");
}

fn in_text_it_prints_what_the_kernels_lab_prints() {
    let printed = tunctl("lab --backend mock --count 2").ok();
    assert_lines_and_table(&printed);
    let opening = printed.lines().next().unwrap();
    for words in ["lab0", "10.77.0.1/24", "fd77::1/64", "memory", "nothing leaves"] {
        assert!(opening.contains(words), "{opening}");
    }
}

fn it_takes_as_long_as_told() {
    let start = Instant::now();
    assert_all_answered(&tunctl("lab --backend mock --for 1 --count 300 --json").ok(), 300);
    let took = start.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_secs(6)).contains(&took), "{took:?}");
}

fn signals_end_it() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut lab = Running::start("lab --backend mock --for 300 --json");
        lab.line();
        let start = Instant::now();
        // What was on its way then counts as unanswered.
        let printed = lab.end_by(signal).stdout;
        assert!(start.elapsed() < Duration::from_secs(5), "{signal}");
        assert_eq!(events(&printed).1["kinds"][0]["sent"], 1, "{printed}");
    }
}

fn it_touches_no_device_and_no_network() {
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-e", "trace=open,openat,openat2,creat,unshare,setns,socket,ioctl"]);
    traced.args([PROGRAM, "lab", "--backend", "mock", "--count", "2", "--json"]);
    let Run { status, stdout, stderr: trace } = run(traced);
    assert!(status.success(), "{trace}");
    assert_all_answered(&stdout, 2);
    assert!(trace.contains("openat("), "strace has seen the program start: {trace}");
    for word in ["/dev/net", "unshare(", "setns(", "socket(", "TUNSETIFF"] {
        assert!(!trace.contains(word), "{word}: {trace}");
    }
}

/// Puts a node, or the lack of any, in the place of the device node, in this case's mount namespace.
fn replace_the_node(by: Option<&str>) {
    let none = None::<&str>;
    match by {
        Some(node) => mount(Some(node), OPEN_NODE, none, MsFlags::MS_BIND, none).unwrap(),
        None => mount(Some("none"), "/dev/net", Some("tmpfs"), MsFlags::empty(), none).unwrap(),
    }
}

fn it_needs_no_privilege_and_no_node() {
    let program = Program::new();
    let lab = || run(program.command(4001, 4001, "lab --backend mock --count 2 --json"));
    let before = Snapshot::take();
    for node in [Some(CLOSED_NODE), None] {
        replace_the_node(node);
        let run = lab();
        assert_eq!(run.stderr, "");
        assert_all_answered(&run.ok(), 2);
    }
    fs::write("/proc/sys/user/max_user_namespaces", "0").unwrap();
    assert_all_answered(&lab().ok(), 2);
    assert_eq!(Snapshot::take(), before);
}

fn no_command_runs_inside() {
    let said = tunctl("lab --backend mock -- true").failed(2, &["--backend mock", "kernel", "memory"]);
    assert_eq!(said.lines().count(), 1, "{said}");
    tunctl("lab --backend mock -- no-such-command-anywhere").failed(2, &["--backend mock"]);
}

fn the_summary_tells_whose_driver_it_was() {
    for backend in ["kernel", "mock"] {
        let (_, summary) = events(&tunctl(&format!("lab --count 1 --json --backend {backend}")).ok());
        assert_eq!(summary["backend"], Value::from(backend));
    }
}

/// Asserts what a lab does here, where the kernel's driver can't be had for this reason.
fn assert_goes_on(lab: impl Fn(&str) -> Run, why: &[&str]) {
    let before = Snapshot::take();
    for words in ["lab --count 1 --json", "lab --count 1 --json --backend auto"] {
        let Run { status, stdout, stderr } = lab(words);
        assert!(status.success(), "{words}: {stderr}");
        assert_all_answered(&stdout, 1);
        assert_eq!(events(&stdout).1["backend"], "mock");
        let [reason, consequence] = stderr.lines().collect::<Vec<_>>()[..] else {
            panic!("two lines, not: {stderr}");
        };
        assert!(why.iter().all(|word| reason.contains(word)), "{reason}");
        assert!(consequence.contains("in memory") && consequence.contains("--backend mock"), "{consequence}");
    }
    let text = lab("lab --count 1").ok();
    assert!(text.contains("nothing leaves"), "{text}");
    // Whoever insists gets the same reason, and nothing else. A command has no other place to run.
    let insisting = lab("lab --backend kernel --count 1").failed(1, why);
    assert_eq!(lab("lab --count 1").stderr.lines().next(), insisting.lines().next());
    for words in ["lab --backend kernel --json", "lab --backend kernel -- true", "lab -- true"] {
        assert_eq!(lab(words).failed(1, why), insisting, "{words}");
    }
    lab("lab --backend mock -- true").failed(2, &[]);
    assert_eq!(Snapshot::take(), before);
}

fn auto_goes_on_without_a_node() {
    replace_the_node(None);
    // In a container there is nothing to load.
    let remedy = if tunctl::linux::in_container() { "--device /dev/net/tun" } else { "modprobe tun" };
    assert_goes_on(tunctl, &[OPEN_NODE, "does not exist", remedy]);
}

fn auto_goes_on_at_a_closed_node() {
    let program = Program::new();
    replace_the_node(Some(CLOSED_NODE));
    assert_goes_on(|words| program.run(words), &[OPEN_NODE, "Permission denied", "sudo chmod 0666"]);
}

fn auto_goes_on_without_a_driver() {
    replace_the_node(Some(DRIVERLESS_NODE));
    assert_goes_on(tunctl, &["no driver answers", "modprobe tun"]);
}

fn auto_goes_on_without_network_namespaces() {
    forbid("net");
    assert_goes_on(tunctl, &["network namespace", "max_net_namespaces", "sudo sysctl"]);
    assert!(others().is_empty());
}

fn auto_goes_on_where_users_have_no_namespaces() {
    let program = Program::new();
    fs::write("/proc/sys/user/max_user_namespaces", "0").unwrap();
    let why = ["max_user_namespaces", "user namespace", "sudo"];
    assert_goes_on(|words| program.run(words), &why);
}

/// The lab, where strace makes a system call fail that concerns the device node.
fn failing(inject: &str, words: &str) -> Run {
    traced(&["-P", OPEN_NODE, "-e", inject], words)
}

fn traced(options: &[&str], words: &str) -> Run {
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-o", "/dev/null"]).args(options).arg(PROGRAM).args(words.split_whitespace());
    run(traced)
}

fn auto_goes_on_where_a_container_forbids_the_node() {
    let words = ["device rules", OPEN_NODE, "--device /dev/net/tun --cap-add NET_ADMIN"];
    assert_goes_on(|lab| failing("inject=openat:error=EPERM", lab), &words);
}

fn auto_goes_on_where_a_service_forbids_what_it_takes() {
    let words = ["AF_NETLINK", "RestrictAddressFamilies="];
    assert_goes_on(|lab| traced(&["-e", "inject=socket:error=EAFNOSUPPORT"], lab), &words);
    assert_goes_on(|lab| failing("inject=ioctl:error=EPERM", lab), &["CAP_NET_ADMIN", "SystemCallFilter="]);
}

fn auto_does_not_hide_other_failures() {
    for words in ["lab --count 1", "lab --count 1 --backend kernel"] {
        let said = failing("inject=openat:error=EMFILE", words).failed(1, &["Too many open files"]);
        assert_eq!(said.lines().count(), 1, "{said}");
        let said = failing("inject=ioctl:error=ENOMEM", words).failed(1, &["Cannot allocate memory"]);
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
