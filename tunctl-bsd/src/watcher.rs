//! Events: what the kernel reports about interfaces, as it is made.

mod known;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tunctl_core::{
    Cause, Error, EventTracker, EventWatcher, Events, Interface, InterfaceAddress, InterfaceEvent,
    InterfaceIndex, InterfaceName, Interrupter, Mtu, Notification, Operation, Readiness, Result, State,
    WaitOutcome,
};
use tunctl_sys::bsd::{Name, RouteReport};

use crate::errno;
use crate::remedy;
use crate::subscription::Subscription;
use crate::syscalls::{ListedInterface, Syscalls};
use crate::system_handle::SystemHandle;
use crate::wait::{WaitMethod, wait};
use crate::{BsdBackend, BsdInterface};

use known::Known;

const OPERATION: Operation = Operation::Watch;

/// How often the state is asked for again because something was reported meanwhile.
const ATTEMPTS: usize = 8;

/// How often it is looked whether an interface is being renamed or deleted, and the pause between two looks.
const LOOKS: usize = 10;
const PAUSE: Duration = Duration::from_millis(1);

/// Events of the interfaces of one of these systems, or of one of them.
///
/// It has a routing socket of its own, on which the kernel reports. It keeps some hundred reports; if there
/// may have been more, the next event is an [`Overrun`](InterfaceEvent::Overrun).
///
/// # Platform
///
/// - These systems report no carrier.
/// - NetBSD reports an MTU with the next change of something else.
/// - OpenBSD does not report that an interface comes up with its first address, but with the next change;
///   DragonFly, with an IPv6 address.
/// - macOS does not announce interfaces: a new one is reported with its first change.
/// - DragonFly's reports do not say whether an interface that is down and has no address was renamed, or
///   deleted and succeeded by another one of its index. It counts as renamed if the new name is not one that
///   the system gives to a tun or a tap.
pub struct BsdWatcher<C: Syscalls> {
    system: Arc<SystemHandle<C>>,
    subscription: Subscription<C>,
    tracker: EventTracker,
    /// The only interface that it watches, if it is one.
    interface: Option<BsdInterface<C>>,
    /// The state that the reports read so far have led to.
    known: BTreeMap<InterfaceIndex, Known>,
    /// Those whose departure was announced. A rename begins with that, too.
    departed: Vec<Known>,
    /// Reports were lost, and the present state could not be learnt yet.
    is_behind: bool,
}

// Nothing in it is pinned, whatever a model's handle may be.
impl<C: Syscalls> Unpin for BsdWatcher<C> {}

impl<C: Syscalls> Events for BsdBackend<C> {
    type Watcher = BsdWatcher<C>;

    fn events(&self) -> Result<BsdWatcher<C>> {
        let mut watcher = BsdWatcher::open(&self.system, None)?;
        watcher.begin()?;
        Ok(watcher)
    }
}

impl<C: Syscalls> Events for BsdInterface<C> {
    type Watcher = BsdWatcher<C>;

    fn events(&self) -> Result<BsdWatcher<C>> {
        let named = |error: Error| error.with_name(self.last_name());
        let mut watcher = BsdWatcher::open(self.system(), Some(self.clone())).map_err(named)?;
        watcher.begin().map_err(named)?;
        if watcher.known.is_empty() {
            return Err(Error::new(OPERATION, Cause::Gone).with_name(self.last_name()));
        }
        // Asked after the subscription: if another interface takes its index later, that is reported.
        self.is_there(OPERATION)?;
        Ok(watcher)
    }
}

impl<C: Syscalls> BsdWatcher<C> {
    fn open(system: &Arc<SystemHandle<C>>, interface: Option<BsdInterface<C>>) -> Result<Self> {
        Ok(Self {
            system: system.clone(),
            subscription: Subscription::open(system.clone()).map_err(|error| failed(&error))?,
            tracker: EventTracker::of_all(Vec::new()),
            interface,
            known: BTreeMap::new(),
            departed: Vec::new(),
            is_behind: false,
        })
    }

