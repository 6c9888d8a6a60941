//! The headers that a device has in front of its packets.

use super::{
    AddressFamily, ChecksumError, EtherType, GsoType, PacketInfo, System, Truncated, VnetFormat, VnetHeader,
};
use crate::{Layer, ParseError};

/// The kind of headers that a device has in front of each packet.
///
/// The kind is a property of the device. No packet contains it, so a program has to know how the device was
/// opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeaderKind {
    /// No headers.
    #[default]
    #[doc(alias = "IFF_NO_PI")]
    Bare,
    /// [Packet information](PacketInfo) of Linux.
    PacketInfo,
    /// A [virtio-net header](VnetHeader) of this format.
    #[doc(alias = "IFF_VNET_HDR")]
    Vnet(VnetFormat),
    /// Packet information, followed by a virtio-net header.
    PacketInfoAndVnet(VnetFormat),
    /// The [address family](AddressFamily) of this BSD system, or of macOS.
    #[doc(alias = "TUNSIFHEAD")]
    AddressFamily(System),
}

/// The reason why the headers for a packet could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The packet is not one that the headers can describe.
    #[error("no header for the packet: {0}")]
    Packet(#[from] ParseError),
    /// The Ethernet frame does not carry an IP packet, and has no address family for that reason.
    #[error("{ether_type} has no address family")]
    NoAddressFamily {
        /// The type of the frame.
        ether_type: EtherType,
    },
    /// The buffer is too short for the headers.
    #[error("no room for the headers: {0}")]
    NoRoom(Truncated),
}

impl HeaderKind {
    /// The length of the longest headers, in bytes.
    pub const MAX_LENGTH: usize = 28;

    /// The length of all headers together, in bytes.
    #[must_use]
    pub const fn length(self) -> usize {
        match self {
            HeaderKind::Bare => 0,
            HeaderKind::PacketInfo => PacketInfo::LENGTH,
            HeaderKind::Vnet(format) => format.length.bytes(),
            HeaderKind::PacketInfoAndVnet(format) => PacketInfo::LENGTH + format.length.bytes(),
            HeaderKind::AddressFamily(_) => AddressFamily::LENGTH,
        }
    }

    /// Splits bytes that were read from a device into the headers and the packet behind them.
    ///
    /// # Errors
    ///
    /// [`Truncated`] if there are fewer bytes than [`length`](Self::length).
    pub fn parse(self, bytes: &[u8]) -> Result<(Headers, &[u8]), Truncated> {
        let whole = Truncated { need: self.length(), have: bytes.len() };
        let mut headers = Headers::none(self);
        let mut rest = bytes;
        if let HeaderKind::PacketInfo | HeaderKind::PacketInfoAndVnet(_) = self {
            let (header, behind) = PacketInfo::parse(rest).map_err(|_| whole)?;
            (headers.packet_info, rest) = (Some(header), behind);
        }
        if let HeaderKind::Vnet(format) | HeaderKind::PacketInfoAndVnet(format) = self {
            let (header, behind) = VnetHeader::parse(format, rest).map_err(|_| whole)?;
            (headers.vnet, rest) = (Some(header), behind);
        }
        if let HeaderKind::AddressFamily(system) = self {
            let (header, behind) = AddressFamily::parse(system, rest).map_err(|_| whole)?;
            (headers.address_family, rest) = (Some(header), behind);
        }
        Ok((headers, rest))
    }

