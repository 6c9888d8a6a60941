//! A second network namespace.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::{process, thread};

use nix::sched::{CloneFlags, setns, unshare};

/// Another network namespace than the case's. It lives as long as this does, or an interface's owner in it.
#[derive(Debug)]
pub struct OtherNamespace {
    file: File,
}

impl OtherNamespace {
    /// A new one, empty but for the loopback interface, which is down.
    #[must_use]
    pub fn new() -> Self {
        let file = thread::scope(|scope| {
            let maker = scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET).expect("root may make a network namespace");
                File::open("/proc/thread-self/ns/net").expect("a thread can see its own namespace")
            });
            maker.join().expect("the thread that makes the namespace does not panic")
        });
        Self { file }
    }

    /// Does something there, in a thread of its own.
    pub fn run<T: Send>(&self, there: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let visitor = scope.spawn(|| {
                setns(&self.file, CloneFlags::CLONE_NEWNET).expect("root may enter the namespace");
                there()
            });
            match visitor.join() {
                Ok(value) => value,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// A path by which other processes find it: `ip link set NAME netns PATH`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", process::id(), self.file.as_raw_fd())
    }
}

impl Default for OtherNamespace {
    fn default() -> Self {
        Self::new()
    }
}

/// The descriptor of the namespace, by which interfaces are moved there.
impl AsFd for OtherNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
