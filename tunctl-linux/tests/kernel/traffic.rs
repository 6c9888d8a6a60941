//! Packets, both ways, between the device and the kernel's own sockets.

use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Barrier;
use std::thread;

use tunctl_core::{CreateOptions, Interface, TunDevice};
use tunctl_linux::LinuxDevice;
use tunctl_packet::{EtherType, Layer, Packet, ethernet_frame, udp_packet};
use tunctl_testing::{Case, case, link};

use super::support::{address, open, quiet_tun, refused, socket, tap, tun, udp_payload, without_ipv6};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(datagrams_pass_both_ways_through_a_tun),
        case!(ipv6_passes_both_ways_through_a_tun),
        case!(a_tap_asks_by_arp_and_carries_frames),
        case!(vectored_forms_are_one_packet_in_pieces),
        case!(one_thread_receives_while_another_sends),
        case!(packets_come_one_by_one_and_in_order),
        case!(a_packet_longer_than_the_mtu_is_sent_whole),
        case!(a_short_buffer_loses_the_tail_and_nothing_more),
        case!(an_empty_buffer_receives_nothing_and_loses_nothing),
        case!(each_queue_sends_and_all_packets_arrive),
    ]
}

fn far() -> SocketAddr {
    "10.77.0.2:9".parse().unwrap()
}

fn datagrams_pass_both_ways_through_a_tun() {
    let (device, socket) = quiet_tun(CreateOptions::tun());
    let near = socket.local_addr().unwrap();
    socket.send_to(b"out", far()).unwrap();
    let mut buffer = [0; 1500];
    let length = device.recv(&mut buffer).unwrap();
    let packet = Packet::parse(Layer::Tun, &buffer[..length]).unwrap();
    assert_eq!(packet.source(), Some(near.ip()));
    assert_eq!(packet.source_port(), Some(near.port()));
    assert_eq!(packet.destination(), Some(far().ip()));
    assert_eq!(packet.destination_port(), Some(9));
    assert_eq!(packet.payload(), b"out");

    let answer = udp_packet(far(), near, b"and back").unwrap();
    assert_eq!(device.send(&answer).unwrap(), answer.len());
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..length], from), (&b"and back"[..], far()));
}

fn ipv6_passes_both_ways_through_a_tun() {
    let device = tun("tun0");
    device.up(address("fd77::1")).unwrap();
    let socket = socket("[fd77::1]:0");
    let near = socket.local_addr().unwrap();
    let far: SocketAddr = "[fd77::2]:9".parse().unwrap();
    socket.send_to(b"six", far).unwrap();
    let mut buffer = [0; 1500];
    // The kernel sends solicitations and reports of its own.
    loop {
        let length = device.recv(&mut buffer).unwrap();
        let packet = Packet::parse(Layer::Tun, &buffer[..length]).unwrap();
        if packet.destination_port() == Some(9) {
            assert_eq!(packet.payload(), b"six");
            break;
        }
    }
    device.send(&udp_packet(far, near, b"back").unwrap()).unwrap();
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..length], from), (&b"back"[..], far));
}

/// The MAC address that the far side of the tap has.
const FAR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

fn a_tap_asks_by_arp_and_carries_frames() {
    without_ipv6();
    let device = tap("tap0");
    device.up(address("10.77.0.1/24")).unwrap();
    let text = link("tap0").unwrap()["address"].as_str().unwrap().to_owned();
    let mac: Vec<u8> = text.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    let mac: [u8; 6] = mac.try_into().unwrap();
    let socket = socket("10.77.0.1:0");
    let near = socket.local_addr().unwrap();
    socket.send_to(b"frame", far()).unwrap();

    let mut buffer = [0; 2000];
    let length = device.recv(&mut buffer).unwrap();
    let question = &buffer[..length];
    assert_eq!((&question[..6], &question[6..12]), (&[0xff; 6][..], &mac[..]));
    // ARP, Ethernet and IPv4, a request: who has 10.77.0.2?
    assert_eq!(question[12..22], [8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    assert_eq!(question[38..42], [10, 77, 0, 2]);
    let answer = [&[0, 1, 8, 0, 6, 4, 0, 2][..], &FAR_MAC, &[10, 77, 0, 2], &mac, &[10, 77, 0, 1]].concat();
    device.send(&ethernet_frame(FAR_MAC, mac, EtherType::ARP, &answer)).unwrap();

    let length = device.recv(&mut buffer).unwrap();
    let frame = Packet::parse(Layer::Tap, &buffer[..length]).unwrap();
    assert_eq!((frame.source_mac(), frame.destination_mac()), (Some(mac), Some(FAR_MAC)));
    assert_eq!(frame.payload(), b"frame");
    let back = udp_packet(far(), near, b"back").unwrap();
    device.send(&ethernet_frame(FAR_MAC, mac, EtherType::IPV4, &back)).unwrap();
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"back");
}

fn vectored_forms_are_one_packet_in_pieces() {
    let (device, socket) = quiet_tun(CreateOptions::tun());
    let near = socket.local_addr().unwrap();
    for waits in [true, false] {
        socket.send_to(b"in pieces", far()).unwrap();
        let (mut head, mut middle, mut tail) = ([0; 20], [0; 10], [0; 100]);
        let mut pieces =
            [IoSliceMut::new(&mut head), IoSliceMut::new(&mut middle), IoSliceMut::new(&mut tail)];
        let length = match waits {
            true => device.recv_vectored(&mut pieces),
            false => device.try_recv_vectored(&mut pieces),
        };
        assert_eq!(length.unwrap(), 20 + 8 + 9);
        let whole = [&head[..], &middle, &tail[..7]].concat();
        assert_eq!(udp_payload(&whole), b"in pieces");

        let packet = udp_packet(far(), near, b"pieced together").unwrap();
        let pieces = [
            IoSlice::new(&packet[..1]),
            IoSlice::new(&[]),
            IoSlice::new(&packet[1..25]),
            IoSlice::new(&packet[25..]),
        ];
        let length = match waits {
            true => device.send_vectored(&pieces),
            false => device.try_send_vectored(&pieces),
        };
        assert_eq!(length.unwrap(), packet.len());
        let mut buffer = [0; 100];
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"pieced together");
    }
    assert!(refused(device.try_recv_vectored(&mut [IoSliceMut::new(&mut [0; 9])])).is_would_block());
}

