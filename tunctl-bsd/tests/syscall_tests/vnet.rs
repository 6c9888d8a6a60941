//! Virtio-net headers, which taps of FreeBSD alone have.

use std::io::{IoSlice, IoSliceMut};

use tunctl_core::{Cause, CreateFlags, CreateOptions, Interface, Operation, State, TunBackend, TunDevice};

use crate::fixture::{Device, Fixture, SYSTEMS, named_tap, refused};
use crate::models::System;
use crate::order::trace;

const HEADER: [u8; 10] = [0; 10];
const FRAME: [u8; 60] = [0xff; 60];

fn up_tap() -> (Fixture, Device) {
    let fixture = Fixture::new(System::FreeBsd);
    let tap = fixture.backend.create(&CreateOptions::tap().vnet_header(true)).unwrap();
    tap.interface().set_state(State::Up).unwrap();
    (fixture, tap)
}

#[test]
fn the_kernel_is_asked_for_ten_bytes() {
    let fixture = Fixture::new(System::FreeBsd);
    let (tap, calls) =
        fixture.calls_of(|| fixture.backend.create(&CreateOptions::tap().vnet_header(true)).unwrap());
    let expected = "open /dev/tap; ioctl TAPGIFNAME; list; ioctl TAPSVNETHDR 10; nonblocking @; list; mtu?; \
                    flags?; ioctl TAPSTRANSIENT 1";
    assert_eq!(calls, trace("tap0", expected));
    assert_eq!(fixture.sent_once(0x8004_745b), 10_i32.to_ne_bytes());
    let clone = tap.try_clone().unwrap();
    for device in [tap, clone] {
        assert_eq!(device.flags(), CreateFlags::TAP | CreateFlags::NO_PI | CreateFlags::VNET_HDR);
    }
}

#[test]
fn a_frame_is_received_behind_its_header() {
    let (fixture, tap) = up_tap();
    let mut buffer = [7; 100];
    assert!(fixture.inject("tap0", &FRAME));
    assert_eq!(tap.recv(&mut buffer).unwrap(), 70);
    assert_eq!((&buffer[..10], &buffer[10..70]), (&HEADER[..], &FRAME[..]));
    assert!(fixture.inject("tap0", &FRAME));
    let (mut header, mut frame) = ([7; 10], [0; 60]);
    let mut buffers = [IoSliceMut::new(&mut header), IoSliceMut::new(&mut frame)];
    assert_eq!(tap.try_recv_vectored(&mut buffers).unwrap(), 70);
    assert_eq!((header, frame), (HEADER, FRAME));
}

#[test]
fn a_frame_is_sent_behind_its_header() {
    let (fixture, tap) = up_tap();
    let whole = [&HEADER[..], &FRAME].concat();
    assert_eq!(tap.send(&whole).unwrap(), 70);
    assert_eq!(tap.send_vectored(&[IoSlice::new(&HEADER), IoSlice::new(&FRAME)]).unwrap(), 70);
    assert_eq!([fixture.taken("tap0"), fixture.taken("tap0")], [Some(FRAME.to_vec()), Some(FRAME.to_vec())]);
    for short in [0, 9, 10, 23] {
        assert_eq!(refused(tap.send(&whole[..short])).cause(), Cause::TooShort, "{short}");
    }
    assert_eq!(tap.send(&whole[..24]).unwrap(), 24);
}

#[test]
fn it_is_the_devices_and_not_the_interfaces() {
    let (fixture, tap) = up_tap();
    tap.set_persist(true).unwrap();
    drop(tap);
    let tap = fixture.backend.open(&named_tap("tap0")).unwrap();
    tap.interface().set_state(State::Up).unwrap();
    assert!(!tap.flags().contains(CreateFlags::VNET_HDR));
    assert!(fixture.inject("tap0", &FRAME));
    assert_eq!(tap.recv(&mut [0; 100]).unwrap(), 60);
    drop(tap);
    let tap = fixture.backend.open(&named_tap("tap0").vnet_header(true)).unwrap();
    tap.interface().set_state(State::Up).unwrap();
    assert!(fixture.inject("tap0", &FRAME));
    assert_eq!(tap.recv(&mut [0; 100]).unwrap(), 70);
}

#[test]
fn tuns_and_other_systems_have_none() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let tap = CreateOptions::tap().vnet_header(true);
        for options in [CreateOptions::tun().vnet_header(true), tap] {
            if system == System::FreeBsd && options.get_layer() == tunctl_core::Layer::Tap {
                continue;
            }
            let (error, calls) = fixture.calls_of(|| refused(fixture.backend.create(&options)));
            assert_eq!((error.operation(), error.cause()), (Operation::Create, Cause::Unsupported));
            assert!(error.to_string().contains("virtio-net header"), "{system:?} {error}");
            assert!(calls.is_empty(), "{system:?} {calls:?}");
        }
    }
}