    /// Takes the present state as what was before the first event.
    fn begin(&mut self) -> Result<()> {
        self.settle()?;
        let mut watched = self.known.values().map(Known::watched);
        self.tracker = match (&self.interface, watched.next()) {
            (Some(_), Some(only)) => EventTracker::of_interface(only),
            (_, first) => EventTracker::of_all(first.into_iter().chain(watched).collect()),
        };
        Ok(())
    }

    /// Learns the present state. What is reported afterwards is not in it, unless it says so.
    fn settle(&mut self) -> Result<()> {
        self.is_behind = true;
        for _ in 0..ATTEMPTS {
            self.subscription.drain().map_err(|error| failed(&error))?;
            self.known = self.list()?;
            if !self.subscription.has_more().map_err(|error| failed(&error))? {
                self.is_behind = false;
                break;
            }
        }
        self.departed.clear();
        Ok(())
    }

    fn list(&self) -> Result<BTreeMap<InterfaceIndex, Known>> {
        let listed = self.system.interfaces().map_err(|error| failed(&error))?;
        let only = self.interface.as_ref().map(|only| only.index().get());
        let meant = listed.iter().filter(|found| only.is_none_or(|index| found.index == index));
        let known = meant.filter_map(|found| self.know(found).transpose());
        known.map(|known| known.map(|known| (known.info.index, known))).collect()
    }

    /// What is known of a listed interface; `None` if it is no tun and no tap, or is gone since.
    fn know(&self, found: &ListedInterface) -> Result<Option<Known>> {
        let Some(kind) = self.system.rules.kind_of(found.original_name.as_bytes()) else { return Ok(None) };
        let Some(interface) = BsdInterface::new(self.system.clone(), found, kind) else { return Ok(None) };
        match Known::of(&interface, found) {
            Err(error) if error.is_gone() => Ok(None),
            known => known.map(Some),
        }
    }

    /// Reports were lost: the present state takes their place.
    fn catch_up(&mut self) -> Result<()> {
        self.settle()?;
        // Another interface may have the index by now.
        if self
            .interface
            .as_ref()
            .is_some_and(|only| only.is_there(OPERATION).is_err_and(|error| error.is_gone()))
        {
            self.known.clear();
        }
        self.tracker.overrun(self.known.values().map(Known::watched).collect());
        Ok(())
    }

    fn listed(&self, index: u32) -> Result<Option<ListedInterface>> {
        self.system.find(|listed| listed.index == index).map_err(|error| failed(&error))
    }

    fn apply(&mut self, report: RouteReport) -> Result<()> {
        let arrived = match report {
            RouteReport::Arrived { index, .. } => Some(index),
            _ => None,
        };
        let is_new_name = |departed: &Known| Some(departed.info.index.get()) == arrived;
        if !self.departed.iter().all(is_new_name) {
            self.settle_departed()?;
        }
        match report {
            RouteReport::Interface { index, flags, mtu } => self.interface_is(index, flags, mtu),
            RouteReport::Address { index, is_there, address, prefix_length, other } => {
                let Some(index) = self.known_index(index, None)? else { return Ok(()) };
                if is_there {
                    self.address_is_there(index, address, prefix_length, other)
                } else {
                    self.address_is_gone(index, address);
                    Ok(())
                }
            }
            RouteReport::Arrived { index, name } => self.arrived(index, &name),
            RouteReport::Departed { index, .. } => {
                let known = InterfaceIndex::new(index).and_then(|index| self.known.remove(&index));
                self.departed.extend(known);
                Ok(())
            }
            RouteReport::Lost => self.catch_up(),
        }
    }

