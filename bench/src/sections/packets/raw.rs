//! The system calls themselves, which all else is measured against.
//!
//! `nix`'s wrappers are generic, so they are compiled into the timed loop: a call of the C library, and a
//! comparison of its answer with -1.

use std::io;
use std::os::fd::BorrowedFd;

/// `read(2)`.
#[inline(always)]
pub(crate) fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(nix::unistd::read(fd, buffer)?)
}

/// `write(2)`.
#[inline(always)]
pub(crate) fn write(fd: BorrowedFd<'_>, packet: &[u8]) -> io::Result<usize> {
    Ok(nix::unistd::write(fd, packet)?)
}
