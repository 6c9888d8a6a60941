//! Many packets a call, in tasks.

use std::sync::Arc;

use tokio::join;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tunctl_conformance::{DeviceOf, Harness};
use tunctl_core::bulk::{RecvBatch, SendBatch};
use tunctl_core::{Cause, CreateOptions, Interface, Operation, TunBackend, TunDevice};
use tunctl_mock::conformance::MockHarness;
use tunctl_mock::{Errno, Fault, MockBackend};
use tunctl_testing::{Case, case, on_both, set_link_rate, tap_with_slow_link};
use tunctl_tokio::AsyncBulk;

use super::support::{
    A_MOMENT, System, frame, inject, name, number, one_thread, packet, soon, threads, waits,
};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = on_both![
        packets_come_and_go,
        packets_that_come_later_wake,
        a_receive_that_is_dropped_takes_nothing,
        a_receive_that_loses_a_race_takes_nothing,
        a_try_notes_that_nothing_is_there,
        one_task_receives_while_another_sends,
        a_deletion_wakes_a_receiver,
        after_a_deletion_a_batch_keeps_its_packets,
        down_the_packets_are_lost_until_it_is_up,
        a_task_is_not_starved_by_receiving,
        a_task_is_not_starved_by_sending,
        the_device_comes_back,
    ];
    let in_memory: [(_, fn()); 2] = [
        ("memory::bulk::what_a_try_has_not_sent_is_still_there", what_a_try_has_not_sent_is_still_there),
        ("memory::bulk::a_send_that_waited_counts_all_its_calls", a_send_that_waited_counts_all_its_calls),
    ];
    cases.extend(in_memory.map(|(name, case)| Case::new(name, case).outside_namespace()));
    let slow = case!(a_send_that_is_dropped_keeps_what_it_has_not_sent);
    cases.push(slow.needs_tool("ip").needs_tool("tc"));
    cases
}

type BulkOf<H> = AsyncBulk<DeviceOf<H>>;

/// An interface that is up, with a virtio-net header or without.
fn bulk<H: System>(harness: &H, vnet: bool) -> BulkOf<H> {
    let options = CreateOptions::tun().name("tun0").vnet_header(vnet);
    let device = harness.backend().create(&options).unwrap();
    harness.set_up(&name("tun0"), true);
    AsyncBulk::new(device.into_bulk().unwrap()).unwrap()
}

/// The numbers of the packets that are left in the batch.
fn numbers(batch: &mut RecvBatch) -> Vec<u32> {
    let mut numbers = Vec::new();
    while let Some(packet) = batch.next() {
        numbers.push(number(packet));
    }
    numbers
}

fn push(batch: &mut SendBatch, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        batch.push(&packet(number)).unwrap();
    }
}

fn packets_come_and_go<H: System>(harness: &H) {
    for vnet in [false, true] {
        one_thread().block_on(async {
            let tun = bulk(harness, vnet);
            assert_eq!(tun.interface().name().unwrap(), name("tun0"));
            let (mut received, mut sent) = (tun.bulk().recv_batch(), tun.bulk().send_batch());
            (0..5).for_each(|number| inject(harness, number));
            assert_eq!(soon(tun.recv(&mut received)).await.unwrap(), 5);
            assert_eq!(numbers(&mut received), [0, 1, 2, 3, 4]);
            let mut seen = harness.observe(&name("tun0"));
            push(&mut sent, 5..10);
            assert_eq!(soon(tun.send(&mut sent)).await.unwrap(), 5);
            assert!(sent.is_empty());
            (5..10).for_each(|number| assert_eq!(seen.take(), Some(packet(number))));
            assert_eq!(soon(tun.send(&mut sent)).await.unwrap(), 0);
        });
    }
}

fn packets_that_come_later_wake<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = bulk(harness, true);
        let mut batch = tun.bulk().recv_batch();
        for first in (0..100).step_by(2) {
            let (received, ()) = join!(soon(tun.recv(&mut batch)), async {
                tokio::task::yield_now().await;
                (first..first + 2).for_each(|number| inject(harness, number));
            });
            assert_eq!(received.unwrap(), 2);
            assert_eq!(numbers(&mut batch), [first, first + 1]);
        }
    });
}

fn a_receive_that_is_dropped_takes_nothing<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = bulk(harness, true);
        let mut batch = tun.bulk().recv_batch();
        for number in 0..20 {
            assert!(timeout(A_MOMENT / 50, tun.recv(&mut batch)).await.is_err());
            assert_eq!(batch.next(), None);
            inject(harness, number);
            soon(tun.recv(&mut batch)).await.unwrap();
            assert_eq!(numbers(&mut batch), [number]);
        }
    });
}