    /// The index of a reported interface, if it is watched. One that was not announced is new with this
    /// report, and everything that was reported of it since follows.
    fn known_index(&mut self, index: u32, mtu: Option<Mtu>) -> Result<Option<InterfaceIndex>> {
        let Some(number) = InterfaceIndex::new(index) else { return Ok(None) };
        if !self.known.contains_key(&number) && !self.is_announced() && self.interface.is_none() {
            if let Some(found) = self.listed(index)? {
                self.is_new(number, &found.name, &found.original_name, mtu);
            }
        }
        Ok(self.known.contains_key(&number).then_some(number))
    }

    /// Begins to watch an interface, if it is a tun or a tap.
    fn is_new(&mut self, index: InterfaceIndex, name: &Name, original_name: &Name, mtu: Option<Mtu>) {
        let Some(kind) = self.system.rules.kind_of(original_name.as_bytes()) else { return };
        let Ok(name) = InterfaceName::from_kernel(name.as_bytes()) else { return };
        let known = Known::new(index, name, *original_name, kind, mtu);
        self.tracker.apply(Notification::Link(known.info.clone()));
        self.known.insert(index, known);
    }

    /// Whether the system announces interfaces that come and go.
    fn is_announced(&self) -> bool {
        self.system.rules.abi.route.iter().any(|layout| layout.announcement.is_some())
    }

    fn interface_is(&mut self, index: u32, flags: u32, mtu: u32) -> Result<()> {
        let mtu = Mtu::from_kernel(mtu);
        let Some(index) = self.known_index(index, Some(mtu))? else { return Ok(()) };
        let Some(known) = self.known.get_mut(&index) else { return Ok(()) };
        known.set_flags(flags);
        known.info.mtu = mtu;
        let state = known.info.state;
        self.tracker.apply(Notification::Link(known.info.clone()));
        // macOS takes an interface from its list, and then takes it down (`ifnet_detach`).
        if !self.is_announced() && state == State::Down && self.listed(index.get())?.is_none() {
            self.known.remove(&index);
            self.tracker.apply(Notification::Gone { index, moved: false });
        }
        Ok(())
    }

    fn address_is_there(
        &mut self,
        index: InterfaceIndex,
        address: IpAddr,
        prefix_length: u8,
        other: Option<IpAddr>,
    ) -> Result<()> {
        // Whether an interface is point-to-point, so what the second address is, may change without a report.
        let found = self.listed(index.get())?;
        let listed = found.and_then(|found| found.addresses.into_iter().find(|one| one.address == address));
        let Some(known) = self.known.get_mut(&index) else { return Ok(()) };
        let listed = listed.unwrap_or_else(|| known.listed_address(address, prefix_length, other));
        let new = crate::interface::translated(&listed);
        if let Some(old) = known.add(new) {
            self.tracker.apply(Notification::NoAddress { index, address: old });
        }
        self.tracker.apply(Notification::Address { index, address: new });
        Ok(())
    }

    fn address_is_gone(&mut self, index: InterfaceIndex, address: IpAddr) {
        let gone: Option<InterfaceAddress> =
            self.known.get_mut(&index).and_then(|known| known.remove(address));
        if let Some(address) = gone {
            self.tracker.apply(Notification::NoAddress { index, address });
        }
    }

    /// A name was announced: of a new interface, or of one that was renamed.
    fn arrived(&mut self, number: u32, name: &Name) -> Result<()> {
        let Some(index) = InterfaceIndex::new(number) else { return Ok(()) };
        let Ok(new_name) = InterfaceName::from_kernel(name.as_bytes()) else { return Ok(()) };
        let found = self.listed(number)?;
        if let Some(at) = self.departed.iter().position(|departed| departed.info.index == index) {
            let mut departed = self.departed.remove(at);
            if departed.is_renamed(self.system.rules, name, found.as_ref()) {
                departed.info.name = new_name;
                self.tracker.apply(Notification::Link(departed.info.clone()));
                self.known.insert(index, departed);
                return Ok(());
            }
            self.tracker.apply(Notification::Gone { index, moved: false });
        }
        if self.interface.is_some() {
            return Ok(());
        }
        let original_name = found.as_ref().map_or(*name, |found| found.original_name);
        let listed = found.and_then(|found| self.know(&found).transpose()).transpose()?;
        self.is_new(index, name, &original_name, listed.map(|listed| listed.info.mtu));
        Ok(())
    }

