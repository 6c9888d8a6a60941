//! Receiving in tasks.

use std::io::IoSliceMut;

use tokio::time::timeout;
use tunctl_core::TunDevice;
use tunctl_testing::{Case, on_both};

use super::support::{A_MOMENT, System, async_tun, inject, next, number, one_thread, soon, waits};

pub(crate) fn cases() -> Vec<Case> {
    on_both![
        a_packet_that_waits_is_received_at_once,
        a_packet_that_comes_later_wakes,
        packets_come_in_order_whether_waited_for_or_not,
        a_receive_that_is_dropped_takes_nothing,
        a_receive_that_loses_a_race_takes_nothing,
        a_vectored_receive_fills_its_buffers,
        a_try_finds_what_there_is,
        readable_is_told_when_there_is_a_packet_and_not_again,
        a_packet_that_another_took_is_waited_for_again,
    ]
}

fn a_packet_that_waits_is_received_at_once<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = async_tun(harness);
        inject(harness, 1);
        let mut buffer = [0; 100];
        // One poll is enough: it tries before it waits.
        let mut receive = std::pin::pin!(tun.recv(&mut buffer));
        let polled =
            std::future::poll_fn(|context| std::task::Poll::Ready(receive.as_mut().poll(context))).await;
        assert!(matches!(polled, std::task::Poll::Ready(Ok(24))), "{polled:?}");
    });
}

fn a_packet_that_comes_later_wakes<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = async_tun(harness);
        for expected in 0..50 {
            let (received, ()) = tokio::join!(next(&tun), async {
                tokio::task::yield_now().await;
                inject(harness, expected);
            });
            assert_eq!(received, expected);
        }
    });
}

fn packets_come_in_order_whether_waited_for_or_not<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = async_tun(harness);
        let mut first = 0;
        for count in [1, 2, 3, 50, 1, 100, 7].repeat(10) {
            (first..first + count).for_each(|number| inject(harness, number));
            for expected in first..first + count {
                assert_eq!(next(&tun).await, expected);
            }
            first += count;
        }
        assert!(waits(tun.recv(&mut [0; 100])).await);
    });
}

fn a_receive_that_is_dropped_takes_nothing<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = async_tun(harness);
        for expected in 0..20 {
            assert!(timeout(A_MOMENT / 50, tun.recv(&mut [0; 100])).await.is_err());
            inject(harness, expected);
            assert_eq!(next(&tun).await, expected);
        }
    });
}

fn a_receive_that_loses_a_race_takes_nothing<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = async_tun(harness);
        let mut received = Vec::new();
        for number in 0..200 {
            inject(harness, number);
            let mut buffer = [0; 100];
            tokio::select! {
                // Sometimes the other branch is polled first, and this one is dropped.
                length = tun.recv(&mut buffer) => received.push(self::number(&buffer[..length.unwrap()])),
                () = std::future::ready(()) => {}
            }
        }
        let mut buffer = [0; 100];
        while let Ok(length) = tun.try_recv(&mut buffer) {
            received.push(number(&buffer[..length]));
        }
        assert_eq!(received, Vec::from_iter(0..200));
    });
}

fn a_vectored_receive_fills_its_buffers<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = async_tun(harness);
        let (mut header, mut rest) = ([0; 20], [0; 100]);
        let mut buffers = [IoSliceMut::new(&mut header), IoSliceMut::new(&mut rest)];
        let (length, ()) = tokio::join!(soon(tun.recv_vectored(&mut buffers)), async { inject(harness, 5) });
        assert_eq!(length.unwrap(), 24);
        assert_eq!((header[0], number(&rest[..4])), (0x45, 5));
    });
}

fn a_try_finds_what_there_is<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = async_tun(harness);
        let mut buffer = [0; 100];
        assert!(tun.try_recv(&mut buffer).unwrap_err().is_would_block());
        // At once, though the runtime has not heard of it yet.
        inject(harness, 3);
        assert_eq!(tun.try_recv(&mut buffer).unwrap(), 24);
        assert!(tun.try_recv(&mut buffer).unwrap_err().is_would_block());
    });
}

fn readable_is_told_when_there_is_a_packet_and_not_again<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = async_tun(harness);
        let mut buffer = [0; 100];
        assert!(waits(tun.readable()).await);
        for _ in 0..5 {
            inject(harness, 3);
            soon(tun.readable()).await.unwrap();
            assert_eq!(tun.try_recv(&mut buffer).unwrap(), 24);
            assert!(tun.try_recv(&mut buffer).unwrap_err().is_would_block());
            assert!(waits(tun.readable()).await);
        }
    });
}

fn a_packet_that_another_took_is_waited_for_again<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = async_tun(harness);
        let clone = tun.device().try_clone().unwrap();
        inject(harness, 1);
        soon(tun.readable()).await.unwrap();
        assert_eq!(clone.try_recv(&mut [0; 100]).unwrap(), 24);
        assert!(waits(tun.recv(&mut [0; 100])).await);
        inject(harness, 2);
        assert_eq!(next(&tun).await, 2);
    });
}
