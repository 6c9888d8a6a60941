//! The results of the requests, as a table or as JSON.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::kind::Kind;
use super::responder::Counts;
use super::tally::Tally;

/// The results. The fields are those of the JSON object.
#[derive(Serialize)]
pub(super) struct Summary {
    event: &'static str,
    /// The name of the backend.
    backend: &'static str,
    kinds: Vec<KindSummary>,
    /// Requests that were sent and not answered in time.
    unanswered: usize,
    /// The kernel's own packets, such as router solicitations, which are no requests to the hosts here.
    other: u64,
}

/// One kind of request. Times are in microseconds.
#[derive(Serialize)]
struct KindSummary {
    kind: Kind,
    sent: usize,
    answered: usize,
    round_trip_us: Option<RoundTrip>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct RoundTrip {
    min: f64,
    median: f64,
    max: f64,
}

impl KindSummary {
    fn of(tally: &Tally) -> Self {
        let mut times: Vec<_> = tally.answered.iter().flatten().copied().collect();
        times.sort_unstable();
        Self {
            kind: tally.kind,
            sent: tally.sent.len(),
            answered: times.len(),
            round_trip_us: RoundTrip::of(&times),
        }
    }
}

impl RoundTrip {
    fn of(sorted: &[Duration]) -> Option<Self> {
        let micros = |time: &Duration| (time.as_secs_f64() * 1e7).round() / 10.0;
        Some(Self {
            min: micros(sorted.first()?),
            median: micros(sorted.get(sorted.len() / 2)?),
            max: micros(sorted.last()?),
        })
    }
}

impl Summary {
    pub(super) fn new(backend: &'static str, tallies: &[Tally]) -> Self {
        let kinds = tallies.iter().map(KindSummary::of).collect();
        Self { event: "summary", backend, kinds, unanswered: 0, other: 0 }
    }

    pub(super) fn with_responder(mut self, counts: &Counts) -> Self {
        self.unanswered = self.kinds.iter().map(|kind| kind.sent - kind.answered).sum();
        self.other = counts.received - counts.answered;
        self
    }

    pub(super) fn all_answered(&self) -> bool {
        self.unanswered == 0 && self.kinds.iter().all(|kind| kind.sent > 0)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<10} {:>5} {:>9} {:>28}", "", "sent", "answered", "round trip min/median/max")?;
        for KindSummary { kind, sent, answered, round_trip_us } in &self.kinds {
            let times = round_trip_us.map_or("-".to_owned(), |RoundTrip { min, median, max }| {
                format!("{min:.0} / {median:.0} / {max:.0} µs")
            });
            writeln!(f, "{:<10} {sent:>5} {answered:>9} {times:>28}", kind.label())?;
        }
        if self.other > 0 {
            writeln!(f, "packets of the kernel's own, which ask nothing of a host here: {}", self.other)?;
        }
        let sent: usize = self.kinds.iter().map(|kind| kind.sent).sum();
        match self.unanswered {
            0 => writeln!(f, "all {sent} requests were answered"),
            missing => writeln!(f, "{missing} of {sent} requests went unanswered"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_are_told_in_microseconds() {
        let times = [10, 20, 90].map(Duration::from_micros);
        assert_eq!(RoundTrip::of(&times), Some(RoundTrip { min: 10.0, median: 20.0, max: 90.0 }));
        assert_eq!(RoundTrip::of(&[]), None);
    }
}
