//! The command line: one module for each subcommand, and shared code.
//!
//! Exit status: 0 done; 1 failed, with a message that says what, why and what to do; 2 wrong usage.
#![allow(clippy::doc_markdown, reason = "the documentation of arguments is the help text of a terminal")]

mod advice;
mod arguments;
mod create;
mod delete;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod doctor;
mod duration;
mod ending;
mod events;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod features;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod helped;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "command/no_helper.rs"]
mod helped;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod helper;
mod kind;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod lab;
mod list;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod master;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "command/no_master.rs"]
mod master;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod netns;
mod output;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod packets;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod policy;
mod properties;
mod pump;
mod reports;
mod run;
mod set;
mod shortage;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod signals;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "command/signals_by_thread.rs"]
mod signals;
mod updown;
mod usage;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod watch;

#[cfg(any(target_os = "linux", target_os = "android"))]
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nix::sys::signal::{SigSet, Signal};
use tunctl::Native;

/// Create, configure, watch and try out TUN/TAP interfaces.
#[derive(Parser)]
#[command(name = "tunctl", version, max_term_width = 100)]
#[cfg_attr(
    any(target_os = "linux", target_os = "android"),
    command(after_help = "To see packets now, without touching this system's network: tunctl lab\n\
                      If something does not work: tunctl doctor")
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Work in another network namespace: that of "ip netns add NAME", or of process PID
    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[arg(long, global = true, value_name = "NAME|PID")]
    netns: Option<OsString>,
}

impl Arguments {
    /// The backend where the command is to work.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn backend(&self) -> Outcome<Native> {
        match (&self.netns, &self.command) {
            (None, _) => Ok(tunctl::native()),
            (Some(_), Command::Lab(_)) => {
                Err(Failure::Usage("lab has a network namespace of its own: leave out --netns".into()))
            }
            (Some(_), Command::Helper(_) | Command::Policy(_)) => Err(Failure::Usage(
                "the helper works in the network namespace of the program that starts it: leave out --netns, or \
                 run this command there (ip netns exec)"
                    .into(),
            )),
            (Some(netns), _) => Ok(netns::backend(netns)?),
        }
    }

    /// Whether that is another network namespace than the caller's.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const fn is_elsewhere(&self) -> bool {
        self.netns.is_some()
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    #[allow(clippy::unused_self, reason = "elsewhere there is a choice")]
    const fn is_elsewhere(&self) -> bool {
        false
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "elsewhere there is a choice")]
    fn backend(&self) -> Outcome<Native> {
        Ok(tunctl::native())
    }
}

#[derive(Subcommand)]
enum Command {
    Create(create::Create),
    Delete(delete::Delete),
    Up(updown::Up),
    Down(updown::Down),
    Set(set::Set),
    Show(list::Show),
    List(list::List),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Doctor(doctor::Doctor),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Features(features::Features),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Watch(watch::Watch),
    Events(events::Events),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Lab(lab::Lab),
    Run(run::Run),
    Pump(pump::Pumping),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Helper(helper::Helper),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Policy(policy::Policy),
}

/// Why a subcommand failed.
#[derive(Debug)]
enum Failure {
    /// An error of the library, with its own explanation and remedy.
    Tun(tunctl::Error),
    /// A message of the command itself.
    Said(String),
    /// Wrong usage that clap cannot detect: arguments that contradict each other.
    Usage(String),
    /// Standard output is closed, or full.
    Output(io::Error),
}

impl From<tunctl::Error> for Failure {
    fn from(error: tunctl::Error) -> Self {
        Self::Tun(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

type Outcome<T = ()> = Result<T, Failure>;

pub(crate) fn main() -> ExitCode {
    survive_file_size_limit();
    run(usage::parse()).unwrap_or_else(Failure::report)
}

fn run(arguments: Arguments) -> Outcome<ExitCode> {
    let backend = &arguments.backend()?;
    let elsewhere = arguments.is_elsewhere();
    match arguments.command {
        Command::Create(create) => create.run(backend, elsewhere)?,
        Command::Delete(delete) => return Ok(delete.run(backend)),
        Command::Up(up) => up.run(backend)?,
        Command::Down(down) => down.run(backend)?,
        Command::Set(set) => set.run(backend)?,
        Command::Show(show) => show.run(backend)?,
        Command::List(list) => list.run(backend)?,
        #[cfg(any(target_os = "linux", target_os = "android"))]
        Command::Doctor(doctor) => return doctor.run(backend, elsewhere),
        #[cfg(any(target_os = "linux", target_os = "android"))]
        Command::Features(features) => features.run(backend)?,
        #[cfg(any(target_os = "linux", target_os = "android"))]
        Command::Watch(watch) => watch.run(backend)?,
        Command::Events(events) => events.run(backend)?,
        #[cfg(any(target_os = "linux", target_os = "android"))]
        Command::Lab(lab) => return lab.run(),
        Command::Run(run) => run.run(backend)?,
        Command::Pump(pump) => pump.run(backend, elsewhere)?,
        #[cfg(any(target_os = "linux", target_os = "android"))]
        Command::Helper(helper) => return helper.run(),
        #[cfg(any(target_os = "linux", target_os = "android"))]
        Command::Policy(policy) => return policy.run(),
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes a write past the caller's limit of file sizes (`ulimit -f`) fail as any other write may. Its signal
/// would end the program before it can clean up.
fn survive_file_size_limit() {
    // If this fails, the program does all else as well.
    let _ = SigSet::from(Signal::SIGXFSZ).thread_block();
}

impl Failure {
    fn report(self) -> ExitCode {
        match self {
            Self::Tun(error) => complain(&advice::message(&error)),
            Self::Said(text) => complain(&text),
            Self::Usage(text) => {
                complain(&format_args!("{text}. For more, try: tunctl --help"));
                return ExitCode::from(2);
            }
            // The reader has seen enough: `tunctl list | head -1`.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Self::Output(error) => {
                complain(&format_args!("write the output: {error}{}", output_advice(&error)));
            }
        }
        ExitCode::FAILURE
    }
}

/// What to do when the output could not be written, to follow the error.
fn output_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull => ". Make room where it goes.",
        io::ErrorKind::FileTooLarge => ". Raise the limit (ulimit -f).",
        _ => "",
    }
}

/// Prints a message to standard error. If that fails, the exit status is all that remains.
fn complain(what: &impl Display) {
    note(&format_args!("tunctl: {what}"));
}

/// Prints a line for a person to standard error. What the program does must not depend on whether anybody can
/// read it: `eprintln!` would panic where standard error is full or closed.
fn note(what: &impl Display) {
    let _ = writeln!(io::stderr(), "{what}");
}
