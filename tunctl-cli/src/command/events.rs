//! `tunctl events`.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};

use clap::Args;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Serialize;
use tunctl::{
    EventWatcher, Events as _, InterfaceChange, InterfaceEvent, InterfaceName, Native, TunBackend,
    WatchedInterface,
};

use super::arguments::existing;
use super::output;
use super::signals::Signals;
use super::{Failure, Outcome, note};

/// Print what happens to TUN/TAP interfaces, a line for each event, until interrupted
///
/// That is: created, up, down, MTU, carrier, address added or removed, renamed, moved, deleted. With a name,
/// it ends when that interface is deleted or moved to another network namespace.
#[derive(Args)]
pub(super) struct Events {
    /// The interface; all of this network namespace if there is none
    #[arg(value_parser = existing())]
    name: Option<InterfaceName>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

impl Events {
    pub(super) fn run(self, backend: &Native) -> Outcome {
        let signals = Signals::catch()?;
        let mut watcher = match &self.name {
            Some(name) => backend.interface(name)?.events()?,
            None => backend.events()?,
        };
        let what: &dyn std::fmt::Display = match &self.name {
            Some(name) => name,
            None => &"all TUN/TAP interfaces",
        };
        // For programs, too: what happens from now on is told.
        note(&format_args!("events of {what} (Ctrl-C stops)"));
        // Under a flood of events the loop never reaches the wait.
        while !signals.are_waiting() {
            match watcher.try_next() {
                Ok(Some(event)) if self.json => output::json(&Report::of(&event))?,
                Ok(Some(event)) => print_line(&event)?,
                Ok(None) => break,
                Err(error) if error.is_would_block() => wait(&watcher, &signals)?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Each line is written by itself: whoever reads them acts on them.
fn print_line(event: &InterfaceEvent) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{event}")?;
    output.flush()
}

/// Waits for an event or a signal, and for the reader of the output to leave: a program that prints rarely
/// would otherwise stay for long.
fn wait(watcher: &impl EventWatcher, signals: &Signals) -> Outcome {
    /// A pipe without a reader: an error on Linux, and a hang-up on the other systems.
    const NO_READER: PollFlags = PollFlags::POLLERR.union(PollFlags::POLLHUP);
    let output = io::stdout();
    let entry = |fd, events| PollFd::new(fd, events);
    let fds: [BorrowedFd<'_>; 3] = [watcher.as_fd(), signals.as_fd(), output.as_fd()];
    let mut fds = [
        entry(fds[0], PollFlags::POLLIN),
        entry(fds[1], PollFlags::POLLIN),
        entry(fds[2], PollFlags::empty()),
    ];
    let reports = |fd: &PollFd<'_>, what| fd.revents().is_some_and(|events| events.intersects(what));
    // macOS polls no devices, and says so at once, each time.
    let _ = poll(&mut fds[2..], PollTimeout::ZERO);
    let polled = if reports(&fds[2], PollFlags::POLLNVAL) { 2 } else { 3 };
    match poll(&mut fds[..polled], PollTimeout::NONE) {
        Ok(_) if reports(&fds[2], NO_READER) => Err(Failure::Output(io::ErrorKind::BrokenPipe.into())),
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(Failure::Said(format!("wait for events: {errno}"))),
    }
}

/// An event as a JSON object. Its fields are those of `list --json`, as far as they have changed.
#[derive(Default, Serialize)]
struct Report {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
    /// The name before.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    carrier: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// The present state, where events were lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    interfaces: Option<Vec<Present>>,
}

/// An interface that is there.
#[derive(Serialize)]
struct Present {
    name: String,
    index: u32,
    mtu: u32,
    state: String,
    carrier: Option<bool>,
    addresses: Vec<String>,
}

impl Report {
    fn of(event: &InterfaceEvent) -> Self {
        match event {
            InterfaceEvent::Changed { index, name, change, .. } => {
                Self { name: Some(name.to_string()), index: Some(index.get()), ..Self::of_change(change) }
            }
            InterfaceEvent::Overrun(interfaces) => {
                let interfaces = Some(interfaces.iter().map(Present::of).collect());
                Self { event: "overrun", interfaces, ..Self::default() }
            }
            _ => Self { event: "other", ..Self::default() },
        }
    }

    fn of_change(change: &InterfaceChange) -> Self {
        let none = Self::default();
        match change {
            InterfaceChange::Created => Self { event: "created", ..none },
            InterfaceChange::Renamed { from } => {
                Self { event: "renamed", from: Some(from.to_string()), ..none }
            }
            InterfaceChange::Mtu(mtu) => Self { event: "mtu", mtu: Some(mtu.get()), ..none },
            InterfaceChange::CarrierOn => Self { event: "carrier", carrier: Some(true), ..none },
            InterfaceChange::CarrierOff => Self { event: "carrier", carrier: Some(false), ..none },
            InterfaceChange::Up => Self { event: "up", state: Some("up"), ..none },
            InterfaceChange::Down => Self { event: "down", state: Some("down"), ..none },
            InterfaceChange::AddressAdded(address) => {
                Self { event: "address_added", address: Some(address.to_string()), ..none }
            }
            InterfaceChange::AddressRemoved(address) => {
                Self { event: "address_removed", address: Some(address.to_string()), ..none }
            }
            InterfaceChange::Moved => Self { event: "moved", ..none },
            InterfaceChange::Deleted => Self { event: "deleted", ..none },
            _ => Self { event: "other", ..none },
        }
    }
}

impl Present {
    fn of(interface: &WatchedInterface) -> Self {
        let info = &interface.info;
        Self {
            name: info.name.to_string(),
            index: info.index.get(),
            mtu: info.mtu.get(),
            state: info.state.to_string(),
            carrier: interface.info.carrier,
            addresses: interface.addresses.iter().map(ToString::to_string).collect(),
        }
    }
}
