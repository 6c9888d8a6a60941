//! The log of a recorder, which its clones share.

use std::io::{self, Write};
use std::mem;
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

    /// How many packets have passed the device so far without being logged: the writer has not taken all of
    /// their bytes.
    ///
    /// A writer that keeps what it takes, such as [`BufWriter`](std::io::BufWriter), may lose packets that
    /// are not counted here. [`Recorder::buffered`](crate::Recorder::buffered) counts those, too.
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

/// How many bytes a buffered log gathers before it writes them.
const GATHERED: usize = 64 * 1024;

pub(crate) struct Log<W: Write> {
    /// `None` when the log is finished.
    writer: Option<W>,
    clock: Clock,
    failure: Option<Arc<io::Error>>,
    /// How many packets have passed and are not written, be it yet or for ever.
    unwritten: u64,
    /// The blocks that are not written yet, and where each packet among them ends.
    gathered: Vec<u8>,
    ends: Vec<usize>,
    /// They are written when there are as many bytes.
    capacity: usize,
}

impl<W: Write> Log<W> {
    /// Starts a log with a description of the interface. If the writer fails at once, the log reports that
    /// later.
    pub(crate) fn new(writer: W, clock: Clock, layer: Layer, name: Option<InterfaceName>) -> Self {
        let (failure, unwritten, capacity) = (None, 0, 0);
        let (mut gathered, ends) = (Vec::new(), Vec::new());
        pcapng::start(&mut gathered, layer, name);
        let mut log = Self { writer: Some(writer), clock, failure, unwritten, gathered, ends, capacity };
        log.write();
        log
    }

    /// Gathers packets from now on, so that one write takes many.
    pub(crate) const fn buffer(&mut self) {
        self.capacity = GATHERED;
    }

    /// Adds a packet that had `original_length` bytes before a short buffer cut it.
    pub(crate) fn add(&mut self, direction: Direction, packet: &[u8], original_length: usize) {
        // Counted until it is written: the user's clock or writer may panic.
        self.unwritten += 1;
        if self.failure.is_none() {
            let time = (self.clock)();
            pcapng::packet(&mut self.gathered, direction, time, packet, original_length);
            self.ends.push(self.gathered.len());
            // What is added to a log that is finished fails at once.
            if self.gathered.len() >= self.capacity || self.writer.is_none() {
                self.write();
            }
        }
    }

    /// Writes what is gathered, and counts the packets of which the writer has taken all bytes.
    fn write(&mut self) {
        // Taken out first: should the writer panic, nothing is written twice.
        let (mut gathered, mut ends) = (mem::take(&mut self.gathered), mem::take(&mut self.ends));
        let (taken, outcome) = match &mut self.writer {
            Some(writer) => write_all(writer, &gathered),
            None => (0, Err(finished())),
        };
        self.unwritten -= ends.iter().filter(|&&end| end <= taken).count() as u64;
        self.failure = outcome.err().map(Arc::new);
        gathered.clear();
        ends.clear();
        // Their allocations are used again.
        (self.gathered, self.ends) = (gathered, ends);
    }

    /// Notes a failure that no result reports. Nothing is written from now on.
    pub(crate) fn fail(&mut self, reason: &'static str) {
        self.failure.get_or_insert_with(|| Arc::new(io::Error::other(reason)));
    }

    pub(crate) fn error(&self) -> Option<LogError> {
        self.failure.clone().map(|error| LogError { error, lost: self.unwritten })
    }

    /// Flushes the log and gives its writer back.
    pub(crate) fn finish(&mut self) -> Result<W, LogError> {
        self.write_rest();
        let outcome = match (&self.failure, self.writer.take()) {
            (Some(failure), _) => Err(Arc::clone(failure)),
            (None, None) => Err(Arc::new(finished())),
            (None, Some(mut writer)) => writer.flush().map(|()| writer).map_err(Arc::new),
        };
        outcome.map_err(|error| {
            self.failure = Some(Arc::clone(&error));
            LogError { error, lost: self.unwritten }
        })
    }

    /// Writes what is gathered, if the log goes on.
    fn write_rest(&mut self) {
        if self.failure.is_none() && !self.gathered.is_empty() {
            self.write();
        }
    }
}

impl<W: Write> Drop for Log<W> {
    /// A log that nobody finishes is written as far as it can be, as a buffered writer's is.
    fn drop(&mut self) {
        self.write_rest();
    }
}

/// Writes all bytes. Returns how many the writer has taken, which after an error may be a part of them.
fn write_all(writer: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut taken = 0;
    while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
        match writer.write(rest) {
            Ok(0) => return (taken, Err(io::ErrorKind::WriteZero.into())),
            Ok(more) => taken += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (taken, Err(error)),
        }
    }
    (taken, Ok(()))
}

#[cold]
fn finished() -> io::Error {
    io::Error::other("another clone of the recorder has finished the log")
}
