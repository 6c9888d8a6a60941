//! Receives that an interrupter can end.

use std::thread;

use tunctl_core::{Interrupter, Readiness, TunDevice, WaitOutcome};
use tunctl_testing::{Case, on_both, open_files};

use super::support::{A_MOMENT, LONG, System, inject, name, tun};

pub(crate) fn cases() -> Vec<Case> {
    on_both![a_wait_takes_no_descriptor, a_wait_ends_for_what_it_waits_for]
}

fn a_wait_takes_no_descriptor<H: System>(harness: &H) {
    let device = tun(harness, "tun0");
    let stop = Interrupter::new().unwrap();
    let before = open_files();
    thread::scope(|scope| {
        let waiting = [(); 2].map(|()| scope.spawn(|| device.recv_interruptible(&mut [0; 100], &stop)));
        thread::sleep(A_MOMENT);
        let during = open_files();
        stop.interrupt();
        for receiver in waiting {
            assert!(receiver.join().unwrap().unwrap_err().is_interrupted());
        }
        assert_eq!(during, before);
    });
}

fn a_wait_ends_for_what_it_waits_for<H: System>(harness: &H) {
    let device = tun(harness, "tun0");
    let stop = Interrupter::new().unwrap();
    let wait = |readiness, timeout| device.wait_until(readiness, Some(timeout), Some(&stop)).unwrap();
    let soon = |act: &dyn Fn(), readiness| {
        thread::scope(|scope| {
            let waiting = scope.spawn(|| wait(readiness, LONG));
            thread::sleep(A_MOMENT);
            assert!(!waiting.is_finished());
            act();
            assert_eq!(waiting.join().unwrap(), WaitOutcome::Ready, "{readiness:?}");
        });
    };
    soon(&|| inject(harness, "tun0", 1), Readiness::Readable);
    device.recv(&mut [0; 100]).unwrap();
    harness.set_up(&name("tun0"), false);
    assert_eq!(wait(Readiness::Writable, A_MOMENT), WaitOutcome::TimedOut);
    soon(&|| harness.set_up(&name("tun0"), true), Readiness::Writable);
    harness.set_up(&name("tun0"), false);
    soon(&|| harness.delete(&name("tun0")), Readiness::Writable);
}
