//! One run of a scenario, in a namespace of its own, and what to think of it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{env, process, thread};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::plan::{self, Calls, Injection};
use super::scenario::{Program, STRANGERS, Scenario};
use super::state::State;

/// No scenario takes a second.
const LIMIT: Duration = Duration::from_secs(20);

/// The scenario as it is meant.
pub(crate) struct Usual {
    pub(crate) calls: Calls,
    /// How long it took, without strace.
    pub(crate) took: Duration,
    before: State,
    after: State,
}

pub(crate) enum Verdict {
    /// It succeeded, with its effect.
    Done,
    /// It failed, said so, and changed nothing.
    Refused,
    /// It failed, and said what is left.
    Said,
    /// It was killed.
    Killed,
    /// The program never reached its own code: its libraries could not be loaded.
    NotStarted,
    /// The standard library panics where the pipe to a program that it starts fails, which a pipe does not.
    StandardLibrary,
    Wrong(String),
}

impl Verdict {
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Said => "refused with what is left",
            Self::Killed => "killed",
            Self::NotStarted => "not started",
            Self::StandardLibrary => "of the standard library",
            Self::Wrong(_) => "WRONG",
        }
    }
}

/// What a run left.
struct Seen {
    /// `None`: it was still running at the limit, and killed.
    status: Option<ExitStatus>,
    took: Duration,
    complaint: String,
    before: State,
    after: State,
}

pub(crate) fn undisturbed(scenario: &Scenario) -> Usual {
    let log = log_file();
    let seen = run(scenario, &Manner::Traced(vec![format!("--output={}", log.display())]));
    let success = seen.status.is_some_and(|status| status.success());
    assert!(success, "{} fails undisturbed: {}", scenario.name, seen.complaint);
    let mut calls = Calls::new();
    for line in fs::read_to_string(&log).unwrap_or_default().lines() {
        // `PID  name(…` with `-f`.
        let name = line.split_once('(').map(|(start, _)| start.rsplit(' ').next().unwrap_or_default());
        *calls.entry(name.unwrap_or_default().to_owned()).or_default() += 1;
    }
    let _ = fs::remove_file(log);
    let took = run(scenario, &Manner::Alone { limit: LIMIT }).took;
    Usual { calls, took, before: seen.before, after: seen.after }
}

pub(crate) fn judge(scenario: &Scenario, usual: &Usual, injection: &Injection) -> Verdict {
    let manner = match injection {
        Injection::Kill { after } => Manner::Alone { limit: *after },
        fault @ Injection::Fault { .. } => {
            Manner::Traced(vec!["--output=/dev/null".into(), format!("--inject={fault}")])
        }
    };
    let seen = run(scenario, &manner);
    let wrong = |why: &str| {
        let status = seen.status.map_or("it hangs".to_owned(), |status| status.to_string());
        Verdict::Wrong(format!(
            "    {why} ({status})\n    it said: {}\n    before:\n{}    after:\n{}    expected:\n{}",
            seen.complaint.trim(),
            seen.before,
            seen.after,
            usual.after
        ))
    };
    if seen.before != usual.before {
        return wrong("the scenario was not set up");
    }
    if seen.after.strangers() != usual.before.strangers() {
        return wrong("an interface of somebody else's has changed");
    }
    if injection.kills() {
        return match seen.after.unexplained(&usual.before, &usual.after) {
            Some(why) => wrong(&why),
            None => Verdict::Killed,
        };
    }
    let Some(status) = seen.status else { return wrong("it hangs") };
    if seen.complaint.contains("library/std/src/sys/process/") && seen.after == seen.before {
        return Verdict::StandardLibrary;
    }
    if status.signal().is_some() || status.code() == Some(101) || seen.complaint.contains("panicked") {
        return wrong("it died");
    }
    match status.code() {
        Some(127) => Verdict::NotStarted,
        Some(0) if seen.after == usual.after => Verdict::Done,
        Some(0) => wrong("it succeeded, and did not do it"),
        _ if seen.complaint.trim().is_empty() && !injection.silences() => wrong("it failed without a word"),
        _ if injection.interrupts() => wrong("it did not try again"),
        _ if seen.after == seen.before => Verdict::Refused,
        _ if seen.complaint.contains("Not undone: ") => Verdict::Said,
        _ => wrong("it left something half-done without a word"),
    }
}

/// How a program is run.
enum Manner {
    /// Under strace, with these options.
    Traced(Vec<String>),
    /// Alone, and killed at the limit.
    Alone { limit: Duration },
}

fn log_file() -> PathBuf {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    env::temp_dir().join(format!("tunctl-faults-{}-{run}", process::id()))
}

/// Runs it in a namespace of a thread of its own, which ends with it.
fn run(scenario: &Scenario, manner: &Manner) -> Seen {
    thread::scope(|scope| {
        let here = scope.spawn(|| {
            enter();
            batch(STRANGERS);
            batch(scenario.before);
            let before = State::now().unwrap_or_else(|why| panic!("{why}"));
            let began = Instant::now();
            let (status, complaint) = disturbed(scenario, manner);
            let took = began.elapsed();
            let after = State::now().unwrap_or_else(|why| panic!("{why}"));
            Seen { status, took, complaint, before, after }
        });
        here.join().expect("the run was made")
    })
}

fn enter() {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("root may have namespaces");
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("mounts become private");
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), none).expect("sysfs is mounted");
}

fn batch(lines: &[&str]) {
    let mut ip = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().expect("ip starts");
    let mut input = ip.stdin.take().expect("it is piped");
    for line in lines {
        writeln!(input, "{line}").expect("ip reads");
    }
    drop(input);
    assert!(ip.wait().is_ok_and(|status| status.success()), "ip did not do all of {lines:?}");
}

fn disturbed(scenario: &Scenario, manner: &Manner) -> (Option<ExitStatus>, String) {
    let own = env::current_exe().expect("this program has a path");
    let (program, words) = match scenario.program {
        // Built beside this one.
        Program::Command(words) => (own.with_file_name("tunctl"), words.split(' ').collect()),
        Program::Library(operation) => (own, vec!["subject", operation]),
    };
    let (mut command, limit) = match manner {
        Manner::Traced(options) => {
            let mut strace = Command::new("strace");
            strace.args(["-f", "-qq", "--signal=none", &format!("--trace={}", plan::names())]).args(options);
            strace.arg(program);
            (strace, LIMIT)
        }
        Manner::Alone { limit } => (Command::new(program), *limit),
    };
    command.args(words).env("RUST_BACKTRACE", "0");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().expect("the program starts");
    let status = wait(&mut child, limit);
    let mut complaint = Vec::new();
    if status.is_some() {
        let _ = child.stderr.take().map(|mut stderr| stderr.read_to_end(&mut complaint));
    }
    (status, String::from_utf8_lossy(&complaint).into_owned())
}

/// Waits for it, and kills it at the limit, with all that it started.
fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    const STEP: Duration = Duration::from_millis(2);
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().expect("it is a child") {
            return Some(status);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        thread::sleep(left.min(STEP));
    }
    let group = Pid::from_raw(i32::try_from(child.id()).expect("a process id is small"));
    let _ = killpg(group, Signal::SIGKILL);
    let _ = child.wait();
    None
}
