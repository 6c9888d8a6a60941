//! The headers of a UDP tunnel in front of a packet that is cut.

use super::checksum::{checksum, fold, sum};
use super::layout::{Layout, network_of};
use super::model::IpFields;
use super::split::{at, check_length, half, put};
use super::{SplitError, layout::Transport};
use crate::header::{GsoMismatch, VnetHeader};
use crate::ip::{Ip, TRANSPORT_LENGTH};
use crate::{Layer, Packet, Protocol};

/// The two MAC addresses and the EtherType, and the bytes that a VLAN tag adds to them.
const ETHERNET: usize = 14;
const TAG: usize = 4;

/// What segments do not share of the outer IP header, and of the outer header of UDP.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tunnel {
    network: usize,
    transport: usize,
    is_v4: bool,
    ip: IpFields,
    /// The sum of the pseudo-header without the length, if segments get a checksum of their own. Else it
    /// stays what it is: zero, for none.
    pseudo: Option<u64>,
}

impl Tunnel {
    /// Finds the outer headers, and the inner ones behind them. A tunnel's own header has no form that is
    /// known here, so where the inner packet begins is only in the virtio-net header.
    pub(super) fn of(header: &VnetHeader, layer: Layer, packet: &[u8]) -> Result<(Self, Layout), SplitError> {
        let gso_type = header.gso_type();
        let network = network_of(gso_type, &Packet::parse(layer, packet)?)?;
        let ip = Ip::parse_to_cut(packet.get(network..).unwrap_or_default())?;
        let is_v4 = ip.source.is_ipv4();
        let protocol = Protocol::of_ip(ip.number.0, is_v4);
        if protocol != Protocol::Udp {
            return Err(SplitError::Protocol { gso_type, protocol });
        }
        if ip.fragment.is_some() {
            return Err(SplitError::Fragment);
        }
        ip.leading(TRANSPORT_LENGTH).map_err(|error| error.behind(network))?;
        let transport = network + ip.upper_offset;
        let layout = Layout::behind(inner_network(header, network, transport)?, gso_type, packet)?;
        let ip = IpFields::of(packet, network, is_v4);
        let pseudo = header.needs_tunnel_checksum().then(|| {
            let length = u32::try_from(packet.len() - transport).unwrap_or_default();
            let stated: [u8; 2] = at(packet, transport + usize::from(Transport::Udp.checksum()));
            sum(&stated) + sum(&length.to_be_bytes().map(|byte| !byte))
        });
        Ok((Self { network, transport, is_v4, ip, pseudo }, layout))
    }

    /// Checks the longest segment, by its length with the outer headers.
    pub(super) fn check(&self, length: usize) -> Result<(), SplitError> {
        check_length(length - self.network, self.is_v4)
    }

    /// Writes into the outer headers of a segment of this length what it does not share with the others. Its
    /// inner headers are complete, with this sum of the pseudo-header in the inner checksum.
    pub(super) fn complete(
        &self,
        headers: &mut [u8],
        length: usize,
        index: usize,
        inner_transport: usize,
        inner_pseudo: u64,
    ) {
        let transport = self.transport;
        self.ip.complete(headers, length, index);
        let length = half(length - transport);
        put(headers, transport + 4, length);
        let Some(pseudo) = self.pseudo else { return };
        let place = transport + usize::from(Transport::Udp.checksum());
        put(headers, place, [0, 0]);
        // With its checksum, the inner transport adds up to the complement of its pseudo-header's sum, so the
        // payload is not read a second time (`gso_make_checksum` does the same). Behind an odd number of
        // bytes, high and low bytes change places.
        let inner = !fold(inner_pseudo);
        let inner = if (inner_transport - transport) % 2 == 0 { inner } else { inner.swap_bytes() };
        let own = sum(headers.get(transport..inner_transport).unwrap_or_default());
        let own = checksum(own + u64::from(inner) + pseudo + sum(&length));
        put(headers, place, if own == [0, 0] { [0xff, 0xff] } else { own });
    }
}

/// Where the inner IP header is.
fn inner_network(header: &VnetHeader, network: usize, transport: usize) -> Result<usize, SplitError> {
    let (outer_transport, inner_network) = header.tunnel_offsets();
    // The kernel may put a tag into the frame as it hands it out, and does not add it to these two offsets
    // (`tun_put_user`, `virtio_net_hdr_tnl_from_skb`, Linux 6.18).
    let missing = transport.checked_sub(outer_transport.into());
    let inner = missing
        .filter(|&missing| missing == 0 || missing == TAG && network >= ETHERNET + TAG)
        .map(|missing| usize::from(inner_network) + missing)
        .filter(|&inner| inner >= transport + TRANSPORT_LENGTH);
    let checksum_start = header.needs_checksum().unwrap_or_default().0;
    let misplaced = GsoMismatch::TunnelPlace { outer_transport, inner_network, checksum_start };
    inner.ok_or(SplitError::UdpTunnel(misplaced))
}