/// Fewer than fit the queue of a tun (500), or the buffer of a socket.
const MANY: u32 = 200;

fn one_thread_receives_while_another_sends() {
    let (device, socket) = quiet_tun(CreateOptions::tun());
    let near = socket.local_addr().unwrap();
    let start = Barrier::new(3);
    thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            start.wait();
            let mut buffer = [0; 1500];
            let numbers = (0..MANY).map(|_| {
                let length = device.recv(&mut buffer).unwrap();
                number(udp_payload(&buffer[..length]))
            });
            numbers.collect::<Vec<_>>()
        });
        scope.spawn(|| {
            start.wait();
            for number in 0..MANY {
                device.send(&udp_packet(far(), near, &number.to_be_bytes()).unwrap()).unwrap();
            }
        });
        start.wait();
        for number in 0..MANY {
            socket.send_to(&number.to_be_bytes(), far()).unwrap();
        }
        let mut buffer = [0; 100];
        for expected in 0..MANY {
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(number(&buffer[..length]), expected);
        }
        assert!(receiver.join().unwrap().into_iter().eq(0..MANY));
    });
}

fn number(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload.try_into().unwrap())
}

fn packets_come_one_by_one_and_in_order() {
    let (device, socket) = quiet_tun(CreateOptions::tun());
    for size in [1_usize, 100, 1000, 1472, 2] {
        socket.send_to(&vec![7; size], far()).unwrap();
    }
    let mut buffer = [0; 3000];
    for size in [1_usize, 100, 1000, 1472, 2] {
        assert_eq!(device.try_recv(&mut buffer).unwrap(), 28 + size);
    }
    let error = refused(device.try_recv(&mut buffer));
    assert!(error.is_would_block(), "{error}");
    assert_eq!(error.raw_os_error(), Some(11));
}

fn a_packet_longer_than_the_mtu_is_sent_whole() {
    let (device, socket) = quiet_tun(CreateOptions::tun());
    device.interface().set_mtu("1280".parse().unwrap()).unwrap();
    let near = socket.local_addr().unwrap();
    for size in [1400_usize, 3000, 65507] {
        let payload = vec![1; size];
        let packet = udp_packet(far(), near, &payload).unwrap();
        assert_eq!(device.send(&packet).unwrap(), packet.len());
        let mut buffer = vec![0; 70_000];
        assert_eq!(socket.recv(&mut buffer).unwrap(), size);
    }
}

fn a_short_buffer_loses_the_tail_and_nothing_more() {
    let (device, socket) = quiet_tun(CreateOptions::tun());
    socket.send_to(&[1; 100], far()).unwrap();
    socket.send_to(b"next", far()).unwrap();
    let mut buffer = [0; 64];
    assert_eq!(device.recv(&mut buffer[..40]).unwrap(), 40);
    assert_eq!((buffer[0], &buffer[28..40], buffer[40]), (0x45, &[1; 12][..], 0));
    let length = device.recv(&mut buffer).unwrap();
    assert_eq!(udp_payload(&buffer[..length]), b"next");
}

fn an_empty_buffer_receives_nothing_and_loses_nothing() {
    let (device, socket) = quiet_tun(CreateOptions::tun());
    for _ in 0..2 {
        // At once, whether a packet is there or not; and the packet stays.
        assert_eq!(device.try_recv(&mut []).unwrap(), 0);
        assert_eq!(device.recv(&mut []).unwrap(), 0);
        assert_eq!(device.try_recv_vectored(&mut []).unwrap(), 0);
        assert_eq!(device.recv_vectored(&mut [IoSliceMut::new(&mut [])]).unwrap(), 0);
        socket.send_to(b"kept", far()).unwrap();
    }
    let mut buffer = [0; 100];
    for _ in 0..2 {
        let length = device.recv(&mut buffer).unwrap();
        assert_eq!(udp_payload(&buffer[..length]), b"kept");
    }
    assert!(refused(device.try_recv(&mut buffer)).is_would_block());
}

fn each_queue_sends_and_all_packets_arrive() {
    let options = CreateOptions::tun().multi_queue(true);
    let (first, socket) = quiet_tun(options.clone());
    let second = open(options, "tun0").unwrap();
    let near = socket.local_addr().unwrap();
    let mut buffer = [0; 200];
    for device in [&first, &second] {
        device.send(&udp_packet(far(), near, b"queue").unwrap()).unwrap();
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"queue");
    }
    let sockets: Vec<_> = (0..32).map(|_| super::support::socket("10.77.0.1:0")).collect();
    for socket in &sockets {
        socket.send_to(b"either", far()).unwrap();
    }
    let drain = |device: &LinuxDevice| {
        let mut buffer = [0; 200];
        let mut count = 0;
        while device.try_recv(&mut buffer).is_ok() {
            count += 1;
        }
        count
    };
    let (of_first, of_second) = (drain(&first), drain(&second));
    assert_eq!(of_first + of_second, 32, "{of_first} and {of_second}");
}