fn a_receive_that_loses_a_race_takes_nothing<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = bulk(harness, true);
        let (mut batch, mut received) = (tun.bulk().recv_batch(), Vec::new());
        for number in 0..200 {
            inject(harness, number);
            tokio::select! {
                // Sometimes the other branch is polled first, and this one is dropped. The budget of the task
                // runs out, too, right behind a packet.
                calls = tun.recv(&mut batch) => {
                    calls.unwrap();
                    received.extend(numbers(&mut batch));
                }
                () = std::future::ready(()) => {}
            }
        }
        if tun.try_recv(&mut batch).is_ok() {
            received.extend(numbers(&mut batch));
        }
        assert_eq!(received, Vec::from_iter(0..200));
    });
}

fn a_try_notes_that_nothing_is_there<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = bulk(harness, true);
        let (mut received, mut sent) = (tun.bulk().recv_batch(), tun.bulk().send_batch());
        assert!(waits(tun.readable()).await);
        for number in 0..5 {
            inject(harness, number);
            soon(tun.readable()).await.unwrap();
            assert_eq!(tun.try_recv(&mut received).unwrap(), 1);
            assert!(tun.try_recv(&mut received).unwrap_err().is_would_block());
            assert!(waits(tun.readable()).await);
        }
        let mut seen = harness.observe(&name("tun0"));
        soon(tun.writable()).await.unwrap();
        push(&mut sent, [7]);
        assert_eq!(tun.try_send(&mut sent).unwrap(), 1);
        assert_eq!(seen.take(), Some(packet(7)));
    });
}

fn one_task_receives_while_another_sends<H: System>(harness: &H) {
    threads().block_on(async {
        let tun = Arc::new(bulk(harness, true));
        let (forward, mut packets) = mpsc::channel::<Vec<u8>>(64);
        let receiver = tokio::spawn({
            let tun = tun.clone();
            async move {
                let mut batch = tun.bulk().recv_batch();
                loop {
                    if let Err(error) = tun.recv(&mut batch).await {
                        return error;
                    }
                    while let Some(packet) = batch.next() {
                        forward.send(packet.to_vec()).await.unwrap();
                    }
                }
            }
        });
        let sender = tokio::spawn(async move {
            let (mut batch, mut several) = (tun.bulk().send_batch(), Vec::new());
            while packets.recv_many(&mut several, 16).await > 0 {
                for packet in several.drain(..) {
                    batch.push(&packet).unwrap();
                }
                tun.send(&mut batch).await.unwrap();
            }
        });
        let mut seen = harness.observe(&name("tun0"));
        for first in (0..300).step_by(30) {
            (first..first + 30).for_each(|number| inject(harness, number));
            for number in first..first + 30 {
                let turned = soon(async {
                    loop {
                        match seen.take() {
                            Some(packet) => break packet,
                            None => tokio::task::yield_now().await,
                        }
                    }
                });
                assert_eq!(turned.await, packet(number));
            }
        }
        harness.delete(&name("tun0"));
        assert!(soon(receiver).await.unwrap().is_gone());
        soon(sender).await.unwrap();
    });
}

fn a_deletion_wakes_a_receiver<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = bulk(harness, true);
        let mut batch = tun.bulk().recv_batch();
        let (outcome, ()) = join!(soon(tun.recv(&mut batch)), async {
            tokio::time::sleep(A_MOMENT).await;
            harness.delete(&name("tun0"));
        });
        assert!(outcome.unwrap_err().is_gone());
        assert!(soon(tun.recv(&mut batch)).await.unwrap_err().is_gone());
    });
}

fn after_a_deletion_a_batch_keeps_its_packets<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = bulk(harness, true);
        let mut batch = tun.bulk().send_batch();
        push(&mut batch, 0..5);
        harness.delete(&name("tun0"));
        soon(tun.writable()).await.unwrap();
        assert!(soon(tun.send(&mut batch)).await.unwrap_err().is_gone());
        assert_eq!((batch.len(), batch.statistics().lost), (5, 0));
    });
}

fn down_the_packets_are_lost_until_it_is_up<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = bulk(harness, true);
        let mut batch = tun.bulk().send_batch();
        soon(tun.writable()).await.unwrap();
        harness.set_up(&name("tun0"), false);
        push(&mut batch, 0..3);
        let error = soon(tun.send(&mut batch)).await.unwrap_err();
        assert_eq!((error.cause(), error.is_packet_lost()), (Cause::Down, true));
        assert_eq!((batch.len(), batch.lost().len()), (0, 3));
        assert!(waits(tun.writable()).await);
        let (ready, ()) = join!(soon(tun.writable()), async { harness.set_up(&name("tun0"), true) });
        ready.unwrap();
        push(&mut batch, 3..5);
        assert_eq!(soon(tun.send(&mut batch)).await.unwrap(), 2);
    });
}

