//! Events: what happens to an interface, whoever does it.

mod tracker;

use std::fmt;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::{
    Cause, Error, InterfaceAddress, InterfaceIndex, InterfaceInfo, InterfaceName, Interrupter, Mtu,
    Operation, Result, State, WaitOutcome,
};

pub use tracker::{EventTracker, Notification};

/// Something happened to an interface.
///
/// `Display` prints one line: `vpn0: up`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InterfaceEvent {
    /// An interface changed.
    #[non_exhaustive]
    Changed {
        /// Its index.
        index: InterfaceIndex,
        /// Its name, after the change.
        name: InterfaceName,
        /// What changed.
        change: InterfaceChange,
    },
    /// The system reported more than the program read, and dropped some of it. This event carries the present
    /// state instead, and later events continue from it.
    ///
    /// These are the interfaces that are watched, by index. An interface that is missing is gone.
    #[doc(alias = "ENOBUFS")]
    Overrun(Vec<WatchedInterface>),
}

/// What changed about an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InterfaceChange {
    /// It is new here: it was created, or moved here from another namespace. It is down, and has no address.
    Created,
    /// It has another name.
    Renamed {
        /// The name before.
        from: InterfaceName,
    },
    /// It has this MTU.
    Mtu(Mtu),
    /// It has a carrier: on Linux, a program has it open.
    CarrierOn,
    /// It has no carrier any more.
    CarrierOff,
    /// It is up.
    Up,
    /// It is down.
    Down,
    /// It has one more address. Linux reports an IPv6 address a moment later, and one that is removed before
    /// that not at all; then there is no `AddressRemoved` either.
    AddressAdded(InterfaceAddress),
    /// It lost this address.
    AddressRemoved(InterfaceAddress),
    /// It was moved to another namespace. It is the interface's last event here.
    Moved,
    /// It was deleted. It is the interface's last event.
    Deleted,
}

/// An interface, with everything that events report.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchedInterface {
    /// Its properties.
    pub info: InterfaceInfo,
    /// Its addresses.
    pub addresses: Vec<InterfaceAddress>,
}

impl WatchedInterface {
    /// An interface, as a backend found it.
    #[must_use]
    pub const fn new(info: InterfaceInfo, addresses: Vec<InterfaceAddress>) -> Self {
        Self { info, addresses }
    }
}

/// A backend or an interface whose changes can be watched, whoever makes them.
///
/// A backend watches all TUN/TAP interfaces of its namespace, also those that come later. An interface
/// watches itself.
///
/// ```
/// use tunctl_core::{Events, Interface, InterfaceChange, Result, State};
///
/// /// Returns when the interface is up. A program that only slept would be late, or spin.
/// fn wait_until_up<I: Interface + Events>(interface: &I) -> Result<()> {
///     // First the events, then the state: so no change falls between them.
///     let events = interface.events()?;
///     if interface.state()? == State::Up {
///         return Ok(());
///     }
///     for event in events {
///         if event?.change() == Some(InterfaceChange::Up) {
///             return Ok(());
///         }
///     }
///     interface.info().map(drop) // deleted meanwhile: the error says so
/// }
/// ```
///
/// # What is an event
///
/// - Each change after the call, in the order in which it was made. What happened before the call is not an
///   event.
/// - Only a difference: what is set to the value that it has is no event.
/// - If the kernel reports several changes at once, they come in this order: name, MTU, carrier, state.
/// - None is lost silently: if the program does not keep up, it gets an
///   [`Overrun`](InterfaceEvent::Overrun) with the present state.
///
/// # Platform
///
/// All. It takes no privilege. Several systems report a change after they have made it: a getter may show a
/// change before its event comes. On Linux the carrier follows within a second, and while the interface is
/// down with the next change of something else.
///
/// The BSDs and macOS report no carrier. NetBSD reports an MTU with the interface's next change, and macOS
/// reports a new interface with its first change. An address also brings an interface up there (but a utun of
/// macOS), which the library undoes if it was down: these are two events more.
pub trait Events {
    /// The stream of events.
    type Watcher: EventWatcher;

    /// Begins to watch.
    ///
    /// # Errors
    ///
    /// `Gone` if it is an interface that is gone; `TooManyOpenFiles`.
    #[doc(alias = "RTMGRP_LINK")]
    #[doc(alias = "RTNLGRP_LINK")]
    #[doc(alias = "RTM_NEWLINK")]
    #[doc(alias = "PF_ROUTE")]
    #[doc(alias = "RTM_IFINFO")]
    fn events(&self) -> Result<Self::Watcher>;
}

