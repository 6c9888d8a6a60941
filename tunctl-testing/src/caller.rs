//! Another caller: ids and privilege that the process takes on for a while.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use nix::errno::Errno;
use nix::sys::prctl::set_dumpable;
use nix::unistd::{
    Gid, Uid, getegid, geteuid, getgid, getgroups, getuid, setegid, seteuid, setgroups, setresgid, setresuid,
};
use tunctl_sys::linux::process::{CAP_NET_ADMIN, CapabilitySets, capabilities, set_capabilities};

const NET_ADMIN: u64 = 1 << CAP_NET_ADMIN;

/// Does something with these effective ids, no other groups, and with or without `CAP_NET_ADMIN`; afterwards,
/// or when it panics, the process is as it was.
///
/// The ids are those of all threads, the capabilities those of the calling one. A user other than root has no
/// capability but that one; root without it has all others.
pub fn as_caller(uid: u32, gid: u32, capable: bool, work: &mut dyn FnMut()) {
    let before = Identity::current();
    Identity::of(uid, gid, capable, &before).assume();
    let outcome = catch_unwind(AssertUnwindSafe(work));
    before.assume();
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

/// Does something as root, with all that root of this namespace may do, whoever the caller is at the moment.
pub fn as_root<T>(work: impl FnOnce() -> T) -> T {
    let sets = capabilities().expect("a thread can ask for its capabilities");
    if geteuid().is_root() && sets.effective == sets.permitted {
        return work();
    }
    let (mut work, mut done) = (Some(work), None);
    as_caller(0, 0, true, &mut || done = work.take().map(|work| work()));
    done.expect("the work was done")
}

/// Becomes this user, with this group alone and no capability in effect. What the process starts from now on
/// is that user's in every respect, and [`as_root`] still works: the saved ids stay root's.
pub fn become_user(uid: u32, gid: u32) {
    let become_it = || {
        setgroups(&[])?;
        setresgid(Gid::from_raw(gid), Gid::from_raw(gid), Gid::from_raw(0))?;
        // This takes the effective capabilities away, and leaves the permitted ones.
        setresuid(Uid::from_raw(uid), Uid::from_raw(uid), Uid::from_raw(0))?;
        // As in `assume`.
        set_dumpable(true)
    };
    become_it().unwrap_or_else(|errno| panic!("become uid {uid}, gid {gid}: {errno}"));
}

/// Does something as another user in every respect, as [`become_user`] does; afterwards, or when it panics,
/// the process is as it was.
pub fn as_other_user(uid: u32, gid: u32, work: &mut dyn FnMut()) {
    let (user, group) = (getuid(), getgid());
    let before = Identity::current();
    seteuid(Uid::from_raw(0)).unwrap_or_else(|errno| panic!("become root: {errno}"));
    become_user(uid, gid);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    let back = || {
        seteuid(Uid::from_raw(0))?;
        setresgid(group, Gid::from_raw(0), Gid::from_raw(0))?;
        setresuid(user, Uid::from_raw(0), Uid::from_raw(0))
    };
    back().unwrap_or_else(|errno| panic!("become {user} again: {errno}"));
    before.assume();
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

/// Who one is.
struct Identity {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
    capabilities: CapabilitySets,
}

impl Identity {
    fn current() -> Self {
        Self {
            uid: geteuid(),
            gid: getegid(),
            groups: getgroups().expect("a process can ask for its groups"),
            capabilities: capabilities().expect("a thread can ask for its capabilities"),
        }
    }

    fn of(uid: u32, gid: u32, capable: bool, before: &Self) -> Self {
        let permitted = before.capabilities.permitted;
        let effective = match (uid, capable) {
            (0, true) => permitted | NET_ADMIN,
            (0, false) => permitted & !NET_ADMIN,
            (_, true) => NET_ADMIN,
            (_, false) => 0,
        };
        Self {
            uid: Uid::from_raw(uid),
            gid: Gid::from_raw(gid),
            groups: Vec::new(),
            capabilities: CapabilitySets { effective, ..before.capabilities },
        }
    }

    /// Becomes it. The real uid stays root's, and with it the permission to come back.
    fn assume(&self) {
        let taken = self.try_to_assume();
        taken.unwrap_or_else(|errno| {
            panic!(
                "become uid {}, gid {}: {errno} (it needs a root to whom those ids exist)",
                self.uid, self.gid
            )
        });
    }

    fn try_to_assume(&self) -> Result<(), Errno> {
        // As root, who may change the rest.
        seteuid(Uid::from_raw(0))?;
        if getgroups()? != self.groups {
            match setgroups(&self.groups) {
                // Where ids are not mapped, groups cannot be set, and those that one has do not exist.
                Err(Errno::EPERM) if self.gid.as_raw() == 0 => {}
                outcome => outcome?,
            }
        }
        setegid(self.gid)?;
        // This takes the effective capabilities away, and leaves the permitted ones.
        seteuid(self.uid)?;
        set_capabilities(self.capabilities)
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or_default()))?;
        // Else its own entries in /proc would belong to the machine's root: the kernel takes it for a program
        // that changed its user by a set-uid bit.
        set_dumpable(true)
    }
}
