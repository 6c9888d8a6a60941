//! What the TUN driver shows by refusing a packet whose bytes it cannot read.
//!
//! The driver checks the length of a packet before it copies a header, and copies the rest last. So the errno
//! of a packet in unreadable memory says which check it passed, and no packet ever comes of it.
#![allow(unsafe_code, reason = "mmap(2) and write(2) have no safe wrappers for memory that nobody may read")]

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};

use super::tun::TunDriver;
use crate::ioctl::Driver;

/// Memory that may not be accessed, by nobody: neither this process nor the kernel for it.
struct Unreadable(NonNull<c_void>);

/// The shortest memory that can be mapped, at most, on every machine.
const LENGTH: usize = 64 * 1024;
/// The bytes in front of the unreadable ones that can be read: more than all headers of a packet.
const READABLE: usize = 64 * 1024;

impl Unreadable {
    /// Maps [`READABLE`] zeros, and [`LENGTH`] bytes behind them that cannot be accessed.
    fn map() -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: without an address and MAP_FIXED, the kernel chooses room that nothing else uses.
        let start = unsafe { libc::mmap(ptr::null_mut(), READABLE + LENGTH, libc::PROT_READ, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let Some(start) = NonNull::new(start) else { return Err(io::ErrorKind::OutOfMemory.into()) };
        let mapped = Self(start);
        // SAFETY: the bytes are the end of the mapping above, begin at a multiple of every page size of
        // Linux, and nobody has a reference into them.
        if unsafe { libc::mprotect(mapped.before_end(0), LENGTH, libc::PROT_NONE) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(mapped)
    }

    /// The address of so many readable bytes, at most all, in front of the unreadable ones.
    const fn before_end(&self, readable: usize) -> *mut c_void {
        self.0.as_ptr().wrapping_byte_add(READABLE - readable)
    }
}

impl Drop for Unreadable {
    fn drop(&mut self) {
        // SAFETY: it is the whole mapping that `map` made, and nothing refers to it any more.
        unsafe { libc::munmap(self.0.as_ptr(), READABLE + LENGTH) };
    }
}

/// Offers the driver a packet of which `zeros` bytes can be read, and the `unreadable` ones behind them, at
/// least one, cannot. Returns the errno of the refusal: it never is a packet.
///
/// `EINVAL` if the packet is shorter than a header that it must have. `EFAULT` if it is not; the interface
/// counts it among the dropped ones (`rx_dropped`) if the driver had come as far as to the packet behind the
/// headers (`tun_get_user`, Linux 6.18). `EBADFD`: nothing is attached.
///
/// # Errors
///
/// `ENOTTY`: the file is another driver's, to which nothing was written. `EINVAL`: a number is larger than
/// 64 KiB, or none is unreadable. `ENOMEM`.
#[doc(alias = "EFAULT")]
pub fn offer_unreadable(fd: BorrowedFd<'_>, zeros: usize, unreadable: usize) -> io::Result<i32> {
    if !(1..=LENGTH).contains(&unreadable) || zeros > READABLE {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    if !TunDriver::answers(fd)? {
        return Err(io::Error::from_raw_os_error(libc::ENOTTY));
    }
    let memory = Unreadable::map()?;
    // SAFETY: the kernel reads from `zeros + unreadable` bytes of the mapping, which stays until the call
    // returns, and refuses where it must not read; it writes nothing.
    let written = unsafe { libc::write(fd.as_raw_fd(), memory.before_end(zeros), zeros + unreadable) };
    match io::Error::last_os_error().raw_os_error() {
        Some(errno) if written < 0 => Ok(errno),
        // The driver takes a packet whole or not at all.
        _ => Err(io::Error::other("the driver took a packet that cannot be read")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn nothing_is_written_to_another_file() {
        let (near, mut far) = UnixStream::pair().unwrap();
        far.set_nonblocking(true).unwrap();
        let refused = offer_unreadable(near.as_fd(), 10, 1).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::ENOTTY));
        assert_eq!(far.read(&mut [0; 100]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn the_kernel_reads_the_zeros_and_stops_where_it_must_not_read() {
        let memory = Unreadable::map().unwrap();
        let (near, mut far) = UnixStream::pair().unwrap();
        let start = memory.before_end(4);
        // SAFETY: all of the bytes are in the mapping, and write(2) only reads them.
        assert_eq!(unsafe { libc::write(near.as_raw_fd(), start, 4) }, 4);
        let mut four = [1; 4];
        far.read_exact(&mut four).unwrap();
        assert_eq!(four, [0; 4]);
        // SAFETY: as above.
        assert_eq!(unsafe { libc::write(near.as_raw_fd(), start, 5) }, -1);
        assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::EFAULT));
    }

    #[test]
    fn what_is_all_readable_is_refused() {
        let Ok(node) = File::options().read(true).write(true).open("/dev/net/tun") else { return };
        for (zeros, unreadable) in [(10, 0), (READABLE + 1, 1), (0, LENGTH + 1)] {
            let refused = offer_unreadable(node.as_fd(), zeros, unreadable).unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(libc::EINVAL));
        }
        assert_eq!(offer_unreadable(node.as_fd(), 0, 1).unwrap(), libc::EBADFD);
    }
}
