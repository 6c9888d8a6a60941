//! Packet sockets (`AF_PACKET`): copies of the packets that pass an interface, in both directions.
//!
//! Manual page: `packet(7)`.
#![allow(
    unsafe_code,
    reason = "the addresses, options and counters of a packet socket have no safe wrappers"
)]

use std::ffi::c_int;
use std::io;
use std::mem::{MaybeUninit, offset_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;

use super::elsewhere::Step;

/// The `sll_pkttype` of a packet that leaves through the interface.
#[doc(alias = "PACKET_OUTGOING")]
pub const OUTGOING: u8 = 4;

const PACKET_STATISTICS: c_int = 6;
const PACKET_AUXDATA: c_int = 8;
const PACKET_QDISC_BYPASS: c_int = 20;
const TP_STATUS_VLAN_VALID: u32 = 1 << 4;
const TP_STATUS_VLAN_TPID_VALID: u32 = 1 << 6;

// `libc` has none of these for Android, whose kernel is the same.
#[cfg(target_os = "linux")]
const _: () = {
    assert!(OUTGOING == libc::PACKET_OUTGOING);
    assert!(PACKET_STATISTICS == libc::PACKET_STATISTICS);
    assert!(PACKET_AUXDATA == libc::PACKET_AUXDATA);
    assert!(PACKET_QDISC_BYPASS == libc::PACKET_QDISC_BYPASS);
    assert!(TP_STATUS_VLAN_VALID == libc::TP_STATUS_VLAN_VALID);
    assert!(TP_STATUS_VLAN_TPID_VALID == libc::TP_STATUS_VLAN_TPID_VALID);
    assert!(size_of::<Statistics>() == size_of::<libc::tpacket_stats>());
};

/// `sll_hatype` of an interface with Ethernet headers.
const ETHERNET: u16 = 1;

const _: () = assert!(ETHERNET == libc::ARPHRD_ETHER);

/// The two MAC addresses of a frame, behind which a VLAN tag stands.
const ADDRESSES: usize = 12;

/// A packet that [`receive`] has put into the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its whole length in bytes, of which the buffer has as many as it has room for.
    pub length: usize,
    /// The index of its interface.
    pub index: u32,
    /// Its `sll_pkttype`, such as [`OUTGOING`].
    pub direction: u8,
}

/// Room for the one control message that such a socket is asked for, as the kernel lays it out.
#[repr(C)]
#[derive(Clone, Copy)]
struct Control {
    header: libc::cmsghdr,
    auxiliary: AuxiliaryData,
}

/// What the kernel keeps of a packet besides its bytes: `struct tpacket_auxdata` of `<linux/if_packet.h>`.
#[doc(alias = "tpacket_auxdata")]
#[repr(C)]
#[derive(Clone, Copy)]
struct AuxiliaryData {
    status: u32,
    length: u32,
    captured: u32,
    mac_offset: u16,
    network_offset: u16,
    /// The VLAN tag in host order: priority, drop eligibility and number, then the tag's EtherType.
    vlan_tci: u16,
    vlan_tpid: u16,
}

const _: () = {
    assert!(size_of::<AuxiliaryData>() == 20);
    // SAFETY: CMSG_LEN() only computes.
    let header = unsafe { libc::CMSG_LEN(0) };
    assert!(offset_of!(Control, auxiliary) == header as usize);
};

/// The counters of a packet socket, since they were last read.
#[doc(alias = "tpacket_stats")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Packets seen, including the dropped ones.
    pub packets: u32,
    /// Packets dropped because the socket's buffer was full.
    pub drops: u32,
}

/// The step that opens a packet socket, which receives nothing yet: for [`watch`]. It is non-blocking.
///
/// `EPERM`: `CAP_NET_RAW` is missing.
#[must_use]
pub const fn opening() -> Step {
    // With protocol 0 the socket receives nothing until the bind. Otherwise packets of other interfaces would
    // come first.
    Step::Socket { family: libc::AF_PACKET, kind: libc::SOCK_RAW | libc::SOCK_NONBLOCK, protocol: 0 }
}

/// Has a packet socket receive what passes the interface with this index in its network namespace, of all
/// protocols. A packet begins with the link-layer header (on a TUN: with the IP header).
///
/// # Errors
///
/// `ENODEV`: no interface has that index.
pub fn watch(socket: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    // The kernel takes the outer VLAN tag out of a frame before a packet socket sees it, and reports it so.
    switch_on(socket, PACKET_AUXDATA)?;
    bind(socket, index)
}

