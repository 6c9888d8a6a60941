//! Where a backend opens the node and its sockets: the one place that decides it.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use tunctl_core::{Cause, Reason};
use tunctl_sys::linux::elsewhere::Step;
use tunctl_sys::linux::{netlink_socket, packet_socket};

use crate::namespace::Refusal;
use crate::remedy::{self, CallerContext};
use crate::{Namespace, diagnose, errno};

/// In which network namespace descriptors are opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Opener {
    /// Where the calling thread is.
    Here,
    There(Namespace),
}

impl Opener {
    /// The namespace, as `/proc/PID/ns/net` links to it. Empty if it could not be learnt.
    pub(crate) fn namespace(&self) -> PathBuf {
        match self {
            Self::Here => current_namespace(),
            Self::There(namespace) => namespace.link().to_owned(),
        }
    }

    /// Opens the driver's node.
    pub(crate) fn node(&self, node: &Path) -> Result<OwnedFd, Reason> {
        let Ok(path) = CString::new(node.as_os_str().as_bytes()) else {
            return Err(Reason::new(Cause::MissingNode).with_detail("the node's path contains a NUL"));
        };
        self.open(&Step::Open { path, write: true }, |errno, caller| remedy::node(errno, node, caller))
    }

    /// Opens a netlink socket.
    pub(crate) fn netlink_socket(&self) -> Result<OwnedFd, Reason> {
        self.open(&netlink_socket::opening(), |errno, _| remedy::socket(errno, "AF_NETLINK"))
    }

    /// Opens a packet socket.
    pub(crate) fn packet_socket(&self) -> Result<OwnedFd, Reason> {
        self.open(&packet_socket::opening(), remedy::observe)
    }

    fn open(
        &self,
        step: &Step,
        explain: impl Fn(Errno, &CallerContext) -> Reason,
    ) -> Result<OwnedFd, Reason> {
        let opened = match self {
            Self::Here => step.open().map_err(Refusal::OfStep),
            Self::There(namespace) => namespace.open_there(step),
        };
        opened.map_err(|refusal| match refusal {
            Refusal::OfEntry(reason) => reason,
            Refusal::OfStep(error) if error.raw_os_error().is_none() => diagnose::reason(&error),
            Refusal::OfStep(error) => {
                let errno = errno::of(&error);
                explain(errno, &diagnose::caller()).with_errno(errno as i32)
            }
        })
    }
}

/// The calling thread's network namespace, as `/proc/thread-self/ns/net` links to it. Empty if it could not
/// be learnt.
pub(crate) fn current_namespace() -> PathBuf {
    std::fs::read_link("/proc/thread-self/ns/net").unwrap_or_default()
}