    /// Completes the checksum of a packet, in the bytes that were read from a device, and says so in its
    /// virtio-net header. Returns whether it lacked one.
    ///
    /// A device that takes packets without a checksum needs this alone to take them as it takes others. A
    /// packet in segments stays as it is: each of its segments gets a checksum of its own.
    ///
    /// ```
    /// use tunctl_packet::header::{HeaderKind, VnetFormat, VnetHeader};
    /// use tunctl_packet::udp_packet;
    ///
    /// // With `TUN_F_CSUM`, a datagram from the device has the sum of its pseudo-header only.
    /// let whole = udp_packet("10.0.0.1:4000".parse()?, "10.0.0.2:53".parse()?, b"query")?;
    /// let format = VnetFormat::default();
    /// let mut read = [&[0; 10], &whole[..]].concat();
    /// VnetHeader::default().with_checksum(20, 6).write(format, &mut read)?;
    /// read[10 + 26..][..2].copy_from_slice(&[0x14, 0x21]);
    ///
    /// assert!(HeaderKind::Vnet(format).complete_checksum(&mut read)?);
    /// assert_eq!(read[10..], whole);
    /// assert!(!HeaderKind::Vnet(format).complete_checksum(&mut read)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ChecksumError`], by cause, with the bytes unchanged.
    #[doc(alias = "VIRTIO_NET_HDR_F_NEEDS_CSUM")]
    pub fn complete_checksum(self, bytes: &mut [u8]) -> Result<bool, ChecksumError> {
        let (headers, _) = self.parse(bytes)?;
        let (headers_bytes, packet) = bytes.split_at_mut(self.length());
        match headers.vnet() {
            Some(vnet) if vnet.gso_type() == GsoType::None => {
                let completed = vnet.complete_checksum(packet)?;
                if completed {
                    headers.with_vnet(vnet.without_checksum()).write(headers_bytes)?;
                }
                Ok(completed)
            }
            _ => Ok(false),
        }
    }

    /// The headers that a packet needs in order to be written to a device of this layer.
    ///
    /// Packet information and address family follow from the IP version on a TUN device, and from the frame's
    /// type on a TAP device. The virtio-net header is zero, which means that the packet is complete; for
    /// another one, use [`Headers::with_vnet`]. If no header of this kind depends on the packet, its bytes
    /// are not read.
    ///
    /// # Errors
    ///
    /// - [`HeaderError::Packet`]: the packet is too short, or it is neither IPv4 nor IPv6 on a TUN device.
    /// - [`HeaderError::NoAddressFamily`]: this kind has an address family, and the frame does not carry IP.
    pub fn headers_for(self, layer: Layer, packet: &[u8]) -> Result<Headers, HeaderError> {
        let mut headers = Headers::none(self);
        match self {
            HeaderKind::Bare => {}
            HeaderKind::Vnet(_) => headers.vnet = Some(VnetHeader::default()),
            HeaderKind::PacketInfo => {
                headers.packet_info = Some(PacketInfo::new(protocol(layer, packet)?));
            }
            HeaderKind::PacketInfoAndVnet(_) => {
                headers.packet_info = Some(PacketInfo::new(protocol(layer, packet)?));
                headers.vnet = Some(VnetHeader::default());
            }
            HeaderKind::AddressFamily(_) => {
                headers.address_family = Some(match protocol(layer, packet)? {
                    EtherType::IPV4 => AddressFamily::V4,
                    EtherType::IPV6 => AddressFamily::V6,
                    ether_type => return Err(HeaderError::NoAddressFamily { ether_type }),
                });
            }
        }
        Ok(headers)
    }

    /// Writes [the headers that `packet` needs](Self::headers_for) to the beginning of `buffer`, whose rest
    /// stays unchanged; returns the length of the headers.
    ///
    /// The packet itself is not copied. Send both with a vectored write, or copy the packet behind the
    /// headers.
    ///
    /// ```
    /// use tunctl_packet::header::{HeaderKind, VnetFormat};
    /// use tunctl_packet::{Layer, udp_packet};
    ///
    /// let packet = udp_packet("10.0.0.1:4000".parse()?, "10.0.0.2:53".parse()?, b"query")?;
    /// let mut headers = [0; HeaderKind::MAX_LENGTH];
    /// let kind = HeaderKind::PacketInfoAndVnet(VnetFormat::default());
    /// let length = kind.write(Layer::Tun, &packet, &mut headers)?;
    /// assert_eq!(headers[..length], [0, 0, 0x08, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`headers_for`](Self::headers_for), and [`HeaderError::NoRoom`] if `buffer` is shorter
    /// than [`length`](Self::length). After an error, `buffer` is unchanged.
    pub fn write(self, layer: Layer, packet: &[u8], buffer: &mut [u8]) -> Result<usize, HeaderError> {
        self.headers_for(layer, packet)?.write(buffer).map_err(HeaderError::NoRoom)
    }
}

