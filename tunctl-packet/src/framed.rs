//! A packet with the headers in front of it.

use crate::header::{AddressFamily, HeaderKind, Headers, VnetHeader};
use crate::{Layer, Packet, PacketInfo, ParseError};

/// A [`Packet`] as read from a device, with the headers in front of it.
///
/// ```
/// use tunctl_packet::header::HeaderKind;
/// use tunctl_packet::{EtherType, Framed, Layer, udp_packet};
///
/// let packet = udp_packet("10.0.0.1:4000".parse()?, "10.0.0.2:53".parse()?, b"query")?;
/// let read = [&[0, 0, 0x08, 0x00], &packet[..]].concat();
///
/// let framed = Framed::parse(Layer::Tun, HeaderKind::PacketInfo, &read)?;
/// assert_eq!(framed.packet_info().map(|header| header.protocol()), Some(EtherType::IPV4));
/// assert_eq!(framed.packet().destination_port(), Some(53));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Framed<'a> {
    headers: Headers,
    packet: Packet<'a>,
}

impl<'a> Framed<'a> {
    /// Decodes bytes that were read from a device of this layer with headers of this kind.
    ///
    /// [`HeaderKind::parse`] removes the headers without decoding the packet.
    ///
    /// # Errors
    ///
    /// - [`ParseError::Truncated`]: the bytes end within the headers, or within the packet's first header.
    ///   The figures count from the start of `bytes`.
    /// - [`ParseError::NotIp`]: on a TUN device, the packet behind the headers is neither IPv4 nor IPv6. The
    ///   likely cause is that the device has headers of another kind.
    pub fn parse(layer: Layer, kind: HeaderKind, bytes: &'a [u8]) -> Result<Framed<'a>, ParseError> {
        let (headers, packet) = kind.parse(bytes)?;
        let packet = Packet::parse(layer, packet).map_err(|error| error.behind(kind.length()))?;
        Ok(Framed { headers, packet })
    }

    /// All headers in front of the packet.
    #[must_use]
    pub fn headers(&self) -> Headers {
        self.headers
    }

    /// The packet information, if the device has it.
    #[must_use]
    pub fn packet_info(&self) -> Option<PacketInfo> {
        self.headers.packet_info()
    }

    /// The virtio-net header, if the device has it.
    #[must_use]
    pub fn vnet(&self) -> Option<VnetHeader> {
        self.headers.vnet()
    }

    /// The address family, if the device has it.
    #[must_use]
    pub fn address_family(&self) -> Option<AddressFamily> {
        self.headers.address_family()
    }

    /// The packet itself.
    #[must_use]
    pub fn packet(&self) -> Packet<'a> {
        self.packet
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{Framed, HeaderKind, Layer, ParseError};
    use crate::header::{AddressFamily, EtherType, GsoType, System, Truncated, VnetFormat};
    use crate::{ping_packet, udp_packet};

    fn behind(headers: &[u8], packet: &[u8]) -> Vec<u8> {
        [headers, packet].concat()
    }

    #[test]
    fn packet_information_comes_before_the_virtio_net_header() {
        let datagram =
            udp_packet("[fd77::1]:1".parse().unwrap(), "[fd77::2]:2".parse().unwrap(), b"x").unwrap();
        let read = behind(&[0, 0, 0x86, 0xdd, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0], &datagram);
        let kind = HeaderKind::PacketInfoAndVnet(VnetFormat::default());
        let framed = Framed::parse(Layer::Tun, kind, &read).unwrap();
        assert_eq!(framed.packet_info().unwrap().protocol(), EtherType::IPV6);
        assert_eq!(framed.vnet().unwrap().gso_type(), GsoType::UdpL4);
        assert_eq!((framed.address_family(), framed.headers().kind()), (None, kind));
        assert_eq!(framed.packet().bytes(), datagram);
    }

    #[test]
    fn an_address_family_is_read_as_the_system_means_it() {
        let ping = ping_packet("fd77::1".parse().unwrap(), "fd77::2".parse().unwrap(), 1, 1, b"").unwrap();
        let read = behind(&[0, 0, 0, 24], &ping);
        let framed = |system| Framed::parse(Layer::Tun, HeaderKind::AddressFamily(system), &read).unwrap();
        assert_eq!(framed(System::OpenBsd).address_family(), Some(AddressFamily::V6));
        let other = framed(System::FreeBsd).address_family();
        assert!(matches!(other, Some(AddressFamily::Other(family)) if family.number() == 24));
    }

    #[test]
    fn figures_count_from_the_first_byte_read() {
        let truncated = |need, have| ParseError::Truncated(Truncated { need, have });
        let both = HeaderKind::PacketInfoAndVnet(VnetFormat::default());
        let error = |layer, kind, bytes: &[u8]| Framed::parse(layer, kind, bytes).unwrap_err();
        assert_eq!(error(Layer::Tun, both, &[0; 3]), truncated(14, 3));
        assert_eq!(error(Layer::Tun, both, &[0; 13]), truncated(14, 13));
        assert_eq!(error(Layer::Tun, both, &[0; 14]), truncated(34, 14));
        assert_eq!(error(Layer::Tap, both, &[0; 20]), truncated(28, 20));
        assert_eq!(error(Layer::Tun, both, &[0; 60]), ParseError::NotIp { first_byte: 0 });
        assert_eq!(error(Layer::Tun, HeaderKind::Bare, &[0x45; 19]), truncated(20, 19));
    }
}
