//! Who the caller is, and what others of his may do to the helper.

use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use tunctl_helper::protocol::{Refusal, Reply};
use tunctl_testing::{Call, Case, driver_report, entry, finish, link, others};

use super::support::helper::Helper;
use super::support::request::{configured, tun};
use super::support::start::{Start, ask};
use super::support::trace::Traced;
use super::support::{ALICE, BIG, HELPER, NOBODY, USUAL, World, attacks, grant, set_mode, signal_to};

pub(crate) fn cases() -> Vec<Case> {
    attacks![
        a_set_user_id_bit,
        ids_that_differ,
        no_new_privileges,
        an_emptied_bounding_set,
        a_tracer_without_rights,
        ptrace_of_a_running_helper,
        a_core_dump,
        a_uid_above_2_to_31,
        a_user_without_a_rule,
        root_itself,
        ids_of_the_one_that_made_the_socket,
        ids_changed_between_start_and_request,
        a_process_id_that_is_used_again,
    ]
}

fn good() -> Vec<u8> {
    configured("vpn0").to_bytes().to_vec()
}

fn a_set_user_id_bit(_: &World) {
    for mode in [0o4755, 0o2755, 0o6755] {
        set_mode(HELPER, mode);
        grant(HELPER);
        // Of group root, where the caller is in none.
        ask(good()).is_refused(Refusal::SetId);
        assert!(others().is_empty());
    }
    set_mode(HELPER, 0o755);
    assert_eq!(ask(good()).granted(), "vpn0");
}

fn ids_that_differ(_: &World) {
    for ids in
        [[NOBODY, ALICE, NOBODY, NOBODY], [ALICE, NOBODY, NOBODY, NOBODY], [NOBODY, NOBODY, ALICE, NOBODY]]
    {
        Start::new().ids(ids).ask(good()).is_refused(Refusal::SetId);
        assert!(others().is_empty());
    }
    assert_eq!(Start::new().ids([NOBODY; 4]).ask(good()).granted(), "vpn0");
}

fn no_new_privileges(_: &World) {
    let start = Start::new().step(&["no new privileges"]);
    start.ask(good()).is_refused(Refusal::NoNewPrivileges);
    assert!(others().is_empty());
    assert_eq!(ask(good()).granted(), "vpn0");
}

fn an_emptied_bounding_set(_: &World) {
    let start = Start::new().step(&["unbound", "12"]);
    start.ask(good()).is_refused(Refusal::BoundingSet);
    assert!(others().is_empty());
    // Control: without another one than CAP_NET_ADMIN.
    let start = Start::new().step(&["unbound", "21"]);
    assert_eq!(start.ask(good()).granted(), "vpn0");
}

/// Someone who traces his own helper from its start reads what it does; then the kernel withholds the
/// capability.
fn a_tracer_without_rights(_: &World) {
    let (ours, theirs) = Helper::pair();
    let mut command = Command::new("strace");
    command.args(["-o", "/dev/null", HELPER]).stdin(Stdio::from(theirs)).uid(NOBODY).gid(NOBODY);
    let helper = Helper::spawn(command, ours);
    helper.send(&good());
    helper.answer().is_refused(Refusal::Traced);
    assert!(others().is_empty());
    // Control: a tracer that has the right itself.
    let (answer, _) = Traced::new().ask(good());
    assert_eq!(answer.granted(), "vpn0");
}

/// What another process of the user finds that it may do to this one.
fn tried_on(pid: u32) -> String {
    let mut command = entry("stranger");
    command.env("VICTIM", pid.to_string()).uid(NOBODY).gid(NOBODY);
    finish(&mut command)
}

fn ptrace_of_a_running_helper(_: &World) {
    let helper = Start::new().run();
    helper.is_ready();
    let refused = "attach Err(EPERM)\nmem false\nenviron false\nmaps false\nauxv false\ntaken false\ndescriptors false\n";
    assert_eq!(tried_on(helper.pid()), refused);
    helper.send(&good());
    assert_eq!(helper.answer().granted(), "vpn0");
    // Control: another program of his is an open book, unless the whole system forbids it.
    if fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").is_ok_and(|scope| scope.trim() != "0") {
        return;
    }
    let mut sleep = Command::new("sleep").arg("60").uid(NOBODY).gid(NOBODY).spawn().unwrap();
    while fs::read_to_string(format!("/proc/{}/comm", sleep.id())).unwrap() != "sleep\n" {
        thread::yield_now();
    }
    let allowed = refused.replace("Err(EPERM)", "Ok(())").replace("false", "true");
    assert_eq!(tried_on(sleep.id()), allowed);
    sleep.kill().unwrap();
    sleep.wait().unwrap();
}

