//! Sending in tasks.

use std::io::IoSlice;

use tokio::join;
use tokio::time::timeout;
use tunctl_core::{Cause, CreateOptions, TunDevice};
use tunctl_testing::{Case, case, on_both, set_link_rate, tap_with_slow_link};
use tunctl_tokio::AsyncDevice;

use super::support::{A_MOMENT, System, async_tun, frame, name, one_thread, packet, soon, waits};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = on_both![
        packets_are_sent,
        pieces_are_one_packet,
        a_try_sends,
        it_is_writable,
        down_it_is_not_writable_until_it_is_up,
        a_deletion_ends_a_wait_for_up,
        a_refusal_is_the_devices_own,
    ];
    let slow = case!(a_send_waits_while_the_link_behind_a_bridge_is_slow);
    cases.push(slow.needs_tool("ip").needs_tool("tc"));
    cases
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

/// How often a task is told that it may send, and then may not, within a while.
async fn rounds_in_vain<D: TunDevice>(tun: &AsyncDevice<D>) -> usize {
    let mut rounds = 0;
    let vainly = async {
        // A task that never waits would not let the time pass.
        while rounds < 1000 {
            tun.writable().await.unwrap();
            match tun.try_send(&packet(8)) {
                Ok(_) => break,
                Err(error) => assert_eq!(error.cause(), Cause::Down),
            }
            rounds += 1;
        }
    };
    let _ = timeout(4 * A_MOMENT, vainly).await;
    rounds
}

fn down_it_is_not_writable_until_it_is_up<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = async_tun(harness);
        // A readiness that the runtime has seen, and that is not so any more.
        soon(tun.writable()).await.unwrap();
        for _ in 0..3 {
            harness.set_up(&name("tun0"), false);
            let rounds = rounds_in_vain(&tun).await;
            assert!(rounds <= 1, "{rounds} rounds while the interface is down");
            let send = async {
                tun.writable().await.unwrap();
                tun.try_send(&packet(8)).unwrap()
            };
            let (sent, ()) = soon(async { join!(send, async { harness.set_up(&name("tun0"), true) }) }).await;
            assert_eq!(sent, 24);
        }
    });
}

fn a_deletion_ends_a_wait_for_up<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = async_tun(harness);
        soon(tun.writable()).await.unwrap();
        harness.set_up(&name("tun0"), false);
        assert!(waits(tun.writable()).await);
        let (ready, ()) =
            soon(async { join!(tun.writable(), async { harness.delete(&name("tun0")) }) }).await;
        ready.unwrap();
        assert!(tun.try_send(&packet(8)).unwrap_err().is_gone());
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

fn a_send_waits_while_the_link_behind_a_bridge_is_slow() {
    let device = tap_with_slow_link(CreateOptions::tap());
    device.set_send_buffer(20_000).unwrap();
    let frame = frame();
    one_thread().block_on(async {
        let tun = AsyncDevice::new(device).unwrap();
        let mut sent = 0;
        while !waits(tun.send(&frame)).await {
            sent += 1;
            assert!(sent < 1000, "the send buffer bounds nothing");
        }
        assert!(waits(tun.writable()).await);
        // It has to wait again and again: the link takes more than the buffer has room for.
        let send_many = async {
            for _ in 0..100 {
                tun.send(&frame).await.unwrap();
            }
        };
        let ((), ()) = join!(soon(send_many), async { set_link_rate("8mbit") });
    });
}
