//! Sending in tasks.

use std::io::IoSlice;

use tunctl_core::Cause;
use tunctl_testing::{Case, on_both};

use super::support::{System, async_tun, name, one_thread, packet, soon};

pub(crate) fn cases() -> Vec<Case> {
    on_both![
        packets_are_sent,
        pieces_are_one_packet,
        a_try_sends,
        it_is_writable,
        a_refusal_is_the_devices_own,
    ]
}

fn packets_are_sent<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = async_tun(harness);
        let mut seen = harness.observe(&name("tun0"));
        for number in 0..20 {
            assert_eq!(soon(tun.send(&packet(number))).await.unwrap(), 24);
            assert_eq!(seen.take(), Some(packet(number)));
        }
    });
}

fn pieces_are_one_packet<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = async_tun(harness);
        let mut seen = harness.observe(&name("tun0"));
        let whole = packet(8);
        let (header, rest) = whole.split_at(20);
        let pieces = [IoSlice::new(header), IoSlice::new(rest)];
        assert_eq!(soon(tun.send_vectored(&pieces)).await.unwrap(), 24);
        assert_eq!(seen.take(), Some(whole));
    });
}

fn a_try_sends<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = async_tun(harness);
        let mut seen = harness.observe(&name("tun0"));
        assert_eq!(tun.try_send(&packet(8)).unwrap(), 24);
        assert_eq!(seen.take(), Some(packet(8)));
    });
}

fn it_is_writable<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = async_tun(harness);
        soon(tun.writable()).await.unwrap();
        tun.try_send(&packet(8)).unwrap();
        soon(tun.writable()).await.unwrap();
    });
}

fn a_refusal_is_the_devices_own<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = async_tun(harness);
        harness.set_up(&name("tun0"), false);
        assert_eq!(soon(tun.send(&packet(8))).await.unwrap_err().cause(), Cause::Down);
        harness.set_up(&name("tun0"), true);
        assert_eq!(soon(tun.send(&packet(8))).await.unwrap(), 24);
    });
}
