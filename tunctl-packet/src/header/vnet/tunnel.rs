//! What Linux demands of the header of a packet in a UDP tunnel (`virtio_net_hdr_tnl_to_skb`, Linux 6.18).

use super::rules::{ETHERNET_HEADER, IPV4_HEADER, IPV6_HEADER, UDP_HEADER};
use super::{GsoMismatch, GsoType, VnetHeader};
use crate::Layer;

impl VnetHeader {
    /// Checks what the header says by itself, if the packet is in a UDP tunnel. The kernel takes the offsets
    /// for those of a frame ([`Layer::Tap`]) also on a tun, where it does not report such.
    ///
    /// A header that is too short for the offsets has zeros in their place, which are refused.
    pub(crate) fn check_tunnel(&self, layer: Layer) -> Result<(), GsoMismatch> {
        if !self.is_tunneled() {
            return Ok(());
        }
        if self.is_tunneled_v4() && self.is_tunneled_v6() {
            return Err(GsoMismatch::TwoTunnels);
        }
        let gso_type = self.gso_type();
        if matches!(gso_type, GsoType::None | GsoType::Udp) {
            return Err(GsoMismatch::TunnelType { gso_type });
        }
        // Segments of UDP may be in either version: the packet says so.
        self.check_tunnel_offsets(layer, gso_type == GsoType::TcpV6)
    }

    /// Checks what only the packet says: which version of IP segments of UDP in a tunnel are in.
    pub(crate) fn check_inner_version(&self, layer: Layer, packet: &[u8]) -> Result<(), GsoMismatch> {
        let first = packet.get(usize::from(self.inner_network));
        let is_v6 = first.is_some_and(|first| first >> 4 == 6);
        if self.is_tunneled() && self.gso_type() == GsoType::UdpL4 && is_v6 {
            self.check_tunnel_offsets(layer, true)
        } else {
            Ok(())
        }
    }

    /// Checks that there is room for each header between the offset where it begins and that of the next one.
    fn check_tunnel_offsets(&self, layer: Layer, inner_is_v6: bool) -> Result<(), GsoMismatch> {
        let Some((checksum_start, _)) = self.needs_checksum() else { return Err(GsoMismatch::NoChecksum) };
        let &VnetHeader { outer_transport, inner_network, .. } = self;
        let link = if layer == Layer::Tap { ETHERNET_HEADER } else { 0 };
        let ip = |is_v6| if is_v6 { IPV6_HEADER } else { IPV4_HEADER };
        let have = [outer_transport, inner_network, checksum_start].map(u32::from);
        let need = [
            u32::from(link + ip(self.is_tunneled_v6())),
            have[0] + u32::from(UDP_HEADER),
            have[1] + u32::from(ip(inner_is_v6)),
        ];
        if have.iter().zip(need).any(|(have, need)| *have < need) {
            return Err(GsoMismatch::TunnelPlace { outer_transport, inner_network, checksum_start });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::super::VnetRules;
    use super::*;

    /// Ethernet, IP, UDP, VXLAN, Ethernet, IPv4, TCP: with these offsets.
    fn header(byte: u8, outer: u16, inner: u16, start: u16) -> VnetHeader {
        VnetHeader::default()
            .with_gso_byte(byte)
            .with_segments(VnetHeader::default().with_gso_byte(byte).gso_type(), 100)
            .with_checksum(start, if byte & 0x1f == 5 { 6 } else { 16 })
            .with_tunnel_offsets(outer, inner)
    }

    fn verdict(header: VnetHeader) -> Result<(), GsoMismatch> {
        VnetRules::LINUX_6_18.check_packet(&header, Layer::Tap, &[0x45; 1000])
    }

    #[test]
    fn each_header_has_room_before_the_next_one() {
        for (byte, [outer, inner, start]) in [
            (0x21, [34, 42, 62]),
            (0x24, [34, 42, 82]),
            (0x25, [34, 42, 62]),
            (0xa1, [34, 42, 62]),
            (0x41, [54, 62, 82]),
            (0x44, [54, 62, 102]),
        ] {
            assert_eq!(verdict(header(byte, outer, inner, start)), Ok(()), "{byte:#x}");
            for (outer, inner, start) in
                [(outer - 1, inner, start), (outer, inner - 1, start), (outer, inner, start - 1)]
            {
                let error = GsoMismatch::TunnelPlace {
                    outer_transport: outer,
                    inner_network: inner,
                    checksum_start: start,
                };
                assert_eq!(verdict(header(byte, outer, inner, start)), Err(error), "{byte:#x}");
            }
        }
        assert_eq!(
            verdict(header(0x21, 0, 0, 62)).unwrap_err().to_string(),
            "the headers of a tunnel do not begin at the bytes 0, 0 and 62"
        );
    }

    #[test]
    fn segments_of_udp_are_in_the_version_that_the_packet_has() {
        let mut packet = [0x45; 1000];
        let header = header(0x25, 34, 42, 62);
        let check = |packet: &[u8]| VnetRules::LINUX_6_18.check_packet(&header, Layer::Tap, packet);
        assert_eq!(check(&packet), Ok(()));
        packet[42] = 0x60;
        assert!(matches!(check(&packet), Err(GsoMismatch::TunnelPlace { .. })));
        // Without the packet, nobody knows.
        assert_eq!(VnetRules::LINUX_6_18.check(&header, Layer::Tap, 1000), Ok(()));
    }

    #[test]
    fn what_goes_through_no_tunnel_is_refused() {
        for (byte, error) in [
            (0x61, GsoMismatch::TwoTunnels),
            (0x20, GsoMismatch::TunnelType { gso_type: GsoType::None }),
            (0xa0, GsoMismatch::TunnelType { gso_type: GsoType::None }),
            (0x23, GsoMismatch::TunnelType { gso_type: GsoType::Udp }),
            (0x26, GsoMismatch::UnknownType { number: 6 }),
            (0xa5, GsoMismatch::Ecn { gso_type: GsoType::UdpL4 }),
        ] {
            assert_eq!(verdict(header(byte, 34, 42, 62)), Err(error), "{byte:#x}");
        }
        assert_eq!(verdict(header(0x21, 34, 42, 62).without_checksum()), Err(GsoMismatch::NoChecksum));
        let good = header(0x21, 34, 42, 62);
        let before = VnetRules::LINUX_6_12.check(&good, Layer::Tap, 1000);
        assert_eq!(before, Err(GsoMismatch::Unsupported));
    }
}
