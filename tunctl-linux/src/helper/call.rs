//! One run of the helper: started, asked, and waited for, however it behaves.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, send, socketpair};
use std::os::fd::AsRawFd;
use tunctl_core::{Cause, Readiness, Reason, WaitOutcome};
use tunctl_helper::protocol::{REPLY_SIZE, Reply, Request};
use tunctl_sys::linux::rights::{self, Received};

use crate::errno;
use crate::remedy::{self, unusable_helper};
use crate::wait::wait;

/// How long an answer may take. The helper ends itself after 10 seconds.
const PATIENCE: Duration = Duration::from_secs(12);
/// How long it may stay after its answer, for which there is nothing left to do.
const GRACE: Duration = Duration::from_secs(2);
/// Where the waiting for its end begins.
const PAUSE: Duration = Duration::from_micros(100);

/// What the helper answers, with a descriptor if the interface is there. When this returns, the helper has
/// ended.
pub(super) fn call(program: &Path, request: &Request) -> Result<(Reply, Option<OwnedFd>), Reason> {
    let (near, far) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
        .map_err(|errno| remedy::from_errno(errno).with_errno(errno as i32))?;
    // It is there before the helper looks.
    send(near.as_raw_fd(), &request.to_bytes(), MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT)
        .map_err(|errno| remedy::from_errno(errno).with_errno(errno as i32))?;
    let running = Running::start(program, far)?;
    let mut bytes = [0; REPLY_SIZE];
    let received = receive(&near, &mut bytes);
    drop(near);
    let status = running.end(if matches!(received, Ok(None)) { Duration::ZERO } else { GRACE });
    match received? {
        Some(received) if received.length == 0 => Err(silent(status)),
        Some(received) => sort(&bytes, received),
        None => Err(unusable_helper(format!("has not answered for {} seconds", PATIENCE.as_secs()))),
    }
}

/// The answer; `None` if none comes in time.
fn receive(socket: &OwnedFd, bytes: &mut [u8]) -> Result<Option<Received>, Reason> {
    let waited = wait(socket.as_fd(), Readiness::Readable, Some(PATIENCE), None);
    match waited.map_err(|errno| remedy::from_errno(errno).with_errno(errno as i32))? {
        WaitOutcome::Ready => {}
        _ => return Ok(None),
    }
    let nothing = Received { length: 0, descriptors: Vec::new(), is_cut: false, lacks_descriptors: false };
    match rights::receive(socket.as_fd(), bytes) {
        Ok(received) => Ok(Some(received)),
        // It has ended and left the request unread.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(Some(nothing)),
        Err(error) => {
            let errno = errno::of(&error);
            Err(remedy::from_errno(errno).with_errno(errno as i32))
        }
    }
}

/// Takes nothing but a whole answer, with a descriptor exactly if it grants something. All others are closed.
fn sort(bytes: &[u8], received: Received) -> Result<(Reply, Option<OwnedFd>), Reason> {
    let Received { length, mut descriptors, is_cut, lacks_descriptors } = received;
    let reply = bytes.get(..length).and_then(Reply::from_bytes).filter(|_| !is_cut);
    let Some(reply) = reply else {
        return Err(unusable_helper("has answered in a form that this program does not know"));
    };
    match (reply, descriptors.pop()) {
        (Reply::Granted(_), None) if lacks_descriptors => Err(remedy::from_errno(nix::errno::Errno::EMFILE)),
        (Reply::Granted(_), None) => Err(unusable_helper("has sent no descriptor")),
        (Reply::Granted(_), Some(_)) if lacks_descriptors || !descriptors.is_empty() => {
            Err(unusable_helper("has sent more than one descriptor"))
        }
        (Reply::Refused(_), Some(_)) => Err(unusable_helper("has refused, and sent a descriptor")),
        (reply, descriptor) => Ok((reply, descriptor)),
    }
}

/// It ended without an answer.
fn silent(status: Option<ExitStatus>) -> Reason {
    let status = status.map_or_else(String::new, |status| format!(" ({status})"));
    unusable_helper(format!("has ended without an answer{status}"))
}

/// A helper that was started and not waited for yet.
struct Running(Child);

impl Running {
    /// Starts it with one end of the pair as its standard input, and with nothing else of the program's.
    fn start(program: &Path, socket: OwnedFd) -> Result<Self, Reason> {
        let mut command = Command::new(program);
        command.env_clear().stdin(Stdio::from(socket)).stdout(Stdio::null()).stderr(Stdio::null());
        // With the command, the program's own copy of that end goes: when the helper ends, it is the last.
        command.spawn().map(Self).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => missing_helper(program),
            _ => {
                let reason = Reason::from_io(&error);
                match reason.cause() {
                    Cause::TooManyOpenFiles => reason,
                    _ => cannot_start(program, &error),
                }
            }
        })
    }

    /// Waits for its end, and ends it after that time: how it ended, if the system says so. It does not to a
    /// program that ignores `SIGCHLD`.
    fn end(mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        let mut pause = PAUSE;
        while Instant::now() < deadline {
            match self.0.try_wait() {
                Ok(None) => thread::sleep(pause),
                outcome => return outcome.ok().flatten(),
            }
            pause = (pause * 2).min(Duration::from_millis(10));
        }
        // It may have ended at this moment.
        let _ = self.0.kill();
        self.0.wait().ok()
    }
}

/// There is no such program.
fn missing_helper(program: &Path) -> Reason {
    Reason::new(Cause::MissingHelper).with_detail(format!("{} does not exist", program.display()))
}

fn cannot_start(program: &Path, error: &io::Error) -> Reason {
    let reason = unusable_helper(format!("does not start: {}", program.display()));
    error.raw_os_error().map_or_else(|| reason.clone(), |errno| reason.clone().with_errno(errno))
}