    /// Reports those that have departed and are not being renamed as gone.
    fn settle_departed(&mut self) -> Result<()> {
        for departed in std::mem::take(&mut self.departed) {
            if self.is_being_renamed(&departed)? {
                // Its new name follows.
                self.departed.push(departed);
            } else {
                self.tracker.apply(Notification::Gone { index: departed.info.index, moved: false });
            }
        }
        Ok(())
    }

    /// Whether an interface whose departure was announced is still there. The kernels announce it before they
    /// change the name (`ifioctl`, `SIOCSIFNAME`), and some before they take it from the list (`if_detach` of
    /// DragonFly), so that for a moment nobody knows.
    fn is_being_renamed(&self, departed: &Known) -> Result<bool> {
        for _ in 0..LOOKS {
            match self.listed(departed.info.index.get())? {
                None => return Ok(false),
                Some(found) if departed.is_listed_as(&found) => thread::sleep(PAUSE),
                Some(found) => return Ok(departed.is_renamed(self.system.rules, &found.name, Some(&found))),
            }
        }
        Ok(true)
    }

    fn is_ready(&self) -> bool {
        self.tracker.waiting() > 0 || self.tracker.has_ended() || self.is_behind
    }

    fn named(&self, error: Error) -> Error {
        match &self.interface {
            Some(interface) => error.with_name(interface.last_name()),
            None => error,
        }
    }

    /// Reads until there is an event, or nothing is left.
    fn read(&mut self) -> Result<()> {
        while !self.is_ready() {
            match self.subscription.try_next().map_err(|error| failed(&error))? {
                Some(report) => self.apply(report)?,
                None => {
                    self.settle_departed()?;
                    break;
                }
            }
        }
        if self.is_behind && self.tracker.waiting() == 0 {
            self.catch_up()?;
        }
        Ok(())
    }
}

fn failed(error: &io::Error) -> Error {
    remedy::with_errno(remedy::from_errno(errno::of(error)), error).of(OPERATION)
}

impl<C: Syscalls> EventWatcher for BsdWatcher<C> {
    fn try_next(&mut self) -> Result<Option<InterfaceEvent>> {
        self.read().map_err(|error| self.named(error))?;
        match self.tracker.next_event() {
            Some(event) => Ok(Some(event)),
            None if self.tracker.has_ended() => Ok(None),
            None => {
                let error = errno::error(errno::EAGAIN);
                Err(remedy::with_errno(remedy::receive(errno::EAGAIN), &error).of(OPERATION))
            }
        }
    }

    fn wait(&self, timeout: Option<Duration>, interrupter: Option<&Interrupter>) -> Result<WaitOutcome> {
        let is_ready = self.is_ready();
        let timeout = if is_ready { Some(Duration::ZERO) } else { timeout };
        let ended =
            wait(WaitMethod::Poll, self.as_fd(), Readiness::Readable, timeout, interrupter, &|| false);
        match ended.map_err(|errno| self.named(failed(&errno.into())))? {
            WaitOutcome::TimedOut if is_ready => Ok(WaitOutcome::Ready),
            outcome => Ok(outcome),
        }
    }
}

impl<C: Syscalls> Iterator for BsdWatcher<C> {
    type Item = Result<InterfaceEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_until(None, None).transpose()
    }
}

impl<C: Syscalls> AsFd for BsdWatcher<C> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.subscription.as_fd()
    }
}

impl<C: Syscalls> fmt::Debug for BsdWatcher<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interface, known, is_behind, .. } = self;
        f.debug_struct("BsdWatcher")
            .field("interface", interface)
            .field("known", &known.keys())
            .field("is_behind", is_behind)
            .finish_non_exhaustive()
    }
}
