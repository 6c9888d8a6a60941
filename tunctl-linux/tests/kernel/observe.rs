//! The observer: it sees both directions and takes nothing away.

use std::net::SocketAddr;
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tunctl_core::{Cause, CreateOptions, Layer, TunBackend, TunDevice};
use tunctl_linux::{Direction, Observer};
use tunctl_packet::udp_packet;
use tunctl_testing::{Case, OtherNamespace, Snapshot, case, ip, is_close_on_exec};

use super::support::{address, backend, name, quiet_tun, refused, tap, tun, udp_payload, without_ipv6};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(both_directions_are_seen_and_nothing_is_consumed),
        case!(a_tap_is_observed_with_its_ethernet_headers),
        case!(a_vlan_tag_is_where_the_sender_put_it),
        case!(a_short_buffer_keeps_the_head_and_tells_the_length),
        case!(only_its_own_interface_is_observed),
        case!(an_observer_sees_the_interface_go_down_and_up_again),
        case!(an_observer_tells_when_the_interface_is_deleted),
        case!(packets_that_came_too_fast_are_counted),
        case!(an_observer_belongs_in_the_namespace_of_the_interface),
        case!(an_observer_leaves_nothing),
    ]
}

fn far() -> SocketAddr {
    "10.77.0.2:9".parse().unwrap()
}

fn observer(interface: &str) -> Observer {
    Observer::new(&backend().interface(&name(interface)).unwrap()).unwrap()
}

/// Waits for the observer's descriptor; false after a tenth of a second.
fn is_ready(observer: &Observer) -> bool {
    let mut files = [PollFd::new(observer.as_fd(), PollFlags::POLLIN)];
    poll(&mut files, PollTimeout::from(100_u8)).unwrap() == 1
}

fn both_directions_are_seen_and_nothing_is_consumed() {
    let (device, socket) = quiet_tun(CreateOptions::tun());
    let near = socket.local_addr().unwrap();
    let observer = observer("tun0");
    assert_eq!(observer.layer(), Layer::Tun);
    let mut seen = [0; 2000];
    assert!(!is_ready(&observer));
    assert!(refused(observer.try_next(&mut seen)).is_would_block());

    socket.send_to(b"out", far()).unwrap();
    let inward = udp_packet(far(), near, b"inward").unwrap();
    device.send(&inward).unwrap();
    assert!(is_ready(&observer));
    let first = observer.try_next(&mut seen).unwrap();
    assert_eq!((first.direction, first.length), (Direction::Outgoing, 28 + 3));
    assert_eq!(udp_payload(first.packet), b"out");
    let outward = first.packet.to_vec();
    let second = observer.try_next(&mut seen).unwrap();
    assert_eq!((second.direction, second.length), (Direction::Incoming, inward.len()));
    assert_eq!(second.packet, inward);
    assert!(refused(observer.try_next(&mut seen)).is_would_block());

    // Whom the packets were for, got them.
    let length = device.try_recv(&mut seen).unwrap();
    assert_eq!(&seen[..length], outward);
    let length = socket.recv(&mut seen).unwrap();
    assert_eq!(&seen[..length], b"inward");
    assert_eq!(observer.take_missed().unwrap(), 0);
}

fn a_tap_is_observed_with_its_ethernet_headers() {
    without_ipv6();
    let device = tap("tap0");
    device.up(address("10.77.0.1/24")).unwrap();
    let observer = observer("tap0");
    assert_eq!(observer.layer(), Layer::Tap);
    let frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 2], &[0x88, 0xb5], b"hello"].concat();
    device.send(&frame).unwrap();
    assert!(is_ready(&observer));
    let mut seen = [0; 100];
    let observed = observer.try_next(&mut seen).unwrap();
    assert_eq!((observed.direction, observed.packet), (Direction::Incoming, &frame[..]));
}

fn a_vlan_tag_is_where_the_sender_put_it() {
    without_ipv6();
    let device = tap("tap0");
    device.up(address("10.77.0.1/24")).unwrap();
    let observer = observer("tap0");
    let mut seen = [0; 100];
    let tags: [&[u8]; 4] =
        [&[], &[0x81, 0, 0xa0, 5], &[0x88, 0xa8, 0, 100], &[0x88, 0xa8, 0, 100, 0x81, 0, 0, 5]];
    for tag in tags {
        let frame = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], tag, &[0x88, 0xb5], &[7; 36]].concat();
        device.send(&frame).unwrap();
        assert!(is_ready(&observer));
        let observed = observer.try_next(&mut seen).unwrap();
        assert_eq!((observed.direction, observed.length), (Direction::Incoming, frame.len()), "{tag:x?}");
        assert_eq!(observed.packet, frame);
        device.send(&frame).unwrap();
        assert!(is_ready(&observer));
        let observed = observer.try_next(&mut seen[..20]).unwrap();
        assert_eq!((observed.packet, observed.length), (&frame[..20], frame.len()), "{tag:x?}");
    }
}

