//! What keeps a program from creating interfaces, asked without creating one.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use tunctl_core::{CreateFlags, Error, Operation, Reason};
use tunctl_sys::linux::{InterfaceRequest, tun};

use crate::opener::Opener;
use crate::remedy::{self, Attempt};
use crate::{LinuxBackend, diagnose, errno};

/// The flags of a request for an interface of no layer, which no kernel creates.
const NO_LAYER: u16 = 0;

impl LinuxBackend {
    /// Everything that keeps this program from creating interfaces here: empty if it may.
    ///
    /// [`create`](tunctl_core::TunBackend::create) reports the first obstacle that it meets. This goes on
    /// behind it: of a container without the node and without the capability, it reports both. Each is the
    /// error that `create` would return, with its cause and remedy.
    ///
    /// ```no_run
    /// for obstacle in tunctl_linux::LinuxBackend::new().obstacles() {
    ///     eprintln!("{obstacle}");
    /// }
    /// ```
    ///
    /// Nothing is created, and no other program can notice the question. The kernel itself is asked: it
    /// checks whether the caller may create an interface before it looks at the layer, so a request without
    /// a layer is refused for one of the two reasons (`tun_set_iff`, Linux 6.1 to 7.3). Only if the node
    /// cannot be opened, the missing right is derived from the thread's capabilities. As any opening of the
    /// node does, this loads the driver's module where the system does so by itself.
    ///
    /// # Platform
    ///
    /// Linux only.
    #[doc(alias = "TUNSETIFF")]
    #[doc(alias = "CAP_NET_ADMIN")]
    #[must_use]
    pub fn obstacles(&self) -> Vec<Error> {
        let netlink = self.connect(Operation::Create).err();
        let (node, right) = match self.opener().node(self.node()) {
            Ok(fd) => (None, refusal(fd.as_fd())),
            Err(reason) => (Some(reason), self.missing_right()),
        };
        let reasons = [node, right].into_iter().flatten();
        netlink.into_iter().chain(reasons.map(|reason| reason.of(Operation::Create))).collect()
    }

    /// What the caller lacks, as far as its capabilities show. In another namespace they do not.
    fn missing_right(&self) -> Option<Reason> {
        let lacks = *self.opener() == Opener::Here && !diagnose::caller().is_privileged();
        lacks.then(|| explained(Errno::EPERM))
    }
}

/// Why the kernel would not let the caller create an interface.
fn refusal(fd: BorrowedFd<'_>) -> Option<Reason> {
    let mut request = InterfaceRequest::new(b"", NO_LAYER)?;
    match errno::of(&tun::set_iff(fd, &mut request).err()?) {
        Errno::EINVAL => None,
        errno => Some(explained(errno).with_errno(errno as i32)),
    }
}

/// The reason of `create`, for a tun of any name.
fn explained(errno: Errno) -> Reason {
    let attempt = Attempt {
        operation: Operation::Create,
        flags: CreateFlags::TUN | CreateFlags::NO_PI,
        name: None,
        index: None,
        existing: None,
        holders: Vec::new(),
    };
    remedy::attach(errno, attempt, &diagnose::caller())
}
