//! The types of segmentation.

/// A bit of the type: TCP with explicit congestion notification.
pub(super) const ECN: u8 = 0x80;
/// Bits of the type: in a UDP tunnel over IPv4, over IPv6.
pub(super) const TUNNEL_V4: u8 = 0x20;
pub(super) const TUNNEL_V6: u8 = 0x40;
/// All bits of the byte that are not part of the type.
pub(super) const BITS: u8 = ECN | TUNNEL_V4 | TUNNEL_V6;

/// The segments into which the kernel or the network card is to cut a packet larger than the MTU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GsoType {
    /// No segmentation: it is one packet.
    #[doc(alias = "VIRTIO_NET_HDR_GSO_NONE")]
    None,
    /// TCP segments in IPv4.
    #[doc(alias = "VIRTIO_NET_HDR_GSO_TCPV4")]
    #[doc(alias = "TUN_F_TSO4")]
    TcpV4,
    /// IP fragments of one large UDP datagram.
    #[doc(alias = "VIRTIO_NET_HDR_GSO_UDP")]
    #[doc(alias = "TUN_F_UFO")]
    Udp,
    /// TCP segments in IPv6.
    #[doc(alias = "VIRTIO_NET_HDR_GSO_TCPV6")]
    #[doc(alias = "TUN_F_TSO6")]
    TcpV6,
    /// UDP datagrams of the same size, in IPv4 or IPv6.
    #[doc(alias = "VIRTIO_NET_HDR_GSO_UDP_L4")]
    #[doc(alias = "TUN_F_USO4")]
    #[doc(alias = "TUN_F_USO6")]
    UdpL4,
    /// Another type, by its number. It is below 0x20, because the higher bits are not part of the type.
    Other(u8),
}

impl GsoType {
    /// The type in a byte of the header, whose other bits are ignored.
    pub(super) const fn of(byte: u8) -> GsoType {
        match byte & !BITS {
            0 => GsoType::None,
            1 => GsoType::TcpV4,
            3 => GsoType::Udp,
            4 => GsoType::TcpV6,
            5 => GsoType::UdpL4,
            other => GsoType::Other(other),
        }
    }

    /// The number of the type, without other bits.
    pub(super) const fn number(self) -> u8 {
        match self {
            GsoType::None => 0,
            GsoType::TcpV4 => 1,
            GsoType::Udp => 3,
            GsoType::TcpV6 => 4,
            GsoType::UdpL4 => 5,
            GsoType::Other(number) => number & !BITS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::GsoType;

    #[test]
    fn each_number_is_one_type() {
        for byte in 0..=u8::MAX {
            assert_eq!(GsoType::of(byte).number(), byte & 0x1f);
        }
        for known in [GsoType::None, GsoType::TcpV4, GsoType::Udp, GsoType::TcpV6, GsoType::UdpL4] {
            assert_eq!(GsoType::of(known.number()), known);
        }
    }
}
