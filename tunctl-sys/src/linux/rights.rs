//! Messages of a Unix socket that carry descriptors (`SCM_RIGHTS`). Manual page: `unix(7)`.
#![allow(
    unsafe_code,
    reason = "a received descriptor is a number of which nothing but the call says whose it is"
)]

use std::ffi::{c_int, c_void};
use std::io;
use std::mem::{MaybeUninit, offset_of};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

/// The most descriptors that a message is received with.
pub const MOST: usize = 4;

/// A message that was received.
#[derive(Debug)]
pub struct Received {
    /// Its bytes, as far as there was room for them.
    pub length: usize,
    /// Its descriptors, which are close-on-exec.
    pub descriptors: Vec<OwnedFd>,
    /// It had more bytes than there was room for.
    pub is_cut: bool,
    /// It had more descriptors: more than [`MOST`], or more than this process may have open. The kernel has
    /// closed them.
    pub lacks_descriptors: bool,
}

/// A message's descriptors, as the kernel lays them out.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Rights {
    header: libc::cmsghdr,
    fds: [c_int; MOST],
}

const _: () = {
    // SAFETY: CMSG_LEN() only computes.
    let header = unsafe { libc::CMSG_LEN(0) };
    assert!(offset_of!(Rights, fds) == header as usize);
};

impl Rights {
    pub(super) fn none() -> Self {
        // SAFETY: `Rights` is integers only, for which zeros are valid.
        unsafe { MaybeUninit::zeroed().assume_init() }
    }

    /// Adds a descriptor behind that many others.
    pub(super) fn put(&mut self, count: usize, fd: c_int) -> bool {
        self.fds.get_mut(count).map(|place| *place = fd).is_some()
    }

    /// The bytes of a message with that many descriptors.
    const fn length(count: usize) -> usize {
        offset_of!(Rights, fds) + count * size_of::<c_int>()
    }

    /// How many descriptors the kernel has filled in.
    fn count(&self) -> usize {
        let came = (self.header.cmsg_level, self.header.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS);
        #[allow(clippy::unnecessary_cast, reason = "its type differs between C libraries")]
        let length = self.header.cmsg_len as usize;
        if came { length.saturating_sub(Self::length(0)) / size_of::<c_int>() } else { 0 }
    }
}

/// A message of one part and of descriptors, to send it or to be filled in.
fn message(part: &mut libc::iovec, rights: *mut Rights, length: usize) -> libc::msghdr {
    // SAFETY: `msghdr` is integers and pointers, for which zeros are valid. Some C libraries add padding,
    // which a literal could not name.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = ptr::from_mut(part);
    message.msg_iovlen = 1;
    if length > 0 {
        message.msg_control = rights.cast();
        #[allow(clippy::cast_possible_truncation, reason = "its type differs between C libraries")]
        let control_length = length as _;
        message.msg_controllen = control_length;
    }
    message
}

/// Sends bytes with the first `count` of the descriptors. It makes one system call, on memory of the
/// caller's.
pub(super) fn send(socket: BorrowedFd<'_>, bytes: &[u8], rights: &mut Rights, count: usize) -> isize {
    rights.header.cmsg_level = libc::SOL_SOCKET;
    rights.header.cmsg_type = libc::SCM_RIGHTS;
    let length = if count == 0 { 0 } else { Rights::length(count.min(MOST)) };
    #[allow(clippy::cast_possible_truncation, reason = "its type differs between C libraries")]
    let control_length = length as _;
    rights.header.cmsg_len = control_length;
    // The kernel only reads them.
    let base = bytes.as_ptr().cast_mut().cast::<c_void>();
    let mut part = libc::iovec { iov_base: base, iov_len: bytes.len() };
    let message = message(&mut part, ptr::from_mut(rights), length);
    // SAFETY: the message points to the bytes and to one control message, each with its length; both are
    // initialised and borrowed until the call returns, and the kernel only reads them.
    unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) }
}

/// Receives the message that waits, without waiting for one.
///
/// # Errors
///
/// `EAGAIN`: none waits. Those of `recvmsg(2)`.
#[doc(alias = "recvmsg")]
#[doc(alias = "SCM_RIGHTS")]
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Received> {
    let mut rights = Rights::none();
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut message = message(&mut part, &raw mut rights, size_of::<Rights>());
    let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
    // SAFETY: the message points to room for bytes and for control messages, each with its length; both are
    // exclusively borrowed until the call returns, any bytes are valid in them, and the kernel writes no more
    // than these lengths.
    let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    let Ok(length) = usize::try_from(received) else { return Err(io::Error::last_os_error()) };
    let own = |&fd: &c_int| {
        // SAFETY: the kernel has opened the descriptor for this process, and nothing else owns it.
        unsafe { OwnedFd::from_raw_fd(fd) }
    };
    Ok(Received {
        length,
        descriptors: rights.fds.iter().take(rights.count()).map(own).collect(),
        is_cut: message.msg_flags & libc::MSG_TRUNC != 0,
        // `scm_detach_fds` leaves out what finds no number in this process.
        lacks_descriptors: message.msg_flags & libc::MSG_CTRUNC != 0,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    fn send_with(socket: &UnixDatagram, bytes: &[u8], descriptors: usize) {
        let file = fs::File::open("/dev/null").unwrap();
        let mut rights = Rights::none();
        assert!((0..descriptors).all(|count| rights.put(count, file.as_raw_fd())));
        assert_eq!(send(socket.as_fd(), bytes, &mut rights, descriptors), bytes.len().try_into().unwrap());
    }

    fn is_close_on_exec(fd: &OwnedFd) -> bool {
        // SAFETY: the request takes no argument.
        let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
        flags & libc::FD_CLOEXEC != 0
    }

    #[test]
    fn bytes_and_descriptors_arrive_together() {
        let (near, far) = UnixDatagram::pair().unwrap();
        let mut buffer = [0; 8];
        assert_eq!(receive(near.as_fd(), &mut buffer).unwrap_err().raw_os_error(), Some(libc::EAGAIN));
        for descriptors in 0..=MOST {
            send_with(&far, b"hello", descriptors);
            let received = receive(near.as_fd(), &mut buffer).unwrap();
            assert_eq!(
                (&buffer[..received.length], received.descriptors.len()),
                (&b"hello"[..], descriptors)
            );
            assert!(!received.is_cut && !received.lacks_descriptors);
            for fd in &received.descriptors {
                assert!(is_close_on_exec(fd));
                let link = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap();
                assert_eq!(link.to_str(), Some("/dev/null"));
            }
        }
    }

    #[test]
    fn what_has_no_room_is_reported() {
        let (near, far) = UnixDatagram::pair().unwrap();
        send_with(&far, b"hello", 1);
        let received = receive(near.as_fd(), &mut [0; 3]).unwrap();
        assert_eq!((received.length, received.descriptors.len()), (3, 1));
        assert!(received.is_cut && !received.lacks_descriptors);
    }
}
