//! Loads eBPF programs, for tests of what a device does with one. Manual page: `bpf(2)`.
#![allow(unsafe_code, reason = "bpf(2) has no safe wrapper")]

use std::ffi::{c_int, c_long};
use std::io;
use std::mem::zeroed;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

const BPF_PROG_LOAD: c_int = 5;
const BPF_PROG_TYPE_SOCKET_FILTER: u32 = 1;

/// An instruction: its code, its registers, its offset, and its operand.
#[doc(alias = "bpf_insn")]
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramInstruction {
    /// What to do.
    pub code: u8,
    /// The source register in one nibble, and the destination in the other: on a little-endian machine, in
    /// the low one.
    pub registers: u8,
    /// What a jump skips, or the place of what is loaded.
    pub offset: i16,
    /// The operand.
    pub immediate: i32,
}

/// The beginning of `union bpf_attr` for `BPF_PROG_LOAD`; the kernel takes the rest for zero.
#[repr(C)]
struct Attributes {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

const _: () = {
    assert!(size_of::<ProgramInstruction>() == 8);
    assert!(size_of::<Attributes>() == 48);
};

/// Loads a program for socket filters, and returns its descriptor, which is close-on-exec.
///
/// # Errors
///
/// `EPERM`: `CAP_BPF` is missing, and the sysctl `kernel.unprivileged_bpf_disabled` asks for it. `EINVAL`,
/// `EACCES`: the kernel does not accept the program. `ENOSYS`: it has no eBPF.
pub fn load_socket_filter(instructions: &[ProgramInstruction]) -> io::Result<OwnedFd> {
    let license = c"Dual MIT/GPL";
    // SAFETY: it is integers only, for which zeros are valid.
    let mut attributes: Attributes = unsafe { zeroed() };
    attributes.kind = BPF_PROG_TYPE_SOCKET_FILTER;
    attributes.count = u32::try_from(instructions.len()).map_err(io::Error::other)?;
    attributes.instructions = instructions.as_ptr().expose_provenance() as u64;
    attributes.license = license.as_ptr().expose_provenance() as u64;
    // SAFETY: the kernel reads as many bytes of the attributes as the length says, as many instructions as
    // they count, and the license up to its end. All of these are borrowed until the call returns, and have
    // no padding. It writes nothing, since no log is asked for.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            c_long::from(BPF_PROG_LOAD),
            ptr::from_ref(&attributes),
            size_of::<Attributes>(),
        )
    };
    let fd = c_int::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the call has returned a new descriptor, which nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