fn a_task_is_not_starved_by_receiving<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = bulk(harness, false);
        (0..400).for_each(|number| inject(harness, number));
        let (progress, mut received) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut batch = tun.bulk().recv_batch();
            while tun.recv(&mut batch).await.is_ok() {
                progress.send(numbers(&mut batch)).unwrap();
            }
        });
        tokio::task::yield_now().await;
        let mut at_once = Vec::new();
        while let Ok(numbers) = received.try_recv() {
            at_once.extend(numbers);
        }
        assert!(!at_once.is_empty() && at_once.len() < 400, "{} packets at once", at_once.len());
        while at_once.len() < 400 {
            at_once.extend(soon(received.recv()).await.unwrap());
        }
        assert_eq!(at_once, Vec::from_iter(0..400));
    });
}

fn a_task_is_not_starved_by_sending<H: System>(harness: &H) {
    const BATCHES: usize = 100;
    for down in [false, true] {
        one_thread().block_on(async {
            let tun = bulk(harness, false);
            harness.set_up(&name("tun0"), !down);
            let (progress, mut sent) = mpsc::unbounded_channel();
            tokio::spawn(async move {
                let mut batch = tun.bulk().send_batch();
                for _ in 0..BATCHES {
                    push(&mut batch, 0..64);
                    assert_eq!(tun.send(&mut batch).await.is_err(), down);
                    progress.send(()).unwrap();
                }
            });
            tokio::task::yield_now().await;
            let at_once = std::iter::from_fn(|| sent.try_recv().ok()).count();
            assert!((1..BATCHES).contains(&at_once), "{at_once} batches at once");
            let mut left = BATCHES - at_once;
            while left > 0 {
                soon(sent.recv()).await.unwrap();
                left -= 1;
            }
        });
    }
}

fn the_device_comes_back<H: System>(harness: &H) {
    one_thread().block_on(async {
        let mut tun = bulk(harness, true);
        for expected in 0..5 {
            let mut batch = tun.bulk().recv_batch();
            inject(harness, expected);
            soon(tun.recv(&mut batch)).await.unwrap();
            assert_eq!(numbers(&mut batch), [expected]);
            let device = tun.into_bulk().into_device().unwrap();
            assert!(device.offloads().unwrap().is_empty());
            tun = AsyncBulk::new(device.into_bulk().unwrap()).unwrap();
        }
    });
}

/// Has a batch find no room behind its first two packets.
fn fill_up(kernel: &MockBackend) {
    // The second attempt notes it.
    for _ in 0..2 {
        kernel.script(Fault::on(Operation::Send).nth(3).errno(Errno::EAGAIN));
    }
}

fn what_a_try_has_not_sent_is_still_there() {
    let harness = MockHarness::default();
    for vnet in [false, true] {
        one_thread().block_on(async {
            let tun = bulk(&harness, vnet);
            let mut batch = tun.bulk().send_batch();
            let mut seen = harness.observe(&name("tun0"));
            push(&mut batch, 0..5);
            fill_up(harness.backend());
            assert!(tun.try_send(&mut batch).unwrap_err().is_would_block());
            assert_eq!((batch.len(), batch.statistics().packets), (3, 2));
            push(&mut batch, [5]);
            assert_eq!(soon(tun.send(&mut batch)).await.unwrap(), 4);
            (0..6).for_each(|number| assert_eq!(seen.take(), Some(packet(number))));
            assert_eq!(seen.take(), None);
        });
    }
}

fn a_send_that_waited_counts_all_its_calls() {
    let harness = MockHarness::default();
    one_thread().block_on(async {
        let tun = bulk(&harness, true);
        let mut batch = tun.bulk().send_batch();
        push(&mut batch, 0..5);
        fill_up(harness.backend());
        assert_eq!(soon(tun.send(&mut batch)).await.unwrap(), 5);
        // So does one that blocks the thread.
        push(&mut batch, 0..5);
        fill_up(harness.backend());
        assert_eq!(tun.bulk().send(&mut batch).unwrap(), 5);
    });
}

fn a_send_that_is_dropped_keeps_what_it_has_not_sent() {
    let device = tap_with_slow_link(CreateOptions::tap().vnet_header(true));
    device.set_send_buffer(20_000).unwrap();
    one_thread().block_on(async {
        let tun = AsyncBulk::new(device.into_bulk().unwrap()).unwrap();
        let mut batch = tun.bulk().send_batch();
        for _ in 0..100 {
            batch.push(&frame()).unwrap();
        }
        assert!(waits(tun.send(&mut batch)).await);
        let sent = batch.statistics().packets;
        assert!((1..100).contains(&sent), "{sent} frames are in flight");
        assert_eq!(batch.len() as u64, 100 - sent);
        assert!(waits(tun.send(&mut batch)).await);
        set_link_rate("8mbit");
        soon(tun.send(&mut batch)).await.unwrap();
        assert_eq!((batch.len(), batch.statistics().packets, batch.statistics().lost), (0, 100, 0));
    });
}
