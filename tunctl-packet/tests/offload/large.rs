//! Packets that stand for several, and a second splitter: the plain way, which copies everything.

use tunctl_packet::header::{GsoType, VnetHeader};

use crate::common::{checksum, numbered_checksum};

/// A packet to be cut, by its parts.
#[derive(Clone, Debug)]
pub(crate) struct Large {
    pub(crate) v6: bool,
    pub(crate) tcp: bool,
    /// IPv4's options, or IPv6's extension headers without the number that comes next.
    pub(crate) extension: Vec<u8>,
    pub(crate) tcp_options: Vec<u8>,
    pub(crate) tcp_flags: u8,
    pub(crate) sequence: u32,
    pub(crate) identification: u16,
    pub(crate) ethernet: bool,
    pub(crate) payload: Vec<u8>,
    pub(crate) size: u16,
}

impl Large {
    pub(crate) fn new(v6: bool, tcp: bool, payload: usize, size: u16) -> Self {
        let payload = (0..payload).map(|at| u8::try_from((at * 7 + at / 251) % 256).unwrap()).collect();
        Self {
            v6,
            tcp,
            extension: Vec::new(),
            tcp_options: Vec::new(),
            tcp_flags: 0x10,
            sequence: 1000,
            identification: 7,
            ethernet: false,
            payload,
            size,
        }
    }

    /// Where each header begins: IP, the transport, the payload.
    pub(crate) fn offsets(&self) -> (usize, usize, usize) {
        let network = if self.ethernet { 14 } else { 0 };
        let transport = network + if self.v6 { 40 } else { 20 } + self.extension.len();
        (network, transport, transport + if self.tcp { 20 + self.tcp_options.len() } else { 8 })
    }

    pub(crate) fn header(&self) -> VnetHeader {
        let (_, transport, payload) = self.offsets();
        let (gso_type, offset) = match (self.tcp, self.v6) {
            (true, false) => (GsoType::TcpV4, 16),
            (true, true) => (GsoType::TcpV6, 16),
            (false, _) => (GsoType::UdpL4, 6),
        };
        VnetHeader::default()
            .with_segments(gso_type, self.size)
            .with_checksum(u16::try_from(transport).unwrap(), offset)
            .with_header_length(u16::try_from(payload).unwrap())
    }

    /// The packet as a device with offload gives it: with the sum of the pseudo-header for a checksum.
    pub(crate) fn packet(&self) -> Vec<u8> {
        let mut packet = self.segment(0, &self.payload, self.tcp_flags, false);
        let (_, transport, _) = self.offsets();
        let length = packet.len() - transport;
        let header = self.network(0, length);
        let addresses = if self.v6 { &header[8..40] } else { &header[12..20] };
        let length = u32::try_from(length).unwrap().to_be_bytes();
        let sum = !checksum(&[addresses, &length, &[0, 0, 0, self.number()]].concat());
        let place = transport + if self.tcp { 16 } else { 6 };
        packet[place..place + 2].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    /// The segments, made one by one.
    pub(crate) fn segments(&self) -> Vec<Vec<u8>> {
        let pieces: Vec<_> = self.payload.chunks(usize::from(self.size)).collect();
        let last = pieces.len() - 1;
        let flags = |index| {
            let but_first = if index == 0 { 0xff } else { 0x7f };
            let but_last = if index == last { 0xff } else { 0xf6 };
            self.tcp_flags & but_first & but_last
        };
        let each = pieces.iter().enumerate();
        each.map(|(index, piece)| self.segment(index, piece, flags(index), true)).collect()
    }

    /// One segment, with its checksum or with zero for it.
    pub(crate) fn segment(&self, index: usize, payload: &[u8], tcp_flags: u8, complete: bool) -> Vec<u8> {
        let before = u32::try_from(index * usize::from(self.size)).unwrap();
        let mut transport = if self.tcp {
            let words = u8::try_from((20 + self.tcp_options.len()) / 4).unwrap();
            let mut header = vec![0x0f, 0xa0, 0, 80];
            header.extend(self.sequence.wrapping_add(before).to_be_bytes());
            header.extend([0, 0, 0, 9, words << 4, tcp_flags, 1, 2, 0, 0, 0, 0]);
            header.extend(&self.tcp_options);
            header
        } else {
            let length = u16::try_from((8 + payload.len()) % 65_536).unwrap().to_be_bytes();
            vec![0x0f, 0xa0, 0, 53, length[0], length[1], 0, 0]
        };
        transport.extend(payload);
        let mut packet = self.network(index, transport.len());
        if complete {
            let place = if self.tcp { 16 } else { 6 };
            let sum = numbered_checksum(&packet, self.number(), &transport);
            let sum = if sum == 0 && !self.tcp { 0xffff } else { sum };
            transport[place..place + 2].copy_from_slice(&sum.to_be_bytes());
        }
        packet.extend(&transport);
        let ether_type = if self.v6 { [0x86, 0xdd] } else { [8, 0] };
        let ethernet = [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1][..], &ether_type].concat();
        if self.ethernet { [ethernet, packet].concat() } else { packet }
    }

    /// The whole payload in one packet, with its checksum, if it fits.
    pub(crate) fn whole(&self) -> Vec<u8> {
        self.segment(0, &self.payload, self.tcp_flags, true)
    }

    fn number(&self) -> u8 {
        if self.tcp { 6 } else { 17 }
    }

    /// The header of IP in front of a transport of this length.
    fn network(&self, index: usize, transport: usize) -> Vec<u8> {
        let length = |length: usize| u16::try_from(length % 65_536).unwrap().to_be_bytes();
        if self.v6 {
            let [high, low] = length(self.extension.len() + transport);
            let next = if self.extension.is_empty() { self.number() } else { 60 };
            let mut header = vec![0x60, 0x12, 0x34, 0x56, high, low, next, 64];
            header.extend([[0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]; 2].concat());
            header.extend(&self.extension);
            return header;
        }
        let words = u8::try_from((20 + self.extension.len()) / 4).unwrap();
        let [high, low] = length(20 + self.extension.len() + transport);
        let [id0, id1] = self.identification.wrapping_add(u16::try_from(index).unwrap()).to_be_bytes();
        let mut header = vec![0x40 | words, 3, high, low, id0, id1, 0x40, 0, 64, self.number(), 0, 0];
        header.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        header.extend(&self.extension);
        let sum = checksum(&header).to_be_bytes();
        header[10..12].copy_from_slice(&sum);
        header
    }
}

/// An extension header of IPv6 of 8 times this many bytes, all of it padding, with the transport behind it.
pub(crate) fn destination_options(eights: u8, next: u8) -> Vec<u8> {
    let length = usize::from(eights) * 8;
    let mut header = vec![0; length];
    header[0] = next;
    header[1] = eights - 1;
    // PadN options of at most 255 + 2 bytes.
    let mut at = 2;
    while at < length {
        let rest = length - at;
        if rest == 1 {
            break;
        }
        let data = (rest - 2).min(255);
        header[at] = 1;
        header[at + 1] = u8::try_from(data).unwrap();
        at += 2 + data;
    }
    header
}
