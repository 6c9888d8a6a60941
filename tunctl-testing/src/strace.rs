//! strace's view of a process.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{self, Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::process::{CASE, ENTRY, attempt, current_case};

/// Where marks are looked for. Nothing is there.
const MARKS: &str = "/tunctl-testing-mark/";

/// What the names of a process's trace files start with.
pub(crate) fn file_prefix(pid: u32) -> String {
    format!("tunctl-testing-{pid}-")
}

/// Leaves a mark in the trace of this process: a system call that no one else makes.
pub fn mark(name: &str) {
    /// When a look-up fails for the first time, the standard library asks whether the system call exists.
    static FIRST: Once = Once::new();
    FIRST.call_once(|| drop(fs::metadata("/")));
    let _ = fs::metadata(format!("{MARKS}{name}"));
}

/// A run of an [entry](crate::Case::entry) of this case under strace, in the same namespaces.
///
/// Only the entry's main thread is traced, neither other threads nor the programs that it starts.
#[derive(Debug)]
pub struct Strace {
    command: Command,
    file: PathBuf,
}

impl Strace {
    /// The entry to trace.
    #[must_use]
    pub fn new(entry: &str) -> Self {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let file = env::temp_dir().join(format!("{}{run}.strace", file_prefix(process::id())));
        let mut command = Command::new("strace");
        command
            .args(["-q", "-y", "-s", "4096", "-o"])
            .arg(&file)
            .env(ENTRY, entry)
            .env(CASE, current_case())
            .stdin(Stdio::null());
        Self { command, file }
    }

    /// Makes a system call fail: its `position`th one of that name since the start, counted from 1.
    #[must_use]
    pub fn fail(mut self, call: &str, errno: &str, position: usize) -> Self {
        self.command.args(["-e", &format!("inject={call}:error={errno}:when={position}")]);
        self
    }

    /// The same, with all of that name that follow.
    #[must_use]
    pub fn fail_from(mut self, call: &str, errno: &str, position: usize) -> Self {
        self.command.args(["-e", &format!("inject={call}:error={errno}:when={position}+")]);
        self
    }

    /// Makes a system call return a number without being made: its `position`th one of that name since the
    /// start, counted from 1.
    #[must_use]
    pub fn answer(mut self, call: &str, result: usize, position: usize) -> Self {
        self.command.args(["-e", &format!("inject={call}:retval={result}:when={position}")]);
        self
    }

    /// Sets a variable of the entry's environment.
    #[must_use]
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.command.env(key, value);
        self
    }

    /// Runs it. If the entry fails, so does the case, with the entry's output.
    #[must_use]
    pub fn run(self) -> Trace {
        let trace = self.attempt();
        if let Some(failure) = &trace.failure {
            panic!("{failure}");
        }
        trace
    }

    /// Runs it, and leaves it to the case what to make of it if the entry fails.
    #[must_use]
    pub fn attempt(mut self) -> Trace {
        let program = env::current_exe().expect("the test binary has a path");
        let (printed, failure) = attempt(self.command.arg(program));
        let trace = fs::read_to_string(&self.file).expect("strace has written its file");
        Trace { calls: trace.lines().filter_map(Call::parse).collect(), printed, failure }
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}

/// The system calls of a run, in their order, and what it printed.
#[derive(Clone, Debug)]
pub struct Trace {
    /// From the exec of the test binary to its exit.
    pub calls: Vec<Call>,
    /// Standard output.
    pub printed: String,
    /// How the entry failed, if it did.
    pub failure: Option<String>,
}

impl Trace {
    /// Those between two [marks](mark), without the marks.
    #[must_use]
    pub fn between(&self, from: &str, to: &str) -> &[Call] {
        self.try_between(from, to).unwrap_or_else(|| panic!("the marks {from} and {to} are in the trace"))
    }

    /// As [`between`](Self::between); `None` if the run did not get that far.
    #[must_use]
    pub fn try_between(&self, from: &str, to: &str) -> Option<&[Call]> {
        self.calls.get(self.position(from)? + 1..self.position(to)?)
    }

    fn position(&self, mark: &str) -> Option<usize> {
        let path = format!("\"{MARKS}{mark}\"");
        self.calls.iter().position(|call| call.arguments.contains(&path))
    }

    /// Those between two marks, each with its place among all calls of its name since the start, counted from
    /// 1, as [`Strace::fail`] wants it.
    #[must_use]
    pub fn numbered_between(&self, from: &str, to: &str) -> Vec<(Call, usize)> {
        let window = self.between(from, to);
        let first = self.position(from).map_or(0, |mark| mark + 1);
        let numbered = window.iter().enumerate().map(|(offset, call)| {
            let so_far = self.calls[..=first + offset].iter();
            (call.clone(), so_far.filter(|earlier| earlier.name == call.name).count())
        });
        numbered.collect()
    }
}

/// One system call, as strace writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its name, such as `openat`.
    pub name: String,
    /// What stands between the parentheses; descriptors have their paths behind them, as in
    /// `3</dev/net/tun>`.
    pub arguments: String,
    /// What stands behind the `=`.
    pub result: String,
}

impl Call {
    /// A line of strace's output. `None` for a line that is no call: a signal, the end.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (name, rest) = line.split_once('(')?;
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return None;
        }
        let (arguments, result) = match rest.rsplit_once(" = ") {
            Some((arguments, result)) => (arguments.trim_end(), result),
            None => (rest, ""),
        };
        Some(Self {
            name: name.to_owned(),
            arguments: arguments.strip_suffix(')').unwrap_or(arguments).to_owned(),
            result: result.to_owned(),
        })
    }

    /// Whether it succeeded.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        !self.result.starts_with("-1") && !self.result.starts_with('?')
    }
}
