//! How it begins and ends.

use std::time::{Duration, Instant};

use tunctl_conformance::Harness;
use tunctl_core::{Cause, TunBackend, TunDevice};
use tunctl_testing::{Case, on_both, open_files};
use tunctl_tokio::AsyncDevice;

use super::support::{A_MOMENT, System, async_tun, inject, name, next, one_thread, packet, soon, tun};

pub(crate) fn cases() -> Vec<Case> {
    on_both![
        a_task_that_waits_is_told_of_a_deletion_within_a_tenth_of_a_second,
        a_task_that_waits_for_readiness_is_told_of_a_deletion,
        a_deletion_before_is_told,
        a_deletion_is_told_to_senders,
        after_a_deletion_nothing_is_busy,
        the_device_comes_back_and_can_be_registered_again,
        a_device_that_came_back_can_be_destroyed,
        nothing_is_left_behind,
        without_a_runtime_it_is_refused,
    ]
}

/// The interface is gone from the system before its deletion returns: what is measured here is the waking.
fn a_task_that_waits_is_told_of_a_deletion_within_a_tenth_of_a_second<H: System>(harness: &H) {
    one_thread().block_on(async {
        for _ in 0..5 {
            let tun = async_tun(harness);
            let waiting = tokio::spawn(async move {
                let outcome = tun.recv(&mut [0; 100]).await;
                (outcome, Instant::now())
            });
            tokio::time::sleep(A_MOMENT).await;
            assert!(!waiting.is_finished());
            harness.delete(&name("tun0"));
            let deleted = Instant::now();
            let (outcome, woken) = soon(waiting).await.unwrap();
            assert!(outcome.unwrap_err().is_gone());
            let late = woken.saturating_duration_since(deleted);
            assert!(late < Duration::from_millis(100), "{late:?}");
        }
    });
}

fn a_task_that_waits_for_readiness_is_told_of_a_deletion<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = async_tun(harness);
        let (ready, ()) = tokio::join!(soon(tun.readable()), async {
            tokio::time::sleep(A_MOMENT).await;
            harness.delete(&name("tun0"));
        });
        ready.unwrap();
        assert!(tun.try_recv(&mut [0; 100]).unwrap_err().is_gone());
    });
}

fn a_deletion_before_is_told<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = tun(harness, "tun0");
        harness.delete(&name("tun0"));
        let tun = AsyncDevice::new(tun).unwrap();
        assert!(soon(tun.recv(&mut [0; 100])).await.unwrap_err().is_gone());
        assert!(soon(tun.recv(&mut [0; 100])).await.unwrap_err().is_gone());
    });
}

fn a_deletion_is_told_to_senders<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = async_tun(harness);
        harness.delete(&name("tun0"));
        soon(tun.writable()).await.unwrap();
        assert!(soon(tun.send(&packet(1))).await.unwrap_err().is_gone());
    });
}

fn after_a_deletion_nothing_is_busy<H: System>(harness: &H) {
    const WHILE: Duration = Duration::from_millis(500);
    one_thread().block_on(async {
        let tun = async_tun(harness);
        let waiting = tokio::spawn(async move {
            let outcome = tun.recv(&mut [0; 100]).await;
            (tun, outcome)
        });
        tokio::time::sleep(A_MOMENT).await;
        harness.delete(&name("tun0"));
        // It is kept, registered, and nobody asks it.
        let (_tun, outcome) = soon(waiting).await.unwrap();
        assert!(outcome.unwrap_err().is_gone());
        let used = processor_time();
        tokio::time::sleep(WHILE).await;
        let used = processor_time() - used;
        assert!(used < WHILE / 5, "{used:?} of {WHILE:?}");
    });
}

fn processor_time() -> Duration {
    use nix::sys::resource::{UsageWho, getrusage};
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    [usage.user_time(), usage.system_time()]
        .map(|time| Duration::from_micros((time.tv_sec() * 1_000_000 + time.tv_usec()).try_into().unwrap()))
        .iter()
        .sum()
}

fn the_device_comes_back_and_can_be_registered_again<H: System>(harness: &H) {
    one_thread().block_on(async {
        let mut tun = async_tun(harness);
        for expected in 0..5 {
            inject(harness, expected);
            assert_eq!(next(&tun).await, expected);
            let device = tun.into_device();
            inject(harness, 100);
            assert_eq!(device.recv(&mut [0; 100]).unwrap(), 24);
            tun = AsyncDevice::new(device).unwrap();
        }
    });
}

fn a_device_that_came_back_can_be_destroyed<H: System>(harness: &H) {
    one_thread().block_on(async {
        async_tun(harness).into_device().destroy().unwrap();
        assert!(harness.backend().interface(&name("tun0")).is_err());
    });
}

fn nothing_is_left_behind<H: System>(harness: &H) {
    one_thread().block_on(async {
        let tun = async_tun(harness);
        inject(harness, 0);
        assert_eq!(next(&tun).await, 0);
        drop(tun);
        let before = open_files().len();
        for number in 0..20 {
            let tun = async_tun(harness);
            inject(harness, number);
            assert_eq!(next(&tun).await, number);
        }
        assert_eq!(open_files().len(), before);
        assert!(harness.backend().interface(&name("tun0")).is_err());
    });
}

fn without_a_runtime_it_is_refused<H: Harness>(harness: &H) {
    let refused = AsyncDevice::new(tun(harness, "tun0")).unwrap_err();
    assert_eq!(refused.cause(), Cause::Other);
    assert!(refused.to_string().contains("no tokio runtime") && refused.remedy().is_some(), "{refused}");
    assert!(harness.backend().interface(&name("tun0")).is_err());
}
