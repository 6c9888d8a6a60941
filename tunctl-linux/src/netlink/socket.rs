//! A netlink socket that is connected to the kernel's routing side.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce, ReceiveTimeout};
use nix::sys::socket::{
    MsgFlags, MultiHeaders, NetlinkAddr, bind, connect, getsockname, recv, recvmmsg, sendto, setsockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use tunctl_sys::linux::netlink_socket::set_strict_check;

/// How long an answer may take, in seconds. The kernel has queued it when the question has been sent
/// (`netlink_unicast_kernel`, Linux 6.18), so one that has not come by then never comes.
const PATIENCE: i64 = 5;

/// The bytes that reports may take until they are read. The kernel doubles it.
const ROOM: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
}

impl Socket {
    /// Connects a socket that was just opened. This also binds it, to a port that the kernel chooses.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        let kernel = NetlinkAddr::new(0, 0);
        connect(fd.as_raw_fd(), &kernel)?;
        setsockopt(&fd, ReceiveTimeout, &TimeVal::seconds(PATIENCE))?;
        // Lets the kernel restrict a listing to what was asked; before Linux 4.20 it lists all, and we
        // choose.
        let _ = set_strict_check(fd.as_fd());
        Ok(Self { fd })
    }

    /// Connects one that the kernel also reports to, unasked: what these groups are about.
    pub(super) fn subscribed(fd: OwnedFd, groups: u32) -> io::Result<Self> {
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        Self::new(fd)
    }

    /// Asks for room for some hundred reports more than by default, which is 92 (Linux 6.18). Without a right
    /// over the network, the system bounds it (`net.core.rmem_max`).
    pub(super) fn make_room(&self) {
        let _ = setsockopt(&self.fd, RcvBufForce, &ROOM).or_else(|_| setsockopt(&self.fd, RcvBuf, &ROOM));
    }

    /// Its own address, which the kernel has chosen.
    pub(super) fn port(&self) -> io::Result<u32> {
        Ok(getsockname::<NetlinkAddr>(self.fd.as_raw_fd())?.pid())
    }

    pub(super) fn send(&self, message: &[u8]) -> io::Result<()> {
        // Of a request that names its destination, the kernel does not ask with which rights the socket was
        // opened, but only those of the thread that sends it (`__netlink_ns_capable`, Linux 6.18). So sockets
        // are shared whoever opened them.
        let kernel = NetlinkAddr::new(0, 0);
        retry(|| sendto(self.fd.as_raw_fd(), message, &kernel, MsgFlags::empty()))?;
        Ok(())
    }

    /// Receives one datagram, and returns its length, which is more than the buffer's if it was cut.
    pub(super) fn receive_into(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait(buffer, MsgFlags::MSG_TRUNC)
    }

    /// Receives as many datagrams as there are rooms, or those that are there: at least one. Returns their
    /// lengths.
    pub(super) fn receive_several<const ROOM: usize>(
        &self,
        rooms: &mut [[u8; ROOM]],
    ) -> io::Result<Vec<usize>> {
        loop {
            let mut headers = MultiHeaders::<()>::preallocate(rooms.len(), None);
            let mut buffers: Vec<_> = rooms.iter_mut().map(|room| [IoSliceMut::new(room)]).collect();
            let flags = MsgFlags::MSG_WAITFORONE;
            match recvmmsg(self.fd.as_raw_fd(), &mut headers, &mut buffers, flags, None) {
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(unanswered(errno)),
                Ok(received) => return Ok(received.map(|datagram| datagram.bytes).collect()),
            }
        }
    }

    /// Receives one datagram, whole, whatever its length.
    pub(super) fn receive(&self) -> io::Result<Vec<u8>> {
        let read = |buffer: &mut [u8], flags| self.wait(buffer, flags);
        Self::whole(read)
    }

    /// Receives one datagram, whole, if there is one.
    pub(super) fn try_receive(&self) -> io::Result<Vec<u8>> {
        Self::whole(|buffer, flags| Ok(self.read(buffer, flags | MsgFlags::MSG_DONTWAIT)?))
    }

    fn whole(read: impl Fn(&mut [u8], MsgFlags) -> io::Result<usize>) -> io::Result<Vec<u8>> {
        let length = read(&mut [], MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC)?;
        let mut datagram = vec![0; length];
        // Another one may have taken its place, where a forked process reads from the same socket.
        let length = read(&mut datagram, MsgFlags::MSG_TRUNC)?;
        if length == 0 || length > datagram.len() {
            return Err(cut());
        }
        datagram.truncate(length);
        Ok(datagram)
    }

    /// Takes out what the kernel still has to say to an earlier question. A listing that nobody reads to its
    /// end would keep the next one from beginning.
    pub(super) fn drain(&self) {
        // Each part of a listing that is taken out has the kernel queue the next one. An error that was
        // reported is taken out as well.
        while matches!(self.read(&mut [0], MsgFlags::MSG_DONTWAIT), Ok(_) | Err(Errno::ENOBUFS)) {}
    }

    fn read(&self, buffer: &mut [u8], flags: MsgFlags) -> nix::Result<usize> {
        retry(|| recv(self.fd.as_raw_fd(), buffer, flags))
    }

    /// As [`read`](Self::read), which waits. That nothing came is no reason to try again, as `EAGAIN` would
    /// be.
    fn wait(&self, buffer: &mut [u8], flags: MsgFlags) -> io::Result<usize> {
        self.read(buffer, flags).map_err(unanswered)
    }
}

fn unanswered(errno: Errno) -> io::Error {
    match errno {
        Errno::EAGAIN => io::Error::new(io::ErrorKind::TimedOut, "the kernel has not answered"),
        errno => errno.into(),
    }
}

/// A datagram did not fit into its buffer.
pub(super) fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer was cut")
}

/// Makes a system call again that a signal handler of the program's has interrupted.
fn retry(mut call: impl FnMut() -> nix::Result<usize>) -> nix::Result<usize> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            outcome => return outcome,
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
