//! The two programs, and the descriptor on its way from one to the other.

use std::error::Error;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use tunctl::packet::echo_reply;
use tunctl::prelude::*;

/// The user and group without any right.
const NOBODY: u32 = 65534;

/// Opens an interface, has a worker without any right work with it, and waits for its end.
pub(crate) fn supervise(worker: &mut Command) -> Result<(), Box<dyn Error>> {
    let tun = tunctl::native().create(&CreateOptions::tun().name("hand%d").address("10.78.0.1/24").up())?;
    eprintln!("{} is up: ping 10.78.0.2", tun.name()?);
    let (near, far) = UnixStream::pair()?;
    let mut worker = worker.uid(NOBODY).gid(NOBODY).stdin(Stdio::from(OwnedFd::from(far))).spawn()?;
    // From here on, the interface lives as long as the worker has it.
    give(&near, OwnedFd::from(tun).as_fd())?;
    let status = worker.wait()?;
    if status.success() { Ok(()) } else { Err(format!("the worker: {status}").into()) }
}

/// Answers pings until the interface is gone. Returns how many.
pub(crate) fn work() -> Result<usize, Box<dyn Error>> {
    let tun = tunctl::native().adopt(take(io::stdin().as_fd())?)?;
    let mut request = vec![0; tun.longest_packet()?];
    let mut reply = request.clone();
    let mut answered = 0;
    loop {
        let length = match tun.recv(&mut request) {
            Err(error) if error.is_gone() => return Ok(answered),
            length => length?,
        };
        if let Ok(length) = echo_reply(&request[..length], &mut reply) {
            tun.send(&reply[..length])?;
            answered += 1;
        }
    }
}

/// Sends a descriptor, with the one byte that has to accompany it.
fn give(socket: &UnixStream, fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let (mut message, fds) = (SendAncillaryBuffer::new(&mut space), [fd]);
    message.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(socket, &[IoSlice::new(b"!")], &mut message, SendFlags::empty())?;
    Ok(())
}

/// Receives a descriptor.
fn take(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = RecvAncillaryBuffer::new(&mut space);
    recvmsg(socket, &mut [IoSliceMut::new(&mut [0])], &mut message, RecvFlags::CMSG_CLOEXEC)?;
    let received = message.drain().find_map(|part| match part {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    received.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
