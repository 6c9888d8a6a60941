//! Requests, and the answers to them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::kind::Kind;
use super::summary::Summary;
use super::tally::Tally;
use crate::command::signals::Signals;
use crate::command::{Failure, Outcome};

/// How long an answer may take after the last request.
const GRACE: Duration = Duration::from_secs(1);
/// How often a wait checks whether the answering side has ended.
const GLANCE: Duration = Duration::from_millis(100);
const INTERVAL: Duration = Duration::from_secs(1);
const ROUNDS: u16 = 5;

/// How many rounds of requests, and how far apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    rounds: u16,
    interval: Duration,
}

impl Plan {
    /// One round a second, unless both count and duration are specified.
    pub(super) fn new(count: Option<u16>, duration: Option<Duration>) -> Self {
        let rounds =
            count.or_else(|| duration.map(|duration| u16::try_from(duration.as_secs()).unwrap_or(u16::MAX)));
        let rounds = rounds.unwrap_or(ROUNDS).max(1);
        let interval = match (count, duration) {
            (_, Some(duration)) => duration / u32::from(rounds),
            _ => INTERVAL,
        };
        Self { rounds, interval }
    }
}

/// The way of requests to the device, and of answers back: through a kernel, or without one.
pub(super) trait Path {
    /// The name of the backend, for the JSON.
    const BACKEND: &'static str;
    /// Where the device is.
    const WHERE: &'static str;
    /// Which sides of the network this program plays.
    const PLAYED: &'static str;

    /// Sends a request to the target of this round.
    fn send(&self, kind: Kind, sequence: u16) -> io::Result<()>;

    /// Receives the answers that have arrived, and calls `answered` with the request of each.
    fn receive(&self, answered: impl FnMut(Kind, u16)) -> io::Result<()>;

    /// The descriptors that become readable when an answer arrives.
    fn descriptors(&self) -> Vec<BorrowedFd<'_>>;
}

/// Sends the requests, and collects the answers, until a signal arrives or the answering side ends.
pub(super) fn run<P: Path>(path: &P, plan: &Plan, signals: &Signals, over: &AtomicBool) -> Outcome<Summary> {
    let mut probe = Probe { path, tallies: Kind::ALL.map(Tally::new), signals, over };
    let started = Instant::now();
    for round in 0..plan.rounds {
        let due = started + plan.interval * u32::from(round);
        if probe.collect(due, Until::Time)? == Ended::Early {
            break;
        }
        probe.send(round)?;
    }
    probe.collect(Instant::now() + GRACE, Until::AllAnswered)?;
    Ok(Summary::new(P::BACKEND, &probe.tallies))
}

struct Probe<'a, P> {
    path: &'a P,
    tallies: [Tally; 4],
    signals: &'a Signals,
    over: &'a AtomicBool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Time,
    AllAnswered,
}

#[derive(PartialEq, Eq)]
enum Ended {
    AsPlanned,
    Early,
}

impl<P: Path> Probe<'_, P> {
    fn send(&mut self, sequence: u16) -> Outcome {
        for tally in &mut self.tallies {
            let (kind, now) = (tally.kind, Instant::now());
            self.path.send(kind, sequence).map_err(|error| {
                Failure::Said(format!("send {} to {}: {error}", kind.label(), kind.target(sequence).ip()))
            })?;
            tally.sent.push(now);
            tally.answered.push(None);
        }
        Ok(())
    }

    fn receive(&mut self) -> io::Result<()> {
        self.path.receive(|kind, sequence| {
            let (tally, index) = (&mut self.tallies[kind as usize], usize::from(sequence));
            if let Some(sent) = tally.sent.get(index) {
                tally.answered[index].get_or_insert(sent.elapsed());
            }
        })
    }

    fn collect(&mut self, deadline: Instant, until: Until) -> Outcome<Ended> {
        let failed = |error: io::Error| Failure::Said(format!("receive answers: {error}"));
        loop {
            self.receive().map_err(failed)?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || until == Until::AllAnswered && self.tallies.iter().all(Tally::is_done) {
                return Ok(Ended::AsPlanned);
            }
            let descriptors = self.path.descriptors().into_iter().chain([self.signals.as_fd()]);
            let mut fds: Vec<_> = descriptors.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
            let pause = TimeSpec::from(left.min(GLANCE));
            ppoll(&mut fds, Some(pause), None).map_err(|errno| failed(errno.into()))?;
            if fds.last().and_then(PollFd::any).unwrap_or(false) || self.over.load(Ordering::Relaxed) {
                return Ok(Ended::Early);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_has_a_round_a_second_unless_both_are_given() {
        let second = Duration::from_secs(1);
        assert_eq!(Plan::new(None, None), Plan { rounds: 5, interval: second });
        assert_eq!(Plan::new(Some(3), None), Plan { rounds: 3, interval: second });
        assert_eq!(Plan::new(None, Some(20 * second)), Plan { rounds: 20, interval: second });
        assert_eq!(Plan::new(None, Some(second / 2)), Plan { rounds: 1, interval: second / 2 });
        assert_eq!(Plan::new(Some(100), Some(second)), Plan { rounds: 100, interval: second / 100 });
    }
}
