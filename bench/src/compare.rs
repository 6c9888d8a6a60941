//! Times several ways to do the same, side by side.

use std::convert::Infallible;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long one sample takes, or a little more: much longer than it takes to read the clock, much shorter
/// than a time slice.
const SAMPLE: Duration = Duration::from_micros(200);
/// Rounds measured even if the time is up.
const LEAST: usize = 20;

/// Does something so many times, and tells how long that took.
pub(crate) type Way<'a> = Box<dyn FnMut(u32) -> Duration + 'a>;

/// Repeats what is done: one dynamic call a sample.
pub(crate) fn way<'a, T>(mut once: impl FnMut() -> T + 'a) -> Way<'a> {
    Box::new(move |times| {
        let start = Instant::now();
        for _ in 0..times {
            black_box(once());
        }
        start.elapsed()
    })
}

/// Measures for about that long. For each way, the nanoseconds that it takes once, one sample a round.
pub(crate) fn compare(time: Duration, ways: &mut [Way<'_>]) -> Vec<Vec<f64>> {
    // This warms up, too.
    let times: Vec<u32> = ways.iter_mut().map(times).collect();
    let samples = rounds(time, LEAST, ways.len(), |index| {
        let took = ways[index](times[index]);
        Ok::<_, Infallible>(took.as_secs_f64() * 1e9 / f64::from(times[index]))
    });
    samples.unwrap_or_else(|never| match never {})
}

/// Takes samples for about that long, in so many rounds at least. For each way, one sample a round: the
/// samples at one position are of one round, within which the order of the ways is drawn anew.
pub(crate) fn rounds<T, E>(
    time: Duration,
    least: usize,
    ways: usize,
    mut sample: impl FnMut(usize) -> Result<T, E>,
) -> Result<Vec<Vec<T>>, E> {
    // Always the same seed: two runs differ in nothing that could be helped.
    let mut random = fastrand::Rng::with_seed(1);
    let mut order: Vec<usize> = (0..ways).collect();
    let mut samples: Vec<Vec<T>> = (0..ways).map(|_| Vec::new()).collect();
    let start = Instant::now();
    let mut rounds = 0;
    while rounds < least || start.elapsed() < time {
        rounds += 1;
        random.shuffle(&mut order);
        for &index in &order {
            samples[index].push(sample(index)?);
        }
    }
    Ok(samples)
}

/// How many times make a sample.
fn times(way: &mut Way<'_>) -> u32 {
    let mut times = 1;
    while way(times) < SAMPLE {
        times *= 2;
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_longer_is_measured_as_longer() {
        let wait = |micros| way(move || std::thread::sleep(Duration::from_micros(micros)));
        let samples = compare(Duration::ZERO, &mut [wait(100), wait(2000)]);
        assert_eq!(samples.iter().map(Vec::len).collect::<Vec<_>>(), [LEAST, LEAST]);
        assert!(samples[0].iter().all(|&sample| sample >= 100e3));
        assert!(samples[1].iter().all(|&sample| sample >= 2000e3));
    }
}
