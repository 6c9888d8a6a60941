//! `tunctl lab -- COMMAND`: runs a command in the lab's namespace, while the other hosts answer it.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::thread;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use tunctl::linux::LinuxDevice;
use tunctl_sys::linux::process::unblock_signals;

use super::DEVICE;
use super::responder::Responder;
use crate::command::signals::{Caught, Signals};
use crate::command::{Failure, Outcome, complain};

pub(super) fn run(device: LinuxDevice, program: &str, arguments: &[String]) -> Outcome<ExitCode> {
    // Signals must not end this program before the command. Those sent to this program alone are passed on.
    let signals = Signals::catch()?;
    let responder = Responder::new(device);
    thread::spawn(move || {
        if let Err(failure) = responder.answer(None) {
            failure.report();
        }
    });
    let mut command = Command::new(program);
    command.args(arguments).env("TUNCTL_DEVICE", DEVICE);
    unblock_signals(&mut command);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            // The statuses that shells use for these two failures.
            let (status, advice) = match error.kind() {
                io::ErrorKind::NotFound => (127, "Is it installed, and in PATH?"),
                _ => (126, "Is it a program, and executable?"),
            };
            complain(&format_args!("run {program}: {error}. {advice}"));
            return Ok(ExitCode::from(status));
        }
    };
    let pid = process_id(&child)?;
    thread::spawn(move || {
        while let Ok(Caught { signal, by_terminal }) = signals.wait() {
            if !by_terminal {
                // This fails if the command has just ended.
                let _ = kill(pid, signal);
            }
        }
    });
    let status = child.wait().map_err(|error| Failure::Said(format!("wait for {program}: {error}")))?;
    Ok(exit_code(status))
}

fn process_id(child: &Child) -> Outcome<Pid> {
    i32::try_from(child.id())
        .map(Pid::from_raw)
        .map_err(|_| Failure::Said("the process id is out of range".into()))
}

/// The command's own status, or, as in shells, 128 plus the number of the signal that ended it.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
