//! The datagrams of a UDP socket, with the kernel's segmentation (GSO) and merging (GRO).

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc::{in6_addr, in6_pktinfo};
use nix::sys::socket::sockopt::{
    self, Ipv6RecvPacketInfo, Ipv6V6Only, RcvBuf, RcvBufForce, SndBuf, SndBufForce, UdpGroSegment,
};
use nix::sys::socket::{
    self, AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, SockaddrIn6,
    recvmsg, sendmsg, setsockopt,
};

use crate::datagrams::{Datagrams, Endpoint, Received};

/// The bytes that wait in the socket while the loop is at other work.
const ROOM: usize = 4 << 20;

/// A socket on this port of all addresses of both families; 0: the system chooses it. An address of IPv4 is
/// one of IPv6 to it (`::ffff:192.0.2.1`). A mark other than 0 is on all that it sends, for routing rules to
/// see.
///
/// # Errors
///
/// Another program has the port, or the right to set a mark (`CAP_NET_ADMIN`) is missing.
pub fn bind(port: u16, mark: u32) -> io::Result<UdpSocket> {
    let fd = socket::socket(AddressFamily::Inet6, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&fd, Ipv6V6Only, &false)?;
    setsockopt(&fd, Ipv6RecvPacketInfo, &true)?;
    // Before Linux 5.0 each datagram takes a call.
    let _ = setsockopt(&fd, UdpGroSegment, &true);
    let _ = setsockopt(&fd, RcvBufForce, &ROOM).or_else(|_| setsockopt(&fd, RcvBuf, &ROOM));
    // What waits for the link address of a silent neighbour takes room as well, 208 KiB for each.
    let _ = setsockopt(&fd, SndBufForce, &ROOM).or_else(|_| setsockopt(&fd, SndBuf, &ROOM));
    if mark != 0 {
        setsockopt(&fd, sockopt::Mark, &mark)?;
    }
    let address = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0);
    socket::bind(fd.as_raw_fd(), &SockaddrIn6::from(address))?;
    let socket = UdpSocket::from(fd);
    // A sender waits for room as long, and then its datagrams are lost.
    socket.set_write_timeout(Some(Duration::from_millis(100)))?;
    Ok(socket)
}

impl Datagrams for UdpSocket {
    fn recv(&self, room: &mut [u8]) -> io::Result<Received> {
        let mut control = nix::cmsg_space!(in6_pktinfo, i32);
        let mut pieces = [IoSliceMut::new(room)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let message = recvmsg::<SockaddrIn6>(self.as_raw_fd(), &mut pieces, Some(&mut control), flags)?;
        // What the kernel says of them may be cut off. It has handed over the datagrams all the same.
        let (mut local, mut size) = (None, message.bytes);
        for part in message.cmsgs().into_iter().flatten() {
            match part {
                ControlMessageOwned::Ipv6PacketInfo(info) => local = Some(info.ipi6_addr.s6_addr.into()),
                ControlMessageOwned::UdpGroSegments(bytes) => size = usize::try_from(bytes).unwrap_or(size),
                _ => {}
            }
        }
        let from = message.address.ok_or(io::ErrorKind::InvalidData)?;
        let remote = match from.ip().to_canonical() {
            // An address of one link is not complete without the link's number.
            IpAddr::V6(_) => SocketAddr::V6(from.into()),
            ip => SocketAddr::new(ip, from.port()),
        };
        Ok(Received { from: Endpoint { remote, local }, length: message.bytes, size })
    }

    fn send(&self, to: Endpoint, bytes: &[u8], size: usize) -> io::Result<()> {
        match try_send(self, to, bytes, size) {
            // There is no segmentation on the way out, or its MTU is less. One by one they may be fragmented.
            Err(Errno::EIO | Errno::EINVAL | Errno::EMSGSIZE) if bytes.len() > size => {
                let sent = bytes.chunks(size).map(|datagram| Datagrams::send(self, to, datagram, size));
                sent.fold(Ok(()), io::Result::and)
            }
            // Our own address has changed. The system chooses, until the peer answers.
            Err(Errno::EINVAL | Errno::EADDRNOTAVAIL | Errno::ENETUNREACH) if to.local.is_some() => {
                Datagrams::send(self, Endpoint { local: None, ..to }, bytes, size)
            }
            outcome => Ok(outcome?),
        }
    }
}

fn try_send(socket: &UdpSocket, to: Endpoint, bytes: &[u8], size: usize) -> nix::Result<()> {
    let remote = match to.remote {
        SocketAddr::V6(address) => address,
        SocketAddr::V4(address) => SocketAddrV6::new(address.ip().to_ipv6_mapped(), address.port(), 0, 0),
    };
    let (remote, size) = (SockaddrIn6::from(remote), u16::try_from(size).unwrap_or(u16::MAX));
    let local =
        to.local.map(|ip| in6_pktinfo { ipi6_addr: in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 });
    let segments = (bytes.len() > size.into()).then_some(ControlMessage::UdpGsoSegments(&size));
    let local = local.as_ref().map(ControlMessage::Ipv6PacketInfo);
    let (control, pieces) = (Vec::from_iter(local.into_iter().chain(segments)), [IoSlice::new(bytes)]);
    sendmsg(socket.as_raw_fd(), &pieces, &control, MsgFlags::empty(), Some(&remote)).map(drop)
}
