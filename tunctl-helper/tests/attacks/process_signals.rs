//! Signals at each step: whatever ends the helper, nothing is left.

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use std::process::Command;

use tunctl_helper::protocol::{Refusal, Reply};
use tunctl_testing::{Case, others};

use super::support::request::{configured, tun};
use super::support::start::{Start, ask};
use super::support::steps::{Step, own_steps, steps, stopped_after};
use super::support::trace::Traced;
use super::support::{ALICE, USUAL, World, attacks, signal_to};

pub(crate) fn cases() -> Vec<Case> {
    attacks![
        sigkill_at_each_step,
        sigxcpu_at_each_step,
        sigterm_at_each_step_though_blocked,
        sigstop_at_each_step,
        sigstop_with_the_lock_held,
        a_time_limit_that_is_blocked,
        a_time_limit_without_room_for_a_descriptor,
        a_timer_of_the_callers,
        a_policy_that_is_taken_back_meanwhile,
        a_hundred_crashes,
    ]
}

fn good() -> Vec<u8> {
    configured("vpn0").to_bytes().to_vec()
}

/// A signal at each of these steps. The helper is killed by it, or has replied before.
fn killed_at_each(world: &World, steps: &[Step], signal: Signal) {
    let (mut killed, mut granted) = (0, 0);
    for step in steps {
        let running = Traced::new().inject(&step.inject(&format!("signal={signal}"))).run();
        running.helper.send(&good());
        let answer = running.helper.answer();
        match answer.reply() {
            Some(Reply::Granted(_)) => {
                assert_eq!(others(), ["vpn0"], "{step}");
                granted += 1;
            }
            None => assert_eq!(answer.signal(), Some(signal), "{step}: {answer:?}"),
            other => panic!("{step}: {other:?}"),
        }
        killed += usize::from(answer.signal() == Some(signal));
        drop(answer);
        world.is_as_before();
    }
    assert!(killed >= steps.len() - 5, "killed at {killed} of {} steps, granted at {granted}", steps.len());
    // The next request finds nothing of it.
    assert_eq!(ask(good()).granted(), "vpn0");
}

fn sigkill_at_each_step(world: &World) {
    killed_at_each(world, &steps(&good()), Signal::SIGKILL);
}

/// It comes at the limit of processor time.
fn sigxcpu_at_each_step(world: &World) {
    killed_at_each(world, &own_steps(&good()), Signal::SIGXCPU);
}

/// The caller's signal mask is not the helper's.
fn sigterm_at_each_step_though_blocked(world: &World) {
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::from_iter([Signal::SIGTERM])), None).unwrap();
    killed_at_each(world, &own_steps(&good()), Signal::SIGTERM);
}

/// A helper that is stopped keeps nobody else waiting, and goes on afterwards.
fn sigstop_at_each_step(world: &World) {
    world.policy(
        USUAL.to_owned() + &USUAL.replace("nobody", "alice").replace("vpn", "al").replace("work", "job"),
    );
    for step in own_steps(&good()) {
        let running = stopped_after(&step, &good());
        assert!(running.is_stopped(), "{step}");
        let others_request = Start::new().user(ALICE).ask(tun("al0").to_bytes());
        assert_eq!(others_request.granted(), "al0", "{step}");
        drop(others_request);
        running.go_on();
        assert_eq!(running.helper.answer().granted(), "vpn0", "{step}");
        world.is_as_before();
    }
}

/// The user's own next request waits, and is told so in time.
fn sigstop_with_the_lock_held(world: &World) {
    let steps = own_steps(&good());
    // The first interface that it creates is its lock.
    let lock =
        steps.iter().position(|step| step.call.arguments.contains("TUNSETIFF")).expect("it takes a lock");
    let running = stopped_after(&steps[lock], &good());
    assert!(running.is_stopped());
    assert_eq!(others(), ["tunlock0000fffe"]);
    let answer = ask(tun("vpn1").to_bytes());
    answer.is_refused(Refusal::Busy);
    assert!((2..6).contains(&answer.took.as_secs()), "{answer:?}");
    running.go_on();
    assert_eq!(running.helper.answer().granted(), "vpn0");
    world.is_as_before();
    // Control: killed, it holds nothing.
    let running = stopped_after(&steps[lock], &good());
    assert!(running.is_stopped());
    signal_to(running.pid(), Signal::SIGKILL);
    drop(running.helper.answer());
    assert_eq!(ask(good()).granted(), "vpn0");
}

/// Neither a mask nor an ignored signal keeps a helper alive that nobody asks.
fn a_time_limit_that_is_blocked(_: &World) {
    let blocked = Start::new().step(&["block", "SIGALRM", "SIGTERM", "SIGPIPE"]).run();
    let ignoring = {
        let (ours, theirs) = super::support::helper::Helper::pair();
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' ALRM TERM PIPE CHLD; exec \"$0\"", super::support::HELPER]);
        std::os::unix::process::CommandExt::uid(&mut shell, super::support::NOBODY).stdin(theirs);
        super::support::helper::Helper::spawn(shell, ours)
    };
    for helper in [blocked, ignoring] {
        let answer = helper.answer();
        assert_eq!(answer.signal(), Some(Signal::SIGALRM), "{answer:?}");
        assert!(answer.took.as_secs() < 13, "{answer:?}");
    }
}

/// What the helper cannot do without a descriptor is no reason to wait for ever.
fn a_time_limit_without_room_for_a_descriptor(_: &World) {
    let start = |limit| Start::new().step(&["limit", "NOFILE", limit, limit]);
    let helpers = ["0", "1", "3", "4", "5", "6"].map(|limit| (limit, start(limit).run()));
    for (limit, helper) in helpers {
        let answer = helper.answer();
        assert!(answer.took.as_secs() < 14, "with {limit} descriptors: {answer:?}");
    }
}

/// It would end the helper in the middle of its work: a timer goes on across execve.
fn a_timer_of_the_callers(_: &World) {
    let helper = Start::new().step(&["alarm", "1"]).run();
    helper.is_ready();
    std::thread::sleep(std::time::Duration::from_secs(2));
    helper.send(&good());
    assert_eq!(helper.answer().granted(), "vpn0");
}

/// A helper that has read the policy, and is stopped by its user, doesn't keep what the policy said: its time
/// runs on.
fn a_policy_that_is_taken_back_meanwhile(world: &World) {
    let helper = Start::new().run();
    helper.is_ready();
    helper.kill(Signal::SIGSTOP);
    world.policy("");
    std::thread::sleep(std::time::Duration::from_secs(11));
    helper.send(&good());
    helper.kill(Signal::SIGCONT);
    let answer = helper.answer();
    assert_eq!((answer.reply(), answer.signal()), (None, Some(Signal::SIGALRM)), "{answer:?}");
    ask(good()).is_refused(Refusal::NoRule);
}

/// A hundred crashes, each at the moment when everything is there, take nothing of what the user may have.
fn a_hundred_crashes(world: &World) {
    let steps = own_steps(&good());
    let last = steps.iter().rposition(|step| step.call.name == "sendto" || step.call.name == "sendmsg");
    let before_reply = &steps[last.expect("it replies") - 1];
    for _ in 0..100 {
        let running = Traced::new().inject(&before_reply.inject("signal=SIGKILL")).run();
        running.helper.send(&good());
        assert_eq!(running.helper.answer().signal(), Some(Signal::SIGKILL));
    }
    world.is_as_before();
    let answers = [0, 1, 2].map(|_| ask(tun("vpn%d").to_bytes()));
    assert_eq!(answers.each_ref().map(|answer| answer.granted()), ["vpn0", "vpn1", "vpn2"]);
}