/// A stream of [events](Events).
///
/// As an iterator it waits for each event. It ends after [`Deleted`](InterfaceChange::Deleted) or
/// [`Moved`](InterfaceChange::Moved) if it watches one interface, and never by itself if it watches a
/// backend. An error of the system is an item, too, and the stream goes on after it.
///
/// [`AsFd`] lends a descriptor for event loops. It is readable when there may be an event. Then call
/// [`try_next`](Self::try_next) until it answers `WouldBlock` or `None`: several events may have arrived at
/// once, or none that matters. Nothing is to be read from it or written.
pub trait EventWatcher:
    AsFd + Iterator<Item = Result<InterfaceEvent>> + fmt::Debug + Send + Unpin + 'static
{
    /// The next event, if there is one. `None`: the stream has ended.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is none; those of the system.
    fn try_next(&mut self) -> Result<Option<InterfaceEvent>>;

    /// Waits until there may be an event, or the stream has ended, or the timeout passes, or the interrupter
    /// is used. Returns what ended the wait. A pending interrupt wins. `None` disables that condition.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn wait(&self, timeout: Option<Duration>, interrupter: Option<&Interrupter>) -> Result<WaitOutcome>;

    /// Waits for the next event, until the timeout passes or the interrupter is used. `None` disables that
    /// condition. It returns `None` if the stream has ended.
    ///
    /// # Errors
    ///
    /// `TimedOut`; `Interrupted`, also if there is an event: it stays; those of the system.
    fn next_until(
        &mut self,
        timeout: Option<Duration>,
        interrupter: Option<&Interrupter>,
    ) -> Result<Option<InterfaceEvent>> {
        let ended = |cause| Err(Error::new(Operation::Watch, cause));
        // A deadline past `Instant`'s range means no deadline.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            if interrupter.is_some_and(Interrupter::is_interrupted) {
                return ended(Cause::Interrupted);
            }
            match self.try_next() {
                Err(error) if error.is_would_block() => {}
                outcome => return outcome,
            }
            // A report of the system may contain no event, so the next wait takes only the time that is left.
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match self.wait(left, interrupter)? {
                WaitOutcome::Ready => {}
                WaitOutcome::TimedOut => return ended(Cause::TimedOut),
                WaitOutcome::Interrupted => return ended(Cause::Interrupted),
            }
        }
    }
}

impl InterfaceEvent {
    /// A change, for a backend to report.
    #[must_use]
    pub const fn changed(index: InterfaceIndex, name: InterfaceName, change: InterfaceChange) -> Self {
        Self::Changed { index, name, change }
    }

    /// What changed. `None`: it is an overrun.
    #[must_use]
    pub const fn change(&self) -> Option<InterfaceChange> {
        match self {
            Self::Changed { change, .. } => Some(*change),
            Self::Overrun(_) => None,
        }
    }

    /// The name of the interface that changed, after the change.
    #[must_use]
    pub const fn name(&self) -> Option<InterfaceName> {
        match self {
            Self::Changed { name, .. } => Some(*name),
            Self::Overrun(_) => None,
        }
    }

    /// The index of the interface that changed.
    #[must_use]
    pub const fn index(&self) -> Option<InterfaceIndex> {
        match self {
            Self::Changed { index, .. } => Some(*index),
            Self::Overrun(_) => None,
        }
    }
}

impl fmt::Display for InterfaceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { name, change, .. } => write!(f, "{name}: {change}"),
            Self::Overrun(interfaces) if interfaces.is_empty() => {
                f.write_str("events were lost; there is no interface now")
            }
            Self::Overrun(interfaces) => {
                f.write_str("events were lost; now ")?;
                for (position, interface) in interfaces.iter().enumerate() {
                    f.write_str(if position > 0 { "; " } else { "" })?;
                    interface.fmt(f)?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for InterfaceChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created => f.write_str("created"),
            Self::Renamed { from } => write!(f, "renamed from {from}"),
            Self::Mtu(mtu) => write!(f, "MTU {}", mtu.get()),
            Self::CarrierOn => f.write_str("carrier on"),
            Self::CarrierOff => f.write_str("carrier off"),
            Self::Up => f.write_str("up"),
            Self::Down => f.write_str("down"),
            Self::AddressAdded(address) => write!(f, "address {address} added"),
            Self::AddressRemoved(address) => write!(f, "address {address} removed"),
            Self::Moved => f.write_str("moved to another namespace"),
            Self::Deleted => f.write_str("deleted"),
        }
    }
}

impl fmt::Display for WatchedInterface {
    /// Prints one line without the name's colon: `vpn0 up, carrier on, MTU 1500, 10.1.1.1/24`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { info: InterfaceInfo { name, state, carrier, mtu, .. }, addresses } = self;
        write!(f, "{name} {state}")?;
        if let Some(carrier) = carrier {
            write!(f, ", carrier {}", if *carrier { "on" } else { "off" })?;
        }
        write!(f, ", MTU {}", mtu.get())?;
        addresses.iter().try_for_each(|address| write!(f, ", {address}"))
    }
}

impl From<State> for InterfaceChange {
    fn from(state: State) -> Self {
        match state {
            State::Up => Self::Up,
            State::Down => Self::Down,
        }
    }
}
