//! macOS with the third-party kernel extension `tuntaposx`, which serves requests for its names.

use std::time::{Duration, Instant};

use tunctl_core::{
    Cause, CreateOptions, Interface, Interrupter, Readiness, State, TunBackend, TunDevice, WaitOutcome,
};

use crate::fixture::{Device, Fixture, address, named_tap, named_tun, others, refused};
use crate::models::System;
use crate::order::trace;

const V4: &[u8] = &[0x45, 0, 0, 4];
const V6: &[u8] = &[0x60, 0, 0, 6];
const FRAME: &[u8] = &[0xff; 60];

fn up(options: &CreateOptions) -> (Fixture, Device) {
    let fixture = Fixture::with_third_party_driver();
    let device = fixture.backend.create(options).unwrap();
    device.interface().set_state(State::Up).unwrap();
    (fixture, device)
}

#[test]
fn a_name_of_its_own_opens_its_node() {
    for (options, name) in [
        (named_tun("tun3"), "tun3"),
        (named_tun("tun%d"), "tun0"),
        (named_tap("tap3"), "tap3"),
        (named_tap("tap%d"), "tap0"),
    ] {
        let fixture = Fixture::with_third_party_driver();
        let (device, calls) = fixture.calls_of(|| fixture.backend.create(&options).unwrap());
        // Nothing is put in front of packets.
        let expected = "list; open /dev/@; list; nonblocking @; list; mtu?; flags?";
        assert_eq!(calls, trace(name, expected));
        assert_eq!(device.name().unwrap(), name.parse().unwrap());
        assert!(!fixture.report(name).unwrap().is_up);
        drop(device);
        assert!(others(&fixture).is_empty());
    }
}

#[test]
fn its_names_have_an_error_of_their_own_where_it_is_not_loaded() {
    let fixture = Fixture::new(System::MacOs);
    for options in [named_tun("tun0"), named_tun("tun%d"), named_tap("tap7")] {
        for outcome in [fixture.backend.create(&options), fixture.backend.open_or_create(&options)] {
            let error = refused(outcome);
            assert_eq!((error.cause(), error.raw_os_error()), (Cause::MissingNode, Some(2)));
            assert!(error.to_string().contains("kernel extension"), "{error}");
            assert!(error.remedy().unwrap().contains("utunN"), "{error}");
        }
    }
    assert!(others(&fixture).is_empty());
}

#[test]
fn its_nodes_run_out() {
    let fixture = Fixture::with_third_party_driver();
    let taps: Vec<_> = (0..16).map(|_| fixture.backend.create(&named_tap("tap%d")).unwrap()).collect();
    assert_eq!(taps[15].name().unwrap(), "tap15".parse().unwrap());
    assert_eq!(refused(fixture.backend.create(&named_tap("tap%d"))).cause(), Cause::MissingNode);
}

#[test]
fn packets_are_bare_of_either_version() {
    let (fixture, tun) = up(&named_tun("tun0"));
    let mut buffer = [0; 100];
    for packet in [V4, V6] {
        assert!(fixture.inject("tun0", packet));
        let length = tun.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], packet);
        assert_eq!(tun.send(packet).unwrap(), packet.len());
        assert_eq!(fixture.taken("tun0"), Some(packet.to_vec()));
    }
    assert_eq!(fixture.written(), [V4, V6]);
    assert_eq!(refused(tun.send(&[])).cause(), Cause::TooShort);
    assert_eq!(refused(tun.send(&[0x10])).cause(), Cause::MalformedPacket);
}

#[test]
fn while_it_is_down_it_says_so() {
    for (options, packet) in [(named_tun("tun0"), V4), (named_tap("tap0"), FRAME)] {
        let (fixture, device) = up(&options);
        device.interface().set_state(State::Down).unwrap();
        for error in [refused(device.send(packet)), refused(device.try_recv(&mut [0; 100]))] {
            assert_eq!((error.cause(), error.raw_os_error()), (Cause::Down, Some(5)));
            assert!(error.remedy().unwrap().contains("Bring it up"), "{error}");
        }
        device.interface().set_state(State::Up).unwrap();
        // By the same number, something else is meant.
        fixture.fail("read", 5);
        assert_eq!(refused(device.try_recv(&mut [0; 100])).cause(), Cause::Gone);
        assert_eq!(device.send(packet).unwrap(), packet.len());
    }
}

#[test]
fn what_it_cuts_is_not_said_to_be_sent() {
    let (fixture, tap) = up(&named_tap("tap0"));
    let error = refused(tap.send(&[0xff; 3000]));
    assert_eq!((error.cause(), error.raw_os_error()), (Cause::MalformedPacket, None));
    assert!(error.to_string().contains("longer than the MTU"), "{error}");
    assert_eq!(fixture.taken("tap0"), None);
    assert_eq!(tap.send(&[0xff; 1514]).unwrap(), 1514);
}

#[test]
fn an_address_leaves_it_down_and_up_brings_it_up() {
    let fixture = Fixture::with_third_party_driver();
    let tun = fixture.backend.create(&named_tun("tun0")).unwrap();
    let address = address("10.0.0.1 peer 10.0.0.2");
    assert!(tun.interface().add_address(address).unwrap());
    assert!(!fixture.report("tun0").unwrap().is_up);
    tun.up(address).unwrap();
    assert!(fixture.report("tun0").unwrap().is_up);
}

#[test]
fn what_is_open_is_busy_for_others() {
    let (fixture, tun) = up(&named_tun("tun0"));
    assert_eq!(refused(fixture.backend.open(&named_tun("tun0"))).cause(), Cause::Busy);
    assert_eq!(refused(fixture.backend.create(&named_tun("tun0"))).cause(), Cause::Exists);
    assert_eq!(refused(fixture.backend_interface("tun0").delete()).cause(), Cause::Busy);
    assert_eq!(refused(tun.set_persist(true)).cause(), Cause::Unsupported);
    tun.destroy().unwrap();
    assert!(others(&fixture).is_empty());
}

#[test]
fn waiting_ends_by_packets_time_and_interrupts() {
    let (fixture, tun) = up(&named_tun("tun0"));
    let interrupter = Interrupter::new().unwrap();
    let wait = |timeout| tun.wait_until(Readiness::Readable, Some(timeout), Some(&interrupter)).unwrap();
    let started = Instant::now();
    assert_eq!(wait(Duration::from_millis(30)), WaitOutcome::TimedOut);
    assert!(started.elapsed() >= Duration::from_millis(30));
    assert!(tun.wait(Readiness::Writable, None).unwrap());
    assert!(fixture.inject("tun0", V4));
    assert_eq!(wait(Duration::from_secs(60)), WaitOutcome::Ready);
    interrupter.interrupt();
    assert_eq!(wait(Duration::from_secs(60)), WaitOutcome::Interrupted);
}

#[test]
fn a_receive_that_waits_gets_what_comes() {
    let (fixture, tun) = up(&named_tun("tun0"));
    std::thread::scope(|scope| {
        let received = scope.spawn(|| tun.recv(&mut [0; 100]).unwrap());
        std::thread::sleep(Duration::from_millis(20));
        assert!(fixture.inject("tun0", V4));
        assert_eq!(received.join().unwrap(), V4.len());
    });
}
