//! Packets from the program: which are refused as malformed (`tun_get_user`).

use std::io::IoSlice;

use tunctl_core::{Cause, Counters, CreateFlags, Layer, Reason, State};
use tunctl_packet::EtherType;
use tunctl_packet::header::{VnetFormat, VnetHeader};

use super::flow::Flow;
use super::receive::ether_type;
use super::vnet::Malformed;
use super::{FileId, InterfaceId, Kernel, NetDevice, Skb, fragments, vnet};
use crate::kernel::Result;
use crate::{Errno, KernelProfile};

/// The length of the packet information header (`struct tun_pi`): two bytes of flags, and the EtherType.
pub(super) const PACKET_INFORMATION: usize = 4;
/// The length of an Ethernet header (`ETH_HLEN`): two addresses and the EtherType.
pub(super) const ETHERNET_HEADER: usize = 14;

/// The longest packet, without the headers in front, for which the kernel has a buffer (`tun_alloc_skb`,
/// Linux 6.18 on x86-64): `KMALLOC_MAX_SIZE` bytes in one piece, less headroom and `struct skb_shared_info`,
/// and `MAX_SKB_FRAGS` pieces of 32 KiB. When its memory is in small pieces, the kernel refuses shorter ones.
const MAX_PACKET: usize = MAX_PIECE + 17 * (32 << 10);
/// The longest piece.
const MAX_PIECE: usize = (4 << 20) - 64 - 320;
/// The pages behind the first piece, in Linux 6.1.
const FEW_PAGES: usize = 17;
const PAGE: usize = 4096;
/// The longest first piece that has pages behind it (`SKB_MAX_HEAD`, Linux 6.1).
const LONGEST_HEAD: usize = PAGE - 64 - 320;

/// The way that packets take with NAPI ends with the queue's service (`tun_get_user`, Linux 6.18).
const OUT_OF_SERVICE: Reason = Errno::EBUSY.reason(Cause::NoQueue);

/// Why a packet is refused, in whatever state the interface is.
enum Unfit {
    /// Before there is a buffer for it, which no counter shows.
    Malformed,
    /// The virtio-net header does not fit the packet (`rx_frame_errors`). The counter of a tap is kept, and
    /// never reported: `tap_netdev_ops` has `dev_get_tstats64`, which does not know it.
    WrongFrame,
    /// The packet is neither IPv4 nor IPv6 (`rx_dropped`).
    OtherProtocol,
    /// There is no buffer that long (`rx_dropped`).
    TooLong,
    /// There are too many pages (`rx_dropped`).
    ManyPages,
    /// It cannot be put together from fragments (`rx_dropped`).
    Fragments(fragments::Unfit),
}

