//! `tunctl run`: a program gets an open interface.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use nix::sys::signal::Signal;
use tunctl::linux::{LinuxBackend, inherited};
use tunctl::{Adopt, Cause, Interface, TunBackend, TunDevice};
use tunctl_testing::{Case, Snapshot, addresses, case, ip, link, others};

use super::process::{Running, command, run, tunctl, tunctl_with, wait_until};
use super::support::{driver_report, exists, is_up, with_entry};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_program_gets_a_new_interface_as_descriptor_3).entry("program", use_what_was_inherited),
        case!(a_program_without_any_right_gets_it_too)
            .entry("program", use_what_was_inherited)
            .needs_root()
            .needs_tool("setpriv"),
        case!(an_interface_that_exists_is_opened_as_it_is_and_stays).entry("program", use_what_was_inherited),
        case!(the_status_is_that_of_the_program),
        case!(a_signal_that_ends_the_program_is_seen),
        case!(a_program_that_cannot_be_started_leaves_nothing),
        case!(another_number_sets_no_variables),
        case!(an_interface_that_cannot_be_opened_is_explained),
        case!(what_is_wrong_usage_is_refused),
        case!(what_was_meant_for_another_process_is_left_alone).entry("stranger", find_nothing),
        case!(variables_that_are_no_numbers_are_refused).entry("malformed", find_malformed),
    ]
}

/// The program: it adopts the one descriptor, and reports what it has.
fn use_what_was_inherited() {
    let mut found = inherited().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(inherited().unwrap().len(), 0, "each is taken once");
    let device = LinuxBackend::new().adopt(found.remove(0)).unwrap();
    let variables = ["LISTEN_FDS", "LISTEN_FDNAMES"].map(|name| std::env::var(name).unwrap());
    let info = device.interface().info().unwrap();
    println!("{} {} {}", info.name, device.flags(), variables.join(" "));
    // Without a right, it has only this one.
    let creates = LinuxBackend::new().create(&tunctl::CreateOptions::tun());
    println!("{:?}", creates.err().map(|error| error.cause()));
    std::process::exit(7);
}

fn a_program_gets_a_new_interface_as_descriptor_3() {
    let words = "run vpn0 --tun --address 10.1.1.1/24 --mtu 1400 --up --";
    let ended = run(with_entry(command(words), "program"));
    assert_eq!(ended.stdout, "vpn0 tun, no_pi 1 vpn0\nNone\n", "{ended:#?}");
    assert_eq!((ended.status.code(), &*ended.stderr), (Some(7), ""));
    assert_eq!(others(), [""; 0]);

    let script = "cat /proc/self/fdinfo/3; ip -j address show dev vpn0";
    let printed = tunctl_with(words.split_whitespace().chain(["sh", "-c", script])).ok();
    assert!(printed.contains("iff:\tvpn0\n") && printed.contains("10.1.1.1"), "{printed}");
    // Nothing else comes with it, beside what this test passes on itself, which may have had that number.
    let count = ["sh", "-c", "ls /proc/self/fd | wc -l"];
    let started_with = |script: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        run(shell).line()
    };
    let mut expected: u32 = started_with(count[2]).parse().unwrap();
    expected += u32::from(started_with("test -e /proc/$$/fd/3 && echo taken || echo free") == "free");
    let with_it: u32 = tunctl_with(words.split_whitespace().chain(count)).line().parse().unwrap();
    assert_eq!(with_it, expected);
}

fn a_program_without_any_right_gets_it_too() {
    let words = "run vpn0 --tun --up -- setpriv --reuid 65534 --regid 65534 --clear-groups";
    let ended = run(with_entry(command(words), "program"));
    assert_eq!(ended.stdout, "vpn0 tun, no_pi 1 vpn0\nSome(MissingCapability)\n", "{ended:#?}");
}

fn an_interface_that_exists_is_opened_as_it_is_and_stays() {
    ip("tuntap add dev tap0 mode tap vnet_hdr multi_queue");
    let ended = run(with_entry(command("run tap0 --"), "program"));
    let flags = "tap, multi_queue, no_pi, vnet_hdr";
    assert_eq!(ended.stdout, format!("tap0 {flags} 1 tap0\nNone\n"), "{ended:#?}");
    assert_eq!(driver_report("tap0")["persist"], true);
    assert!(!is_up("tap0") && addresses("tap0").is_empty());
    tunctl("run tap0 --up --mtu 1300 -- true").ok();
    assert!(is_up("tap0"));
    assert_eq!(link("tap0").unwrap()["mtu"], 1300);
}

