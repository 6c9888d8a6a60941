//! Events of interfaces, for tasks.

use std::future::poll_fn;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::coop;
use tunctl_core::{EventWatcher, InterfaceEvent, Operation, Reason, Result};

use crate::watched::watch;

/// What happens to interfaces, for tasks: while a task waits for an event, other tasks run.
///
/// With the feature `stream` it is also a `Stream`.
///
/// ```
/// use tunctl_core::{Events, Interface, InterfaceChange, Result, State};
/// use tunctl_tokio::AsyncEvents;
///
/// /// Returns when the interface is up.
/// async fn up<I: Interface + Events>(interface: &I) -> Result<()> {
///     // First the events, then the state: so no change falls between them.
///     let mut events = AsyncEvents::new(interface.events()?)?;
///     if interface.state()? == State::Up {
///         return Ok(());
///     }
///     while let Some(event) = events.next().await {
///         if event?.change() == Some(InterfaceChange::Up) {
///             return Ok(());
///         }
///     }
///     interface.info().map(drop) // deleted meanwhile: the error says so
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// # use tunctl_core::{CreateOptions, TunBackend, TunDevice};
/// # let kernel = tunctl_mock::MockBackend::new();
/// # let tun = kernel.create(&CreateOptions::tun())?;
/// # let set_up = async { kernel.set_state(&tun, State::Up) };
/// # tokio::join!(up(tun.interface()), set_up).0
/// # }
/// ```
#[derive(Debug)]
pub struct AsyncEvents<W> {
    /// A duplicate of the watcher's descriptor, for the runtime to watch.
    watched: AsyncFd<OwnedFd>,
    watcher: W,
}

impl<W: EventWatcher> AsyncEvents<W> {
    /// Registers a watcher with the runtime of the calling task or thread.
    ///
    /// # Errors
    ///
    /// `TooManyOpenFiles`: the runtime watches a duplicate of the descriptor. `Other`: the call is outside of
    /// a runtime, or the system refuses, with its errno.
    ///
    /// # Panics
    ///
    /// If the runtime was built without [`enable_io`](tokio::runtime::Builder::enable_io), which tokio offers
    /// no way to check.
    pub fn new(watcher: W) -> Result<Self> {
        let watched = watch(watcher.as_fd(), Interest::READABLE, Operation::Watch)?;
        Ok(Self { watched, watcher })
    }

    /// Waits for the next event. `None`: the stream has ended. An error of the system is an item, too.
    ///
    /// It is cancel safe: no event is lost.
    pub async fn next(&mut self) -> Option<Result<InterfaceEvent>> {
        poll_fn(|context| self.poll_event(context)).await
    }

    /// Returns the watcher, which the runtime no longer watches.
    #[must_use]
    pub fn into_watcher(self) -> W {
        let Self { watched, watcher } = self;
        drop(watched);
        watcher
    }

    pub(crate) fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<InterfaceEvent>>> {
        let budget = ready!(coop::poll_proceed(context));
        loop {
            match self.watcher.try_next() {
                Err(error) if error.is_would_block() => {}
                outcome => {
                    budget.made_progress();
                    return Poll::Ready(outcome.transpose());
                }
            }
            let mut ready = match ready!(self.watched.poll_read_ready(context)) {
                Ok(ready) => ready,
                Err(error) => return Poll::Ready(Some(Err(Reason::from_io(&error).of(Operation::Watch)))),
            };
            // Tokio clears only a readiness that it has read before the attempt.
            match self.watcher.try_next() {
                Err(error) if error.is_would_block() => ready.clear_ready(),
                outcome => {
                    budget.made_progress();
                    return Poll::Ready(outcome.transpose());
                }
            }
        }
    }
}

impl<W: EventWatcher> AsFd for AsyncEvents<W> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watcher.as_fd()
    }
}
