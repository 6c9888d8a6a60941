//! The two programs.

use std::io::{IoSlice, IoSliceMut, stdin};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::{net::UnixStream, process::CommandExt};
use std::process::{Command, Stdio};
use std::{error::Error, mem::MaybeUninit, net::UdpSocket, thread, time::Duration};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tunctl::linux::{LinuxBackend, LinuxDevice, Namespace};
use tunctl::packet::{
    echo_reply,
    header::{Endian, VnetFormat, VnetLength},
};
use tunctl::prelude::*;

pub(crate) fn supervise(monitor: &mut Command) -> Result<bool, Box<dyn Error>> {
    let ns = Namespace::new()?;
    let guest = "neighbour add 10.79.0.2 lladdr 02:00:00:00:00:02 dev br0";
    for line in
        ["link add br0 up address 02:00:00:00:00:01 type bridge", "address add 10.79.0.1/24 dev br0", guest]
    {
        ns.command("ip").args(line.split(' ')).status()?;
    }
    let backend = LinuxBackend::new().in_namespace(&ns)?;
    let virtio_1 = VnetFormat::new(VnetLength::Buffers, Endian::Little);
    let options = CreateOptions::tap().name("vm0").vnet_format(virtio_1).offloads(Offloads::TSO).up();
    let queues = backend.create_queues(&options, 4)?;
    queues[0].interface().set_master("br0")?;

    let (near, far) = UnixStream::pair()?;
    let mut monitor = monitor.uid(65534).gid(65534).stdin(Stdio::from(OwnedFd::from(far))).spawn()?;
    let fds: Vec<_> = queues.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    message.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(&near, &[IoSlice::new(b"!")], &mut message, SendFlags::empty())?;
    let pinged = ns.command("ping").args(["-c5", "-i0.05", "-W5", "10.79.0.2"]).status()?;
    // The system leaves the checksum of this datagram to the monitor, which the offloads say it takes.
    let socket = ns.run(|| UdpSocket::bind("10.79.0.1:0"))??;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    socket.send_to(b"echo", "10.79.0.2:7")?;
    let echoed = socket.recv(&mut [0; 9])? == 4;
    queues[0].interface().delete()?;
    Ok(pinged.success() && echoed && monitor.wait()?.success())
}

pub(crate) fn monitor() -> Result<(), Box<dyn Error>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut message = RecvAncillaryBuffer::new(&mut space);
    recvmsg(stdin(), &mut [IoSliceMut::new(&mut [0])], &mut message, RecvFlags::CMSG_CLOEXEC)?;
    for part in message.drain() {
        let RecvAncillaryMessage::ScmRights(fds) = part else { continue };
        let queues = fds.map(|fd| Ok(tunctl::native().adopt(fd)?)).collect::<Result<Vec<_>>>()?;
        thread::scope(|scope| queues.iter().for_each(|queue| drop(scope.spawn(|| run_guest(queue)))));
    }
    Ok(())
}

/// Answers what comes by one queue, behind its virtio-net and Ethernet headers, until the interface is gone.
fn run_guest(queue: &LinuxDevice) {
    let (kind, mut frame, mut reply) = (queue.header_kind(), [0; 70_000], [0; 70_000]);
    while let Ok(length) = queue.recv(&mut frame) {
        let (frame, vnet) = (&mut frame[..length], kind.length());
        if kind.complete_checksum(frame).is_err() {
            continue;
        }
        frame[vnet..vnet + 12].rotate_left(6);
        if frame.get(vnet + 23) == Some(&17) {
            // A datagram: where it comes from and where it goes to change places, and its checksum holds.
            frame[vnet + 26..vnet + 34].rotate_left(4);
            frame[vnet + 34..vnet + 38].rotate_left(2);
            let _ = queue.send(frame);
        } else if let Ok(answer) = echo_reply(&frame[vnet + 14..], &mut reply[vnet + 14..]) {
            reply[..vnet + 14].copy_from_slice(&frame[..vnet + 14]);
            let _ = queue.send(&reply[..vnet + 14 + answer]);
        }
    }
}
