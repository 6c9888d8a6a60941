//! The inputs that fuzzing starts from: packets that kernels sent, and packets that this crate builds.

#[path = "offload.rs"]
mod offload;

use core::net::IpAddr;

use crate::properties::common::{
    self, fix_checksums, fragments_v4, fragments_v6, hex, offload_checksum, tcp,
};
use crate::properties::filter::WORDS;
use crate::properties::repaired;
use tunctl_packet::bpf::Instruction;
use tunctl_packet::header::{Endian, GsoType, VnetFormat, VnetHeader, VnetLength};
use tunctl_packet::{
    EtherType, Filter, Layer, echo_reply, ethernet_frame, icmp_echo_request, icmpv6_echo_request,
    ping_packet, udp_packet,
};

pub(crate) struct Seed {
    pub(crate) target: &'static str,
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

type Named = (&'static str, Vec<u8>);

pub(crate) fn all() -> Vec<Seed> {
    let seeds = [
        ("address_family", families()),
        ("bpf", programs()),
        ("coalesce", offload::flows()),
        ("echo_message", messages()),
        ("echo_reply", requests()),
        ("echo_responder", sequences()),
        ("expression", spelled()),
        ("filter", expressions()),
        ("framed", framed()),
        ("packet_info", packet_infos()),
        ("packet_tap", frames()),
        ("packet_too_big", [packets(), long(), too_big()].concat()),
        ("packet_tun", packets()),
        ("reset", segments()),
        ("split", offload::large()),
        ("time_exceeded", [packets(), long()].concat()),
        ("unreachable", [packets(), long()].concat()),
        ("vnet", vnet()),
    ];
    let named = |(target, seeds): (_, Vec<Named>)| {
        seeds.into_iter().map(move |(name, bytes)| Seed { target, name: name.to_owned(), bytes })
    };
    seeds.into_iter().flat_map(named).collect()
}

/// An expression of each kind, some with a packet behind.
fn expressions() -> Vec<Named> {
    let packet = [&b"ip and port 53\0"[..], &datagram(false, 53, b"query")].concat();
    vec![
        ("packet", packet),
        ("hosts", b"src host 10.0.0.1 or fd77::1 and not (10.0.0.2)".to_vec()),
        ("nets", b"dst net 10/8 or ip6 net fd77::/16 || net 192.168 or net 10.0.0.0 mask 255.0.0.0".to_vec()),
        ("ports", b"tcp src or dst port (80 or 443) and !portrange 6000-6010".to_vec()),
        ("protocols", b"ip proto \\tcp or ip6 proto 58 or proto 0x2f or ether proto 0x88cc".to_vec()),
        ("frames", b"ether src 02:00:00:00:00:01 && ether dst ff-ff-ff-ff-ff-ff or ether multicast".to_vec()),
        ("groups", b"ip multicast or ip6 multicast and not broadcast".to_vec()),
        ("names", b"arp or rarp or icmp or icmp6 or igmp or pim or vrrp or ah or esp or sctp".to_vec()),
        ("vlans", b"vlan 5 and udp or (not vlan and host 10.0.0.1)".to_vec()),
        ("lengths", b"less 100 and greater 20".to_vec()),
    ]
}

/// Expressions of known words, each word as a byte.
fn spelled() -> Vec<Named> {
    let number = |word: &str| {
        let at = WORDS.iter().position(|known| *known == word).unwrap();
        u8::try_from(at + 1).unwrap()
    };
    let bytes = |text: &str| text.split(' ').map(number).collect::<Vec<_>>();
    let packet = [&bytes("udp dst port 53")[..], &[0], &datagram(false, 53, b"query")].concat();
    vec![
        ("packet", packet),
        ("hosts", bytes("src host 10.0.0.1 or fd77::1 and not ( ip6 dst net fd77::/63 )")),
        ("nets", bytes("net 10/8 or arp net 10.0.0.2 mask 255.255.255.254 and proto \\tcp")),
        ("vlans", bytes("ip or ( vlan 5 and portrange 6000-6010 ) and ether host 2:0:0:0:0:1")),
    ]
}

/// Programs, as their instructions' bytes.
fn programs() -> Vec<Named> {
    let bytes = |instructions: &[Instruction]| {
        let bytes = instructions.iter().flat_map(|Instruction { code, jt, jf, k }| {
            [&code.to_le_bytes()[..], &[*jt, *jf], &k.to_le_bytes()].concat()
        });
        bytes.collect::<Vec<_>>()
    };
    let compiled = |text| bytes(Filter::parse(Layer::Tap, text).unwrap().program().instructions());
    let statements = |list: &[(u16, u32)]| {
        bytes(&list.iter().map(|&(code, k)| Instruction { code, jt: 0, jf: 0, k }).collect::<Vec<_>>())
    };
    vec![
        ("ports", compiled("tcp port 80 or 443")),
        ("net", compiled("net 10.0.0.0/8 and greater 60")),
        // ld #len; st M[1]; ldx M[1]; div x; neg; tax; txa; ret a.
        (
            "memory",
            statements(&[
                (0x80, 0),
                (0x02, 1),
                (0x61, 1),
                (0x3c, 0),
                (0x84, 0),
                (0x07, 0),
                (0x87, 0),
                (0x16, 0),
            ]),
        ),
        // ldxb 4*([0]&0xf); ldb [x + 1]; lsh #3; mod #7; xor x; ja 0; ret a.
        (
            "indirect",
            statements(&[(0xb1, 0), (0x50, 1), (0x64, 3), (0x94, 7), (0xac, 0), (0x05, 0), (0x16, 0)]),
        ),
    ]
}

fn ping(v6: bool, payload: &[u8]) -> Vec<u8> {
    let [source, destination] = addresses(v6);
    ping_packet(source, destination, 7, 1, payload).unwrap()
}

fn datagram(v6: bool, port: u16, payload: &[u8]) -> Vec<u8> {
    let [source, destination] = addresses(v6);
    udp_packet((source, 4000).into(), (destination, port).into(), payload).unwrap()
}

fn addresses(v6: bool) -> [IpAddr; 2] {
    let addresses = if v6 { ["fd77::1", "fd77::2"] } else { ["10.0.0.1", "10.0.0.2"] };
    addresses.map(|address| address.parse().unwrap())
}

/// The IPv6 packet with these headers between its header and its payload.
fn extended(number: u8, headers: &[u8], packet: &[u8]) -> Vec<u8> {
    let mut extended = [&packet[..40], headers, &packet[40..]].concat();
    let length = u16::try_from(extended.len() - 40).unwrap();
    extended[4..6].copy_from_slice(&length.to_be_bytes());
    extended[6] = number;
    extended
}

/// Fragments of a ping, with little in them.
fn fragments(v6: bool) -> [Vec<u8>; 2] {
    let [first, last] = if v6 { fragments_v6() } else { fragments_v4() };
    let header = if v6 { 48 } else { 20 };
    [first, last].map(|mut fragment| {
        fragment.truncate(header + 16);
        let length = u16::try_from(fragment.len()).unwrap();
        match v6 {
            true => fragment[4..6].copy_from_slice(&(length - 40).to_be_bytes()),
            false => fragment[2..4].copy_from_slice(&length.to_be_bytes()),
        }
        repaired(&fragment).unwrap()
    })
}

fn packets() -> Vec<Named> {
    let [first_v4, last_v4] = fragments(false);
    let [first_v6, last_v6] = fragments(true);
    let mut segment = tcp(false, b"data");
    fix_checksums(&mut segment);
    vec![
        ("ping-v4", ping(false, b"hello")),
        ("ping-v6", ping(true, b"hello")),
        ("udp-v4", datagram(false, 53, b"query")),
        ("udp-v6", datagram(true, 53, b"query")),
        ("tcp-syn", hex(common::TCP_SYN)),
        ("tcp-data", segment),
        ("port-unreachable", hex(common::PORT_UNREACHABLE)),
        ("igmp-with-options", hex(common::IGMP_REPORT)),
        ("router-solicitation", hex(common::ROUTER_SOLICITATION)),
        ("multicast-listener-report", hex(common::TAP_MLD_REPORT)[14..].to_vec()),
        ("neighbor-solicitation", hex(common::TAP_NEIGHBOR_SOLICITATION)[14..].to_vec()),
        ("first-fragment-v4", first_v4),
        ("last-fragment-v4", last_v4),
        ("first-fragment-v6", first_v6),
        ("last-fragment-v6", last_v6),
        (
            // The outer header is that of the first of several fragments, and the inner one of a whole
            // datagram.
            "fragment-in-a-fragment",
            extended(44, &[44, 0, 0, 1, 0, 1, 2, 3, 17, 0, 0, 0, 9, 9, 9, 9], &datagram(true, 7, b"hello")),
        ),
        ("atomic-fragment", extended(44, &[17, 0, 0, 0, 0, 1, 2, 3], &datagram(true, 7, b"hello"))),
        (
            "extension-headers",
            extended(0, &[60, 0, 5, 2, 0, 0, 1, 0, 17, 0, 1, 4, 0, 0, 0, 0], &datagram(true, 7, b"hello")),
        ),
        (
            "authentication-header",
            extended(51, &[17, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 9, 9, 9, 9], &datagram(true, 7, b"hello")),
        ),
        (
            "sctp",
            extended(132, &[0x0b, 0x59, 0x96, 0x0c, 0, 0, 0, 1, 0, 0, 0, 0], &datagram(true, 7, b"hello")),
        ),
        ("no-next-header", extended(59, &[], &datagram(true, 7, b"")[..40])),
    ]
}

/// Packets that an error quotes only in part.
fn long() -> Vec<Named> {
    vec![
        ("long-v4", datagram(false, 53, &[b'x'; 600])),
        ("long-v6", datagram(true, 53, &[b'x'; 1300])),
        ("unspoken-protocol", extended(200, &[], &datagram(true, 7, b"hello"))),
    ]
}

/// Packets that are too big, and that a router treats differently than others.
fn too_big() -> Vec<Named> {
    let mut may_fragment = datagram(false, 53, &[b'x'; 600]);
    may_fragment[6] = 0;
    let mut first_fragment = may_fragment.clone();
    first_fragment[6] = 0x60;
    let mut to_group = datagram(true, 53, &[b'x'; 1300]);
    to_group[24..26].copy_from_slice(&[0xff, 0x0e]);
    // Longer than an ICMPv6 error may be.
    let mut error = ping(true, &[b'x'; 1300]);
    error[40] = 1;
    [
        ("may-fragment", may_fragment),
        ("first-fragment-of-several", first_fragment),
        ("to-a-group", to_group),
        ("long-error", error),
    ]
    .map(|(name, packet)| (name, repaired(&packet).unwrap()))
    .to_vec()
}

fn frames() -> Vec<Named> {
    let framed = |(name, packet): Named| {
        let kind = if packet[0] >> 4 == 4 { EtherType::IPV4 } else { EtherType::IPV6 };
        (name, ethernet_frame([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], kind, &packet))
    };
    let tags =
        [&[0x00, 0x07, 0x81, 0x00, 0x00, 0x08, 0x08, 0x00][..], &datagram(false, 53, b"query")].concat();
    let frame = |kind, payload: &[u8]| ethernet_frame([2; 6], [0xff; 6], EtherType(kind), payload);
    let others = vec![
        ("arp", hex(common::TAP_ARP)),
        ("arp-reply", frame(0x0806, &[&[0, 1, 8, 0, 6, 4, 0, 2], &[9; 20][..]].concat())),
        ("two-tags", frame(0x88a8, &tags)),
        (
            "pppoe",
            frame(0x8864, &[&[0x11, 0, 0, 7, 0, 35, 0, 0x21][..], &datagram(false, 53, b"query")].concat()),
        ),
        (
            "mpls",
            frame(0x8847, &[&[0, 0x7d, 0, 64, 0, 1, 1, 64][..], &datagram(true, 53, b"query")].concat()),
        ),
        ("length-not-type", frame(0x0026, &[0x42, 0x42, 3])),
        ("unknown-type", frame(0x88cc, &[2, 7, 4])),
    ];
    packets().into_iter().map(framed).chain(others).collect()
}

fn requests() -> Vec<Named> {
    let mut unsummed = datagram(false, 7, b"hello");
    unsummed[26..28].fill(0);
    let mut requests = packets();
    requests.extend([
        ("udp-echo-v4", hex(common::UDP_ECHO_V4)),
        ("udp-echo-v6", datagram(true, 7, b"hello")),
        ("udp-echo-without-checksum", unsummed),
        ("ping-of-zeros", {
            let [source, destination] = addresses(false);
            ping_packet(source, destination, 0, 0, &[0; 8]).unwrap()
        }),
        ("ping-with-route", with_options(&[1, 7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0])),
        ("ping-with-timestamps", with_options(&[68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0])),
        ("ping-with-full-timestamps", with_options(&[68, 12, 5, 3, 10, 0, 0, 2, 0, 0, 0, 0, 68, 4, 5, 0])),
        ("atomic-ping", extended(44, &[58, 0, 0, 0, 0, 1, 2, 3], &ping(true, b"hello"))),
    ]);
    requests
}

/// A ping with IPv4 options, whose length is a multiple of four.
fn with_options(options: &[u8]) -> Vec<u8> {
    let plain = ping(false, b"hello");
    let mut packet = [&plain[..20], options, &plain[20..]].concat();
    for _ in options.chunks(4) {
        (packet[0], packet[3]) = (packet[0] + 1, packet[3] + 4);
    }
    repaired(&packet).unwrap()
}

/// Packets with two bytes of length in front of each. The first bit of the length sets the checksums right.
fn sequences() -> Vec<Named> {
    let sequence = |packets: &[&[u8]]| {
        let one = |packet: &&[u8]| {
            let length = u16::try_from(packet.len()).unwrap() | 0x8000;
            [&length.to_be_bytes()[..], packet].concat()
        };
        packets.iter().flat_map(one).collect::<Vec<_>>()
    };
    let ([first_v4, last_v4], [first_v6, last_v6]) = (fragments(false), fragments(true));
    let mut bare = first_v4.clone();
    bare[20] = 0;
    vec![
        ("fragments-v4", sequence(&[&first_v4, &last_v4])),
        ("fragments-v6", sequence(&[&first_v6, &last_v6, &last_v6])),
        ("both", sequence(&[&first_v4, &first_v6, &ping(false, b"x"), &last_v4, &last_v6])),
        ("last-first", sequence(&[&last_v4, &first_v4, &last_v4])),
        ("another-of-the-same-identification", sequence(&[&first_v4, &bare, &last_v4])),
    ]
}

fn messages() -> Vec<Named> {
    let answer = |request: Vec<u8>| {
        let mut answer = vec![0; request.len()];
        echo_reply(&request, &mut answer).unwrap();
        answer
    };
    vec![
        ("icmp-request", icmp_echo_request(7, 1, b"hello")),
        ("icmpv6-request", icmpv6_echo_request(7, 1, b"hello")),
        ("icmp-reply", answer(ping(false, b"hello"))[20..].to_vec()),
        ("icmpv6-reply", answer(ping(true, b"hello"))[40..].to_vec()),
        ("icmp-packet", answer(ping(false, b"hello"))),
        ("no-icmp-packet", datagram(false, 7, b"hello")),
    ]
}

fn packet_infos() -> Vec<Named> {
    let behind = |header: &[u8]| [header, &ping(false, b"")[..]].concat();
    vec![
        ("ipv4", behind(&[0, 0, 8, 0])),
        ("stripped", behind(&[1, 0, 0x86, 0xdd])),
        ("short", vec![0, 0, 8]),
        ("bare-v4", ping(false, b"")),
        ("bare-v6", ping(true, b"")),
    ]
}

fn families() -> Vec<Named> {
    let behind = |number| [&[0, 0, 0, number][..], &ping(true, b"")].concat();
    vec![
        ("inet", behind(2)),
        ("inet6-of-openbsd", behind(24)),
        ("inet6-of-freebsd", behind(28)),
        ("inet6-of-macos", behind(30)),
        ("other", behind(1)),
        ("bare-v4", ping(false, b"")),
        ("bare-v6", ping(true, b"")),
    ]
}

fn framed() -> Vec<Named> {
    let behind = |headers: &[u8], packet: &[u8]| [headers, packet].concat();
    let frame = ethernet_frame([2; 6], [4; 6], EtherType::IPV4, &ping(false, b"hello"));
    vec![
        ("bare", ping(false, b"hello")),
        ("bare-frame", frame.clone()),
        ("packet-information", behind(&[0, 0, 0x86, 0xdd], &ping(true, b"hello"))),
        ("packet-information-frame", behind(&[0, 0, 8, 0], &frame)),
        ("vnet", behind(&[0; 10], &datagram(false, 53, b"query"))),
        ("vnet-frame", behind(&[0; 12], &frame)),
        ("both", behind(&[0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &datagram(false, 53, b"query"))),
        ("address-family", behind(&[0, 0, 0, 28], &ping(true, b"hello"))),
        ("arp-frame", hex(common::TAP_ARP)),
    ]
}

fn segments() -> Vec<Named> {
    let segment = |v6, flags, payload: &[u8]| {
        let mut segment = tcp(v6, payload);
        segment[if v6 { 53 } else { 33 }] = flags;
        fix_checksums(&mut segment);
        segment
    };
    vec![
        ("syn", hex(common::TCP_SYN)),
        ("syn-v6", segment(true, 0x02, b"")),
        ("syn-data", segment(false, 0x02, b"data")),
        ("fin-ack-data", segment(false, 0x19, b"data")),
        ("ack-v6", segment(true, 0x10, b"data")),
        ("reset", segment(false, 0x04, b"")),
        ("no-tcp", datagram(false, 53, b"query")),
        ("fragment", fragments(false)[0].clone()),
    ]
}

fn vnet() -> Vec<Named> {
    let behind = |header: VnetHeader, length, endian, packet: &[u8]| {
        let format = VnetFormat::new(length, endian);
        let mut bytes = vec![0; format.length.bytes()];
        header.write(format, &mut bytes).unwrap();
        bytes.extend_from_slice(packet);
        bytes
    };
    let (mut query, mut segment, mut segment_v6) =
        (datagram(false, 53, b"query"), tcp(false, &[b'x'; 60]), tcp(true, &[b'x'; 60]));
    offload_checksum(&mut query, 6);
    offload_checksum(&mut segment, 16);
    offload_checksum(&mut segment_v6, 16);
    let frame = ethernet_frame([2; 6], [4; 6], EtherType::IPV4, &query);
    let summed = |start, offset| VnetHeader::default().with_checksum(start, offset);
    let cut = |start, length, kind| {
        summed(start, 16).with_segments(kind, 20).with_header_length(length).with_ecn(true)
    };
    let datagrams = summed(20, 6).with_segments(GsoType::UdpL4, 2).with_header_length(28);
    let all = summed(20, 6).with_hash(0x0102_0304, 1).with_buffers(1).with_tunnel_offsets(20, 50);
    vec![
        ("nothing", behind(VnetHeader::default(), VnetLength::Basic, Endian::Little, &query)),
        ("checksum", behind(summed(20, 6), VnetLength::Basic, Endian::Little, &query)),
        ("checksum-big", behind(summed(20, 6), VnetLength::Buffers, Endian::Big, &query)),
        ("checksum-frame", behind(summed(34, 6), VnetLength::Buffers, Endian::Little, &frame)),
        ("checksum-odd", behind(summed(20, 5), VnetLength::Basic, Endian::Little, &query)),
        ("everything", behind(all, VnetLength::Tunnel, Endian::Big, &query)),
        ("tcp", behind(cut(20, 60, GsoType::TcpV4), VnetLength::Basic, Endian::Little, &segment)),
        ("tcp-v6", behind(cut(40, 80, GsoType::TcpV6), VnetLength::Hash, Endian::Little, &segment_v6)),
        ("udp", behind(datagrams, VnetLength::Basic, Endian::Big, &query)),
        ("tunneled", behind(all.with_gso_byte(0x25), VnetLength::Tunnel, Endian::Little, &query)),
    ]
}
