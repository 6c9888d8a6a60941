//! What the system sends unasked out of an interface that comes up with IPv6.

use std::time::Duration;

use crate::case::{Case, suite};
use crate::expect::{create, mac, name, not_applicable, refused, tap, tun};
use crate::{DeviceOf, Harness};
use tunctl_core::{Cause, CreateOptions, Interface, TunDevice};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Reading:
        on_a_tun_the_system_looks_for_routers,
        on_a_tap_the_system_claims_an_address_and_looks_for_routers,
        with_an_mtu_too_small_for_ipv6_the_system_looks_for_no_routers,
    ]
}

/// The system takes its time: it waits for up to a second before it asks for an address, and again before it
/// looks for routers.
const PATIENCE: Duration = Duration::from_secs(20);

const NO_SWITCH: &str = "nothing makes the system look for routers";

const ROUTER_SOLICITATION: u8 = 133;
const NEIGHBOR_SOLICITATION: u8 = 135;
const MLD_REPORT: u8 = 143;

/// The next packet within this time.
fn next<H: Harness>(device: &DeviceOf<H>, limit: Duration) -> tunctl_core::Result<Vec<u8>> {
    let mut buffer = vec![0; 1500];
    let length = device.recv_timeout(&mut buffer, limit)?;
    buffer.truncate(length);
    Ok(buffer)
}

/// The ICMPv6 message of an IPv6 packet, whose checksum is right.
#[track_caller]
fn message(packet: &[u8]) -> &[u8] {
    let (header, rest) = packet.split_at(40);
    // In front of a report is a hop-by-hop header of eight bytes.
    let message = if header[6] == 0 { &rest[8..] } else { rest };
    assert!([header[6], rest[0]].contains(&58), "{packet:x?}");
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    let whole = [&header[8..40], &length, &[0, 58], message].concat();
    let sum = whole.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum::<u32>();
    assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff, "{packet:x?}");
    message
}

fn on_a_tun_the_system_looks_for_routers<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    if !harness.look_for_routers(&name("tun0")) {
        return not_applicable(NO_SWITCH);
    }
    let packet = next::<H>(&device, PATIENCE).unwrap();
    let all_routers = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    assert_eq!((packet.len(), &packet[..8]), (48, &[0x60, 0, 0, 0, 0, 8, 58, 255][..]));
    assert_eq!((&packet[8..16], &packet[24..40]), (&[0xfe, 0x80, 0, 0, 0, 0, 0, 0][..], &all_routers[..]));
    // Type, code, checksum, reserved; no option, since there is no link-layer address.
    let message = message(&packet);
    assert_eq!((&message[..2], &message[4..]), (&[ROUTER_SOLICITATION, 0][..], &[0; 4][..]));
}

fn on_a_tap_the_system_claims_an_address_and_looks_for_routers<H: Harness>(harness: &H) {
    let device = tap(harness, "tap0");
    device.interface().set_mac(mac(0x42)).unwrap();
    if !harness.look_for_routers(&name("tap0")) {
        return not_applicable(NO_SWITCH);
    }
    let own = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0x5e, 0xff, 0xfe, 0x10, 0, 0x42];
    let mut types = Vec::new();
    let last = loop {
        let frame = next::<H>(&device, PATIENCE).unwrap();
        assert_eq!((&frame[6..12], &frame[12..14]), (&mac(0x42).octets()[..], &[0x86, 0xdd][..]));
        let message = message(&frame[14..]);
        types.push(message[0]);
        match message[0] {
            ROUTER_SOLICITATION => break frame,
            NEIGHBOR_SOLICITATION => {
                assert_eq!((frame.len(), &frame[22..38], &message[8..24]), (86, &[0; 16][..], &own[..]));
            }
            _ => {}
        }
    };
    // How often it reports is not promised, but it does before it asks.
    types.dedup();
    assert_eq!(types, [MLD_REPORT, NEIGHBOR_SOLICITATION, MLD_REPORT, ROUTER_SOLICITATION]);
    let expected = [
        &[0x33, 0x33, 0, 0, 0, 2][..],
        &mac(0x42).octets(),
        &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 16, 58, 255],
        &own,
        &[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
    ];
    assert_eq!((last.len(), &last[..54]), (70, &expected.concat()[..]));
    // The option with the link-layer address.
    assert_eq!(last[62..], [&[1, 1][..], &mac(0x42).octets()].concat());
}

fn with_an_mtu_too_small_for_ipv6_the_system_looks_for_no_routers<H: Harness>(harness: &H) {
    let device = create(harness, CreateOptions::tun().mtu(1279), "tun0");
    if !harness.look_for_routers(&name("tun0")) {
        return not_applicable(NO_SWITCH);
    }
    // With one byte more, it would do so at once.
    refused(next::<H>(&device, Duration::from_millis(500)), Cause::TimedOut);
}