/// The type of a packet: on a TUN device by its IP version, on a TAP device by the frame's own type, which
/// may be the type of a VLAN tag.
fn protocol(layer: Layer, packet: &[u8]) -> Result<EtherType, ParseError> {
    match (layer, packet) {
        (Layer::Tap, &[_, _, _, _, _, _, _, _, _, _, _, _, t0, t1, ..]) => {
            Ok(EtherType(u16::from_be_bytes([t0, t1])))
        }
        (Layer::Tap, _) => Err(Truncated { need: 14, have: packet.len() }.into()),
        (Layer::Tun, &[first_byte, ..]) => EtherType::of_ip(packet).ok_or(ParseError::NotIp { first_byte }),
        (Layer::Tun, []) => Err(Truncated { need: 1, have: 0 }.into()),
    }
}

/// The headers in front of one packet: exactly those of the device's [`HeaderKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Headers {
    kind: HeaderKind,
    packet_info: Option<PacketInfo>,
    vnet: Option<VnetHeader>,
    address_family: Option<AddressFamily>,
}

impl Headers {
    const fn none(kind: HeaderKind) -> Self {
        Headers { kind, packet_info: None, vnet: None, address_family: None }
    }

    /// The kind of these headers.
    #[must_use]
    pub const fn kind(&self) -> HeaderKind {
        self.kind
    }

    /// The packet information, if there is one.
    #[must_use]
    pub const fn packet_info(&self) -> Option<PacketInfo> {
        self.packet_info
    }

    /// The virtio-net header, if there is one.
    #[must_use]
    pub const fn vnet(&self) -> Option<VnetHeader> {
        self.vnet
    }

    /// The address family, if there is one.
    #[must_use]
    pub const fn address_family(&self) -> Option<AddressFamily> {
        self.address_family
    }

    /// The same headers with this virtio-net header. Headers of a kind without one stay the same.
    #[must_use]
    pub const fn with_vnet(self, vnet: VnetHeader) -> Self {
        match self.vnet {
            Some(_) => Headers { vnet: Some(vnet), ..self },
            None => self,
        }
    }

