//! A sandbox that forbids sockets of one family, as services, containers and Android have. Manual page:
//! `seccomp(2)`.
//!
//! It is for tests of what a program does there. It is no protection: it looks only at `socket(2)`, of the
//! machine's own word size.
#![allow(unsafe_code, reason = "prctl(2) has no safe wrapper for filters")]

use std::ffi::{c_int, c_long, c_ulong};
use std::io;

use libc::{sock_filter, sock_fprog};

// The parts of an instruction's code (`<linux/bpf_common.h>`), which libc does not have on Android.
const BPF_LD: u16 = 0x00;
const BPF_JMP: u16 = 0x05;
const BPF_RET: u16 = 0x06;
const BPF_W: u16 = 0x00;
const BPF_ABS: u16 = 0x20;
const BPF_JEQ: u16 = 0x10;
const BPF_K: u16 = 0x00;

const fn instruction(code: u16, value: u32, if_not: u8) -> sock_filter {
    sock_filter { code, jt: 0, jf: if_not, k: value }
}

/// Has the kernel answer the calling thread, and what it starts, with an errno instead of a socket of this
/// family (`AF_…`). There is no way back.
///
/// # Errors
///
/// `EINVAL`: the kernel has no seccomp filters, or a number is negative.
#[doc(alias = "PR_SET_SECCOMP")]
pub fn refuse_sockets(family: c_int, errno: c_int) -> io::Result<()> {
    let invalid = |_| io::Error::from_raw_os_error(libc::EINVAL);
    let errno = u32::try_from(errno).map_err(invalid)?;
    let call = u32::try_from(libc::SYS_socket as c_long).map_err(invalid)?;
    // In `struct seccomp_data` the number of the call is the first word, and its first argument the third
    // double word.
    let argument = 16 + if cfg!(target_endian = "big") { 4 } else { 0 };
    let mut filter = [
        instruction(BPF_LD | BPF_W | BPF_ABS, 0, 0),
        instruction(BPF_JMP | BPF_JEQ | BPF_K, call, 3),
        instruction(BPF_LD | BPF_W | BPF_ABS, argument, 0),
        instruction(BPF_JMP | BPF_JEQ | BPF_K, u32::try_from(family).map_err(invalid)?, 1),
        instruction(BPF_RET | BPF_K, libc::SECCOMP_RET_ERRNO | errno & libc::SECCOMP_RET_DATA, 0),
        instruction(BPF_RET | BPF_K, libc::SECCOMP_RET_ALLOW, 0),
    ];
    #[allow(clippy::cast_possible_truncation, reason = "they are six")]
    let program = sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    let (yes, none): (c_ulong, c_ulong) = (1, 0);
    // SAFETY: the request takes integers only. It keeps programs that the thread starts from getting rights.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, yes, none, none, none) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let kind = c_ulong::from(libc::SECCOMP_MODE_FILTER);
    // SAFETY: the kernel copies the program, and as many instructions as it counts, before the call returns;
    // both live until then. It writes nothing.
    match unsafe { libc::prctl(libc::PR_SET_SECCOMP, kind, &raw const program) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_family_is_refused_and_others_are_not() {
        let open = |family| {
            // SAFETY: socket(2) takes integers only.
            let fd = unsafe { libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
            if fd < 0 { io::Error::last_os_error().raw_os_error() } else { None }
        };
        let sandboxed = std::thread::spawn(move || {
            refuse_sockets(libc::AF_INET, libc::EAFNOSUPPORT)?;
            io::Result::Ok((open(libc::AF_INET), open(libc::AF_UNIX)))
        });
        assert_eq!(sandboxed.join().unwrap().unwrap(), (Some(libc::EAFNOSUPPORT), None));
    }
}
