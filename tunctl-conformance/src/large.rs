//! Receiving packets that stand for several, and packets whose checksum is incomplete.

use std::net::{IpAddr, SocketAddr};

use tunctl_core::{Bulk, Cause, CreateOptions, Interface, Layer, Offloads, TunBackend, TunDevice};
use tunctl_packet::header::{GsoType, HeaderKind, VnetFormat, VnetHeader};
use tunctl_packet::offload::{Segments, checksum, sum};
use tunctl_packet::udp_packet;

use crate::case::{Case, suite};
use crate::expect::{assert_empty, frame, name, named, not_applicable, received};
use crate::{DeviceOf, Harness};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Reading:
        a_packet_comes_whole_if_the_offloads_are_for_its_kind,
        a_frame_comes_whole_if_the_offloads_are_for_its_kind,
        an_incomplete_checksum_comes_to_the_program_that_asked_for_it,
        what_is_no_more_than_one_segment_comes_as_a_packet,
        a_frame_of_64_kib_is_cut_also_for_a_program_with_offloads,
        a_packet_that_is_cut_is_queued_dropped_and_counted_as_packets,
        bulk_calls_cut_what_comes_whole,
    ]
}

/// A packet that is not finished, and the header that says so.
#[derive(Clone, Debug)]
struct Large {
    layer: Layer,
    header: VnetHeader,
    packet: Vec<u8>,
}

const SIZE: u16 = 1000;
/// Five segments and a shorter one. The headers of so long a packet are by themselves in memory, so that the
/// kernel states their length.
const PAYLOAD: usize = 5500;

impl Large {
    /// A packet of this kind on a tun, in IPv6 if it is TCP for that.
    fn new(gso_type: GsoType, size: u16, payload: usize) -> Self {
        let ends = match gso_type {
            GsoType::TcpV6 => ["fd77::1", "fd77::2"],
            _ => ["10.77.0.1", "10.77.0.2"],
        };
        let [source, destination] =
            ends.map(|text| SocketAddr::new(text.parse::<IpAddr>().expect("it is an address"), 9000));
        let is_tcp = gso_type != GsoType::UdpL4;
        let more = if is_tcp { 12 } else { 0 };
        let mut packet =
            udp_packet(source, destination, &vec![7; more + payload]).expect("it is short enough");
        let (network, protocol) = if source.is_ipv4() { (20, 9) } else { (40, 6) };
        if is_tcp {
            packet[protocol] = 6;
            let fields = [[0; 4], [0, 0, 0, 1], [0, 0, 0, 2], [0x50, 0x18, 1, 0], [0; 4]].concat();
            packet[network + 4..network + 20].copy_from_slice(&fields[4..]);
        }
        if source.is_ipv4() {
            packet[10..12].fill(0);
            let own = checksum(sum(&packet[..20]));
            packet[10..12].copy_from_slice(&own);
        }
        let (headers, offset) = if is_tcp { (network + 20, 16) } else { (network + 8, 6) };
        open(&mut packet, network + usize::from(offset));
        let short = |number: usize| u16::try_from(number).expect("it is short");
        let header = VnetHeader::default()
            .with_segments(gso_type, size)
            .with_checksum(short(network), offset)
            .with_header_length(short(headers));
        Self { layer: Layer::Tun, header, packet }
    }

    /// The same in a frame.
    fn framed(self) -> Self {
        let ether_type = if self.header.gso_type() == GsoType::TcpV6 { 0x86dd } else { 0x0800 };
        let (start, offset) = self.header.needs_checksum().unwrap_or_default();
        let header = self.header.with_checksum(start + 14, offset);
        let header = header.with_header_length(self.header.header_length() + 14);
        Self { layer: Layer::Tap, header, packet: frame(ether_type, &self.packet) }
    }

    /// What a device without offloads receives, with a header in front.
    fn finished(&self) -> Vec<Vec<u8>> {
        let mut packet = self.packet.clone();
        let mut segments = Segments::new(&self.header, self.layer, &mut packet, sum).expect("it can be cut");
        let mut packets = Vec::new();
        while let Some(segment) = segments.next() {
            packets.push([&[0; 10], segment].concat());
        }
        packets
    }

    /// What a device without offloads for it receives. If checksums are left to the program, so are those of
    /// the segments.
    fn cut(&self, offloads: Offloads) -> Vec<Vec<u8>> {
        let mut packets = self.finished();
        if !offloads.contains(Offloads::CHECKSUM) {
            return packets;
        }
        let (start, offset) = self.header.needs_checksum().expect("it has none");
        let header = VnetHeader::default().with_checksum(start, offset);
        let link = if self.layer == Layer::Tap { 14 } else { 0 };
        for packet in &mut packets {
            header.write(VnetFormat::default(), packet).expect("there is room");
            open(&mut packet[10 + link..], usize::from(start + offset) - link);
        }
        packets
    }

