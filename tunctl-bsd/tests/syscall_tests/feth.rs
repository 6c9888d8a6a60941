//! Taps of macOS: two Ethernets that are connected, and a packet filter at the far end.

use std::io::{IoSlice, IoSliceMut};
use std::time::Duration;

use tunctl_core::{Cause, CreateOptions, Interface, Mtu, Readiness, TunBackend, TunDevice};
use tunctl_sys::bsd::Name;

use crate::fixture::{Device, Fixture, named_tap, others, refused};
use crate::models::System;
use crate::order::trace;

/// To all stations, and of a length of its own.
fn frame(length: usize) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend((6..length).map(|at| at.to_le_bytes()[0]));
    frame
}

fn up_tap() -> (Fixture, Device) {
    let fixture = Fixture::new(System::MacOs);
    let tap = fixture.tap();
    tap.interface().set_state(tunctl_core::State::Up).unwrap();
    (fixture, tap)
}

fn try_recv(device: &Device) -> Vec<u8> {
    let mut buffer = [0; 2000];
    let length = device.try_recv(&mut buffer).unwrap();
    buffer[..length].to_vec()
}

/// Until the thread that reads the filter has done so.
fn is_readable(device: &Device) -> bool {
    device.wait(Readiness::Readable, Some(Duration::from_secs(5))).unwrap()
}

#[test]
fn both_ends_are_made_and_the_far_one_is_opened_past_a_filter() {
    let fixture = Fixture::new(System::MacOs);
    let (tap, calls) = fixture.calls_of(|| fixture.tap());
    let expected = "list; configure SIOCIFCREATE feth0; configure SIOCIFCREATE feth5000; \
                    pair feth0 feth5000; configure SIOCGIFFLAGS feth5000; \
                    configure SIOCSIFFLAGS feth5000 0x8003; open /dev/bpf0; \
                    ioctl BIOCSBLEN 262144; ioctl BIOCSETIF; ioctl BIOCIMMEDIATE 1; ioctl BIOCSHDRCMPLT 1; \
                    ioctl BIOCSSEESENT 0; nonblocking feth5000; list; list; mtu?; flags?";
    assert_eq!(calls, trace("feth0", expected));
    assert_eq!(tap.name().unwrap(), "feth0".parse().unwrap());
    assert!(!fixture.report("feth0").unwrap().is_up && fixture.report("feth5000").unwrap().is_up);
}

#[test]
fn the_filter_is_bound_to_the_far_end() {
    let (fixture, _tap) = up_tap();
    let mut expected = [0; 32];
    expected[..8].copy_from_slice(b"feth5000");
    assert_eq!(fixture.sent_once(0x8020_426c), expected);
    assert_eq!(fixture.sent_once(0xc004_4266), 262_144_u32.to_ne_bytes());
    assert_eq!(fixture.sent_once(0x8004_4277), [0; 4]);
}

#[test]
fn frames_that_are_read_together_are_received_one_by_one() {
    let (fixture, tap) = up_tap();
    let frames: Vec<_> = [60, 61, 1514, 62, 14, 63].map(frame).to_vec();
    assert!(frames.iter().all(|frame| fixture.inject("feth0", frame)));
    for frame in &frames {
        assert!(is_readable(&tap));
        assert_eq!(try_recv(&tap), *frame);
    }
    assert!(!tap.wait(Readiness::Readable, Some(Duration::ZERO)).unwrap());
    assert_eq!(refused(tap.try_recv(&mut [0; 100])).cause(), Cause::WouldBlock);
}

#[test]
fn a_short_buffer_loses_the_tail_of_its_frame_alone() {
    let (fixture, tap) = up_tap();
    let frames = [frame(60), frame(70), frame(80)];
    assert!(frames.iter().all(|frame| fixture.inject("feth0", frame)));
    let mut short = [0; 20];
    assert_eq!(tap.try_recv(&mut short).unwrap(), 20);
    assert_eq!(short, frames[0][..20]);
    let (mut one, mut other) = ([0; 14], [0; 30]);
    let mut buffers = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut []), IoSliceMut::new(&mut other)];
    assert_eq!(tap.try_recv_vectored(&mut buffers).unwrap(), 44);
    assert_eq!([&one[..], &other].concat(), frames[1][..44]);
    assert_eq!(try_recv(&tap), frames[2]);
}

#[test]
fn clones_receive_from_one_queue_and_each_lends_a_descriptor_of_its_own() {
    let (fixture, tap) = up_tap();
    let clone = tap.try_clone().unwrap();
    let (lent, own) = (std::os::fd::AsFd::as_fd(&clone), std::os::fd::AsFd::as_fd(&tap));
    assert_ne!(std::os::fd::AsRawFd::as_raw_fd(&lent), std::os::fd::AsRawFd::as_raw_fd(&own));
    assert!([60, 61].iter().all(|&length| fixture.inject("feth0", &frame(length))));
    assert!(is_readable(&tap) && is_readable(&clone));
    assert_eq!([try_recv(&clone), try_recv(&tap)], [frame(60), frame(61)]);
    drop(tap);
    assert!(fixture.inject("feth0", &frame(62)));
    assert_eq!(try_recv(&clone), frame(62));
    drop(clone);
    assert!(others(&fixture).is_empty());
}

