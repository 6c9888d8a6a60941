//! TUN/TAP devices in [mio](https://docs.rs/mio) event loops, and active mode.
//!
//! | you have | see |
//! |---|---|
//! | an event loop of mio's, and a device to put into it | [`Source`] |
//! | a program that wants packets to come to it, as messages | [`activate`] |
//!
//! Both work over any [`TunDevice`](tunctl_core::TunDevice): a kernel's, or the mock's in a test.
//!
//! ```
//! use mio::{Events, Interest, Poll, Token};
//! use tunctl_core::{CreateOptions, TunBackend, TunDevice};
//! use tunctl_mio::{Drained, Source};
//!
//! const TUN: Token = Token(0);
//!
//! /// Turns packets around until the interface is gone.
//! fn echo<D: TunDevice>(tun: D) -> std::io::Result<()> {
//!     let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(16));
//!     let mut tun = Source::new(tun);
//!     poll.registry().register(&mut tun, TUN, Interest::READABLE)?;
//!     let mut buffer = [0; 1500];
//!     loop {
//!         match poll.poll(&mut events, None) {
//!             Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue, // a signal came
//!             polled => polled?,
//!         }
//!         for event in events.iter().filter(|event| event.token() == TUN) {
//!             assert!(tunctl_mio::may_receive(event));
//!             match tun.drain(&mut buffer, 64, |packet| tun.device().try_send(packet).map(drop)) {
//!                 Ok(Drained::Empty | Drained::MoreWaits) => {}
//!                 Err(error) if error.is_gone() => return Ok(()),
//!                 Err(error) => return Err(error.into()),
//!             }
//!         }
//!     }
//! }
//! # let kernel = tunctl_mock::MockBackend::new();
//! # let tun = kernel.create(&CreateOptions::tun().name("tun0")?)?;
//! # tun.up("10.1.1.1/24".parse()?)?;
//! # kernel.inject("tun0", [0x45; 20]);
//! # let echo = std::thread::spawn(|| echo(tun));
//! # let soon = std::time::Duration::from_secs(10);
//! # assert_eq!(kernel.take_within("tun0", soon).unwrap(), [0x45; 20]);
//! # kernel.delete("tun0");
//! # echo.join().unwrap()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod active;
mod source;

pub use active::{Active, ActiveDevice, Event, Events, Options, PacketBuffer, Statistics, activate};
pub use source::{Drained, Source, may_receive, may_send};
