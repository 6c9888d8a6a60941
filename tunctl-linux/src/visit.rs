//! Threads that visit a namespace: each is made for it, and ends with its visit.

use std::io;
use std::panic;
use std::thread;

use nix::errno::Errno;
use tunctl_core::Reason;

use crate::{diagnose, netns};

/// Does something on a thread of its own, whose end it waits for. So no other thread is ever where it should
/// not be, also after a panic, which goes on in the caller.
pub(crate) fn on_a_fresh_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, Reason> {
    thread::scope(|scope| {
        let visitor = thread::Builder::new()
            .name("namespace".to_owned())
            .spawn_scoped(scope, work)
            .map_err(|error| not_started(&error))?;
        match visitor.join() {
            Ok(value) => Ok(value),
            Err(payload) => panic::resume_unwind(payload),
        }
    })
}

/// Why a thread or a child was not started.
pub(crate) fn not_started(error: &io::Error) -> Reason {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EAGAIN) => netns::no_process("no further process or thread may be started"),
        _ => diagnose::reason(error),
    }
}