fn the_status_is_that_of_the_program() {
    for status in [0, 1, 42, 255] {
        let ended = tunctl_with(["run", "vpn0", "--", "sh", "-c", &format!("exit {status}")]);
        assert_eq!((ended.status.code(), &*ended.stderr), (Some(status), ""));
    }
    assert_eq!(others(), [""; 0]);
}

fn a_signal_that_ends_the_program_is_seen() {
    let running = Running::start("run vpn0 -- sleep 100");
    wait_until("it has the interface", || exists("vpn0"));
    wait_until("it is the program", || {
        std::fs::read_to_string(format!("/proc/{}/comm", running.pid())).is_ok_and(|name| name == "sleep\n")
    });
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    assert_eq!(super::support::signals(&status, "SigBlk:"), 0);
    let ended = running.end_by(Signal::SIGTERM);
    assert_eq!(ended.status.signal(), Some(Signal::SIGTERM as i32));
    wait_until("the interface went with it", || !exists("vpn0"));
}

fn a_program_that_cannot_be_started_leaves_nothing() {
    let before = Snapshot::take();
    tunctl("run vpn0 -- /no/such/program").failed(127, &["run /no/such/program: No such file"]);
    tunctl("run vpn0 -- /proc/self/status").failed(126, &["run /proc/self/status: Permission denied"]);
    assert_eq!(Snapshot::take(), before);
}

fn another_number_sets_no_variables() {
    let script = "cat /proc/self/fdinfo/9; echo ${LISTEN_FDS-none} ${LISTEN_PID-none}";
    let mut run_it = command("run vpn0 --fd 9 -- sh -c");
    run_it.arg(script).envs([("LISTEN_FDS", "3"), ("LISTEN_PID", "1")]);
    let printed = run(run_it).ok();
    assert!(printed.contains("iff:\tvpn0\n") && printed.ends_with("none none\n"), "{printed}");
}

fn an_interface_that_cannot_be_opened_is_explained() {
    tunctl("run lo -- true").failed(1, &["not a TUN/TAP interface"]);
    let _held = Running::start("run vpn0 -- sleep 100");
    wait_until("it has the interface", || exists("vpn0"));
    tunctl("run vpn0 -- true").failed(1, &["held by"]);
    assert_eq!(others(), ["vpn0"]);
}

fn what_is_wrong_usage_is_refused() {
    for (words, reason) in [
        ("run vpn0", "PROGRAM"),
        ("run vpn0 true", "unexpected argument 'true'"),
        ("run vpn0 --fd 2 -- true", "3..1024"),
        ("run vpn0 --fd 1024 -- true", "3..1024"),
        ("run vpn0 --tun --tap -- true", "cannot be used with"),
        ("run a/b -- true", "'/'"),
    ] {
        tunctl(words).failed(2, &[reason]);
    }
    assert_eq!(others(), [""; 0]);
}

/// A shell that passes its own number on, as a supervisor that gets it wrong.
fn with_variables(entry: &str, variables: &str) -> String {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{variables} \"$0\"; exit $?")]);
    run(with_entry(shell, entry)).ok()
}

fn find_nothing() {
    println!("{}", inherited().unwrap().len());
}

fn what_was_meant_for_another_process_is_left_alone() {
    assert_eq!(with_variables("stranger", "LISTEN_PID=$$ LISTEN_FDS=3"), "0\n");
    assert_eq!(with_variables("stranger", "LISTEN_FDS=3"), "0\n");
    // Meant for it, and of another driver.
    let script = "LISTEN_PID=$$ LISTEN_FDS=2 exec \"$0\" 3</dev/null";
    let mut shell = Command::new("sh");
    shell.args(["-c", script]);
    assert_eq!(run(with_entry(shell, "stranger")).ok(), "0\n");
}

fn find_malformed() {
    let error = inherited().map(drop).unwrap_err();
    assert_eq!(error.cause(), Cause::InvalidValue, "{error}");
    println!("{error}");
}

fn variables_that_are_no_numbers_are_refused() {
    let printed = with_variables("malformed", "LISTEN_PID=me LISTEN_FDS=1");
    assert!(printed.contains("LISTEN_PID is no number: me"), "{printed}");
}
