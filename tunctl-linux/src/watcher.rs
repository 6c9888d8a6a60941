//! Events: what the kernel reports about interfaces, as it is made.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use tunctl_core::{
    Cause, Error, EventTracker, EventWatcher, Events, Interface, InterfaceEvent, InterfaceIndex, Interrupter,
    Notification, Operation, Readiness, Reason, Result, WaitOutcome, WatchedInterface,
};

use crate::netlink::{Netlink, Report, State, Subscription};
use crate::opener::Opener;
use crate::{LinuxBackend, LinuxInterface, diagnose, remedy, wait};

const OPERATION: Operation = Operation::Watch;

/// Events of the interfaces in a network namespace, or of one of them.
///
/// It has a netlink socket of its own, which stays in the namespace where it was opened. The kernel keeps
/// about 900 reports for it until they are taken, and about 180 for a program without any right over the
/// network. Then it drops some, and the next event is an
/// [`Overrun`](tunctl_core::InterfaceEvent::Overrun).
///
/// Before Linux 4.15, an interface that is moved to another namespace is reported as deleted.
#[derive(Debug)]
pub struct LinuxWatcher {
    subscription: Subscription,
    tracker: EventTracker,
    /// The only interface that it watches, if it is one.
    interface: Option<LinuxInterface>,
    /// Reports were lost, and the present state could not be learnt yet.
    is_behind: bool,
}

impl Events for LinuxBackend {
    type Watcher = LinuxWatcher;

    /// Watches the backend's network namespace: where the calling thread is, unless it was made for
    /// [another](LinuxBackend::in_namespace).
    fn events(&self) -> Result<LinuxWatcher> {
        let mut subscription = open(self.opener())?;
        let state = subscription.state(None).map_err(|error| failed(&error))?;
        let tracker = EventTracker::of_all(interfaces(state.present));
        let watcher = LinuxWatcher { subscription, tracker, interface: None, is_behind: !state.is_reliable };
        Ok(watcher.with(state.since))
    }
}

impl Events for LinuxInterface {
    type Watcher = LinuxWatcher;

    /// Watches this interface.
    ///
    /// # Errors
    ///
    /// `NotFound` if the calling thread is not in the interface's network namespace, and the interface was
    /// not found by a backend of [that namespace](LinuxBackend::in_namespace).
    fn events(&self) -> Result<LinuxWatcher> {
        let named = |error: Error| error.with_name(self.last_name());
        let mut subscription = open_where(self.netlink()).map_err(named)?;
        let state = subscription.state(Some(self.index())).map_err(|error| named(failed(&error)))?;
        // Asked after the subscription: if another interface takes its index later, that is reported.
        self.info().map_err(|error| error.with_operation(OPERATION))?;
        let present = interfaces(state.present).pop().ok_or_else(|| named(remedy::gone().of(OPERATION)))?;
        let (tracker, interface) = (EventTracker::of_interface(present), Some(self.clone()));
        let watcher = LinuxWatcher { subscription, tracker, interface, is_behind: !state.is_reliable };
        Ok(watcher.with(state.since))
    }
}

fn open(opener: &Opener) -> Result<Subscription> {
    Subscription::open(opener).map_err(|reason| reason.of(OPERATION))
}

/// Subscribes in the namespace of this socket.
fn open_where(netlink: &Netlink) -> Result<Subscription> {
    if netlink.namespace() != netlink.opener().namespace() {
        let reason = Reason::new(Cause::NotFound)
            .with_detail("the interface is not in this thread's network namespace")
            .with_remedy("Begin to watch it from a thread in the interface's namespace.");
        return Err(reason.of(OPERATION));
    }
    open(netlink.opener())
}

fn failed(error: &io::Error) -> Error {
    diagnose::reason(error).of(OPERATION)
}

/// The interfaces that are present, by index.
fn interfaces(state: Vec<Notification>) -> Vec<WatchedInterface> {
    let mut found: BTreeMap<InterfaceIndex, WatchedInterface> = BTreeMap::new();
    for notification in state {
        match notification {
            Notification::Link(info) => {
                found.insert(info.index, WatchedInterface::new(info, Vec::new()));
            }
            Notification::Address { index, address } => {
                if let Some(interface) = found.get_mut(&index) {
                    interface.addresses.push(address);
                }
            }
            Notification::Gone { .. } | Notification::NoAddress { .. } => {}
        }
    }
    found.into_values().collect()
}

impl LinuxWatcher {
    fn with(mut self, notifications: Vec<Notification>) -> Self {
        notifications.into_iter().for_each(|notification| self.tracker.apply(notification));
        self
    }

    /// Reports were lost: the present state takes their place.
    fn catch_up(&mut self) -> io::Result<()> {
        self.is_behind = true;
        let State { present, since, is_reliable } = self.subscription.state(self.tracker.only())?;
        // Another interface may have the index by now.
        let is_gone = |interface: &LinuxInterface| interface.info().is_err_and(|error| error.is_gone());
        let is_ours = !self.interface.as_ref().is_some_and(is_gone);
        self.tracker.overrun(if is_ours { interfaces(present) } else { Vec::new() });
        since.into_iter().for_each(|notification| self.tracker.apply(notification));
        self.is_behind = !is_reliable;
        Ok(())
    }

    fn error(&self, error: &io::Error) -> Error {
        match &self.interface {
            Some(interface) => failed(error).with_name(interface.last_name()),
            None => failed(error),
        }
    }
}

impl EventWatcher for LinuxWatcher {
    fn try_next(&mut self) -> Result<Option<InterfaceEvent>> {
        loop {
            if let Some(event) = self.tracker.next_event() {
                return Ok(Some(event));
            }
            if self.tracker.has_ended() {
                return Ok(None);
            }
            let report = if self.is_behind { Ok(Report::Overrun) } else { self.subscription.try_next() };
            match report.map_err(|error| self.error(&error))? {
                Report::Notifications(reported) => {
                    reported.into_iter().for_each(|notification| self.tracker.apply(notification));
                }
                Report::Overrun => self.catch_up().map_err(|error| self.error(&error))?,
                Report::None => {
                    let reason = Reason::new(Cause::WouldBlock).with_errno(Errno::EAGAIN as i32);
                    return Err(reason.of(OPERATION));
                }
            }
        }
    }

    fn wait(&self, timeout: Option<Duration>, interrupter: Option<&Interrupter>) -> Result<WaitOutcome> {
        let is_ready = self.tracker.waiting() > 0 || self.tracker.has_ended() || self.is_behind;
        let timeout = if is_ready { Some(Duration::ZERO) } else { timeout };
        let ended = wait::wait(self.as_fd(), Readiness::Readable, timeout, interrupter);
        match ended.map_err(|errno| self.error(&errno.into()))? {
            WaitOutcome::TimedOut if is_ready => Ok(WaitOutcome::Ready),
            outcome => Ok(outcome),
        }
    }
}

impl Iterator for LinuxWatcher {
    type Item = Result<InterfaceEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_until(None, None).transpose()
    }
}

impl AsFd for LinuxWatcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.subscription.as_fd()
    }
}
