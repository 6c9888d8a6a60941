//! Cutting what is in a UDP tunnel.

use proptest::collection::vec;
use proptest::prelude::*;
use tunctl_packet::header::{GsoMismatch, GsoType, VnetHeader};
use tunctl_packet::offload::SplitError;
use tunctl_packet::{Layer, ParseError};

use crate::large::{Large, destination_options};
use crate::split::{cut, layer};

const OVER_V4: u8 = 0x20;
const OVER_V6: u8 = 0x40;
const TUNNEL_CHECKSUM: u8 = 8;

/// A packet in a tunnel: the second splitter makes each segment of it by itself.
#[derive(Clone, Debug)]
struct Tunnel {
    /// The datagram that the tunnel is, without its payload.
    outer: Large,
    has_checksum: bool,
    /// That of VXLAN, or whatever.
    header: Vec<u8>,
    inner: Large,
}

impl Tunnel {
    fn new(v6: bool, has_checksum: bool, inner: Large) -> Self {
        let outer = Large { ethernet: true, identification: 500, ..Large::new(v6, false, 0, 1) };
        Self { outer, has_checksum, header: vec![8, 0, 0, 0, 0, 0, 42, 0], inner }
    }

    /// Where the outer transport begins, and the inner packet.
    fn offsets(&self) -> (usize, usize) {
        let (_, transport, payload) = self.outer.offsets();
        (transport, payload + self.header.len())
    }

    fn vnet_header(&self) -> VnetHeader {
        let (transport, base) = self.offsets();
        let (network, inner_transport, payload) = self.inner.offsets();
        let half = |number: usize| u16::try_from(number).unwrap();
        let inner = self.inner.header();
        let (_, offset) = inner.needs_checksum().unwrap();
        inner
            .with_checksum(half(base + inner_transport), offset)
            .with_header_length(half(base + payload))
            .with_flags(inner.flags() | if self.has_checksum { TUNNEL_CHECKSUM } else { 0 })
            .with_gso_byte(inner.gso_byte() | if self.outer.v6 { OVER_V6 } else { OVER_V4 })
            .with_tunnel_offsets(half(transport), half(base + network))
    }

    fn packet(&self) -> Vec<u8> {
        let payload = [self.header.clone(), self.inner.packet()].concat();
        let outer = Large { payload, ..self.outer.clone() };
        if self.has_checksum { outer.packet() } else { outer.segment(0, &outer.payload, 0, false) }
    }

    fn segments(&self) -> Vec<Vec<u8>> {
        let inner = self.inner.segments().into_iter().enumerate();
        inner
            .map(|(index, segment)| {
                let payload = [self.header.clone(), segment].concat();
                self.outer.segment(index, &payload, 0, self.has_checksum)
            })
            .collect()
    }

    fn cut(&self, header: VnetHeader) -> Result<Vec<Vec<u8>>, SplitError> {
        cut(&header, layer(&self.outer), &self.packet())
    }
}

fn assert_cut(tunnel: &Tunnel) {
    assert!(tunnel.cut(tunnel.vnet_header()).unwrap() == tunnel.segments(), "{tunnel:?}");
}

/// Of each kind one, of 3,000 bytes in segments of 1,000.
fn kinds() -> impl Iterator<Item = Tunnel> {
    (0..16_u8).map(|bits| {
        let [outer_v6, inner_v6, tcp, has_checksum] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
        let inner = Large { ethernet: true, ..Large::new(inner_v6, tcp, 3000, 1000) };
        Tunnel::new(outer_v6, has_checksum, inner)
    })
}

#[test]
fn each_kind_of_tunnel_is_cut() {
    for tunnel in kinds() {
        assert_cut(&tunnel);
        let without_frame = Large { ethernet: false, ..tunnel.inner.clone() };
        assert_cut(&Tunnel { inner: without_frame, ..tunnel.clone() });
        let of_tun = Large { ethernet: false, ..tunnel.outer.clone() };
        assert_cut(&Tunnel { outer: of_tun, ..tunnel });
    }
}

#[test]
fn identifications_and_lengths_of_both_headers_are_those_of_the_segment() {
    let tunnel = kinds().find(|tunnel| !tunnel.outer.v6 && !tunnel.inner.v6 && tunnel.has_checksum).unwrap();
    let segments = tunnel.cut(tunnel.vnet_header()).unwrap();
    let half = |segment: &Vec<u8>, at: usize| u16::from_be_bytes([segment[at], segment[at + 1]]);
    let field = |at| segments.iter().map(|segment| half(segment, at)).collect::<Vec<_>>();
    assert_eq!((field(18), field(68)), (vec![500, 501, 502], vec![7, 8, 9]), "identifications");
    assert_eq!((field(16), field(38)), (vec![1078; 3], vec![1058; 3]), "outer lengths");
    assert_eq!(field(66), [1028; 3], "inner lengths");
}

