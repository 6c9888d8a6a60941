//! `tunctl create --hold`: interfaces that live as long as the program.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use tunctl_testing::{Case, Snapshot, case, ip};

use super::process::{PROGRAM, Running, command, run, tunctl, wait_until};
use super::support::{addresses_of, driver_report, exists, full, is_ignored_here, is_up, send, shown};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(it_is_there_while_the_program_runs_and_no_longer),
        case!(hup_and_quit_end_it_too),
        case!(a_signal_that_the_caller_ignores_does_not_end_it),
        case!(not_even_a_kill_leaves_it_behind),
        case!(it_ends_when_its_interface_is_deleted),
        case!(it_fails_when_its_name_cannot_be_printed),
        case!(it_holds_although_its_note_cannot_be_written),
        case!(a_held_interface_is_configured_as_asked),
        case!(json_names_the_program_as_the_holder),
        case!(an_existing_interface_is_not_held),
    ]
}

/// Starts it, and waits for its line.
fn hold(words: &str) -> Running {
    let mut holder = Running::start(&format!("create {words} --hold"));
    assert!(!holder.line().is_empty());
    holder
}

fn it_is_there_while_the_program_runs_and_no_longer() {
    let before = Snapshot::take();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut holder = Running::start("create held%d --tun --hold");
        assert_eq!(holder.line(), "held0");
        assert_eq!(driver_report("held0")["persist"], false);
        let run = holder.end_by(signal);
        assert!(!exists("held0"), "{signal}");
        assert_eq!(run.status.code(), Some(0), "{signal}: {run:#?}");
        wait_until("nothing is left", || Snapshot::take() == before);
    }
}

fn hup_and_quit_end_it_too() {
    for signal in [Signal::SIGHUP, Signal::SIGQUIT] {
        if is_ignored_here(signal as i32) {
            continue;
        }
        hold("held0 --tun").end_by(signal);
        assert!(!exists("held0"), "{signal}");
    }
}

fn a_signal_that_the_caller_ignores_does_not_end_it() {
    // As `nohup tunctl create held0 --hold`: a program inherits what its caller ignores.
    let mut nohup = Command::new("sh");
    nohup.args(["-c", "trap '' HUP; exec \"$0\" create held0 --tun --hold", PROGRAM]);
    let mut holder = Running::of(nohup);
    assert_eq!(holder.line(), "held0");
    holder.complaint();
    holder.signal(Signal::SIGHUP);
    thread::sleep(Duration::from_millis(300));
    assert!(exists("held0"), "it ended at the signal: {:#?}", holder.end());
    let run = holder.end_by(Signal::SIGTERM);
    assert_eq!(run.status.code(), Some(0), "{run:#?}");
}

fn it_ends_when_its_interface_is_deleted() {
    // Down, up, and with packets that wait, each of which wakes the program.
    for words in ["--tun", "--tun --up --address 10.1.1.1/24"] {
        let mut holder = hold(&format!("held0 {words}"));
        holder.complaint();
        if words.contains("--up") {
            send(b"waiting", "10.1.1.2:9");
        }
        ip("link delete held0");
        holder.end().failed_after("held0\n", &["held0", "gone"]);
    }
}

fn it_fails_when_its_name_cannot_be_printed() {
    let script = "\"$0\" create held0 --tun --hold | true; test ${PIPESTATUS[0]} = 1";
    let mut shell = Command::new("bash");
    shell.args(["-c", script, PROGRAM]);
    let printed = run(shell);
    assert!(printed.status.success(), "the status was not 1: {printed:#?}");
    assert!(printed.stderr.contains("held0") && printed.stderr.contains("Broken pipe"), "{printed:#?}");
}

fn it_holds_although_its_note_cannot_be_written() {
    let mut create = command("create held0 --tun --hold");
    create.stdout(Stdio::piped()).stderr(full());
    let mut holder = Running::spawn(create);
    assert_eq!(holder.line(), "held0");
    thread::sleep(Duration::from_millis(200));
    let run = holder.end_by(Signal::SIGTERM);
    assert_eq!(run.status.code(), Some(0), "{run:#?}");
}

fn not_even_a_kill_leaves_it_behind() {
    let run = hold("held0").end_by(Signal::SIGKILL);
    assert_eq!(run.shell_status(), 128 + 9);
    wait_until("the kernel has removed it", || !exists("held0"));
}

fn a_held_interface_is_configured_as_asked() {
    let holder = hold("held0 --tun --address 10.1.1.1 --address fd01::1/96 --mtu 1400 --up --pi");
    assert_eq!(addresses_of("held0"), ["10.1.1.1/8 brd 10.255.255.255", "fd01::1/96"]);
    assert!(is_up("held0") && driver_report("held0")["pi"] == true);
    drop(holder);
}

fn json_names_the_program_as_the_holder() {
    let mut holder = Running::start("create held0 --hold --json");
    let made: serde_json::Value = serde_json::from_str(&holder.line()).unwrap();
    let expected = serde_json::json!([{ "pid": holder.pid(), "command": "tunctl" }]);
    assert_eq!(made["holders"], expected);
    assert_eq!(made["persistent"], false);
    assert_eq!(made["queues"], 1);
    assert_eq!(shown("held0"), made);
}

fn an_existing_interface_is_not_held() {
    // It would not be gone afterwards, as is promised.
    ip("tuntap add dev t0 mode tap");
    tunctl("create t0 --hold").failed(1, &["t0", "exists"]);
    assert_eq!(driver_report("t0")["persist"], true);
}
