//! The answers of a router. They equal those of `unreachable`, except for the message and for multicast
//! groups.

use core::net::IpAddr;

use super::layout::{Layout, assert_right, be16};
use super::refusal::{ROUTERS, answered, view};
use super::variants;
use tunctl_packet::{NoReply, Unreachable, time_exceeded as exceeded};

/// The error that reports the next link's MTU.
pub(crate) fn packet_too_big(bytes: &[u8]) {
    for request in variants(bytes) {
        let Some(length) = Layout::of(&request).and_then(|layout| u32::try_from(layout.end).ok()) else {
            assert_malformed(&request);
            continue;
        };
        // The limits of the function, and the limit of this packet.
        let mtus = [0, 67, 68, 1279, 1280, length.saturating_sub(1), length, 65_536, u32::MAX];
        for (mtu, router) in mtus.into_iter().flat_map(|mtu| ROUTERS.map(|router| (mtu, router))) {
            assert_too_big(&request, length, mtu, router);
        }
    }
}

fn assert_malformed(request: &[u8]) {
    let outcome =
        answered(request, |request, answer| tunctl_packet::packet_too_big(request, 1280, None, answer));
    assert!(matches!(outcome, Err(NoReply::Malformed(_))));
}

fn assert_too_big(request: &[u8], length: u32, mtu: u32, router: IpAddr) {
    let outcome = answered(request, |request, answer| {
        tunctl_packet::packet_too_big(request, mtu, Some(router), answer)
    });
    // `unreachable` refuses a packet to a group.
    let unreached = unreachable(&to_single_host(request), router);
    let v6 = request[0] >> 4 == 6;
    match outcome {
        // Both functions report a malformed packet first.
        Err(NoReply::Malformed(_) | NoReply::BadChecksum) => assert_eq!(outcome, unreached),
        Err(NoReply::Fits { .. }) => assert!(length <= mtu),
        _ if length <= mtu => panic!("{outcome:?} about a packet that fits"),
        Err(NoReply::MayFragment) => assert!(!v6 && request[6] & 0x40 == 0),
        _ if !v6 && request[6] & 0x40 == 0 => panic!("{outcome:?} about a packet to fragment"),
        Err(NoReply::MtuTooSmall { minimum, .. }) => {
            assert!(minimum == if v6 { 1280 } else { 68 } && mtu < minimum);
        }
        Ok(answer) => {
            let [_, _, m2, m3] = mtu.to_be_bytes();
            let is_minimal = mtu >= if v6 { 1280 } else { 68 };
            assert!(is_minimal && u16::try_from(mtu).is_ok());
            let header = if v6 { [2, 0, 0, 0, m2, m3] } else { [3, 4, 0, 0, m2, m3] };
            assert_error(request, &answer, header);
            assert_as(&answer, unreached);
        }
        Err(_) => assert_eq!(outcome, unreached),
    }
}

/// The error that reports an exceeded TTL or hop limit.
pub(crate) fn time_exceeded(bytes: &[u8]) {
    for (request, router) in
        variants(bytes).flat_map(|request| ROUTERS.map(|router| (request.clone(), router)))
    {
        let outcome = answered(&request, |request, answer| exceeded(request, router, answer));
        let unreached = unreachable(&request, router);
        match outcome {
            Ok(answer) => {
                let kind = if request[0] >> 4 == 6 { 3 } else { 11 };
                assert_error(&request, &answer, [kind, 0, 0, 0, 0, 0]);
                assert_as(&answer, unreached);
            }
            Err(_) => assert_eq!(outcome, unreached),
        }
    }
}

fn unreachable(request: &[u8], router: IpAddr) -> Result<Vec<u8>, NoReply> {
    answered(request, |request, answer| {
        tunctl_packet::unreachable(request, Unreachable::Network, Some(router), answer)
    })
}

/// Checks the error's first bytes except the checksum, its quote, and that it is not answered with another
/// error.
fn assert_error(request: &[u8], answer: &[u8], [kind, code, h0, h1, h2, h3]: [u8; 6]) {
    let layout = assert_right(answer);
    let message = &answer[layout.start..];
    assert_eq!((&message[..2], &message[4..8]), (&[kind, code][..], &[h0, h1, h2, h3][..]));
    assert_eq!(message[8..], request[..message.len() - 8]);
    let router = view(answer).source().unwrap();
    assert_eq!(exceeded(answer, router, &mut [0; 1280]), Err(NoReply::IcmpError), "an error about an error");
}

/// Checks that the error has the length and the IP header of the one that `unreachable` writes.
fn assert_as(answer: &[u8], unreached: Result<Vec<u8>, NoReply>) {
    let (unreached, start) = (unreached.unwrap(), if answer[0] >> 4 == 6 { 40 } else { 20 });
    assert_eq!((answer.len(), &answer[..start]), (unreached.len(), &unreached[..start]));
}

/// The packet with a single host as its destination, if it is IPv6 to a group. Its checksum stays right or
/// wrong, because one word of the address gains what another loses.
fn to_single_host(request: &[u8]) -> Vec<u8> {
    let mut single = request.to_vec();
    if request[0] >> 4 == 6 && request.get(24) == Some(&0xff) && request.len() >= 40 {
        single[24] = 0xfd;
        let (sum, carry) = be16(request, 26).overflowing_add(0x0200);
        single[26..28].copy_from_slice(&(sum + u16::from(carry)).to_be_bytes());
    }
    single
}
