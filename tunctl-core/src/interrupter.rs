//! Ending a wait from outside.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Operation, Reason, Result};

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitOutcome {
    /// The device is ready, or its interface was deleted, which the next call says.
    Ready,
    /// The time has passed.
    TimedOut,
    /// The [`Interrupter`] was used.
    Interrupted,
}

/// Ends the waits of other threads: of all that use it, or a clone of it.
///
/// ```no_run
/// # use tunctl_core::{Interrupter, Result, TunBackend, TunDevice, CreateOptions};
/// # fn program<B: TunBackend>(backend: &B) -> Result<()> {
/// let tun = backend.create(&CreateOptions::tun())?;
/// let stop = Interrupter::new()?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         let mut packet = [0; 1500];
///         loop {
///             match tun.recv_interruptible(&mut packet, &stop) {
///                 Ok(length) => println!("{length} bytes"),
///                 Err(error) if error.is_interrupted() => break,
///                 Err(error) => panic!("{error}"),
///             }
///         }
///     });
///     std::thread::sleep(std::time::Duration::from_secs(1));
///     stop.interrupt();
/// });
/// # Ok(())
/// # }
/// ```
///
/// # What it means
///
/// - **It is sticky.** From [`interrupt`](Self::interrupt) until [`reset`](Self::reset), whoever waits with
///   it is told at once, and so is whoever begins to: it does not matter which comes first.
/// - **All readers see it**, however many there are, at one device or at several.
/// - **No packet is lost.** An interrupted call has taken none; what waits, waits on, and the next call
///   without an interrupt receives it. An interrupt comes before packets: under a flood, too, the next call
///   is the last.
/// - **It reaches a call that was given it**, and no other: a plain [`recv`](crate::TunDevice::recv) sleeps
///   on.
///
/// # From a signal handler
///
/// `interrupt` may be called there, and nothing else of it: it is one atomic exchange and at most one
/// `write(2)`, or a few more if a reset comes at the same moment. It takes no lock and allocates nothing. As
/// after any system call, `errno` may be another. For a library that handles signals by writing into a
/// descriptor, [`trigger`](Self::trigger) is that descriptor.
///
/// # In an event loop
///
/// [`AsFd`] lends a descriptor that is readable while it is interrupted.
#[derive(Clone, Debug)]
pub struct Interrupter {
    shared: Arc<Shared>,
}

/// While there is a byte to read, it is interrupted.
#[derive(Debug)]
struct Shared {
    /// Spares those who need not wait a system call: set no later than the byte is there, but for bytes of a
    /// trigger.
    interrupted: AtomicBool,
    /// There is, or was, a trigger, whose bytes come without a word.
    has_trigger: AtomicBool,
    /// Held while draining, so that a concurrent `is_interrupted` cannot re-arm what `reset` just cleared.
    bytes: Mutex<()>,
    watched: UnixStream,
    written: UnixStream,
}

impl Interrupter {
    /// One that nobody has used yet. It takes two descriptors.
    ///
    /// # Errors
    ///
    /// `TooManyOpenFiles`.
    pub fn new() -> Result<Self> {
        let pair = || {
            let (watched, written) = UnixStream::pair()?;
            watched.set_nonblocking(true)?;
            // A writer must never wait: bytes that have no room say nothing new.
            written.set_nonblocking(true)?;
            let (interrupted, has_trigger) = (AtomicBool::new(false), AtomicBool::new(false));
            Ok(Shared { interrupted, has_trigger, bytes: Mutex::new(()), watched, written })
        };
        Ok(Self {
            shared: Arc::new(pair().map_err(|error| Reason::from_io(&error).of(Operation::Interrupt))?),
        })
    }

    /// Ends the waits of all that have a clone of it, now and until it is [reset](Self::reset). Once more
    /// changes nothing.
    #[doc(alias = "wake")]
    #[doc(alias = "stop")]
    pub fn interrupt(&self) {
        if !self.shared.interrupted.swap(true, Ordering::SeqCst) {
            self.shared.show();
        }
    }

    /// Whether it is interrupted. It takes a system call only if there is, or was, a
    /// [trigger](Self::trigger).
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        let Shared { interrupted, has_trigger, bytes, watched, .. } = &*self.shared;
        if interrupted.load(Ordering::SeqCst) || !has_trigger.load(Ordering::SeqCst) {
            return interrupted.load(Ordering::SeqCst);
        }
        let _bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if (&*watched).read(&mut [0]).is_ok_and(|length| length > 0) {
            // It is known from now on, and there is a byte again.
            self.interrupt();
        }
        interrupted.load(Ordering::SeqCst)
    }

    /// Takes the interrupt back, so that calls wait again. Of an interrupt at the same moment, either may
    /// come first.
    pub fn reset(&self) {
        let _bytes = self.shared.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.interrupted.store(false, Ordering::SeqCst);
        self.shared.show();
    }

    /// A descriptor into which any byte that is written is an interrupt: for a signal handler of another
    /// library, a parent or a child process. It is non-blocking and close-on-exec. Closing it interrupts
    /// nothing. Once there is one, each interruptible call asks the system first whether there is a byte.
    ///
    /// # Errors
    ///
    /// `TooManyOpenFiles`.
    pub fn trigger(&self) -> Result<OwnedFd> {
        self.shared.has_trigger.store(true, Ordering::SeqCst);
        self.shared
            .written
            .try_clone()
            .map(OwnedFd::from)
            .map_err(|error| Reason::from_io(&error).of(Operation::Interrupt))
    }
}

