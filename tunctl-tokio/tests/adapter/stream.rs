//! Packets as a stream, and the sink.

use std::num::NonZeroUsize;
use std::sync::Arc;

use futures_util::stream::FusedStream;
use futures_util::{SinkExt, StreamExt};
use tunctl_core::Cause;
use tunctl_testing::{Case, on_both};
use tunctl_tokio::{PacketSink, PacketStream};

use super::support::{System, async_tun, inject, name, number, one_thread, packet, soon, waits};

pub(crate) fn cases() -> Vec<Case> {
    on_both![
        packets_are_streamed_in_order,
        a_stream_ends_with_the_interface,
        a_stream_cuts_what_is_too_long,
        a_stream_that_is_dropped_takes_nothing,
        a_sink_sends,
        a_sink_tells_of_a_refusal_and_goes_on,
        a_stream_and_a_sink_share_a_device,
    ]
}

fn packets_are_streamed_in_order<H: System>(harness: &H) {
    one_thread().block_on(async {
        let mut packets = PacketStream::new(Arc::new(async_tun(harness)));
        for round in 0..20 {
            (0..5).for_each(|number| inject(harness, round * 5 + number));
            for number in 0..5 {
                assert_eq!(soon(packets.next()).await.unwrap().unwrap(), packet(round * 5 + number));
            }
        }
        assert!(waits(packets.next()).await);
        inject(harness, 7);
        assert_eq!(soon(packets.next()).await.unwrap().unwrap(), packet(7));
    });
}

fn a_stream_ends_with_the_interface<H: System>(harness: &H) {
    one_thread().block_on(async {
        let mut packets = PacketStream::new(Arc::new(async_tun(harness)));
        let (last, ()) = tokio::join!(soon(packets.next()), async {
            tokio::task::yield_now().await;
            harness.delete(&name("tun0"));
        });
        assert!(last.unwrap().unwrap_err().is_gone());
        assert!(packets.is_terminated());
        assert!(soon(packets.next()).await.is_none());
    });
}

fn a_stream_cuts_what_is_too_long<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = Arc::new(async_tun(harness));
        let mut packets = PacketStream::with_packet_length(tun, NonZeroUsize::new(21).unwrap());
        inject(harness, 0x0102_0304);
        assert_eq!(soon(packets.next()).await.unwrap().unwrap(), packet(0x0102_0304)[..21]);
    });
}

fn a_stream_that_is_dropped_takes_nothing<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = Arc::new(async_tun(harness));
        let mut packets = PacketStream::new(tun.clone());
        assert!(waits(packets.next()).await);
        drop(packets);
        inject(harness, 4);
        let mut buffer = [0; 100];
        let length = soon(tun.recv(&mut buffer)).await.unwrap();
        assert_eq!(number(&buffer[..length]), 4);
    });
}

fn a_sink_sends<H: System>(harness: &H) {
    one_thread().block_on(async {
        let mut sink = PacketSink::new(Arc::new(async_tun(harness)));
        let mut seen = harness.observe(&name("tun0"));
        soon(sink.send(packet(1))).await.unwrap();
        assert_eq!(seen.take(), Some(packet(1)));
        // What is fed is sent at the latest when it is flushed.
        soon(sink.feed(packet(2))).await.unwrap();
        soon(sink.feed(packet(3))).await.unwrap();
        soon(sink.flush()).await.unwrap();
        assert_eq!([seen.take(), seen.take()], [Some(packet(2)), Some(packet(3))]);
        soon(sink.feed(packet(4))).await.unwrap();
        soon(SinkExt::<Vec<u8>>::close(&mut sink)).await.unwrap();
        assert_eq!([seen.take(), seen.take()], [Some(packet(4)), None]);
    });
}

fn a_sink_tells_of_a_refusal_and_goes_on<H: System>(harness: &H) {
    one_thread().block_on(async {
        let mut sink = PacketSink::new(Arc::new(async_tun(harness)));
        let mut seen = harness.observe(&name("tun0"));
        harness.set_up(&name("tun0"), false);
        assert_eq!(soon(sink.send(packet(1))).await.unwrap_err().cause(), Cause::Down);
        harness.set_up(&name("tun0"), true);
        soon(sink.send(packet(2))).await.unwrap();
        assert_eq!([seen.take(), seen.take()], [Some(packet(2)), None]);
    });
}

fn a_stream_and_a_sink_share_a_device<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = Arc::new(async_tun(harness));
        let mut seen = harness.observe(&name("tun0"));
        let echo = PacketStream::new(tun.clone()).take(10).forward(PacketSink::new(tun));
        let (outcome, ()) = tokio::join!(soon(echo), async {
            for number in 0..10 {
                inject(harness, number);
                tokio::task::yield_now().await;
            }
        });
        outcome.unwrap();
        for number in 0..10 {
            assert_eq!(seen.take(), Some(packet(number)));
        }
    });
}
