//! The one capability of the helper: whether it has it, and when it uses it.

use std::{fs, io};

use nix::sys::statvfs::{FsFlags, statvfs};
use tunctl_sys::linux::process::{
    CAP_NET_ADMIN, CAP_SETPCAP, CapabilitySets, bounding_set, capabilities, clear_ambient_set,
    drop_from_bounding_set, forbid_new_privileges, has_no_new_privileges, set_capabilities,
};

use crate::protocol::{Refusal, Step};

const NET_ADMIN: u64 = 1 << CAP_NET_ADMIN;

/// Why the kernel has not given this program its capability when it was started; `None` if it has.
pub(crate) fn missing() -> io::Result<Option<Refusal>> {
    if capabilities()?.permitted & NET_ADMIN != 0 {
        return Ok(None);
    }
    let refusal = if has_no_new_privileges()? {
        Refusal::NoNewPrivileges
    } else if bounding_set()? & NET_ADMIN == 0 {
        Refusal::BoundingSet
    } else if statvfs("/proc/self/exe")?.flags().contains(FsFlags::ST_NOSUID) {
        Refusal::NosuidMount
    } else if is_traced()? {
        Refusal::Traced
    } else {
        Refusal::NotGranted
    };
    Ok(Some(refusal))
}

fn is_traced() -> io::Result<bool> {
    let status = fs::read_to_string("/proc/self/status")?;
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
    Ok(tracer.is_some_and(|tracer| tracer.trim() != "0"))
}

/// Gives up every right but that one, which is not in use from here on, and the way to others.
///
/// To change the bounding set takes a capability of its own, which the helper has only if root has started
/// it. For everybody else the set stays as it is: with `no_new_privs`, no program gains anything from it.
pub(crate) fn give_up_others() -> io::Result<()> {
    clear_ambient_set()?;
    let mut sets = capabilities()?;
    if sets.permitted >> CAP_SETPCAP & 1 == 1 {
        sets.effective |= 1 << CAP_SETPCAP;
        set_capabilities(sets)?;
        let bounds = bounding_set()?;
        for capability in (0..64).filter(|capability| bounds >> capability & 1 == 1) {
            drop_from_bounding_set(capability)?;
        }
    }
    set_effective(0)?;
    forbid_new_privileges()
}

fn set_effective(effective: u64) -> io::Result<()> {
    set_capabilities(CapabilitySets { effective, permitted: NET_ADMIN, inheritable: 0 })
}

/// Does something with the right to configure networks, which is not in use before and afterwards.
pub(crate) fn with_right<T>(step: Step, work: impl FnOnce() -> io::Result<T>) -> Result<T, Refusal> {
    let failed = |error: io::Error| refused(step, &error);
    set_effective(NET_ADMIN).map_err(failed)?;
    let outcome = work();
    set_effective(0).map_err(failed)?;
    outcome.map_err(failed)
}

/// The refusal of a step that has failed.
pub(crate) fn refused(step: Step, error: &io::Error) -> Refusal {
    Refusal::Kernel { step, errno: error.raw_os_error().unwrap_or_default() }
}