/// Opens a packet socket in the caller's network namespace that [watches](watch) the interface with this
/// index.
///
/// # Errors
///
/// `EPERM`: `CAP_NET_RAW` is missing. `ENODEV`: no interface has that index.
pub fn open(index: u32) -> io::Result<OwnedFd> {
    let socket = opening().open()?;
    watch(socket.as_fd(), index)?;
    Ok(socket)
}

/// Receives the next packet from a socket that [watches](watch).
///
/// The kernel (`skb_vlan_untag`, Linux 6.18) has taken the outer VLAN tag out of a frame by then. It is put
/// back, so that the frame is as it was sent.
///
/// # Errors
///
/// `EAGAIN`: there is none. `ENETDOWN`, once: the interface went down, or was deleted.
#[doc(alias = "PACKET_AUXDATA")]
pub fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Received> {
    let mut from = address(0, 0);
    let mut control = MaybeUninit::<Control>::zeroed();
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: `msghdr` is integers and pointers, for which zeros are valid. Some C libraries add padding,
    // which a literal could not name.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_name = ptr::from_mut(&mut from).cast();
    message.msg_namelen = length_of::<libc::sockaddr_ll>();
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = length_of::<Control>() as _;
    // With MSG_TRUNC the kernel returns the packet's length, even where the buffer is shorter. SAFETY: the
    // message points to an address, to one part and to room for control messages, each with its own length;
    // all are exclusively borrowed until the call returns, any bytes are valid in them, and the kernel writes
    // no more than these lengths.
    let received = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, libc::MSG_TRUNC) };
    let length = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: `Control` is integers only, for which any bytes are valid, and all were set to zero above.
    let Control { header, auxiliary } = unsafe { control.assume_init() };
    // Zero if the kernel wrote no message.
    let came = (header.cmsg_level, header.cmsg_type) == (libc::SOL_PACKET, PACKET_AUXDATA);
    let tag = if came && from.sll_hatype == ETHERNET { auxiliary.tag() } else { None };
    let length = tag.map_or(length, |tag| put_back(tag, length, buffer));
    #[allow(clippy::cast_sign_loss, reason = "the kernel's indices are positive")]
    let index = from.sll_ifindex as u32;
    Ok(Received { length, index, direction: from.sll_pkttype })
}

impl AuxiliaryData {
    /// The tag that the kernel has taken out, as it was in the frame.
    fn tag(&self) -> Option<[u8; 4]> {
        const VALID: u32 = TP_STATUS_VLAN_VALID | TP_STATUS_VLAN_TPID_VALID;
        let ([a, b], [c, d]) = (self.vlan_tpid.to_be_bytes(), self.vlan_tci.to_be_bytes());
        (self.status & VALID == VALID).then_some([a, b, c, d])
    }
}

/// Puts a VLAN tag back into a frame of `length` bytes, of which the buffer holds as many as it has room for.
/// Returns the length with the tag.
fn put_back(tag: [u8; 4], length: usize, buffer: &mut [u8]) -> usize {
    let whole = length + tag.len();
    let kept = whole.min(buffer.len());
    if let Some(behind) = buffer[..kept].get_mut(ADDRESSES..) {
        let room = tag.len().min(behind.len());
        behind.copy_within(..behind.len() - room, room);
        behind[..room].copy_from_slice(&tag[..room]);
    }
    whole
}

/// Opens a packet socket only for [`send_to`]: it receives nothing, and a sent packet goes to the driver at
/// once, past the queueing discipline.
///
/// Other packet sockets do not see these packets.
///
/// # Errors
///
/// `EPERM`: `CAP_NET_RAW` is missing. `ENOPROTOOPT`: Linux is older than 3.14.
#[doc(alias = "PACKET_QDISC_BYPASS")]
pub fn open_to_send() -> io::Result<OwnedFd> {
    // A socket of protocol 0 receives nothing.
    let socket = opening().open()?;
    switch_on(socket.as_fd(), PACKET_QDISC_BYPASS)?;
    Ok(socket)
}

/// Opens a packet socket only for [`send_to`], whose packets begin with a virtio-net header of 10 bytes, in
/// the host's byte order: what the header leaves to the device, the kernel does where the device cannot.
///
/// # Errors
///
/// `EPERM`: `CAP_NET_RAW` is missing.
#[doc(alias = "PACKET_VNET_HDR")]
pub fn open_with_vnet_header() -> io::Result<OwnedFd> {
    /// From `<linux/if_packet.h>`; libc lacks it on some systems.
    const PACKET_VNET_HDR: c_int = 15;
    let socket = opening().open()?;
    switch_on(socket.as_fd(), PACKET_VNET_HDR)?;
    Ok(socket)
}