    /// Writes the headers to the beginning of `buffer`, whose rest stays unchanged; returns their length.
    ///
    /// # Errors
    ///
    /// [`Truncated`] if `buffer` is shorter than [`HeaderKind::length`]; `buffer` is then unchanged.
    pub fn write(&self, buffer: &mut [u8]) -> Result<usize, Truncated> {
        let (need, have) = (self.kind.length(), buffer.len());
        let place = buffer.get_mut(..need).ok_or(Truncated { need, have })?;
        let mut behind = 0;
        if let Some(header) = self.packet_info {
            header.write(place)?;
            behind = PacketInfo::LENGTH;
        }
        if let (HeaderKind::Vnet(format) | HeaderKind::PacketInfoAndVnet(format), Some(header)) =
            (self.kind, self.vnet)
        {
            header.write(format, place.get_mut(behind..).unwrap_or_default())?;
        }
        if let (HeaderKind::AddressFamily(system), Some(family)) = (self.kind, self.address_family) {
            family.write(system, place)?;
        }
        Ok(need)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::{EtherType, HeaderError, HeaderKind, Layer, ParseError, System, Truncated, VnetFormat};
    use crate::header::{Endian, VnetHeader, VnetLength};

    fn kinds() -> Vec<HeaderKind> {
        let formats = VnetLength::ALL.map(|length| VnetFormat::new(length, Endian::Little));
        let mut kinds =
            vec![HeaderKind::Bare, HeaderKind::PacketInfo, HeaderKind::AddressFamily(System::MacOs)];
        kinds.extend(formats.map(HeaderKind::Vnet));
        kinds.extend(formats.map(HeaderKind::PacketInfoAndVnet));
        kinds
    }

    #[test]
    fn no_kind_is_longer_than_the_longest() {
        let longest = kinds().into_iter().map(HeaderKind::length).max();
        assert_eq!(longest, Some(HeaderKind::MAX_LENGTH));
    }

    #[test]
    fn infers_what_a_packet_is() {
        let tagged = [&[0; 12][..], &[0x81, 0, 0, 1, 8, 0]].concat();
        for (layer, packet, info, family) in [
            (Layer::Tun, &[0x45][..], [8, 0], Some(2)),
            (Layer::Tun, &[0x60], [0x86, 0xdd], Some(30)),
            (Layer::Tap, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x86, 0xdd], [0x86, 0xdd], Some(30)),
            (Layer::Tap, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 6], [8, 6], None),
            (Layer::Tap, &tagged, [0x81, 0], None),
        ] {
            let mut buffer = [9; 5];
            assert_eq!(HeaderKind::PacketInfo.write(layer, packet, &mut buffer), Ok(4));
            assert_eq!(buffer, [0, 0, info[0], info[1], 9]);
            let written = HeaderKind::AddressFamily(System::MacOs).write(layer, packet, &mut buffer);
            match family {
                Some(family) => assert_eq!((written, buffer), (Ok(4), [0, 0, 0, family, 9])),
                None => {
                    let ether_type = EtherType(u16::from_be_bytes(info));
                    assert_eq!(written, Err(HeaderError::NoAddressFamily { ether_type }));
                }
            }
        }
    }

    #[test]
    fn a_packet_that_tells_nothing_has_no_header_that_says_something() {
        let not_ip = HeaderError::Packet(ParseError::NotIp { first_byte: 0x50 });
        let truncated = |need, have| HeaderError::Packet(Truncated { need, have }.into());
        for kind in kinds() {
            let says = !matches!(kind, HeaderKind::Bare | HeaderKind::Vnet(_));
            for (layer, packet, error) in [
                (Layer::Tun, &[0x50, 0][..], not_ip),
                (Layer::Tun, &[], truncated(1, 0)),
                (Layer::Tap, &[8; 13], truncated(14, 13)),
            ] {
                let mut buffer = [9; HeaderKind::MAX_LENGTH];
                let expected = if says { Err(error) } else { Ok(kind.length()) };
                assert_eq!(kind.write(layer, packet, &mut buffer), expected);
                assert_eq!(buffer == [9; HeaderKind::MAX_LENGTH], says || kind == HeaderKind::Bare);
            }
        }
    }

    #[test]
    fn too_little_room_is_told_and_left_alone() {
        for kind in kinds().into_iter().filter(|kind| *kind != HeaderKind::Bare) {
            let (need, have) = (kind.length(), kind.length() - 1);
            let mut short = vec![9; have];
            let error = Truncated { need, have };
            assert_eq!(kind.write(Layer::Tun, &[0x45], &mut short), Err(HeaderError::NoRoom(error)));
            assert_eq!(short, vec![9; have]);
            assert_eq!(kind.parse(&short), Err(error));
        }
    }

    #[test]
    fn a_virtio_net_header_is_only_where_there_is_one() {
        let vnet = VnetHeader::default().with_checksum(20, 6);
        for kind in kinds() {
            let headers = kind.headers_for(Layer::Tun, &[0x45]).unwrap().with_vnet(vnet);
            let has = matches!(kind, HeaderKind::Vnet(_) | HeaderKind::PacketInfoAndVnet(_));
            assert_eq!((headers.vnet(), headers.kind()), (has.then_some(vnet), kind));
            assert_eq!(headers.address_family().is_some(), matches!(kind, HeaderKind::AddressFamily(_)));
        }
    }
}