/// What it has in memory is not written to a file of the user's.
fn a_core_dump(_: &World) {
    fs::create_dir("/run/core").unwrap();
    set_mode("/run/core", 0o777);
    let cores = || fs::read_dir("/run/core").unwrap().count();
    let unlimited = u64::MAX.to_string();
    for signal in [Signal::SIGSEGV, Signal::SIGQUIT, Signal::SIGABRT, Signal::SIGXCPU, Signal::SIGSYS] {
        let start =
            Start::new().step(&["go to", "/run/core"]).step(&["limit", "CORE", &unlimited, &unlimited]);
        let helper = start.run();
        helper.is_ready();
        signal_to(helper.pid(), signal);
        let answer = helper.answer();
        assert_eq!(
            (answer.signal(), answer.status.core_dumped(), cores()),
            (Some(signal), false, 0),
            "{answer:?}"
        );
    }
    // Control: another program of the same user leaves one.
    let (ours, theirs) = Helper::pair();
    let sleep = Start::new().program("/usr/bin/sleep").arguments(&["sleep", "60"]);
    let sleep = sleep.step(&["go to", "/run/core"]).step(&["limit", "CORE", &unlimited, &unlimited]);
    let helper = sleep.run_with(theirs, ours);
    while fs::read_to_string(format!("/proc/{}/comm", helper.pid())).unwrap() != "sleep\n" {
        thread::yield_now();
    }
    helper.kill(Signal::SIGSEGV);
    assert!(helper.answer().status.core_dumped());
}

fn a_uid_above_2_to_31(world: &World) {
    world.policy(USUAL.replace("nobody", "big"));
    let start = || Start::new().user(BIG);
    let answer = start().ask(good());
    assert_eq!(answer.granted(), "vpn0");
    // iproute2 writes the number with a sign, or the name.
    let owner = driver_report("vpn0")["user"].to_string();
    assert!(
        ["\"big\"", "\"4000000000\"", "4000000000", "-294967296", "\"-294967296\""].contains(&&*owner),
        "{owner}"
    );
    assert_eq!(link("vpn0").unwrap()["ifalias"], "tunctl-helper uid 4000000000 name vpn%d");
    // Three at a time, by the same count.
    let more = [start(), start()].map(|start| start.ask(tun("vpn%d").to_bytes()));
    assert_eq!(more.each_ref().map(|answer| answer.granted()), ["vpn1", "vpn2"]);
    start().ask(tun("vpn%d").to_bytes()).is_refused(Refusal::TooMany { limit: 3 });
    ask(good()).is_refused(Refusal::NoRule);
    // By its number, too.
    drop((answer, more));
    world.policy(USUAL.replace("\"nobody\"", "4000000000"));
    assert_eq!(start().ask(good()).granted(), "vpn0");
    // The largest number stands for nobody, and is no user.
    for uid in ["4294967295", "-294967296", "-1"] {
        world.policy(USUAL.replace("\"nobody\"", uid));
        start().ask(good()).is_refused(Refusal::InvalidPolicy);
    }
}

fn a_user_without_a_rule(world: &World) {
    Start::new().user(ALICE).ask(good()).is_refused(Refusal::NoRule);
    assert!(others().is_empty());
    world.policy(USUAL.replace("nobody", "alice"));
    ask(good()).is_refused(Refusal::NoRule);
    assert_eq!(Start::new().user(ALICE).ask(good()).granted(), "vpn0");
}

/// Root has the right without the helper, and no rule by being root.
fn root_itself(world: &World) {
    Start::new().user(0).ask(good()).is_refused(Refusal::NoRule);
    assert!(others().is_empty());
    world.policy(USUAL.replace("nobody", "root"));
    assert_eq!(Start::new().user(0).ask(good()).granted(), "vpn0");
}

/// Root made the socket, and its other end is root's: the helper acts for the one that started it.
fn ids_of_the_one_that_made_the_socket(world: &World) {
    world.policy(USUAL.replace("nobody", "root"));
    ask(good()).is_refused(Refusal::NoRule);
    world.policy(USUAL);
    assert_eq!(ask(good()).granted(), "vpn0");
    let (_, calls) = Traced::new().ask(good());
    let asked =
        |call: &&Call| call.arguments.contains("SO_PEERCRED") || call.arguments.contains("SCM_CREDENTIALS");
    assert_eq!(calls.iter().find(asked), None);
}

/// The starter becomes somebody else before it sends its request.
fn ids_changed_between_start_and_request(_: &World) {
    let helper = Start::new().run();
    helper.is_ready();
    // What a helper is, is said by its own ids, which nobody else changes.
    tunctl_testing::caller::as_caller(ALICE, ALICE, false, &mut || helper.send(&good()));
    assert_eq!(helper.answer().granted(), "vpn0");
    let helper = Start::new().user(ALICE).run();
    helper.is_ready();
    tunctl_testing::caller::as_caller(NOBODY, NOBODY, false, &mut || helper.send(&good()));
    helper.answer().is_refused(Refusal::NoRule);
}

/// The process that started it has ended, and its number may be another's by now.
fn a_process_id_that_is_used_again(_: &World) {
    let (ours, theirs) = Helper::pair();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec 3<&0; {HELPER} <&3 3<&- &")]);
    command.stdin(Stdio::from(theirs)).uid(NOBODY).gid(NOBODY);
    let helper = Helper::spawn(command, ours);
    thread::sleep(Duration::from_millis(200));
    helper.send(&good());
    let answer = helper.answer();
    assert!(matches!(answer.reply(), Some(Reply::Granted(_))), "{answer:?}");
    assert_eq!(answer.granted(), "vpn0");
    // It looks nobody up by a number.
    let (_, calls) = Traced::new().ask(good());
    let by_number = |call: &&Call| {
        let looked_up = call.arguments.split("\"/proc/").nth(1);
        let number = looked_up.is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()));
        number || ["getppid", "pidfd_open", "kill", "process_vm_readv"].contains(&&*call.name)
    };
    assert_eq!(calls.iter().find(by_number), None);
}
