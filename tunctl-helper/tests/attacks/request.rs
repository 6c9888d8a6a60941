//! Datagrams that are no request, or more than one.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use tunctl_helper::protocol::{REQUEST_SIZE, Refusal, Reply, Request};
use tunctl_sys::linux::iff;
use tunctl_testing::{Case, exists, others};

use super::support::helper::Helper;
use super::support::request::{configured, tun};
use super::support::start::{Start, ask};
use super::support::{World, attacks};

pub(crate) fn cases() -> Vec<Case> {
    attacks![
        a_truncated_request,
        a_request_in_pieces,
        a_slow_request,
        no_request_at_all,
        an_oversized_request,
        trailing_bytes,
        a_repeated_request,
        two_requests_at_once,
        two_helpers_for_one_request,
        another_version,
        flags_that_a_request_may_not_have,
        every_bit_of_a_request_turned_over,
    ]
}

fn good() -> [u8; REQUEST_SIZE] {
    configured("vpn0").to_bytes()
}

#[track_caller]
fn is_malformed(bytes: &[u8]) {
    ask(bytes).is_refused(Refusal::Malformed);
    assert!(others().is_empty());
}

fn a_truncated_request(_: &World) {
    for length in [1, 2, 7, 8, 9, 12, 28, 47, 48, 84, 120, REQUEST_SIZE / 2, REQUEST_SIZE - 1] {
        is_malformed(&good()[..length]);
    }
    assert_eq!(ask(good()).granted(), "vpn0");
}

/// Each datagram is one message: the rest of a request doesn't complete it.
fn a_request_in_pieces(_: &World) {
    let helper = Start::new().run();
    let (head, tail) = (&good()[..100], &good()[100..]);
    helper.send(head);
    helper.send(tail);
    helper.answer().is_refused(Refusal::Malformed);
    assert!(others().is_empty());
}

fn a_slow_request(_: &World) {
    let helper = Start::new().run();
    thread::sleep(Duration::from_secs(3));
    helper.send(&good());
    // Control: slow, and within the limit.
    assert_eq!(helper.answer().granted(), "vpn0");
    assert!(others().is_empty());
}

fn no_request_at_all(_: &World) {
    let answer = Start::new().run().answer();
    assert_eq!((answer.reply(), answer.signal()), (None, Some(Signal::SIGALRM)));
    assert!((9..13).contains(&answer.took.as_secs()), "{:?}", answer.took);
}

fn an_oversized_request(_: &World) {
    for length in [REQUEST_SIZE + 1, 2 * REQUEST_SIZE, 1 << 16, 150_000] {
        let mut bytes = vec![0; length];
        bytes[..REQUEST_SIZE].copy_from_slice(&good());
        is_malformed(&bytes);
    }
}

fn trailing_bytes(_: &World) {
    for trailing in [0, 1, 0xff] {
        is_malformed(&[&good()[..], &[trailing]].concat());
    }
    is_malformed(&[good(), good()].concat());
    assert_eq!(ask(good()).granted(), "vpn0");
}

fn a_repeated_request(_: &World) {
    let helper = Start::new().run();
    for _ in 0..5 {
        helper.send(&good());
    }
    // More than one reply, or descriptor, fails the case.
    assert_eq!(helper.answer().granted(), "vpn0");
}

fn two_requests_at_once(_: &World) {
    let helper = Start::new().run();
    helper.send(&tun("vpn1").to_bytes());
    helper.send(&tun("work0").to_bytes());
    let answer = helper.answer();
    assert_eq!((answer.granted(), others().len()), ("vpn1".to_owned(), 1));
}

/// Both read from the same socket: one gets the request, and the other waits in vain.
fn two_helpers_for_one_request(_: &World) {
    let (ours, theirs) = Helper::pair();
    let again = || (theirs.try_clone().unwrap(), ours.try_clone().unwrap());
    let helpers = [again(), again()].map(|(theirs, ours)| Start::new().run_with(theirs, ours));
    drop((ours, theirs));
    let [first, second] = helpers;
    first.send(&good());
    let answer = first.answer();
    assert!(matches!(answer.datagrams.as_slice(), [one] if Reply::from_bytes(one).is_some()), "{answer:?}");
    assert!(exists("vpn0") && others().len() == 1);
    let rest = second.answer();
    let statuses = [answer.signal(), rest.signal()];
    assert!(statuses.contains(&None) && statuses.contains(&Some(Signal::SIGALRM)), "{statuses:?}");
    assert!(rest.datagrams.is_empty(), "{rest:?}");
}

fn another_version(_: &World) {
    for (offset, value) in [(7, 0), (7, 2), (7, 0xff), (6, 1), (0, b'T')] {
        let mut bytes = good();
        bytes[offset] = value;
        is_malformed(&bytes);
    }
    assert_eq!(ask(good()).granted(), "vpn0");
}

fn flags_that_a_request_may_not_have(_: &World) {
    let asked = [
        iff::MULTI_QUEUE,
        iff::NAPI,
        iff::NAPI_FRAGS,
        iff::NAPI | iff::NAPI_FRAGS,
        iff::NO_CARRIER,
        iff::BACKPRESSURE,
        iff::ATTACH_QUEUE,
        iff::DETACH_QUEUE,
        iff::PERSIST,
        iff::TUN_EXCL,
        4,
        8,
    ];
    for flags in asked {
        is_malformed(&Request { flags: iff::TAP | flags, ..tun("vpn0") }.to_bytes());
    }
    for flags in [0, iff::TUN | iff::TAP] {
        is_malformed(&Request { flags, ..tun("vpn0") }.to_bytes());
    }
    // Control: the flags that it may have.
    for flags in [iff::TUN, iff::TAP | iff::NO_PI, iff::TUN | iff::VNET_HDR | iff::ONE_QUEUE] {
        assert_eq!(ask(Request { flags, ..tun("vpn0") }.to_bytes()).granted(), "vpn0", "{flags:#x}");
    }
}

/// Whatever bit is wrong, there is an answer, and nothing is left.
fn every_bit_of_a_request_turned_over(world: &World) {
    let mut granted = 0;
    // The slots behind the addresses are all alike.
    for bit in (0..48 * 8).chain((48..156).map(|byte| byte * 8)) {
        let mut bytes = good();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let answer = ask(bytes);
        assert_eq!(answer.status.code(), Some(0), "bit {bit}: {answer:?}");
        match answer.reply() {
            Some(Reply::Granted(_)) => granted += 1,
            Some(Reply::Refused(_)) => assert!(others().is_empty(), "bit {bit}"),
            None => panic!("bit {bit}: {answer:?}"),
        }
    }
    world.is_as_before();
    // Such as those of the headers, or of the number in the name.
    assert!(granted > 3, "{granted}");
}