#[test]
fn a_receive_that_waits_gets_what_comes() {
    let (fixture, tap) = up_tap();
    for length in 14..200 {
        std::thread::scope(|scope| {
            let received = scope.spawn(|| {
                let mut buffer = [0; 2000];
                let length = tap.recv(&mut buffer).unwrap();
                buffer[..length].to_vec()
            });
            assert!(fixture.inject("feth0", &frame(length)));
            assert_eq!(received.join().unwrap(), frame(length));
        });
    }
}

#[test]
fn what_comes_while_nobody_receives_stays_with_the_kernel_until_it_has_no_room() {
    let (fixture, tap) = up_tap();
    let all = 2000;
    let sent = (0..all).take_while(|_| fixture.inject("feth0", &frame(1000))).count();
    // The kernel has two buffers; the capture's thread may have read one more meanwhile.
    assert!((500..=780).contains(&sent), "{sent}");
    let received = std::iter::from_fn(|| tap.try_recv(&mut [0; 1000]).ok()).count();
    assert_eq!((received, fixture.dropped("feth0")), (sent, 1));
}

#[test]
fn a_frame_is_sent_in_one_call_whatever_its_pieces() {
    let (fixture, tap) = up_tap();
    let frame = frame(70);
    assert_eq!(tap.send(&frame).unwrap(), 70);
    let pieces = [IoSlice::new(&frame[..14]), IoSlice::new(&[]), IoSlice::new(&frame[14..])];
    assert_eq!(tap.send_vectored(&pieces).unwrap(), 70);
    assert_eq!(fixture.written(), [frame.clone(), frame.clone()]);
    assert_eq!([fixture.taken("feth0"), fixture.taken("feth0")], [Some(frame.clone()), Some(frame)]);
    let error = refused(tap.send(&vec![0xff; 1519]));
    assert_eq!((error.cause(), error.raw_os_error()), (Cause::MalformedPacket, Some(40)));
    assert_eq!(refused(tap.send(&[0xff; 13])).cause(), Cause::TooShort);
}

#[test]
fn a_far_end_that_another_has_taken_down_sends_nothing_and_says_so() {
    let (fixture, tap) = up_tap();
    fixture.set_up("feth5000", false);
    let error = refused(tap.send(&frame(60)));
    assert_eq!((error.cause(), error.raw_os_error()), (Cause::Down, Some(50)));
}

#[test]
fn both_ends_have_one_mtu() {
    let (fixture, tap) = up_tap();
    let mtus = |fixture: &Fixture| ["feth0", "feth5000"].map(|name| fixture.report(name).unwrap().mtu);
    tap.interface().set_mtu(Mtu::new(2000).unwrap()).unwrap();
    assert_eq!(mtus(&fixture), [2000; 2]);
    assert_eq!(tap.send(&frame(2014)).unwrap(), 2014);
    let error = refused(tap.interface().set_mtu(Mtu::new(3000).unwrap()));
    assert_eq!((error.cause(), mtus(&fixture)), (Cause::InvalidMtu, [2000; 2]));
    fixture.fail("configure SIOCSIFMTU feth0", 12);
    let error = refused(tap.interface().set_mtu(Mtu::new(1400).unwrap()));
    assert_eq!((error.raw_os_error(), mtus(&fixture)), (Some(12), [2000; 2]));
}

#[test]
fn the_far_end_is_no_interface_of_the_backend() {
    let (fixture, tap) = up_tap();
    let listed = fixture.backend.interfaces().unwrap();
    assert_eq!(listed.iter().map(Interface::index).collect::<Vec<_>>(), [tap.interface().index()]);
    let error = refused(fixture.backend.interface(&"feth5000".parse().unwrap()));
    assert_eq!(error.cause(), Cause::NotATun);
    for name in ["feth5000", "feth06", "lan%d"] {
        let error = refused(fixture.backend.create(&named_tap(name)));
        assert!(matches!(error.cause(), Cause::InvalidName | Cause::NotATun), "{error}");
    }
    assert_eq!(others(&fixture).len(), 2);
}

/// Another program makes an Ethernet, and connects it to nothing.
fn make_alone(fixture: &Fixture, name: &str) {
    let abi = tunctl_sys::bsd::macos::ABI;
    let mut argument = abi.ifreq(&Name::new(name.as_bytes()).expect("a name"));
    let made = tunctl_bsd::Syscalls::configure(
        &fixture.model,
        tunctl_bsd::Family::V4,
        abi.requests.create,
        &mut argument,
    );
    made.expect("an Ethernet");
}

