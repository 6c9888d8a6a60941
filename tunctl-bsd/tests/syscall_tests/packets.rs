//! Packets: bare in the program, with an AF header in the system call, one call each.

use std::io::{IoSlice, IoSliceMut};

use tunctl_core::{Cause, CreateOptions, Interface, State, TunBackend, TunDevice};

use crate::fixture::{BSDS, Device, Fixture, SYSTEMS, address, refused};
use crate::models::System;

const V4: &[u8] = &[0x45, 0, 0, 20, 1, 2, 3, 4, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
const V6: &[u8] = &[0x60, 1, 2, 3, 0, 0, 59, 64, 5, 6, 7, 8];
const FRAME: &[u8] = &[9; 60];

/// The family in front of an IPv6 packet.
const fn inet6(system: System) -> u8 {
    match system {
        System::FreeBsd | System::DragonFly => 28,
        System::MacOs => 30,
        _ => 24,
    }
}

fn up_tun(system: System) -> (Fixture, Device) {
    let fixture = Fixture::new(system);
    let device = fixture.tun();
    device.up(address("10.0.0.1/24")).unwrap();
    fixture.forget_calls();
    (fixture, device)
}

fn up_tap(system: System) -> (Fixture, Device) {
    let fixture = Fixture::new(system);
    let device = fixture.tap();
    device.up(address("10.0.0.1/24")).unwrap();
    fixture.forget_calls();
    (fixture, device)
}

#[test]
fn a_program_receives_packets_bare_by_one_call_each() {
    for system in SYSTEMS {
        let (fixture, device) = up_tun(system);
        let name = fixture.tun_name();
        for packet in [V4, V6, V4] {
            let mut buffer = [0xee; 100];
            assert!(fixture.inject(name, packet), "{system:?}");
            let (length, calls) = fixture.calls_of(|| device.recv(&mut buffer).unwrap());
            assert_eq!(&buffer[..length], packet, "{system:?}");
            assert_eq!(calls, [format!("read {name}")], "{system:?}");
            assert_eq!(buffer[length], 0xee);
        }
    }
}

#[test]
fn what_is_written_has_four_bytes_more() {
    for system in SYSTEMS {
        let (fixture, device) = up_tun(system);
        let name = fixture.tun_name();
        for packet in [V4, V6] {
            let (length, calls) = fixture.calls_of(|| device.send(packet).unwrap());
            assert_eq!(length, packet.len(), "{system:?}");
            assert_eq!(calls, [format!("write {name} {}", packet.len() + 4)], "{system:?}");
            assert_eq!(fixture.taken(name).as_deref(), Some(packet), "{system:?}");
        }
    }
}

#[test]
fn the_family_stands_in_front_in_the_order_of_the_network() {
    for system in SYSTEMS {
        let (fixture, device) = up_tun(system);
        device.send(V4).unwrap();
        device.send(V6).unwrap();
        let expected = [[&[0, 0, 0, 2], V4].concat(), [&[0, 0, 0, inet6(system)], V6].concat()];
        assert_eq!(fixture.written(), expected, "{system:?}");
    }
}

#[test]
fn a_packet_in_pieces_is_one_call() {
    for system in SYSTEMS {
        let (fixture, device) = up_tun(system);
        let name = fixture.tun_name();
        let pieces = [&[], &V6[..1], &V6[1..5], &[], &V6[5..]].map(IoSlice::new);
        let (length, calls) = fixture.calls_of(|| device.send_vectored(&pieces).unwrap());
        assert_eq!((length, calls), (V6.len(), vec![format!("write {name} {}", V6.len() + 4)]), "{system:?}");
        assert_eq!(fixture.taken(name).as_deref(), Some(V6), "{system:?}");
    }
}

#[test]
fn very_many_pieces_are_one_call_too() {
    let (fixture, device) = up_tun(System::FreeBsd);
    let pieces: Vec<_> = V4.chunks(1).map(IoSlice::new).collect();
    let (length, calls) = fixture.calls_of(|| device.send_vectored(&pieces).unwrap());
    assert_eq!((length, calls), (V4.len(), vec!["write tun0 24".into()]));
    assert_eq!(fixture.taken("tun0").as_deref(), Some(V4));
    assert!(fixture.inject("tun0", V4));
    let mut bytes = [0; 30];
    let mut buffers: Vec<_> = bytes.chunks_mut(1).map(IoSliceMut::new).collect();
    let (length, calls) = fixture.calls_of(|| device.recv_vectored(&mut buffers).unwrap());
    assert_eq!((length, calls), (V4.len(), vec!["read tun0".into()]));
    assert_eq!(&bytes[..20], V4);
}

#[test]
fn several_buffers_are_filled_one_after_the_other() {
    for system in SYSTEMS {
        let (fixture, device) = up_tun(system);
        assert!(fixture.inject(fixture.tun_name(), V4));
        let (mut first, mut second) = ([0; 3], [0; 50]);
        let mut buffers =
            [IoSliceMut::new(&mut first), IoSliceMut::new(&mut []), IoSliceMut::new(&mut second)];
        let (length, calls) = fixture.calls_of(|| device.recv_vectored(&mut buffers).unwrap());
        assert_eq!((length, calls.len()), (V4.len(), 1), "{system:?}");
        assert_eq!((&first[..], &second[..17]), (&V4[..3], &V4[3..]), "{system:?}");
    }
}

#[test]
fn a_short_buffer_loses_the_tail() {
    for system in SYSTEMS {
        let (fixture, device) = up_tun(system);
        let name = fixture.tun_name();
        assert!(fixture.inject(name, V4) && fixture.inject(name, V6));
        let mut short = [0; 5];
        assert_eq!(device.recv(&mut short).unwrap(), 5, "{system:?}");
        assert_eq!(short, V4[..5]);
        let mut buffer = [0; 100];
        assert_eq!(device.recv(&mut buffer).unwrap(), V6.len(), "{system:?}");
    }
}

#[test]
fn an_empty_buffer_takes_nothing_and_calls_nothing() {
    for system in SYSTEMS {
        let (fixture, device) = up_tun(system);
        assert!(fixture.inject(fixture.tun_name(), V4));
        let (lengths, calls) = fixture.calls_of(|| {
            let vectored =
                device.try_recv_vectored(&mut [IoSliceMut::new(&mut []), IoSliceMut::new(&mut [])]);
            [device.try_recv(&mut []).unwrap(), vectored.unwrap()]
        });
        assert_eq!((lengths, calls), ([0, 0], vec![]), "{system:?}");
        assert_eq!(device.try_recv(&mut [0; 100]).unwrap(), V4.len());
    }
}

#[test]
fn nothing_to_read_would_block_with_the_systems_number() {
    for system in SYSTEMS {
        let (_rig, device) = up_tun(system);
        let error = refused(device.try_recv(&mut [0; 100]));
        assert_eq!((error.cause(), error.raw_os_error()), (Cause::WouldBlock, Some(35)), "{system:?}");
    }
}

#[test]
fn frames_of_a_tap_have_nothing_in_front() {
    for system in BSDS {
        let (fixture, device) = up_tap(system);
        let name = fixture.tap_name();
        let (length, calls) = fixture.calls_of(|| device.send(FRAME).unwrap());
        assert_eq!((length, calls), (60, vec![format!("write {name} 60")]), "{system:?}");
        let pieces = [IoSlice::new(&FRAME[..14]), IoSlice::new(&FRAME[14..])];
        assert_eq!(device.send_vectored(&pieces).unwrap(), 60);
        assert_eq!(fixture.written(), [FRAME, FRAME], "{system:?}");
        assert!(fixture.inject(name, FRAME) && fixture.inject(name, FRAME));
        let (mut buffer, mut rest) = ([0; 10], [0; 90]);
        assert_eq!(device.recv(&mut rest).unwrap(), 60, "{system:?}");
        let mut buffers = [IoSliceMut::new(&mut buffer), IoSliceMut::new(&mut rest)];
        assert_eq!(device.recv_vectored(&mut buffers).unwrap(), 60, "{system:?}");
        assert_eq!((&buffer[..], &rest[..50]), (&FRAME[..10], &FRAME[10..]));
    }
}

#[test]
fn what_is_no_packet_is_refused_without_a_call() {
    for system in SYSTEMS {
        let (fixture, device) = up_tun(system);
        let (causes, calls) = fixture.calls_of(|| {
            [
                device.try_send(&[]),
                device.try_send(&[0x55, 0, 0, 0]),
                device.try_send(&[0; 20]),
                device.try_send_vectored(&[]),
                device.try_send_vectored(&[IoSlice::new(&[]), IoSlice::new(&[])]),
                device.try_send_vectored(&[IoSlice::new(&[]), IoSlice::new(&[0xf0]), IoSlice::new(V4)]),
            ]
            .map(|outcome| refused(outcome).cause())
        });
        let (short, malformed) = (Cause::TooShort, Cause::MalformedPacket);
        assert_eq!(causes, [short, malformed, malformed, short, short, malformed], "{system:?}");
        assert!(calls.is_empty(), "{system:?} {calls:?}");
    }
}

#[test]
fn what_is_no_frame_is_refused_without_a_call() {
    for system in BSDS {
        let (fixture, device) = up_tap(system);
        let (causes, calls) = fixture.calls_of(|| {
            [
                device.try_send(&[]),
                device.try_send(&[9; 13]),
                device.try_send_vectored(&[IoSlice::new(&[9; 6]), IoSlice::new(&[9; 7])]),
            ]
            .map(|outcome| refused(outcome).cause())
        });
        assert_eq!((causes, calls), ([Cause::TooShort; 3], vec![]), "{system:?}");
        assert_eq!(device.try_send(&[9; 14]).unwrap(), 14, "{system:?}");
    }
}

#[test]
fn a_packet_that_is_too_long_is_refused() {
    for (system, most, errno) in [
        (System::FreeBsd, 65535, 5),
        (System::NetBsd, 1500, 5),
        (System::OpenBsd, 65536, 40),
        (System::DragonFly, 16384, 5),
    ] {
        let (_rig, device) = up_tun(system);
        let packet = vec![0x45; most + 1];
        assert_eq!(device.try_send(&packet[1..]).unwrap(), most, "{system:?}");
        let error = refused(device.try_send(&packet));
        assert_eq!(
            (error.cause(), error.raw_os_error()),
            (Cause::MalformedPacket, Some(errno)),
            "{system:?}"
        );
    }
}

#[test]
fn freebsds_silence_about_a_tun_that_is_down_is_an_error() {
    let fixture = Fixture::new(System::FreeBsd);
    for (device, packet) in [(fixture.tun(), V4), (fixture.tap(), FRAME)] {
        let error = refused(device.try_send(packet));
        assert_eq!((error.cause(), error.raw_os_error()), (Cause::Down, None));
        assert_eq!(refused(device.try_send_vectored(&[IoSlice::new(packet)])).cause(), Cause::Down);
        device.interface().set_state(State::Up).unwrap();
        assert_eq!(device.try_send(packet).unwrap(), packet.len());
    }
}

#[test]
fn a_tun_of_netbsd_is_down_until_it_has_an_address() {
    let fixture = Fixture::new(System::NetBsd);
    let device = fixture.tun();
    device.interface().set_state(State::Up).unwrap();
    // It is the reads that fail.
    assert_eq!(device.try_send(V4).unwrap(), V4.len());
    let error = refused(device.try_recv(&mut [0; 100]));
    assert_eq!((error.cause(), error.raw_os_error()), (Cause::Down, Some(64)));
    assert!(error.to_string().contains("give it an address"), "{error}");
    device.interface().add_address(address("10.0.0.1/24")).unwrap();
    assert_eq!(device.try_send(V4).unwrap(), V4.len());
    assert!(refused(device.try_recv(&mut [0; 100])).is_would_block());
}

#[test]
fn a_device_whose_interface_went_says_so() {
    for system in [System::NetBsd, System::OpenBsd] {
        let (fixture, device) = up_tun(system);
        fixture.destroy_by_another(fixture.tun_name()).unwrap();
        assert!(refused(device.try_recv(&mut [0; 100])).is_gone(), "{system:?}");
        assert!(device.name().unwrap_err().is_gone(), "{system:?}");
        assert!(device.interface().addresses().unwrap_err().is_gone(), "{system:?}");
        assert!(device.down().unwrap_err().is_gone(), "{system:?}");
    }
}

#[test]
fn flags_say_that_packets_are_bare() {
    let fixture = Fixture::new(System::OpenBsd);
    assert_eq!(fixture.tun().flags(), CreateOptions::tun().get_flags());
    assert_eq!(fixture.tap().flags(), CreateOptions::tap().get_flags());
    let options =
        fixture.backend.create(&CreateOptions::tap()).unwrap().interface().info().unwrap().options().unwrap();
    assert_eq!(options.get_flags(), CreateOptions::tap().get_flags());
}

/// Of a utun, only what is at its socket outlasts a change of its state.
#[test]
fn a_utun_keeps_64_packets_at_its_socket() {
    let fixture = Fixture::new(System::MacOs);
    let device = fixture.tun();
    device.up(address("10.0.0.1/24")).unwrap();
    for number in 0..70 {
        assert!(fixture.inject("utun0", &[0x45, 0, 0, number]));
    }
    fixture.set_up("utun0", false);
    fixture.set_up("utun0", true);
    let mut packet = [0; 100];
    let received: Vec<u8> =
        (0..).map_while(|_| device.try_recv(&mut packet).ok().map(|_| packet[3])).collect();
    assert_eq!(received, (0..64).collect::<Vec<u8>>());
    // A kernel without the option has a utun, too.
    fixture.fail("pending", 42);
    assert_eq!(fixture.backend.create(&CreateOptions::tun()).map(drop), Ok(()));
}