    /// What a device with offloads for it receives.
    fn whole(&self) -> Vec<u8> {
        let mut whole = vec![0; 10];
        self.header.write(VnetFormat::default(), &mut whole).expect("there is room");
        [whole, self.packet.clone()].concat()
    }
}

/// Replaces the checksum of an IP packet by the sum of its pseudo-header.
fn open(packet: &mut [u8], place: usize) {
    let is_v4 = packet[0] >> 4 == 4;
    let (addresses, network, protocol) = if is_v4 { (12..20, 20, packet[9]) } else { (8..40, 40, packet[6]) };
    let length = u32::try_from(packet.len() - network).expect("it is short").to_be_bytes();
    let pseudo = sum(&packet[addresses]) + sum(&length) + sum(&[0, protocol]);
    packet[place..place + 2].copy_from_slice(&checksum(pseudo).map(|byte| !byte));
}

/// The kinds that the system has, and which offload is for each.
fn kinds<H: Harness>(harness: &H) -> Vec<(GsoType, bool, Offloads)> {
    let mut kinds = vec![
        (GsoType::TcpV4, false, Offloads::TSO4),
        (GsoType::TcpV4, true, Offloads::TSO_ECN),
        (GsoType::TcpV6, false, Offloads::TSO6),
        (GsoType::TcpV6, true, Offloads::TSO_ECN),
    ];
    if harness.profile().vnet_rules.udp_segments().is_some() {
        kinds.push((GsoType::UdpL4, false, Offloads::USO));
    }
    kinds
}

fn masks<H: Harness>(harness: &H) -> Vec<Offloads> {
    let mut masks = vec![
        Offloads::NONE,
        Offloads::CHECKSUM,
        Offloads::TSO4,
        Offloads::TSO6,
        Offloads::TSO,
        Offloads::TSO_ECN,
    ];
    if harness.profile().vnet_rules.udp_segments().is_some() {
        masks.extend([Offloads::USO, Offloads::TSO_ECN | Offloads::USO]);
    }
    masks
}

/// A device that is up, whose packets have a virtio-net header; `None` if the system sends none that is not
/// finished.
fn vnet<H: Harness>(harness: &H, layer: Layer) -> Option<DeviceOf<H>> {
    let options = match layer {
        Layer::Tun => CreateOptions::tun(),
        Layer::Tap => CreateOptions::tap(),
    };
    let device = match harness.backend().create(&named(options.vnet_header(true), "new")) {
        Err(error) if error.cause() == Cause::Unsupported => {
            not_applicable("it has no virtio-net header");
            return None;
        }
        device => device.unwrap_or_else(|error| panic!("{error}")),
    };
    harness.set_up(&name("new"), true);
    let large = Large::new(GsoType::TcpV4, SIZE, PAYLOAD);
    let large = if layer == Layer::Tap { large.framed() } else { large };
    if !harness.inject_large(&name("new"), &large.header, &large.packet) {
        not_applicable("its packets are finished");
        return None;
    }
    assert_eq!(all(&device), large.finished());
    Some(device)
}

#[track_caller]
fn inject<H: Harness>(harness: &H, large: &Large) {
    assert!(harness.inject_large(&name("new"), &large.header, &large.packet));
}

#[track_caller]
fn assert_received<D: TunDevice>(device: &D, expected: &[Vec<u8>], what: &str) {
    let all = all(device);
    let shapes = |packets: &[Vec<u8>]| -> Vec<(usize, Vec<u8>)> {
        packets.iter().map(|packet| (packet.len(), packet[..10].to_vec())).collect()
    };
    assert_eq!(shapes(&all), shapes(expected), "{what}");
    assert!(all == expected, "{what}");
}

fn all<D: TunDevice>(device: &D) -> Vec<Vec<u8>> {
    let mut buffer = vec![0; 70_000];
    let next = || device.try_recv(&mut buffer).ok().map(|length| buffer[..length].to_vec());
    std::iter::from_fn(next).collect()
}

fn assert_whole_by_kind<H: Harness>(harness: &H, layer: Layer) {
    let Some(device) = vnet(harness, layer) else { return };
    for (gso_type, ecn, needed) in kinds(harness) {
        let mut large = Large::new(gso_type, SIZE, PAYLOAD);
        large.header = large.header.with_ecn(ecn);
        let large = if layer == Layer::Tap { large.framed() } else { large };
        for mask in masks(harness) {
            device.set_offloads(mask).unwrap();
            inject(harness, &large);
            let expected = if mask.contains(needed) { vec![large.whole()] } else { large.cut(mask) };
            assert_received(&device, &expected, &format!("{gso_type:?}, ECN {ecn}, with {mask}"));
        }
    }
}

