//! TUN/TAP devices in [mio](https://docs.rs/mio) event loops.
//!
//! A [`TunSource`] puts any [`TunDevice`](tunctl_core::TunDevice) into the loop: a kernel's, or the mock's in
//! a test.
//!
//! ```
//! use mio::{Events, Interest, Poll, Token};
//! use tunctl_core::{CreateOptions, TunBackend, TunDevice};
//! use tunctl_mio::{Drained, TunSource};
//!
//! const TUN: Token = Token(0);
//!
//! /// Turns packets around until the interface is gone.
//! fn echo<D: TunDevice>(tun: D) -> std::io::Result<()> {
//!     let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(16));
//!     let mut tun = TunSource::new(tun);
//!     poll.registry().register(&mut tun, TUN, Interest::READABLE)?;
//!     let mut buffer = [0; 1500];
//!     loop {
//!         match poll.poll(&mut events, None) {
//!             Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue, // a signal came
//!             polled => polled?,
//!         }
//!         for event in events.iter().filter(|event| event.token() == TUN) {
//!             assert!(tunctl_mio::may_receive(event));
//!             let drained = tun.drain(&mut buffer, 64, |packet| {
//!                 // As on any network, a packet that can't be sent is lost.
//!                 let _ = tun.device().try_send(packet);
//!             });
//!             match drained? {
//!                 Drained::Gone => return Ok(()),
//!                 Drained::Empty | Drained::More => {}
//!             }
//!         }
//!     }
//! }
//! # let kernel = tunctl_mock::MockBackend::new();
//! # let tun = kernel.create(&CreateOptions::tun().name("tun0").address("10.1.1.1/24").up())?;
//! # kernel.inject("tun0", [0x45; 20]);
//! # let echo = std::thread::spawn(|| echo(tun));
//! # let soon = std::time::Duration::from_secs(10);
//! # assert_eq!(kernel.take_within("tun0", soon).unwrap(), [0x45; 20]);
//! # kernel.delete("tun0");
//! # echo.join().unwrap()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Many packets a call: a [`TunSource`] of a [`Bulk`](tunctl_core::Bulk), and its
//! [`drain_into`](TunSource::drain_into).
//!
//! # Active mode
//!
//! [Active mode](tunctl_core::active) needs nothing of this crate. A [`mio::Waker`] brings its events into
//! the loop:
//!
//! ```
//! # use tunctl_core::active::PacketEvents;
//! # fn program(poll: &mio::Poll, packets: &mut PacketEvents) -> std::io::Result<()> {
//! let waker = mio::Waker::new(poll.registry(), mio::Token(1))?;
//! packets.notify(move || {
//!     let _ = waker.wake();
//! });
//! # Ok(())
//! # }
//! ```

//! # Events of interfaces
//!
//! What happens to interfaces ([`Events`](tunctl_core::Events)) needs nothing of this crate either: mio's
//! [`SourceFd`](mio::unix::SourceFd) registers any descriptor. As with a device, an event of the loop means
//! to take all that is there. Closing the watcher deregisters it.
//!
//! ```
//! use std::os::fd::{AsFd, AsRawFd};
//!
//! use mio::unix::SourceFd;
//! use mio::{Interest, Poll, Token};
//! use tunctl_core::{EventWatcher, Events, Result};
//!
//! const EVENTS: Token = Token(2);
//!
//! fn register<W: EventWatcher>(poll: &Poll, watcher: &W) -> std::io::Result<()> {
//!     let fd = watcher.as_fd().as_raw_fd();
//!     poll.registry().register(&mut SourceFd(&fd), EVENTS, Interest::READABLE)
//! }
//!
//! /// After registering, and on each event of the loop with this token; whether there may be more.
//! fn drain<W: EventWatcher>(watcher: &mut W) -> Result<bool> {
//!     loop {
//!         match watcher.try_next() {
//!             Ok(Some(event)) => println!("{event}"),
//!             Ok(None) => return Ok(false), // its interface is gone
//!             Err(error) if error.is_would_block() => return Ok(true),
//!             Err(error) => return Err(error),
//!         }
//!     }
//! }
//! # use tunctl_core::{CreateOptions, State, TunBackend, TunDevice};
//! # let kernel = tunctl_mock::MockBackend::new();
//! # let tun = kernel.create(&CreateOptions::tun())?;
//! # let mut poll = Poll::new()?;
//! # let mut watcher = tun.interface().events()?;
//! # register(&poll, &watcher)?;
//! # assert!(drain(&mut watcher)?);
//! # kernel.set_state(&tun, State::Up);
//! # let mut events = mio::Events::with_capacity(4);
//! # poll.poll(&mut events, None)?;
//! # assert!(events.iter().any(|event| event.token() == EVENTS));
//! # assert!(drain(&mut watcher)?);
//! # drop(tun);
//! # assert!(!drain(&mut watcher)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod drain;
mod source;

pub use drain::{DrainError, Drained};
pub use source::{TunSource, may_receive, may_send};