impl Shared {
    /// Brings the descriptor into agreement with the flag: a byte if it is set, none if it is not.
    ///
    /// Between its look at the flag and what it does, the flag may change. So it looks again, and whoever
    /// changes the flag calls this afterwards: the last of them leaves what agrees. No lock is needed for
    /// that, which a signal handler could not take.
    fn show(&self) {
        let mut interrupted = self.interrupted.load(Ordering::SeqCst);
        loop {
            if interrupted {
                // If there is no room, there are bytes.
                let _ = (&self.written).write(&[0]);
            } else {
                while (&self.watched).read(&mut [0; 64]).is_ok_and(|length| length > 0) {}
            }
            let now = self.interrupted.load(Ordering::SeqCst);
            if now == interrupted {
                return;
            }
            interrupted = now;
        }
    }
}

impl AsFd for Interrupter {
    /// Lends a descriptor to wait on, which is readable while it is interrupted. Nothing is to be read from
    /// it or written.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.watched.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io;
    use std::sync::atomic::AtomicU32;

    use super::*;

    /// Whether a poll would say that it is readable. What is taken to see it is put back.
    fn is_readable(interrupter: &Interrupter) -> bool {
        match (&interrupter.shared.watched).read(&mut [0]) {
            Ok(length) => {
                assert_eq!(length, 1);
                // Of very many bytes, one may be missing.
                let _ = (&interrupter.shared.written).write(&[0]);
                true
            }
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                false
            }
        }
    }

    #[test]
    fn it_stays_until_it_is_reset() {
        let interrupter = Interrupter::new().unwrap();
        assert!(!interrupter.is_interrupted() && !is_readable(&interrupter));
        for _ in 0..3 {
            interrupter.interrupt();
            interrupter.interrupt();
            assert!(interrupter.is_interrupted() && is_readable(&interrupter));
            interrupter.reset();
            assert!(!interrupter.is_interrupted() && !is_readable(&interrupter));
        }
    }

    #[test]
    fn clones_are_one() {
        let interrupter = Interrupter::new().unwrap();
        interrupter.clone().interrupt();
        assert!(interrupter.is_interrupted());
    }

    #[test]
    fn a_trigger_is_full_at_some_time_and_reset_empties_it() {
        let interrupter = Interrupter::new().unwrap();
        let mut trigger = File::from(interrupter.trigger().unwrap());
        while trigger.write(&[1; 4096]).is_ok() {}
        assert!(is_readable(&interrupter));
        interrupter.interrupt();
        assert!(interrupter.is_interrupted());
        interrupter.reset();
        assert!(!interrupter.is_interrupted() && !is_readable(&interrupter));
    }

    #[test]
    fn the_last_of_many_interrupts_and_resets_is_what_counts() {
        let interrupter = Interrupter::new().unwrap();
        for _ in 0..200 {
            std::thread::scope(|scope| {
                scope.spawn(|| interrupter.interrupt());
                scope.spawn(|| interrupter.reset());
            });
            interrupter.interrupt();
            assert!(interrupter.is_interrupted() && is_readable(&interrupter));
            interrupter.reset();
            assert!(!interrupter.is_interrupted() && !is_readable(&interrupter));
        }
    }

    #[test]
    fn an_interrupt_during_a_reset_leaves_flag_and_descriptor_in_agreement() {
        const ROUNDS: u32 = 10_000;
        let interrupter = Interrupter::new().unwrap();
        let (begun, ended) = (AtomicU32::new(0), AtomicU32::new(0));
        let until = |counter: &AtomicU32, number| {
            while counter.load(Ordering::SeqCst) < number {
                std::hint::spin_loop();
            }
        };
        let disagreements = std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    until(&begun, round);
                    interrupter.interrupt();
                    ended.store(round, Ordering::SeqCst);
                }
            });
            let disagreements = (1..=ROUNDS).filter(|&round| {
                begun.store(round, Ordering::SeqCst);
                // Not always at the same moment of the interrupt.
                (0..round % 64).for_each(|_| std::hint::spin_loop());
                interrupter.reset();
                until(&ended, round);
                let disagrees = interrupter.is_interrupted() != is_readable(&interrupter);
                interrupter.reset();
                disagrees
            });
            disagreements.count()
        });
        assert_eq!(disagreements, 0, "of {ROUNDS} rounds");
    }
}
