//! `tunctl lab -- COMMAND`: runs a command in the lab's namespace, while the other hosts answer it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::mpsc::{self, Receiver};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tunctl::linux::LinuxDevice;
use tunctl_sys::exec::unblock_signals;
use tunctl_sys::signal::set_default;

use super::DEVICE;
use super::responder::Responder;
use crate::command::shortage::{advice as shortage_advice, start};
use crate::command::signals::{Caught, Signals};
use crate::command::{Failure, Outcome, complain};

pub(super) fn run(device: LinuxDevice, program: &OsStr, arguments: &[OsString]) -> Outcome<ExitCode> {
    // Signals must not end this program before the command. Those sent to this program alone are passed on.
    let signals = Signals::catch()?;
    // Where the caller has it ignored, the kernel would not tell how the command ended.
    set_default(Signal::SIGCHLD as i32)
        .map_err(|error| Failure::Said(format!("wait for programs: {error}")))?;
    let responder = Responder::new(device);
    // Both threads start before the command, which would run on by itself if one of them could not.
    start(move || {
        if let Err(failure) = responder.answer(None) {
            failure.report();
        }
    })?;
    let (tell, started) = mpsc::channel();
    start(move || forward(&signals, &started))?;

    let mut command = Command::new(program);
    command.args(arguments).env("TUNCTL_DEVICE", DEVICE);
    unblock_signals(&mut command);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return not_started(program, &error),
    };
    // This fails if the thread has ended, which then passes nothing on.
    let _ = tell.send(Pid::from_raw(child.id().cast_signed()));
    let status =
        child.wait().map_err(|error| Failure::Said(format!("wait for {}: {error}", program.display())))?;
    Ok(exit_code(status))
}

/// Passes the signals on to the command, once it has started.
fn forward(signals: &Signals, started: &Receiver<Pid>) {
    let Ok(pid) = started.recv() else { return };
    while let Ok(Caught { signal, by_terminal }) = signals.wait() {
        if !by_terminal {
            // This fails if the command has just ended.
            let _ = kill(pid, signal);
        }
    }
}

/// Says why the command was not started, with the status that shells use where the command is to blame.
fn not_started(program: &OsStr, error: &io::Error) -> Outcome<ExitCode> {
    let program = program.display();
    if let Some(advice) = shortage_advice(error) {
        return Err(Failure::Said(format!("run {program}: {error}. {advice}")));
    }
    let (status, advice) = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT) => (127, ". Is it installed, and in PATH?"),
        Some(Errno::EACCES | Errno::EISDIR | Errno::ENOEXEC | Errno::ENOTDIR) => {
            (126, ". Is it a program, and executable?")
        }
        Some(Errno::E2BIG) => (126, ". Its arguments and its environment are too long."),
        _ => (126, ""),
    };
    complain(&format_args!("run {program}: {error}{advice}"));
    Ok(ExitCode::from(status))
}

/// The command's own status, or, as in shells, 128 plus the number of the signal that ended it.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
