//! A device that is always ready lets others have their turn.

use std::time::Duration;

use tunctl_core::{Interface, TunBackend};
use tunctl_mock::MockBackend;
use tunctl_testing::{Case, LinuxHarness, ip, on_both};

use super::support::{System, async_tun, inject, name, one_thread, packet};

/// So many that to receive them all takes several times as long as the timer.
const PACKETS: u32 = 200_000;
const TICK: Duration = Duration::from_millis(10);

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = on_both![a_timer_is_not_starved_by_sending, a_task_is_not_starved_by_sending];
    cases.push(
        Case::new("memory::fairness::a_timer_is_not_starved_by_receiving", in_memory).outside_namespace(),
    );
    cases.push(
        Case::new("kernel::fairness::a_timer_is_not_starved_by_receiving", on_the_kernel).needs_tool("ip"),
    );
    cases
}

fn a_timer_is_not_starved_by_sending<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = async_tun(harness);
        let sender = tokio::spawn(async move {
            for number in 0..PACKETS {
                tun.send(&packet(number)).await.unwrap();
            }
        });
        for _ in 0..3 {
            tokio::time::sleep(TICK).await;
            assert!(!sender.is_finished(), "the timer came to its turn when all was sent");
        }
    });
}

fn a_task_is_not_starved_by_sending<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = async_tun(harness);
        let sender = tokio::spawn(async move {
            for number in 0..10_000 {
                tun.send(&packet(number)).await.unwrap();
            }
        });
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        assert!(!sender.is_finished());
    });
}

fn in_memory() {
    let harness = tunctl_mock::conformance::MockHarness::default();
    let backend: &MockBackend = tunctl_conformance::Harness::backend(&harness);
    receiving(&harness, || {
        let interface = backend.interface(&"tun0".parse().unwrap()).unwrap();
        interface.set_queue_length(PACKETS).unwrap();
    });
}

fn on_the_kernel() {
    receiving(&LinuxHarness::new(), || {
        ip(&format!("link set tun0 txqueuelen {PACKETS}"));
    });
}

fn receiving<H: System>(harness: &H, lengthen_queue: impl FnOnce()) {
    one_thread().block_on(async {
        let tun = async_tun(harness);
        lengthen_queue();
        (0..PACKETS).for_each(|number| inject(harness, number));
        let receiver = tokio::spawn(async move {
            let mut buffer = [0; 100];
            for _ in 0..PACKETS {
                tun.recv(&mut buffer).await.unwrap();
            }
            tun
        });
        tokio::time::sleep(TICK).await;
        assert!(!receiver.is_finished(), "the timer came to its turn when all was received");
        let _tun = receiver.await.unwrap();
        // There always was a packet.
        assert_eq!(harness.dropped(&name("tun0")), 0);
    });
}
