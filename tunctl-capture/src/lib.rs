//! Records what passes a TUN/TAP device, and replays it: any device, a kernel's or the mock's.
//!
//! [`Recorder`] wraps a device and is one itself. Each packet that the program receives or sends through it
//! also goes to a log, a pcapng file that Wireshark and tcpdump show. [`Recording`] reads such a file, so
//! that what a real peer did once becomes the input of a test.
//!
//! ```
//! use tunctl_core::{CreateOptions, TunBackend, TunDevice};
//! use tunctl_capture::{Direction, Recorder, Recording};
//! use tunctl_mock::MockBackend;
//!
//! // A program turns a packet around, and is recorded. Any backend would do, and a file.
//! let kernel = MockBackend::new();
//! let recorder = Recorder::new(kernel.create(&CreateOptions::tun().name("vpn0"))?, Vec::new());
//! recorder.up("10.0.0.1/24".parse()?)?;
//! kernel.inject("vpn0", [0x45; 20]);
//! let mut packet = [0; 1500];
//! let length = recorder.recv(&mut packet)?;
//! recorder.send(&packet[..length])?;
//! let (device, log) = recorder.finish();
//!
//! // Later, what it received then is fed to it again.
//! let recording = Recording::parse(&log?)?;
//! recording.replay(|recorded| {
//!     if recorded.direction == Some(Direction::Received) {
//!         kernel.inject("vpn0", &recorded.packet);
//!     }
//!     Ok::<(), tunctl_core::Error>(())
//! })?;
//! assert_eq!(device.recv(&mut packet)?, 20);
//!
//! // Or what it sent is sent once more, to another device.
//! assert_eq!(recording.send_all(&device, Some(Direction::Sent))?, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod log;
mod pcapng;
mod recorder;
mod recording;
#[cfg(test)]
mod tests;

pub use log::LogError;
pub use pcapng::InvalidRecording;
pub use recorder::Recorder;
pub use recording::{Recorded, Recording};

/// Which way a packet passed a device, seen from the program that has the device.
///
/// In the file, a received packet is an inbound one, and a sent packet an outbound one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The program received it: the system had sent it out of the interface.
    Received,
    /// The program sent it: the system got it from the interface.
    Sent,
}
