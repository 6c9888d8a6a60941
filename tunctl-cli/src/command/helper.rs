//! `tunctl helper`: the privileged helper is installed, examined and removed.

mod elf;
mod install;
mod place;
mod program;
mod status;
mod undo;
mod uninstall;

use std::io::{self, BufWriter, Write};

use clap::{Args, Subcommand};
use nix::unistd::geteuid;
use tunctl::Escaped;

use super::ending::ending_signals;
use super::{Failure, Outcome, output, output_advice};

pub(super) use status::{HelperStatus, PolicyStatus, Status};

/// Install the privileged helper, examine it, or remove it
///
/// The helper, tunctl-helper, creates interfaces for users without privilege, as its policy allows:
/// /etc/tunctl/policy.toml, which "tunctl policy check" explains. A program asks it through the library, and
/// "tunctl create" does where creation is refused.
#[derive(Args)]
pub(super) struct Helper {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Install(install::Install),
    Status(status::ShowStatus),
    Uninstall(uninstall::Uninstall),
}

impl Helper {
    pub(super) fn run(self) -> Outcome<std::process::ExitCode> {
        match self.action {
            Action::Install(install) => install.run()?,
            Action::Status(status) => return status.run(),
            Action::Uninstall(uninstall) => uninstall.run()?,
        }
        Ok(std::process::ExitCode::SUCCESS)
    }
}

/// A step that was taken.
struct Done {
    what: &'static str,
    text: String,
}

impl Done {
    fn new(what: &'static str, text: impl Into<String>) -> Self {
        Self { what, text: text.into() }
    }
}

/// Refuses who is not root, and has signals wait that would end the program in the middle.
fn require_root(what: &str) -> Outcome {
    if !geteuid().is_root() {
        return Err(Failure::Said(format!("{what}: this takes root. Run it with sudo.")));
    }
    let _ = ending_signals().thread_block();
    Ok(())
}

/// Prints the steps. If that fails, they were taken all the same.
fn report(done: &[Done], outcome: &str) -> Outcome {
    write(done).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Output(error),
        _ => Failure::Said(format!(
            "Not undone: {outcome}, but cannot say so: write the output: {error}{}",
            output_advice(&error)
        )),
    })
}

fn write(done: &[Done]) -> io::Result<()> {
    let mut to = BufWriter::new(io::stdout().lock());
    done.iter().try_for_each(|Done { what, text }| write_beside(&mut to, what, text))?;
    to.flush()
}

/// Writes what something is called, and its text beside it, which may be others' words. Further lines of the
/// text stay as they are.
pub(super) fn write_beside(mut to: impl Write, what: &str, text: &str) -> io::Result<()> {
    const INDENT: usize = 14;
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let what = format!("{what:12}");
    let mut line = output::Columns::new(output::width(), INDENT);
    line.push(0, &what, &what);
    line.push_words(2, &Escaped::new(first).to_string());
    writeln!(to, "{}", line.finish())?;
    rest.lines().try_for_each(|line| writeln!(to, "{:INDENT$}{}", "", Escaped::new(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_lines_stay_as_they_are() {
        let mut text = Vec::new();
        write_beside(&mut text, "policy", "line 2:\n  |  x\x1b\n  |  ^").unwrap();
        let expected = "policy        line 2:\n                |  x\\u{1b}\n                |  ^\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
}
