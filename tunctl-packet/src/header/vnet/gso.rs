//! What the segments of a packet will be.

/// A bit of the type: TCP with explicit congestion notification.
pub(super) const ECN: u8 = 0x80;
/// Bits of the type: in a UDP tunnel over IPv4, over IPv6.
pub(super) const TUNNEL_V4: u8 = 0x20;
pub(super) const TUNNEL_V6: u8 = 0x40;
/// All bits that say something beside the type.
pub(super) const BITS: u8 = ECN | TUNNEL_V4 | TUNNEL_V6;

/// What a packet larger than the MTU is to be cut into, by the kernel or by the network card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GsoType {
    /// Nothing: it is one packet.
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
    /// Any other, by its number: below 0x20, as the bits above are none of the type.
    Other(u8),
}

impl GsoType {
    /// From the byte of the header; the bits that stand beside the type are not looked at.
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

    /// Its number, without the bits that stand beside it.
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
