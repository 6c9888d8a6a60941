//! The filter of system calls.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::RawFd;

use nix::errno::Errno;
use nix::libc::{self, c_long};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};

use crate::routers::FLAGS;
use tunctl_sys::linux::{SIOCSIFHWADDR, TUNGETIFF, TUNSETIFF, TUNSETOWNER};

/// Calls with any arguments: sockets that are open, memory, waiting, the capability, the end.
const CALLS: [c_long; 18] = [
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_capset,
    libc::SYS_clock_nanosleep,
    // On a machine whose clock is no vDSO's.
    libc::SYS_clock_gettime,
    libc::SYS_restart_syscall,
    libc::SYS_close,
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigprocmask,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// The requests of the TUN driver.
const REQUESTS: [u32; 4] = [TUNSETIFF, TUNGETIFF, TUNSETOWNER, SIOCSIFHWADDR];

/// From here on, any other call ends the process.
///
/// Files can be opened in the folder of that descriptor alone, to be written.
pub(crate) fn enter(settings: Option<RawFd>) -> io::Result<()> {
    let program = filter(settings).map_err(io::Error::other)?;
    apply_filter(&program).map_err(|_| Errno::EINVAL)?;
    Ok(())
}

fn filter(settings: Option<RawFd>) -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<c_long, Vec<SeccompRule>> = CALLS.iter().map(|&call| (call, vec![])).collect();
    let requests = REQUESTS.iter().map(|&request| {
        let condition =
            SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, u64::from(request))?;
        SeccompRule::new(vec![condition])
    });
    rules.insert(libc::SYS_ioctl, requests.collect::<Result<_, _>>()?);
    if let Some(folder) = settings.and_then(|folder| u64::try_from(folder).ok()) {
        let is = |argument, value| {
            SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
        };
        let flags = u64::try_from(FLAGS.bits()).unwrap_or_default();
        rules.insert(libc::SYS_openat, vec![SeccompRule::new(vec![is(0, folder)?, is(2, flags)?])?]);
        rules.insert(libc::SYS_write, Vec::new());
    }
    let machine = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, machine)?.try_into()
}
