//! The measurement: rounds of batches, each batch checked against what the kernel counted.

use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use super::devices::Subject;
use super::methods::Timing;
use super::traffic::{Counted, discard_queue, readable};

/// Packets of a batch, which is what one sample is made of.
pub(super) const BATCH: usize = 400;
/// Packets put in the queue for a batch: within a TUN's 500, and more than are read, so that a stray loss is
/// found by the counters, and not by a reader that waits for ever.
pub(super) const QUEUED: usize = 450;
/// Rounds thrown away: caches, branch predictors, the kernel's slabs and the clock of the CPU settle in them.
const WARM_UP: usize = 20;
/// Rounds measured even if the time is up.
const LEAST: usize = 20;
/// How often a batch is tried whose check fails.
const ATTEMPTS: usize = 3;

/// Which way the packets go, from the program's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Receive,
    Send,
}

impl Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Receive => "recv",
            Self::Send => "send",
        })
    }
}

/// What is measured of every subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) direction: Direction,
    /// The bytes of each IP packet.
    pub(crate) size: usize,
}

pub(crate) const CASES: [Case; 4] = [
    Case::new(Direction::Receive, 64),
    Case::new(Direction::Receive, 1400),
    Case::new(Direction::Send, 64),
    Case::new(Direction::Send, 1400),
];

impl Case {
    const fn new(direction: Direction, size: usize) -> Self {
        Self { direction, size }
    }
}

/// The samples of one case.
pub(crate) struct Measured {
    pub(crate) case: Case,
    /// For each subject, nanoseconds a packet, one sample a round: the samples at one position are of one
    /// round.
    pub(crate) samples: Vec<Vec<f64>>,
}

/// All samples.
pub(crate) struct Measurement {
    pub(crate) cases: Vec<Measured>,
    pub(crate) rounds: usize,
    /// Batches that failed their check, and were measured again.
    pub(crate) repeated: usize,
}

/// Measures for as long as that. Within each round and case, the order of the subjects is drawn anew.
pub(crate) fn run(subjects: &[Subject<'_>], time: Duration) -> Result<Measurement, String> {
    // Always the same seed: two runs differ in nothing that could be helped.
    let mut random = fastrand::Rng::with_seed(1);
    let mut order: Vec<usize> = (0..subjects.len()).collect();
    let mut measurement = Measurement {
        cases: CASES.map(|case| Measured { case, samples: vec![Vec::new(); subjects.len()] }).into(),
        rounds: 0,
        repeated: 0,
    };
    let start = Instant::now();
    for round in 0.. {
        let kept = round >= WARM_UP;
        if kept && measurement.rounds >= LEAST && start.elapsed() >= time {
            break;
        }
        for measured in &mut measurement.cases {
            random.shuffle(&mut order);
            for &subject in &order {
                let (sample, repeated) = sample(&subjects[subject], measured.case)?;
                measurement.repeated += repeated;
                if kept {
                    measured.samples[subject].push(sample);
                }
            }
        }
        measurement.rounds += usize::from(kept);
    }
    Ok(measurement)
}

/// Nanoseconds a packet of one batch that passed its check, and how many had to be thrown away for it.
fn sample(subject: &Subject<'_>, case: Case) -> Result<(f64, usize), String> {
    let mut why = String::new();
    for repeated in 0..ATTEMPTS {
        let batch = match case.direction {
            Direction::Receive => receive(subject, case.size),
            Direction::Send => send(subject, case.size),
        };
        match batch {
            Ok(elapsed) => return Ok((elapsed.as_nanos() as f64 / BATCH as f64, repeated)),
            Err(reason) => why = reason,
        }
    }
    let (call, size, interface) = (subject.call(case.direction), case.size, subject.kernel.name);
    Err(format!(
        "{call}, {size}-byte packets on {interface}: {ATTEMPTS} batches were void, the last because {why}"
    ))
}

fn receive(subject: &Subject<'_>, size: usize) -> Result<Duration, String> {
    let mut buffer = [0; 2048];
    discard_queue(subject.fd)?;
    let before = subject.kernel.counters()?;
    subject.kernel.fill(size, QUEUED)?;
    if !readable(subject.fd)? {
        return Err("nothing that was sent to the interface arrived in its queue".into());
    }
    let timing = subject.method.time_receive(&mut buffer, BATCH)?;
    // The driver counts a packet as transmitted when it is read, and as dropped when the queue has no room.
    let counted = subject.kernel.counters()?.tx.since(before.tx);
    check(&timing, counted, size, BATCH)
}

fn send(subject: &Subject<'_>, size: usize) -> Result<Duration, String> {
    let packet = subject.kernel.packet(size)?;
    discard_queue(subject.fd)?;
    let before = subject.kernel.counters()?;
    let timing = subject.method.time_send(&packet, BATCH)?;
    let counted = subject.kernel.counters()?.rx.since(before.rx);
    if readable(subject.fd)? {
        return Err("the kernel answered a packet that it should have dropped".into());
    }
    check(&timing, counted, size, BATCH)
}

/// No number without a check: the kernel must have counted what the calls claim.
pub(super) fn check(
    timing: &Timing,
    counted: Counted,
    size: usize,
    packets: usize,
) -> Result<Duration, String> {
    let expected = Counted { packets: packets as u64, bytes: (packets * size) as u64, lost: 0 };
    if counted != expected {
        return Err(format!("the kernel counted {counted}, and not {expected}"));
    }
    if timing.bytes != packets * size {
        let bytes = timing.bytes;
        return Err(format!("the calls returned {bytes} bytes for {packets} packets of {size}"));
    }
    Ok(timing.elapsed)
}

impl Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { packets, bytes, lost } = self;
        write!(f, "{packets} packets of {bytes} bytes together and {lost} lost")
    }
}

impl Subject<'_> {
    /// The call that is measured, as people name it: `tunctl recv`.
    pub(crate) fn call(&self, direction: Direction) -> String {
        let call = match direction {
            Direction::Receive => self.receive,
            Direction::Send => self.send,
        };
        format!("{} {call}", self.library)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_counts_only_if_kernel_and_calls_agree_on_every_packet() {
        let timing = |bytes| Timing { elapsed: Duration::from_micros(160), bytes };
        let counted = |packets: u64, lost| Counted { packets, bytes: packets * 64, lost };
        assert_eq!(check(&timing(400 * 64), counted(400, 0), 64, 400), Ok(Duration::from_micros(160)));
        for (bytes, counted, why) in [
            (400 * 64, counted(399, 0), "399 packets"),
            (400 * 64, counted(401, 0), "401 packets"),
            (400 * 64, counted(400, 1), "1 lost"),
            (400 * 64 - 16, counted(400, 0), "25584 bytes"),
        ] {
            let refused = check(&timing(bytes), counted, 64, 400).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }
}
