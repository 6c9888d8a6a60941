//! The program under test, as a process.

use std::ffi::OsStr;
use std::fmt::Debug;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Where the program is.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_tunctl");

/// How long anything may take. It is much more than anything takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs `tunctl` with these words to its end.
pub(crate) fn tunctl(words: &str) -> Run {
    tunctl_with(words.split_whitespace())
}

/// Runs `tunctl` to its end, with arguments that may be empty or have spaces.
pub(crate) fn tunctl_with<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Run {
    let mut command = Command::new(PROGRAM);
    command.args(arguments);
    run(command)
}

/// Runs a command to its end.
pub(crate) fn run(command: Command) -> Run {
    Running::of(command).end()
}

/// `tunctl` with these words, not started.
pub(crate) fn command(words: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(words.split_whitespace());
    command
}

/// Waits until it is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "after {PATIENCE:?} still not: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// How a program ended, and what it printed.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// What it printed, after it succeeded.
    pub(crate) fn ok(self) -> String {
        assert!(self.status.success(), "{self:#?}");
        self.stdout
    }

    /// The one line that it printed, after it succeeded.
    pub(crate) fn line(self) -> String {
        let printed = self.ok();
        let mut lines = printed.lines();
        match (lines.next(), lines.next()) {
            (Some(line), None) => line.to_owned(),
            _ => panic!("one line, not: {printed:?}"),
        }
    }

    /// The JSON value that it printed, after it succeeded.
    pub(crate) fn json(self) -> Value {
        let printed = self.ok();
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
    }

    /// What it said when it failed: with this exit status, nothing on its standard output, and each of these
    /// words in the message.
    pub(crate) fn failed(self, code: i32, words: &[&str]) -> String {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        assert_eq!(self.stdout, "", "{self:#?}");
        for word in words {
            assert!(self.stderr.contains(word), "{word} is not in: {}", self.stderr);
        }
        self.stderr
    }

    /// As [`failed`](Self::failed) with status 1, after it had printed this.
    pub(crate) fn failed_after(mut self, printed: &str, words: &[&str]) -> String {
        assert_eq!(self.stdout, printed, "{self:#?}");
        self.stdout.clear();
        self.failed(1, words)
    }

    /// As a shell tells the status: 128 and the signal's number, if one ended it.
    pub(crate) fn shell_status(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or_default())
    }
}

/// A program that runs. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Running {
    /// `tunctl` with these words.
    pub(crate) fn start(words: &str) -> Self {
        Self::of(command(words))
    }

    /// A command. What it reads is empty; what it prints is kept, unless the command says otherwise.
    pub(crate) fn of(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::spawn(command)
    }

    /// As [`of`](Self::of), with the command's own standard streams.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = Lines::of(child.stdout.take());
        let stderr = Lines::of(child.stderr.take());
        Self { child, stdout, stderr }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> String {
        self.stdout.next().unwrap_or_else(|| panic!("it has ended: {self:#?}"))
    }

    /// The next line on its standard error.
    pub(crate) fn complaint(&mut self) -> String {
        self.stderr.next().unwrap_or_else(|| panic!("it has ended: {self:#?}"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().cast_signed()), signal).expect("nobody has waited for it");
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Run {
        let end = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            if Instant::now() > end {
                // Killed by the drop.
                panic!("still running after {PATIENCE:?}: {self:#?}");
            }
            thread::sleep(Duration::from_millis(2));
        };
        Run { status, stdout: self.stdout.rest(), stderr: self.stderr.rest() }
    }

    /// Sends it a signal, and waits for its end.
    pub(crate) fn end_by(self, signal: Signal) -> Run {
        self.signal(signal);
        self.end()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail if it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What comes out of a pipe, read as it comes.
struct Lines {
    arriving: Receiver<String>,
    all: String,
}

impl Lines {
    fn of(pipe: Option<impl Read + Send + 'static>) -> Self {
        let (sender, arriving) = channel();
        if let Some(pipe) = pipe {
            thread::spawn(move || {
                let mut pipe = BufReader::new(pipe);
                let mut line = Vec::new();
                while pipe.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                    if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                        break;
                    }
                    line.clear();
                }
            });
        }
        Self { arriving, all: String::new() }
    }

    fn next(&mut self) -> Option<String> {
        match self.arriving.recv_timeout(PATIENCE) {
            Ok(line) => {
                self.all.push_str(&line);
                Some(line.trim_end_matches('\n').to_owned())
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("no line after {PATIENCE:?}, but before: {self:?}")
            }
        }
    }

    /// All lines, those too that were looked at before. If a child of the program holds the pipe, those so
    /// far.
    fn rest(&mut self) -> String {
        while let Ok(line) = self.arriving.recv_timeout(Duration::from_secs(2)) {
            self.all.push_str(&line);
        }
        std::mem::take(&mut self.all)
    }
}

impl Debug for Lines {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines: Vec<_> = self.all.lines().map(str::to_owned).chain(self.arriving.try_iter()).collect();
        // Of many the last are what matters.
        let left_out = lines.len().saturating_sub(20);
        write!(formatter, "{left_out} lines, and {:#?}", &lines[left_out..])
    }
}