#[test]
fn an_outer_checksum_that_is_not_left_to_the_receiver_stays_what_it_is() {
    for tunnel in kinds().filter(|tunnel| !tunnel.has_checksum) {
        let place = tunnel.offsets().0 + 6;
        for stated in [[0, 0], [0x12, 0x34]] {
            let mut packet = tunnel.packet();
            packet[place..place + 2].copy_from_slice(&stated);
            for segment in cut(&tunnel.vnet_header(), Layer::Tap, &packet).unwrap() {
                assert_eq!(segment[place..place + 2], stated);
            }
        }
    }
}

#[test]
fn an_outer_checksum_of_zero_is_sent_as_ones() {
    for tunnel in kinds().filter(|tunnel| tunnel.has_checksum) {
        let (transport, _) = tunnel.offsets();
        let place = transport + 6;
        let first = &tunnel.segments()[0];
        let mut packet = tunnel.packet();
        // The source port takes up what the checksum would be.
        let [port, sum] =
            [transport, place].map(|at| u32::from(u16::from_be_bytes([first[at], first[at + 1]])));
        let port = port + sum;
        let port = u16::try_from((port & 0xffff) + (port >> 16)).unwrap();
        packet[transport..transport + 2].copy_from_slice(&port.to_be_bytes());
        let segments = cut(&tunnel.vnet_header(), Layer::Tap, &packet).unwrap();
        assert_eq!(segments[0][place..place + 2], [0xff, 0xff]);
    }
}

#[test]
fn a_packet_with_another_outer_sum_does_not_become_a_right_one() {
    for tunnel in kinds().filter(|tunnel| tunnel.has_checksum) {
        let mut packet = tunnel.packet();
        packet[tunnel.offsets().0 + 6] ^= 1;
        let segments = cut(&tunnel.vnet_header(), Layer::Tap, &packet).unwrap();
        for (wrong, right) in segments.iter().zip(tunnel.segments()) {
            assert_ne!(*wrong, right);
        }
    }
}

#[test]
fn a_header_of_any_length_and_segments_shorter_than_all_headers() {
    for tunnel in kinds() {
        // The checksum is right behind an odd number of bytes, too.
        for length in [0, 1, 2, 7, 8, 9, 63, 64, 260] {
            assert_cut(&Tunnel { header: vec![0x5a; length], ..tunnel.clone() });
        }
        for size in [1, 7, 64, 99, 130] {
            let payload = tunnel.inner.payload[..300.min(usize::from(size) * 128)].to_vec();
            let inner = Large { size, payload, ..tunnel.inner.clone() };
            assert_cut(&Tunnel { inner, ..tunnel.clone() });
        }
    }
}

/// A frame with a VLAN tag.
fn tagged(frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &[0x81, 0, 0, 7], &frame[12..]].concat()
}

#[test]
fn the_offsets_may_lack_the_tag_that_the_kernel_puts_into_the_frame() {
    for tunnel in kinds() {
        let header = tunnel.vnet_header();
        let (start, offset) = header.needs_checksum().unwrap();
        let (outer, inner) = header.tunnel_offsets();
        let segments: Vec<_> = tunnel.segments().iter().map(|segment| tagged(segment)).collect();
        let cut_with = |outer, inner| {
            let header = header.with_checksum(start + 4, offset).with_tunnel_offsets(outer, inner);
            cut(&header, Layer::Tap, &tagged(&tunnel.packet()))
        };
        assert_eq!(cut_with(outer, inner), Ok(segments.clone()));
        assert_eq!(cut_with(outer + 4, inner + 4), Ok(segments));
        for (outer, inner) in [(outer + 2, inner + 2), (outer + 4, inner), (outer, inner + 4)] {
            assert!(cut_with(outer, inner).is_err());
        }
    }
}

#[test]
fn offsets_elsewhere_than_the_headers_are_refused() {
    for tunnel in kinds() {
        let header = tunnel.vnet_header();
        let (outer, inner) = header.tunnel_offsets();
        let checksum_start = header.needs_checksum().unwrap().0;
        for (outer_transport, inner_network) in [
            (0, 0),
            (outer - 1, inner),
            (outer + 1, inner),
            (outer - 4, inner),
            (outer, outer + 7),
            (outer, u16::MAX),
        ] {
            let misplaced = GsoMismatch::TunnelPlace { outer_transport, inner_network, checksum_start };
            let refused = tunnel.cut(header.with_tunnel_offsets(outer_transport, inner_network));
            assert_eq!(refused, Err(SplitError::UdpTunnel(misplaced)));
        }
        // The two last bytes of the inner source address.
        let refused = tunnel.cut(header.with_tunnel_offsets(outer, inner - 4));
        assert_eq!(refused, Err(SplitError::Malformed(ParseError::NotIp { first_byte: 0 })));
    }
}

