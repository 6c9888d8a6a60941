//! Where the headers of a packet are that is to be cut, and whether it can be.

use core::net::IpAddr;

use etherparse::ip_number;

use super::SplitError;
use crate::header::{GsoType, VnetHeader};
use crate::ip::{Ip, TCP_LENGTH, TRANSPORT_LENGTH};
use crate::{EtherType, Layer, Packet, Protocol};

/// The offset of the checksum in TCP's header, and in UDP's.
const TCP_CHECKSUM: u16 = 16;
const UDP_CHECKSUM: u16 = 6;

/// The transport of a packet that is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Tcp,
    Udp,
}

/// Offsets in a packet, in bytes, and what does not change from one segment to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Where the IP header is.
    pub(super) network: usize,
    /// Where the transport's header is.
    pub(super) transport: usize,
    /// Where the payload begins.
    pub(super) payload: usize,
    pub(super) kind: Transport,
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
}

impl Transport {
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Tcp => ip_number::TCP.0,
            Self::Udp => ip_number::UDP.0,
        }
    }

    /// The header without options, in bytes.
    pub(super) const fn least(self) -> usize {
        match self {
            Self::Tcp => TCP_LENGTH,
            Self::Udp => TRANSPORT_LENGTH,
        }
    }

    /// Where the checksum is, behind the beginning of the transport's header.
    pub(super) const fn checksum(self) -> u16 {
        match self {
            Self::Tcp => TCP_CHECKSUM,
            Self::Udp => UDP_CHECKSUM,
        }
    }
}

impl Layout {
    /// Finds the headers of a packet that is to be cut, by the packet itself: the length that the virtio-net
    /// header states is a hint, and may be that of the part which was contiguous in memory.
    pub(super) fn of(header: &VnetHeader, layer: Layer, packet: &[u8]) -> Result<Self, SplitError> {
        let gso_type = header.gso_type();
        let network = network_of(gso_type, &Packet::parse(layer, packet)?)?;
        Self::behind(network, gso_type, packet)
    }

    /// The same, where the IP header is at a known offset.
    pub(super) fn behind(network: usize, gso_type: GsoType, packet: &[u8]) -> Result<Self, SplitError> {
        let ip = Ip::parse_to_cut(packet.get(network..).unwrap_or_default())?;
        let protocol = Protocol::of_ip(ip.number.0, ip.source.is_ipv4());
        let other = SplitError::Protocol { gso_type, protocol };
        let kind = match (gso_type, protocol) {
            (GsoType::TcpV4 | GsoType::TcpV6, Protocol::Tcp) => Transport::Tcp,
            (GsoType::UdpL4, Protocol::Udp) => Transport::Udp,
            _ => return Err(other),
        };
        if ip.fragment.is_some() {
            return Err(SplitError::Fragment);
        }
        let of_transport = match kind {
            Transport::Tcp => ip.tcp_header(),
            Transport::Udp => ip.leading(TRANSPORT_LENGTH),
        };
        let transport = network + ip.upper_offset;
        let payload = transport + of_transport.map_err(|error| error.behind(network))?.len();
        Ok(Self { network, transport, payload, kind, source: ip.source, destination: ip.destination })
    }
}

/// Where TCP begins in a packet that leaves no checksum to the receiver. Linux looks for it in another way
/// than where it cuts (`__virtio_net_hdr_to_skb`, Linux 6.18).
pub(super) fn tcp_of(layer: Layer, packet: &[u8]) -> Option<usize> {
    let view = Packet::parse(layer, packet).ok()?;
    let network = network_of(GsoType::TcpV4, &view).ok()?;
    let ip = Ip::dissect(packet.get(network..)?).ok()?;
    (ip.number == ip_number::TCP).then_some(network + ip.upper_offset)
}

/// Where the IP header of a packet is that is to be cut.
pub(super) fn network_of(gso_type: GsoType, view: &Packet<'_>) -> Result<usize, SplitError> {
    if view.ip().is_none() {
        return Err(SplitError::Protocol { gso_type, protocol: view.protocol() });
    }
    if view.is_in_tunnel() {
        return Err(SplitError::Tunnel);
    }
    let network = view.network_offset();
    match other_tag(view.bytes(), network) {
        Some(ether_type) => {
            Err(SplitError::Protocol { gso_type, protocol: Protocol::OtherEther(ether_type) })
        }
        None => Ok(network),
    }
}

/// A tag in front of the IP header that Linux does not pass, such as 0x9100 (`eth_type_vlan`, Linux 6.18).
fn other_tag(packet: &[u8], network: usize) -> Option<EtherType> {
    const ADDRESSES: usize = 12;
    const TAG: usize = 4;
    // The last type is that of IP.
    let types = packet.get(ADDRESSES..network)?.chunks(TAG).filter_map(<[u8]>::first_chunk::<TAG>);
    let mut types = types.map(|&[high, low, ..]| u16::from_be_bytes([high, low]));
    types.find(|number| !matches!(number, 0x8100 | 0x88a8)).map(EtherType)
}
