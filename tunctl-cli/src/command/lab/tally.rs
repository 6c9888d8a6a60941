//! Counting requests and answers.

use std::time::{Duration, Instant};

use super::kind::Kind;

/// The requests of one kind.
pub(super) struct Tally {
    pub(super) kind: Kind,
    pub(super) sent: Vec<Instant>,
    /// For each request, the time until its answer.
    pub(super) answered: Vec<Option<Duration>>,
}

impl Tally {
    pub(super) const fn new(kind: Kind) -> Self {
        Self { kind, sent: Vec::new(), answered: Vec::new() }
    }

    pub(super) fn is_done(&self) -> bool {
        self.answered.iter().all(Option::is_some)
    }
}