#[test]
fn what_no_tunnel_has_is_refused() {
    for tunnel in kinds() {
        let header = tunnel.vnet_header();
        let both = header.with_gso_byte(header.gso_byte() | OVER_V4 | OVER_V6);
        assert_eq!(tunnel.cut(both), Err(SplitError::UdpTunnel(GsoMismatch::TwoTunnels)));
        let complete = tunnel.cut(header.without_checksum());
        assert_eq!(complete, Err(SplitError::UdpTunnel(GsoMismatch::NoChecksum)));
        let fragments = tunnel.cut(header.with_segments(GsoType::Udp, 1000));
        assert_eq!(fragments, Err(SplitError::Type { gso_type: GsoType::Udp }));
        // The outer transport is TCP.
        let mut packet = tunnel.packet();
        packet[if tunnel.outer.v6 { 20 } else { 23 }] = 6;
        assert!(matches!(cut(&header, Layer::Tap, &packet), Err(SplitError::Protocol { .. })));
        if !tunnel.outer.v6 {
            let mut fragment = tunnel.packet();
            fragment[20] |= 0x20;
            assert_eq!(cut(&header, Layer::Tap, &fragment), Err(SplitError::Fragment));
        }
    }
}

#[test]
fn a_packet_that_is_not_cut_gets_its_inner_checksum() {
    for tunnel in kinds() {
        let header = tunnel.vnet_header();
        let (_, base) = tunnel.offsets();
        let whole = [&tunnel.packet()[..base], &tunnel.inner.whole()].concat();
        // The kernel hands out such headers, and those without the bits.
        for byte in [header.gso_byte() & (OVER_V4 | OVER_V6), 0] {
            assert_eq!(tunnel.cut(header.with_gso_byte(byte)), Ok(vec![whole.clone()]));
        }
        for size in [3000, u16::MAX - 1] {
            assert_eq!(tunnel.cut(header.with_segments(header.gso_type(), size)), Ok(vec![whole.clone()]));
        }
    }
}

#[test]
fn outer_lengths_have_a_bound_of_their_own() {
    for (v6, headers) in [(false, 20 + 8 + 8), (true, 8 + 8)] {
        let room = u16::try_from(65_535 - headers).unwrap();
        // The inner packet, of IPv4 and TCP, could be longer.
        let inner = Large { payload: vec![7; 65_600], ..Large::new(false, true, 0, room - 40) };
        let tunnel = Tunnel::new(v6, true, inner);
        assert_cut(&tunnel);
        let inner = Large { size: room - 39, ..tunnel.inner.clone() };
        let longer = Tunnel { inner, ..tunnel };
        assert!(matches!(longer.cut(longer.vnet_header()), Err(SplitError::TooLong { .. })));
    }
}

proptest! {
    #[test]
    fn cutting_is_what_the_plain_way_makes(
        bits in any::<[bool; 6]>(),
        (extension, words) in (0..11_usize, 0..11_usize),
        header in vec(any::<u8>(), 0..70),
        (identification, sequence, tcp_flags) in any::<(u16, u32, u8)>(),
        payload in vec(any::<u8>(), 1..3000),
        size in 40..1500_u16,
    ) {
        let [outer_v6, v6, tcp, has_checksum, of_tap, frame] = bits;
        let extension = match outer_v6 {
            false => vec![1; extension * 4],
            true if extension == 0 => Vec::new(),
            true => destination_options(u8::try_from(extension).unwrap(), 17),
        };
        let outer =
            Large { ethernet: of_tap, extension, identification, ..Large::new(outer_v6, false, 0, 1) };
        // More than one segment, whether or not options count as payload.
        let payload = payload.repeat((usize::from(size) + 40) / payload.len() + 1);
        let tcp_options = vec![1; if tcp { words * 4 } else { 0 }];
        let inner = Large {
            ethernet: frame,
            tcp_options,
            tcp_flags,
            sequence,
            identification: !identification,
            payload,
            ..Large::new(v6, tcp, 0, size)
        };
        assert_cut(&Tunnel { outer, has_checksum, header, inner });
    }
}
