//! TUN/TAP devices in [tokio](https://docs.rs/tokio) programs.
//!
//! | you want | see |
//! |---|---|
//! | to receive and send in tasks | [`AsyncDevice`] |
//! | to receive in one task and send in another | an `Arc<AsyncDevice>`, or [`AsyncDevice::into_split`] |
//! | many packets a call, with segmentation offload where the system has it | [`AsyncBulk`] |
//! | what happens to an interface: up, down, deleted, … | [`AsyncEvents`] |
//! | packets as a `Stream`, and a `Sink` for them | `PacketStream` and `PacketSink`, with the feature `stream` |
//!
//! It works over any [`TunDevice`](tunctl_core::TunDevice): that of a kernel, or that of the mock in a test.
//!
//! ```
//! use tunctl_core::{CreateOptions, Result, TunBackend, TunDevice};
//! use tunctl_tokio::AsyncDevice;
//!
//! /// Turns packets around until the interface is gone.
//! async fn echo<D: TunDevice>(tun: AsyncDevice<D>) -> Result<()> {
//!     let mut packet = [0; 1500];
//!     loop {
//!         match tun.recv(&mut packet).await {
//!             Ok(length) => tun.send(&packet[..length]).await?,
//!             Err(error) if error.is_gone() => return Ok(()),
//!             Err(error) => return Err(error),
//!         };
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
//! # let kernel = tunctl_mock::MockBackend::new();
//! # let backend = &kernel;
//! let tun = backend.create(&CreateOptions::tun().name("tun0").address("10.1.1.1/24").up())?;
//! let echo = tokio::spawn(echo(AsyncDevice::new(tun)?));
//! # kernel.inject("tun0", [0x45; 20]);
//! # while kernel.take("tun0").is_none() {
//! #     tokio::task::yield_now().await;
//! # }
//! # kernel.delete("tun0");
//! echo.await??;
//! # Ok(())
//! # }
//! ```
//!
//! # Several queues
//!
//! A multi-queue interface has a device for each queue. Give each device its own task; the devices share
//! nothing.

#![forbid(unsafe_code)]

mod bulk;
mod device;
mod events;
mod split;
#[cfg(feature = "stream")]
mod stream;
mod watched;

pub use bulk::AsyncBulk;
pub use device::AsyncDevice;
pub use events::AsyncEvents;
pub use split::{RecvHalf, SendHalf};
#[cfg(feature = "stream")]
pub use stream::{PacketSink, PacketStream};
