//! A signal handler ends a receive that waits. The test is in this crate because installing a handler is
//! unsafe, and only this crate may contain unsafe code.
#![allow(unsafe_code, reason = "sigaction(2) has no safe wrapper: any function may be installed")]
#![allow(clippy::unwrap_used, reason = "in a test, a panic is how to fail")]

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::process;
use std::ptr;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use tunctl_core::{Cause, CreateOptions, Interrupter, TunBackend, TunDevice};
use tunctl_mock::MockBackend;

static STOP: OnceLock<Interrupter> = OnceLock::new();

extern "C" fn interrupt(_: c_int) {
    if let Some(stop) = STOP.get() {
        stop.interrupt();
    }
}

fn install(signal: c_int) {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: all zeroes is a valid sigaction: no flags, an empty mask, the default handler, no restorer.
    let action = unsafe {
        let action = action.assume_init_mut();
        action.sa_sigaction = interrupt as extern "C" fn(c_int) as libc::sighandler_t;
        *action
    };
    // SAFETY: `action` is initialised and outlives the call; as the third argument is null, the call writes
    // nothing. The handler does only what is async-signal-safe: an atomic load, an atomic exchange and a
    // write(2).
    let answer = unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    assert_eq!(answer, 0);
}

#[test]
fn it_ends_a_receive_that_waits() {
    let stop = STOP.get_or_init(|| Interrupter::new().unwrap());
    install(libc::SIGUSR1);
    let kernel = MockBackend::new();
    let tun = kernel.create(&CreateOptions::tun()).unwrap();
    thread::scope(|scope| {
        let receiver = scope.spawn(|| tun.recv_interruptible(&mut [0; 100], stop));
        thread::sleep(Duration::from_millis(100));
        assert!(!receiver.is_finished());
        let begun = Instant::now();
        let own = i32::try_from(process::id()).unwrap();
        // SAFETY: kill() takes two integers. The kernel chooses the thread that runs the handler.
        assert_eq!(unsafe { libc::kill(own, libc::SIGUSR1) }, 0);
        assert_eq!(receiver.join().unwrap().unwrap_err().cause(), Cause::Interrupted);
        assert!(begun.elapsed() < Duration::from_secs(10));
    });
}
