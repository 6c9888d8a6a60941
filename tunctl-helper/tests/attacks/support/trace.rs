//! The helper under strace, which observes it, and disturbs it. Root traces, so that the kernel doesn't
//! withhold the capability.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tunctl_testing::Call;

use super::helper::{Answer, Helper};
use super::{HELPER, signal_to};

/// One run, not started yet.
#[derive(Debug)]
pub(crate) struct Traced {
    options: Vec<String>,
    log: PathBuf,
}

impl Traced {
    pub(crate) fn new() -> Self {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        Self { options: Vec::new(), log: format!("/run/trace-{run}").into() }
    }

    /// An injection, as strace has it.
    pub(crate) fn inject(mut self, injection: &str) -> Self {
        self.options.push(format!("--inject={injection}"));
        self
    }

    /// A variable of the helper's environment.
    pub(crate) fn variable(mut self, variable: &str) -> Self {
        self.options.push(format!("--env={variable}"));
        self
    }

    pub(crate) fn run(self) -> Running {
        let (ours, theirs) = Helper::pair();
        self.run_with(theirs, ours)
    }

    /// With this standard input, whose other end is ours.
    pub(crate) fn run_with(self, input: OwnedFd, ours: OwnedFd) -> Running {
        let mut command = Command::new("strace");
        command.args(["-q", "-y", "-s", "256", "-u", "nobody", "-o"]).arg(&self.log);
        command.args(&self.options).arg(HELPER).stdin(Stdio::from(input));
        command.env_clear().env("PATH", std::env::var("PATH").unwrap());
        Running { helper: Helper::spawn(command, ours), log: Log(self.log) }
    }

    /// Starts it, asks it for something, and waits for its end: its answer, and its system calls.
    pub(crate) fn ask(self, request: impl AsRef<[u8]>) -> (Answer, Vec<Call>) {
        let Running { helper, log } = self.run();
        helper.send(request.as_ref());
        (helper.answer(), log.calls())
    }
}

/// A helper that strace observes.
#[derive(Debug)]
pub(crate) struct Running {
    /// Its process is strace's.
    pub(crate) helper: Helper,
    pub(crate) log: Log,
}

/// The file that strace writes, which goes when this does.
#[derive(Debug)]
pub(crate) struct Log(PathBuf);

impl Log {
    /// The calls, from the exec of the helper on.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.text().lines().filter_map(Call::parse).collect()
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.0).unwrap_or_default()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Running {
    /// Waits until an injected `SIGSTOP` has stopped the helper. False if it has ended instead.
    pub(crate) fn is_stopped(&self) -> bool {
        let started = Instant::now();
        loop {
            let text = self.log.text();
            if text.contains("stopped by SIGSTOP") {
                return true;
            }
            // strace exits after it has written the last line.
            if text.contains("+++ ") || !is_running(self.helper.pid()) {
                return false;
            }
            assert!(started.elapsed().as_secs() < 20, "neither stopped nor ended: {text}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The number of the helper's own process.
    pub(crate) fn pid(&self) -> u32 {
        let strace = self.helper.pid();
        let children = format!("/proc/{strace}/task/{strace}/children");
        fs::read_to_string(children).unwrap().trim().parse().unwrap()
    }

    /// Lets a stopped helper go on.
    pub(crate) fn go_on(&self) {
        signal_to(self.pid(), Signal::SIGCONT);
    }
}

fn is_running(pid: u32) -> bool {
    let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    status.is_ok_and(|line| !line.contains(") Z "))
}
