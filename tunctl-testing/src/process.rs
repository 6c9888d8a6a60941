//! Processes that a case starts: the test binary once more, at another entry.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::skip::{self, SKIPPED};

/// Names the case that the process is to run.
pub(crate) const CASE: &str = "TUNCTL_TESTING_CASE";
/// Names the entry of the case, if it is not the case itself.
pub(crate) const ENTRY: &str = "TUNCTL_TESTING_ENTRY";

/// A command that runs an [entry](crate::Case::entry) of this case in a new process and the same namespaces.
///
/// Another user or group is given to it by [`CommandExt`](std::os::unix::process::CommandExt); it then has no
/// capability. Its limit is that of the case.
#[must_use]
pub fn entry(name: &str) -> Command {
    // The link, not the path behind it: another user may not be able to walk there.
    let mut command = Command::new("/proc/self/exe");
    command.env(ENTRY, name);
    command
}

/// Runs a command to its end, and returns what it printed. If it fails, so does the case, with its output.
pub fn finish(command: &mut Command) -> String {
    match attempt(command) {
        (printed, None) => printed,
        (_, Some(failure)) => panic!("{failure}"),
    }
}

/// As [`finish`]: what it printed, and how it failed if it did.
pub(crate) fn attempt(command: &mut Command) -> (String, Option<String>) {
    let output = command.output().expect("the command starts");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.code() == Some(SKIPPED) {
        skip::skip(skip::reason(&printed));
    }
    let failure = (!output.status.success()).then(|| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        format!("{command:?}: {}\n{printed}{complaint}", output.status)
    });
    (printed, failure)
}

/// A process that goes on while the case does something else: the two talk by lines.
#[derive(Debug)]
pub struct Background {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Background {
    /// Starts a command. Its standard error is the case's.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the command starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("its output is piped"));
        Self { child, input, output }
    }

    /// Its process number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the next line that it prints, and fails the case if there is none.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("its output can be read");
        assert!(!line.is_empty(), "the process in the background ended early");
        line.trim_end().to_owned()
    }

    /// Sends it a line.
    pub fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().expect("its input is open");
        writeln!(input, "{line}").expect("it reads its input");
    }

    /// Closes its input, by which it should end, and fails the case if it failed.
    pub fn end(mut self) {
        drop(self.input.take());
        let status = self.child.wait().expect("it is our child");
        assert!(status.success(), "the process in the background: {status}");
    }
}

/// The name of the case that this process runs.
pub(crate) fn current_case() -> String {
    env::var(CASE).expect("only a case's own process asks")
}
