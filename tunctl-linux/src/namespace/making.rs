//! New namespaces.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use nix::errno::Errno;
use nix::unistd::{getegid, geteuid};
use tunctl_core::{Cause, Reason};
use tunctl_sys::linux::elsewhere::{self, Failure, Kind, Step};
use tunctl_sys::linux::process::CAP_SYS_ADMIN;

use super::{Namespace, own};
use crate::{diagnose, netns, visit};

/// The user namespace of the namespaces that this process makes without privilege, while there are any.
static SHARED: Mutex<Weak<OwnedFd>> = Mutex::new(Weak::new());

/// Makes one, whose loopback interface is down.
pub(super) fn make() -> Result<Namespace, Reason> {
    if !diagnose::has_capability(CAP_SYS_ADMIN) {
        return make_below();
    }
    let make = || {
        Step::Leave(Kind::Network).take()?;
        own(Kind::Network).open()
    };
    let file = visit::on_a_fresh_thread(make)?.map_err(|error| not_made(&error))?;
    Namespace::from_file(file)?.ok_or_else(|| Cause::NotANamespace.into())
}

/// Makes one that belongs to a user namespace below the caller's.
fn make_below() -> Result<Namespace, Reason> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let in_shared = |user: Arc<OwnedFd>| {
        let steps = [Step::Enter(Kind::User, user.clone()), Step::Leave(Kind::Network), own(Kind::Network)];
        match elsewhere::in_child(&steps) {
            Ok(files) => Some(Ok((files, user))),
            // The program has become another user since.
            Err(Failure { step: Some(0), .. }) => None,
            Err(failure) => Some(Err(failure)),
        }
    };
    let (mut files, user) = match shared.upgrade().and_then(in_shared) {
        Some(made) => made.map_err(|failure| not_made_by_child(&failure))?,
        None => {
            let steps = [
                Step::Leave(Kind::User),
                map_own_ids(),
                Step::Leave(Kind::Network),
                own(Kind::User),
                own(Kind::Network),
            ];
            let mut files = elsewhere::in_child(&steps).map_err(|failure| not_made_by_child(&failure))?;
            let user = Arc::new(files.swap_remove(0));
            *shared = Arc::downgrade(&user);
            (files, user)
        }
    };
    drop(shared);
    let made = files.pop().map_or(Ok(None), Namespace::from_file)?;
    made.map(|made| Namespace { user: Some(user), ..made }).ok_or_else(|| Cause::NotANamespace.into())
}

/// The caller's own ids, as 0.
fn map_own_ids() -> Step {
    // A number contains no NUL.
    let line = |id: u32| CString::new(format!("0 {id} 1")).unwrap_or_default();
    Step::MapIds { users: line(geteuid().as_raw()), groups: line(getegid().as_raw()) }
}

fn not_made_by_child(failure: &Failure) -> Reason {
    match failure.step {
        Some(_) => not_made(&failure.error),
        None => visit::not_started(&failure.error),
    }
}

fn not_made(error: &io::Error) -> Reason {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(errno @ (Errno::EPERM | Errno::EACCES | Errno::ENOSPC | Errno::EUSERS)) => {
            netns::reason(errno).with_errno(errno as i32)
        }
        Some(errno @ Errno::EINVAL) => Reason::new(Cause::NamespacesRefused)
            .with_errno(errno as i32)
            .with_detail("this kernel was built without user or network namespaces"),
        _ => diagnose::reason(error),
    }
}