impl From<Malformed> for Unfit {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// A packet that the program sent, on its way into the network stack (`netif_rx`).
pub(crate) struct Sent {
    pub(crate) from: InterfaceId,
    /// Without the headers in front.
    pub(crate) skb: Skb,
    /// What the system call returns: how many bytes the program wrote.
    pub(crate) length: usize,
}

impl Kernel {
    /// The program writes one packet (`tun_get_user`).
    pub(crate) fn send(&mut self, file: FileId, pieces: &[IoSlice<'_>]) -> Result<Sent> {
        let profile = self.profile;
        let open = self.file(file).map(|open| (open.napi, open.detached));
        let (napi, detached) = open.unwrap_or((CreateFlags::empty(), false));
        let device = self.attached_mut(file)?;
        let length = pieces.iter().map(|piece| piece.len()).sum();
        // `tun_get_user` looks at the state last, so a malformed packet is refused as such also while the
        // interface is down.
        let (headers, vnet) = match device.check(pieces, napi.contains(CreateFlags::NAPI_FRAGS), &profile) {
            Ok(headers) => headers,
            Err(unfit) => return Err(device.refuse(unfit, length)),
        };
        if device.state == State::Down {
            device.statistics.from_program.dropped += 1;
            return Err(Errno::EIO.reason(Cause::Down));
        }
        if detached && napi.contains(CreateFlags::NAPI) {
            return Err(OUT_OF_SERVICE);
        }
        count(&mut device.statistics.from_program, length - headers);
        // To the kernel this is a packet that arrives: the MTU bounds what it sends, not what it receives. A
        // detached queue can send too, since only its receiving side is out of service, but for NAPI.
        let (id, packet) = (device.id, gather(pieces, headers));
        self.steer(id, file, pieces, &packet);
        Ok(Sent { from: id, skb: Skb::new(&vnet, packet), length })
    }
}

impl Kernel {
    /// A flow goes to the queue by which the program last sent a packet of it (`tun_flow_update`), if that is
    /// one of several in service.
    fn steer(&mut self, id: InterfaceId, file: FileId, pieces: &[IoSlice<'_>], packet: &[u8]) {
        let now = self.now;
        let Some(device) = self.device_mut(id).filter(|device| device.attached.len() > 1) else { return };
        let Some(queue) = device.attached.iter().position(|&other| other == file) else { return };
        let ether_type = match device.layer {
            // The kernel believes the packet information.
            Layer::Tun if device.has_packet_information() => {
                let mut information = [0; PACKET_INFORMATION];
                copy(pieces, 0, &mut information);
                let [_, _, high, low] = information;
                EtherType::from(u16::from_be_bytes([high, low]))
            }
            layer => ether_type(layer, packet),
        };
        device.flows.update(Flow::of(device.layer, ether_type, packet), queue, now);
    }
}

/// Counts a packet that passed (`dev_sw_netstats_rx_add`, `dev_sw_netstats_tx_add`).
pub(super) fn count(counters: &mut Counters, bytes: usize) {
    counters.packets += 1;
    counters.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
}

impl Kernel {
    /// Drops packets that cannot be copied from the program (`tun_get_user`, Linux 6.18).
    pub(crate) fn drop_unreadable(&mut self, id: InterfaceId, packets: u64) {
        if let Some(device) = self.device_mut(id) {
            device.statistics.from_program.dropped += packets;
        }
    }
}

impl NetDevice {
    /// Counts a packet of that length that is refused, and says why.
    fn refuse(&mut self, unfit: Unfit, length: usize) -> Reason {
        let counters = &mut self.statistics.from_program;
        match unfit {
            Unfit::Malformed => {}
            Unfit::WrongFrame if self.layer == Layer::Tun => counters.errors += 1,
            Unfit::WrongFrame => {}
            Unfit::OtherProtocol => counters.dropped += 1,
            Unfit::TooLong => {
                counters.dropped += 1;
                return Errno::ENOBUFS.reason(Cause::NoBuffers);
            }
            Unfit::Fragments(fragments::Unfit::OddPiece) => counters.dropped += 1,
            Unfit::ManyPages | Unfit::Fragments(fragments::Unfit::TooLong) => {
                counters.dropped += 1;
                return Errno::EMSGSIZE.reason(Cause::Other);
            }
        }
        let too_short = length < self.least_length();
        Errno::EINVAL.reason(if too_short { Cause::TooShort } else { Cause::MalformedPacket })
    }