fn a_short_buffer_keeps_the_head_and_tells_the_length() {
    let (_device, socket) = quiet_tun(CreateOptions::tun());
    let observer = observer("tun0");
    socket.send_to(&[9; 100], far()).unwrap();
    socket.send_to(b"next", far()).unwrap();
    let mut seen = [0; 30];
    assert!(is_ready(&observer));
    let observed = observer.try_next(&mut seen).unwrap();
    assert_eq!((observed.packet.len(), observed.length), (30, 128));
    assert_eq!(observed.packet[28..], [9, 9]);
    assert_eq!(observer.try_next(&mut seen).unwrap().length, 32);
}

fn only_its_own_interface_is_observed() {
    let (_device, socket) = quiet_tun(CreateOptions::tun());
    let other = tun("other");
    other.up(address("10.88.0.1/24")).unwrap();
    let observer = observer("other");
    socket.send_to(b"elsewhere", far()).unwrap();
    assert!(!is_ready(&observer));
    socket.send_to(b"here", "10.88.0.2:9").unwrap();
    assert!(is_ready(&observer));
    assert_eq!(observer.try_next(&mut [0; 100]).unwrap().length, 28 + 4);
}

fn an_observer_sees_the_interface_go_down_and_up_again() {
    let (_device, socket) = quiet_tun(CreateOptions::tun());
    let observer = observer("tun0");
    ip("link set tun0 down");
    assert!(is_ready(&observer));
    let error = refused(observer.try_next(&mut [0; 100]));
    assert_eq!(error.cause(), Cause::Down, "{error}");
    assert!(refused(observer.try_next(&mut [0; 100])).is_would_block());
    ip("link set tun0 up");
    socket.send_to(b"again", far()).unwrap();
    assert!(is_ready(&observer));
    assert_eq!(observer.try_next(&mut [0; 100]).unwrap().length, 28 + 5);
}

fn an_observer_tells_when_the_interface_is_deleted() {
    let (device, _socket) = quiet_tun(CreateOptions::tun());
    let observer = observer("tun0");
    drop(device);
    assert!(is_ready(&observer));
    let told: Vec<_> = (0..4).map(|_| refused(observer.try_next(&mut [0; 100])).cause()).collect();
    // It may tell first that the interface went down.
    let told: Vec<_> = told.into_iter().filter(|&cause| cause != Cause::Down).collect();
    assert_eq!(told[0], Cause::Gone);
    assert!(told[1..].iter().all(|&cause| cause == Cause::WouldBlock), "{told:?}");
}

fn packets_that_came_too_fast_are_counted() {
    let (device, socket) = quiet_tun(CreateOptions::tun());
    let near = socket.local_addr().unwrap();
    let observer = observer("tun0");
    let packet = udp_packet(far(), near, &[0; 1400]).unwrap();
    let sent: u32 = 20_000;
    for _ in 0..sent {
        device.send(&packet).unwrap();
    }
    let mut seen = 0;
    while observer.try_next(&mut [0; 100]).is_ok() {
        seen += 1;
    }
    assert!(seen > 0 && seen < sent, "{seen}");
    assert_eq!(seen + observer.take_missed().unwrap(), sent);
    assert_eq!(observer.take_missed().unwrap(), 0);
}

fn an_observer_belongs_in_the_namespace_of_the_interface() {
    let there = OtherNamespace::new();
    let (device, found) = there.run(|| {
        let device = tun("tun0");
        (device, backend().interface(&name("tun0")).unwrap())
    });
    // A stranger with the same name and index is here.
    let stranger = tun("tun0");
    let error = refused(Observer::new(&found));
    assert_eq!(error.cause(), Cause::NotFound, "{error}");
    assert!(there.run(|| Observer::new(&found)).is_ok());
    drop((device, stranger));
}

fn an_observer_leaves_nothing() {
    let _device = tun("tun0");
    ip("link set tun0 up");
    let before = Snapshot::take();
    let watching = observer("tun0");
    assert!(is_close_on_exec(&watching));
    assert_ne!(Snapshot::take(), before);
    drop(watching);
    assert_eq!(Snapshot::take(), before);
    let found = backend().interface(&name("tun0")).unwrap();
    ip("link delete tun0");
    assert!(refused(Observer::new(&found)).is_gone());
}
