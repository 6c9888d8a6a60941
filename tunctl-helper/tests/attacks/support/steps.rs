//! Each step of a request that is granted: the system calls of the helper, at which it is disturbed.

use std::collections::BTreeMap;
use std::fmt;

use tunctl_testing::Call;

use super::trace::{Running, Traced};

/// A system call, by its name and its place among those of that name, counted from one.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) call: Call,
    nth: usize,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.call.name, self.nth, self.call.arguments)
    }
}

impl Step {
    /// What strace is to do there.
    pub(crate) fn inject(&self, what: &str) -> String {
        format!("{}:{what}:when={}", self.call.name, self.nth)
    }
}

/// The steps of an undisturbed run that is granted.
pub(crate) fn steps(request: &[u8]) -> Vec<Step> {
    let (answer, calls) = Traced::new().ask(request);
    answer.granted();
    let mut counts = BTreeMap::new();
    let numbered = calls.into_iter().map(|call| {
        let nth = counts.entry(call.name.clone()).or_insert(0);
        *nth += 1;
        Step { nth: *nth, call }
    });
    // strace's own exec is the first; the exit is the last, and is no step on the way.
    let steps: Vec<_> =
        numbered.filter(|step| !["execve", "exit_group"].contains(&&*step.call.name)).collect();
    assert!(steps.len() > 20, "strace shows few steps: {steps:?}");
    without_repetitions(steps)
}

/// Without the signals between the first and the last that are reset one after the other: nothing else
/// happens between them.
fn without_repetitions(steps: Vec<Step>) -> Vec<Step> {
    let is_signal = |index: usize| steps.get(index).is_some_and(|step| step.call.name == "rt_sigaction");
    let is_between = |index: usize| index > 0 && (index - 1..=index + 1).all(is_signal);
    let kept = (0..steps.len()).filter(|&index| !is_between(index));
    kept.map(|index| steps[index].clone()).collect()
}

/// The steps of the helper's own code: those from its first look at the policy on.
pub(crate) fn own_steps(request: &[u8]) -> Vec<Step> {
    let steps = steps(request);
    let first = steps.iter().position(|step| step.call.arguments.contains("/etc")).expect("it opens /etc");
    steps[first..].to_vec()
}

/// Starts a helper that stops after this step, and asks it for something.
pub(crate) fn stopped_after(step: &Step, request: &[u8]) -> Running {
    let running = Traced::new().inject(&step.inject("signal=SIGSTOP")).run();
    running.helper.send(request);
    running
}
