//! The trace: what happened, a line each.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

/// How many lines a failure shows.
const LAST: usize = 40;

/// Lines of virtual time, peers, kind of message, length, verdict, and hash of the inner packet.
///
/// Bytes of datagrams are not in it: the keys come from the system's randomness.
#[derive(Debug)]
pub(crate) struct Trace {
    last: VecDeque<String>,
    digest: DefaultHasher,
    lines: u64,
    is_whole: bool,
}

impl Trace {
    /// Keeps all lines, or only the last ones.
    pub(crate) fn new(is_whole: bool) -> Self {
        Self { last: VecDeque::new(), digest: DefaultHasher::new(), lines: 0, is_whole }
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, now: Duration, what: &str) {
        let line = format!("{:>5}.{:06}  {what}", now.as_secs(), now.subsec_micros());
        self.digest.write(line.as_bytes());
        self.digest.write_u8(b'\n');
        self.lines += 1;
        if !self.is_whole && self.last.len() == LAST {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// A hash of all lines.
    pub(crate) fn digest(&self) -> u64 {
        self.digest.finish()
    }

    /// How many lines there were.
    pub(crate) const fn lines(&self) -> u64 {
        self.lines
    }

    /// The lines that were kept.
    pub(crate) fn into_lines(self) -> Vec<String> {
        self.last.into()
    }
}