#[test]
fn one_without_a_far_end_is_configured_and_deleted_all_the_same() {
    let fixture = Fixture::new(System::MacOs);
    make_alone(&fixture, "feth7");
    let alone = fixture.backend_interface("feth7");
    alone.set_mtu(Mtu::new(1400).unwrap()).unwrap();
    assert_eq!(fixture.report("feth7").unwrap().mtu, 1400);
    alone.delete().unwrap();
    assert!(others(&fixture).is_empty());
    assert_eq!(refused(alone.set_mtu(Mtu::new(1400).unwrap())).cause(), Cause::Gone);
}

#[test]
fn a_unit_of_which_either_end_is_there_is_passed_over() {
    let fixture = Fixture::new(System::MacOs);
    make_alone(&fixture, "feth0");
    make_alone(&fixture, "feth5001");
    assert_eq!(fixture.tap().name().unwrap(), "feth2".parse().unwrap());
    for name in ["feth0", "feth1"] {
        assert_eq!(refused(fixture.backend.create(&named_tap(name))).cause(), Cause::Exists);
    }
    assert_eq!(others(&fixture).len(), 2);
}

#[test]
fn what_another_program_has_is_busy() {
    let (fixture, _tap) = up_tap();
    for outcome in
        [fixture.backend.open(&named_tap("feth0")), fixture.backend.open_or_create(&named_tap("feth0"))]
    {
        assert_eq!(refused(outcome).cause(), Cause::Busy);
    }
    assert_eq!(refused(fixture.backend.create(&named_tap("feth0"))).cause(), Cause::Exists);
}

#[test]
fn each_tap_takes_the_first_filter_that_is_free() {
    let fixture = Fixture::new(System::MacOs);
    let taps: Vec<_> = (0..16).map(|_| fixture.tap()).collect();
    let (error, calls) = fixture.calls_of(|| refused(fixture.backend.create(&CreateOptions::tap())));
    assert_eq!(calls.iter().filter(|call| call.starts_with("open /dev/bpf")).count(), 17);
    assert_eq!((error.cause(), error.raw_os_error()), (Cause::MissingNode, Some(2)));
    assert!(error.remedy().unwrap().contains("captures packets"), "{error}");
    assert_eq!(others(&fixture).len(), 32);
    drop(taps);
    assert!(others(&fixture).is_empty());
}

#[test]
fn a_caller_without_root_gets_an_error_and_leaves_nothing() {
    let fixture = Fixture::new(System::MacOs);
    fixture.set_caller(false);
    let error = refused(fixture.backend.create(&CreateOptions::tap()));
    assert_eq!((error.cause(), error.raw_os_error()), (Cause::MissingCapability, Some(1)));
    fixture.set_caller(true);
    // A caller who may create interfaces may still not open the nodes.
    fixture.fail("open /dev/bpf0", 13);
    let error = refused(fixture.backend.create(&CreateOptions::tap()));
    assert_eq!((error.cause(), error.remedy()), (Cause::ClosedNode, Some("Run it with sudo.")));
    assert!(others(&fixture).is_empty());
}

#[test]
fn both_ends_go_with_the_device() {
    let (fixture, tap) = up_tap();
    let (_, calls) = fixture.calls_of(|| drop(tap));
    let expected =
        "ioctl BIOCGDLT; close feth5000; list; configure SIOCIFDESTROY @; configure SIOCIFDESTROY feth5000";
    assert_eq!(calls, trace("feth0", expected));
    let tap = fixture.tap();
    tap.destroy().unwrap();
    assert!(others(&fixture).is_empty());
}

#[test]
fn the_far_end_goes_also_where_the_interface_was_deleted() {
    for destroys in [false, true] {
        let (fixture, tap) = up_tap();
        fixture.destroy_by_another("feth0").unwrap();
        assert_eq!(refused(tap.name()).cause(), Cause::Gone);
        if destroys {
            tap.destroy().unwrap();
        } else {
            drop(tap);
        }
        assert!(others(&fixture).is_empty());
    }
}

#[test]
fn deleting_removes_both_ends_and_wakes_a_waiter() {
    let (fixture, tap) = up_tap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| refused(tap.recv(&mut [0; 100])).cause());
        std::thread::sleep(Duration::from_millis(20));
        fixture.backend_interface("feth0").delete().unwrap();
        assert_eq!(waiting.join().unwrap(), Cause::Gone);
    });
    assert!(others(&fixture).is_empty());
    assert_eq!(refused(tap.try_recv(&mut [0; 100])).cause(), Cause::Gone);
    assert_eq!(refused(tap.send(&frame(60))).cause(), Cause::Gone);
    // It stays ready, so that no reader waits for ever.
    assert!(is_readable(&tap));
}

#[test]
fn frames_that_were_read_before_the_deletion_are_received_still() {
    let (fixture, tap) = up_tap();
    assert!([60, 61].iter().all(|&length| fixture.inject("feth0", &frame(length))));
    assert!(is_readable(&tap));
    assert_eq!(try_recv(&tap), frame(60));
    // The thread may read one frame at a time.
    assert!(is_readable(&tap));
    fixture.backend_interface("feth0").delete().unwrap();
    assert_eq!(try_recv(&tap), frame(61));
    assert_eq!(refused(tap.try_recv(&mut [0; 100])).cause(), Cause::Gone);
}
