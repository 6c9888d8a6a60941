//! Records the packets of any TUN/TAP device, of a kernel or of the mock, and replays them.
//!
//! [`Recorder`] wraps a device and is one itself. Each packet that the program receives or sends through it
//! also goes to a log, a pcapng file that Wireshark and tcpdump show. [`Recording`] reads such a file, so
//! that the packets of a real peer become the input of a test.
//!
//! ```
//! use tunctl_core::{CreateOptions, TunBackend, TunDevice};
//! use tunctl_capture::{Direction, Recorder, Recording};
//! use tunctl_mock::MockBackend;
//!
//! // Record a program that sends a packet back. Any backend works, and a file in place of the vector.
//! let kernel = MockBackend::new();
//! let recorder = Recorder::new(kernel.create(&CreateOptions::tun().name("vpn0"))?, Vec::new());
//! recorder.up("10.0.0.1/24".parse()?)?;
//! kernel.inject("vpn0", [0x45; 20]);
//! let mut packet = [0; 1500];
//! let length = recorder.recv(&mut packet)?;
//! recorder.send(&packet[..length])?;
//! let (device, log) = recorder.finish();
//!
//! // Later, feed it the packets that it received.
//! let recording = Recording::parse(&log?)?;
//! recording.replay(|recorded| {
//!     if recorded.direction == Some(Direction::Received) {
//!         kernel.inject("vpn0", &recorded.packet);
//!     }
//!     Ok::<(), tunctl_core::Error>(())
//! })?;
//! assert_eq!(device.recv(&mut packet)?, 20);
//!
//! // Or send the packets that it sent once more, to another device.
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

/// The direction of a packet, as the program that has the device sees it.
///
/// In the file, a received packet is an inbound one, and a sent packet an outbound one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The program received it: the system sent it out of the interface.
    Received,
    /// The program sent it: the system received it from the interface.
    Sent,
}