    /// The rules in the order of `tun_get_user`. Returns the length of the headers in front of the packet,
    /// and the virtio-net header, or one that says nothing.
    fn check(
        &self,
        pieces: &[IoSlice<'_>],
        in_fragments: bool,
        profile: &KernelProfile,
    ) -> Result<(usize, VnetHeader), Unfit> {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        let mut headers = 0;
        if self.has_packet_information() {
            // The EtherType is not checked: the kernel passes the packet to whichever protocol it names.
            headers += PACKET_INFORMATION;
            require(length >= headers)?;
        }
        let mut vnet_header = None;
        if let Some(format) = self.vnet_format() {
            let mut header = vec![0; format.length.bytes()];
            require(length >= headers + header.len())?;
            copy(pieces, headers, &mut header);
            headers += header.len();
            vnet_header = Some((vnet::parse(format, &header)?, format));
        }
        let packet = length - headers;
        if let Some((header, format)) = &vnet_header {
            vnet::check_length(header, *format, self.layer, packet, profile)?;
        }
        if self.layer == Layer::Tap {
            require(packet >= ETHERNET_HEADER)?;
        }
        if in_fragments {
            fragments::check(pieces, headers, vnet_header.is_some()).map_err(Unfit::Fragments)?;
        } else {
            check_room(packet, vnet_header.as_ref().map(|(header, _)| header), profile)?;
        }
        if let Some((header, _)) = &vnet_header {
            vnet::check(header, self.layer, &gather(pieces, headers), profile)
                .map_err(|_| Unfit::WrongFrame)?;
        }
        // Without packet information, the IP version in the first four bits is all that says the protocol.
        if self.layer == Layer::Tun && !self.has_packet_information() {
            let mut first = [0];
            copy(pieces, headers, &mut first);
            require(matches!(first[0] >> 4, 4 | 6)).map_err(|_| Unfit::OtherProtocol)?;
        }
        Ok((headers, vnet_header.map(|(header, _)| header).unwrap_or_default()))
    }

    /// The shortest packet that can be sent, headers included.
    fn least_length(&self) -> usize {
        let packet = match self.layer {
            Layer::Tun => 1,
            Layer::Tap => ETHERNET_HEADER,
        };
        self.headers_length() + packet
    }

    /// The length of the headers in front of each packet.
    pub(crate) fn headers_length(&self) -> usize {
        let information = if self.has_packet_information() { PACKET_INFORMATION } else { 0 };
        let vnet = self.vnet_format().map_or(0, |format| format.length.bytes());
        information + vnet
    }

    pub(super) const fn has_packet_information(&self) -> bool {
        !self.flags.contains(CreateFlags::NO_PI)
    }

    /// The format of the virtio-net header, if packets have one.
    pub(crate) fn vnet_format(&self) -> Option<VnetFormat> {
        self.flags.contains(CreateFlags::VNET_HDR).then_some(self.vnet_format)
    }
}

/// Whether the kernel has a buffer for a packet (`tun_alloc_skb`).
fn check_room(packet: usize, header: Option<&VnetHeader>, profile: &KernelProfile) -> Result<(), Unfit> {
    let up_to = |most| if packet > most { Err(Unfit::TooLong) } else { Ok(()) };
    if !profile.few_pages() {
        return up_to(MAX_PACKET);
    }
    // `tun_get_user`, Linux 6.1: the first piece has what the header states.
    let checksum = header.and_then(VnetHeader::needs_checksum);
    let behind = checksum.map_or(0, |(start, offset)| usize::from(start) + usize::from(offset) + 2);
    match header.map_or(0, |header| usize::from(header.header_length())).max(behind) {
        0 => up_to(MAX_PIECE),
        stated if packet.saturating_sub(stated.min(LONGEST_HEAD)) > FEW_PAGES * PAGE => Err(Unfit::ManyPages),
        _ => Ok(()),
    }
}

const fn require(condition: bool) -> Result<(), Malformed> {
    if condition { Ok(()) } else { Err(Malformed) }
}

/// Copies bytes of a packet in pieces, from a position on. If the packet ends early, the rest of `into` is
/// left as it is.
fn copy(pieces: &[IoSlice<'_>], from: usize, into: &mut [u8]) {
    let bytes = pieces.iter().flat_map(|piece| piece.iter()).skip(from);
    for (slot, &byte) in into.iter_mut().zip(bytes) {
        *slot = byte;
    }
}

/// Joins the pieces of a packet, without the headers in front.
fn gather(pieces: &[IoSlice<'_>], headers: usize) -> Vec<u8> {
    let mut packet = Vec::with_capacity(pieces.iter().map(|piece| piece.len()).sum());
    let mut skip = headers;
    for piece in pieces {
        packet.extend_from_slice(piece.get(skip..).unwrap_or_default());
        skip = skip.saturating_sub(piece.len());
    }
    packet
}