/// Sends a packet, including its link-layer header if there is one, out of the interface with this index. The
/// kernel detects the protocol.
///
/// # Errors
///
/// On a socket of [`open_to_send`], `ENOBUFS`: the driver dropped the packet, or has no carrier. On any:
/// `ENETDOWN`; `ENXIO`: no interface has that index; `EMSGSIZE`: the packet is longer than the MTU; `EINVAL`:
/// the packet is shorter than the link-layer header.
pub fn send_to(fd: BorrowedFd<'_>, index: u32, packet: &[u8]) -> io::Result<usize> {
    let address = address(index, 0);
    // SAFETY: the kernel reads `packet.len()` bytes of the packet, which are initialised, and of the address
    // at most as many bytes as the length says, which are those of an initialised `sockaddr_ll` without
    // padding. Both live until the call returns, and the kernel writes nothing.
    let sent = unsafe {
        libc::sendto(
            fd.as_raw_fd(),
            packet.as_ptr().cast(),
            packet.len(),
            0,
            ptr::from_ref(&address).cast(),
            length_of::<libc::sockaddr_ll>(),
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Sets an option of packet sockets that is an `int`.
fn switch_on(socket: BorrowedFd<'_>, option: c_int) -> io::Result<()> {
    let on: c_int = 1;
    // SAFETY: the kernel reads at most as many bytes as the length says, which are those of an initialised
    // `int` that lives until the call returns; it writes nothing.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            option,
            ptr::from_ref(&on).cast(),
            length_of::<c_int>(),
        )
    };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn bind(socket: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    const ALL: u16 = 0x0003; // ETH_P_ALL, which libc types as an int
    const _: () = assert!(ALL as c_int == libc::ETH_P_ALL);
    let address = address(index, ALL);
    // SAFETY: the kernel reads at most as many bytes as the length says, which are those of an initialised
    // `sockaddr_ll` without padding that lives until the call returns; it writes nothing.
    let answer = unsafe {
        libc::bind(socket.as_raw_fd(), ptr::from_ref(&address).cast(), length_of::<libc::sockaddr_ll>())
    };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn address(index: u32, protocol: u16) -> libc::sockaddr_ll {
    const FAMILY: u16 = 17; // AF_PACKET, which libc types as an int
    const _: () = assert!(FAMILY as c_int == libc::AF_PACKET);
    libc::sockaddr_ll {
        sll_family: FAMILY,
        sll_protocol: protocol.to_be(),
        sll_ifindex: index as c_int,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    }
}

/// Reads the socket's counters and sets them to zero.
///
/// # Errors
///
/// `ENOPROTOOPT`: `fd` is a socket of another family. `ENOTSOCK`: `fd` is not a socket.
#[doc(alias = "PACKET_STATISTICS")]
pub fn statistics(fd: BorrowedFd<'_>) -> io::Result<Statistics> {
    let mut statistics = Statistics::default();
    let mut length = length_of::<Statistics>();
    // SAFETY: the kernel writes at most `length` bytes, the size of `statistics`, for which any bytes are
    // valid, and then the number of written bytes to `length`. Both are exclusively borrowed until the call
    // returns.
    let answer = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            PACKET_STATISTICS,
            ptr::from_mut(&mut statistics).cast(),
            &raw mut length,
        )
    };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(statistics) }
}

const fn length_of<T>() -> libc::socklen_t {
    assert!(size_of::<T>() <= 128);
    #[allow(clippy::cast_possible_truncation, reason = "asserted on the line above")]
    let length = size_of::<T>() as libc::socklen_t;
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_goes_back_behind_the_addresses_as_far_as_there_is_room() {
        let tag = [0x81, 0, 0, 5];
        let frame: Vec<u8> = (0..20).collect();
        let whole = [&frame[..12], &tag, &frame[12..]].concat();
        for room in 0..30 {
            let mut buffer = vec![0xee; room];
            let kept = room.min(frame.len());
            buffer[..kept].copy_from_slice(&frame[..kept]);
            assert_eq!(put_back(tag, frame.len(), &mut buffer), whole.len());
            let kept = room.min(whole.len());
            assert_eq!(buffer[..kept], whole[..kept], "{room}");
            assert!(buffer[kept..].iter().all(|&byte| byte == 0xee), "{room}");
        }
    }
}
