//! The log of a recorder, which its clones share.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use tunctl_core::{InterfaceName, Layer};

use crate::{Direction, pcapng};

/// Why a log is incomplete: the first error of its writer, and how many packets are missing.
///
/// The log ends at the first failure, since it is unknown how much of a block the writer has written. The
/// packets before it are complete.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the log of packets ends early, {lost} are missing from it: {error}")]
pub struct LogError {
    error: Arc<io::Error>,
    lost: u64,
}

impl LogError {
    /// The writer's first failure.
    #[must_use]
    pub fn io_error(&self) -> &io::Error {
        &self.error
    }

    /// How many packets have passed the device so far without being logged.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }
}

impl From<LogError> for io::Error {
    /// Keeps the kind of the writer's error, and wraps this error.
    fn from(error: LogError) -> Self {
        Self::new(error.error.kind(), error)
    }
}

/// Returns the time of a packet, since the beginning of 1970 or another epoch that the user chose.
pub(crate) type Clock = Box<dyn FnMut() -> Duration + Send>;

pub(crate) struct Log<W> {
    /// `None` when the log is finished.
    writer: Option<W>,
    clock: Clock,
    failure: Option<Arc<io::Error>>,
    lost: u64,
    /// The block being written, kept to reuse its allocation.
    block: Vec<u8>,
}

impl<W: Write> Log<W> {
    /// Starts a log with a description of the interface. If the writer fails at once, the log reports that
    /// later.
    pub(crate) fn new(writer: W, clock: Clock, layer: Layer, name: Option<InterfaceName>) -> Self {
        let mut log = Self { writer: Some(writer), clock, failure: None, lost: 0, block: Vec::new() };
        pcapng::start(&mut log.block, layer, name);
        log.write();
        log
    }

    /// Adds a packet that had `original_length` bytes before a short buffer cut it.
    pub(crate) fn add(&mut self, direction: Direction, packet: &[u8], original_length: usize) {
        // Counted as lost until it is written: the user's clock or writer may panic.
        self.lost += 1;
        if self.failure.is_none() {
            let time = (self.clock)();
            self.block.clear();
            pcapng::packet(&mut self.block, direction, time, packet, original_length);
            self.write();
        }
        if self.failure.is_none() {
            self.lost -= 1;
        }
    }

    fn write(&mut self) {
        let outcome = match &mut self.writer {
            Some(writer) => writer.write_all(&self.block),
            None => Err(finished()),
        };
        self.failure = outcome.err().map(Arc::new);
    }

    /// Notes a failure that no result reports. Nothing is written from now on.
    pub(crate) fn fail(&mut self, reason: &'static str) {
        self.failure.get_or_insert_with(|| Arc::new(io::Error::other(reason)));
    }

    pub(crate) fn error(&self) -> Option<LogError> {
        self.failure.clone().map(|error| LogError { error, lost: self.lost })
    }

    /// Flushes the log and gives its writer back.
    pub(crate) fn finish(&mut self) -> Result<W, LogError> {
        let outcome = match (&self.failure, self.writer.take()) {
            (Some(failure), _) => Err(Arc::clone(failure)),
            (None, None) => Err(Arc::new(finished())),
            (None, Some(mut writer)) => writer.flush().map(|()| writer).map_err(Arc::new),
        };
        outcome.map_err(|error| {
            self.failure = Some(Arc::clone(&error));
            LogError { error, lost: self.lost }
        })
    }
}

#[cold]
fn finished() -> io::Error {
    io::Error::other("another clone of the recorder has finished the log")
}