fn a_packet_comes_whole_if_the_offloads_are_for_its_kind<H: Harness>(harness: &H) {
    assert_whole_by_kind(harness, Layer::Tun);
}

fn a_frame_comes_whole_if_the_offloads_are_for_its_kind<H: Harness>(harness: &H) {
    assert_whole_by_kind(harness, Layer::Tap);
}

fn an_incomplete_checksum_comes_to_the_program_that_asked_for_it<H: Harness>(harness: &H) {
    let Some(device) = vnet(harness, Layer::Tun) else { return };
    for kind in [GsoType::TcpV4, GsoType::TcpV6, GsoType::UdpL4] {
        let mut large = Large::new(kind, SIZE, 900);
        large.header = large.header.with_segments(GsoType::None, 0).with_header_length(0);
        for mask in masks(harness) {
            device.set_offloads(mask).unwrap();
            inject(harness, &large);
            let expected =
                if mask.contains(Offloads::CHECKSUM) { vec![large.whole()] } else { large.finished() };
            assert_received(&device, &expected, &format!("{kind:?}, with {mask}"));
        }
    }
}

fn what_is_no_more_than_one_segment_comes_as_a_packet<H: Harness>(harness: &H) {
    let Some(device) = vnet(harness, Layer::Tun) else { return };
    for (kind, ecn, _) in kinds(harness) {
        let mut large = Large::new(kind, SIZE, SIZE.into());
        large.header = large.header.with_ecn(ecn);
        let mut plain = large.clone();
        plain.header = large.header.with_ecn(false).with_segments(GsoType::None, 0).with_header_length(0);
        device.set_offloads(Offloads::CHECKSUM).unwrap();
        inject(harness, &large);
        assert_eq!(received(&device), plain.whole(), "{kind:?}");
        device.set_offloads(Offloads::NONE).unwrap();
        inject(harness, &large);
        assert_eq!(all(&device), plain.finished(), "{kind:?}");
    }
}

/// The Ethernet header counts, though the packet in the frame is one that IP can have.
fn a_frame_of_64_kib_is_cut_also_for_a_program_with_offloads<H: Harness>(harness: &H) {
    let Some(device) = vnet(harness, Layer::Tap) else { return };
    device.set_offloads(Offloads::TSO).unwrap();
    for (payload, is_whole) in [(65_481, true), (65_482, false), (65_490, false)] {
        let large = Large::new(GsoType::TcpV4, 1110, payload).framed();
        assert_eq!(large.packet.len(), payload + 54);
        inject(harness, &large);
        let expected = if is_whole { vec![large.whole()] } else { large.cut(Offloads::TSO) };
        assert_received(&device, &expected, &format!("{payload} bytes"));
    }
}

fn a_packet_that_is_cut_is_queued_dropped_and_counted_as_packets<H: Harness>(harness: &H) {
    let Some(device) = vnet(harness, Layer::Tun) else { return };
    device.interface().set_queue_length(4).unwrap();
    let large = Large::new(GsoType::TcpV4, SIZE, PAYLOAD);
    let before = harness.statistics(&name("new"));
    inject(harness, &large);
    assert_eq!(harness.dropped(&name("new")), 2);
    assert_eq!(all(&device), large.finished()[..4]);
    device.set_offloads(Offloads::TSO).unwrap();
    inject(harness, &large);
    assert_eq!(received(&device), large.whole());
    assert_empty(&device);
    let Some((before, after)) = before.zip(harness.statistics(&name("new"))) else { return };
    let (before, after) = (before.to_program, after.to_program);
    assert_eq!(after.packets - before.packets, 4 + 1);
    assert_eq!(after.bytes - before.bytes, 4 * 1040 + 5540);
}

fn bulk_calls_cut_what_comes_whole<H: Harness>(harness: &H) {
    for layer in [Layer::Tun, Layer::Tap] {
        let Some(device) = vnet(harness, layer) else { return };
        assert!(matches!(device.header_kind(), HeaderKind::Vnet(_)));
        let bulk: Bulk<_> = device.into_bulk().unwrap_or_else(|failed| panic!("{failed}"));
        let mut batch = bulk.recv_batch();
        let mut came_whole = 0;
        for (kind, ecn, needed) in kinds(harness) {
            let mut large = Large::new(kind, SIZE, PAYLOAD);
            large.header = large.header.with_ecn(ecn);
            let large = if layer == Layer::Tap { large.framed() } else { large };
            inject(harness, &large);
            bulk.recv(&mut batch).unwrap();
            let mut packets = Vec::new();
            while let Some(packet) = batch.try_next().unwrap() {
                packets.push([&[0; 10], packet].concat());
            }
            assert_eq!(packets, large.finished(), "{kind:?}");
            came_whole += u64::from(bulk.offloads().contains(needed));
            assert_eq!(batch.statistics().large, came_whole, "{kind:?}");
        }
        drop(bulk);
    }
}
