//! Sending what the kernel does not take.

use std::io::IoSlice;

use tunctl_core::{Cause, CreateOptions, TunDevice};
use tunctl_linux::LinuxDevice;
use tunctl_testing::{Case, case, ip_json};

use super::support::{address, create, refused, tap, tun, without_ipv6};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(an_interface_that_is_down_takes_no_packets),
        case!(a_tun_refuses_what_is_no_ip_packet),
        case!(a_tap_refuses_what_is_shorter_than_an_ethernet_header),
        case!(headers_count_when_a_packet_is_too_short),
        case!(malformed_comes_before_down),
        case!(nothing_at_all_is_too_short_in_every_form),
    ]
}

/// The packets that the kernel has taken from the device.
fn taken(name: &str) -> u64 {
    ip_json(&format!("-s link show dev {name}"))[0]["stats64"]["rx"]["packets"].as_u64().unwrap()
}

fn assert_refused(device: &LinuxDevice, packet: &[u8], cause: Cause, errno: i32) {
    let middle = packet.len() / 2;
    let pieces = [IoSlice::new(&packet[..middle]), IoSlice::new(&packet[middle..])];
    let mut outcomes = vec![device.send(packet), device.try_send(packet)];
    if !packet.is_empty() {
        outcomes.extend([device.send_vectored(&pieces), device.try_send_vectored(&pieces)]);
    }
    for outcome in outcomes {
        let error = refused(outcome);
        assert_eq!(error.cause(), cause, "{} bytes: {error}", packet.len());
        assert_eq!(error.raw_os_error(), Some(errno), "{error}");
        assert!(error.interface().is_some(), "{error}");
    }
}

fn an_interface_that_is_down_takes_no_packets() {
    without_ipv6();
    for (device, packet) in [(tun("tun0"), vec![0x45; 20]), (tap("tap0"), vec![0; 60])] {
        let name = device.name().unwrap().to_string();
        assert_refused(&device, &packet, Cause::Down, 5);
        device.up(address("10.77.0.1/24")).unwrap();
        device.send(&packet).unwrap();
        assert_eq!(taken(&name), 1);
        device.down().unwrap();
        assert_refused(&device, &packet, Cause::Down, 5);
        assert_eq!(taken(&name), 1);
    }
}

fn a_tun_refuses_what_is_no_ip_packet() {
    without_ipv6();
    let device = tun("tun0");
    device.up(address("10.77.0.1/24")).unwrap();
    for nibble in [0_u8, 1, 3, 5, 7, 15] {
        assert_refused(&device, &[nibble << 4; 40], Cause::MalformedPacket, 22);
    }
    assert_refused(&device, &[0x15], Cause::MalformedPacket, 22);
    assert_eq!(taken("tun0"), 0);
    device.send(&[0x45; 20]).unwrap();
    device.send(&[0x60; 40]).unwrap();
    assert_eq!(taken("tun0"), 2);
}

fn a_tap_refuses_what_is_shorter_than_an_ethernet_header() {
    without_ipv6();
    let device = tap("tap0");
    device.up(address("10.77.0.1/24")).unwrap();
    for length in [0, 1, 13] {
        assert_refused(&device, &vec![0; length], Cause::TooShort, 22);
    }
    assert_eq!(taken("tap0"), 0);
    device.send(&[0; 14]).unwrap();
    assert_eq!(taken("tap0"), 1);
}

fn headers_count_when_a_packet_is_too_short() {
    without_ipv6();
    let with = |pi, vnet| CreateOptions::tun().packet_information(pi).vnet_header(vnet);
    for (options, too_short) in [
        (with(true, false), vec![0, 3]),
        (with(false, true), vec![0, 9, 10]),
        (with(true, true), vec![0, 3, 4, 13]),
    ] {
        let device = create(options, "tun0");
        device.up(address("10.77.0.1/24")).unwrap();
        for length in too_short {
            assert_refused(&device, &vec![0; length], Cause::TooShort, 22);
        }
        assert_eq!(taken("tun0"), 0);
    }
    let tap = create(CreateOptions::tap().packet_information(true).vnet_header(true), "tap0");
    tap.up(address("10.77.0.1/24")).unwrap();
    assert_refused(&tap, &[0; 4 + 10 + 13], Cause::TooShort, 22);
    tap.send(&[0; 4 + 10 + 14]).unwrap();
    assert_eq!(taken("tap0"), 1);
}

fn malformed_comes_before_down() {
    let device = tun("tun0");
    assert_refused(&device, &[0x15; 20], Cause::MalformedPacket, 22);
    assert_refused(&device, &[0x45; 20], Cause::Down, 5);
    assert_refused(&tap("tap0"), &[0; 13], Cause::TooShort, 22);
}

fn nothing_at_all_is_too_short_in_every_form() {
    let device = tun("tun0");
    device.up(address("10.77.0.1/24")).unwrap();
    for outcome in [
        device.send(&[]),
        device.try_send(&[]),
        device.send_vectored(&[IoSlice::new(&[])]),
        device.try_send_vectored(&[]),
    ] {
        let error = refused(outcome);
        assert_eq!(error.cause(), Cause::TooShort, "{error}");
    }
}
