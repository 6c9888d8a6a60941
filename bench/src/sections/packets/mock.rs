//! What a packet costs that goes from one device of the mock to another.

use std::hint::black_box;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use tunctl_core::{CreateOptions, Interface, State, TunBackend, TunDevice};
use tunctl_mock::{MockBackend, MockDevice};

use crate::statistics::Summary;

/// What a packet should cost at most, in nanoseconds, sent and received.
const GOAL: f64 = 1000.0;
/// Packets of a sample.
const BATCH: u32 = 1000;

/// How the packets come.
#[derive(Clone, Copy)]
enum Pace {
    /// One is received before the next is sent.
    One,
    /// As one, and an event loop has the descriptor: so each packet makes it readable, and no more.
    OneWatched,
    /// A hundred are sent, then received.
    Bursts,
}

impl Pace {
    const ALL: [(Self, &'static str); 3] = [
        (Self::One, "one at a time"),
        (Self::Bursts, "in bursts of 100"),
        (Self::OneWatched, "one at a time, its descriptor lent"),
    ];
}

/// Measures for about that long, and tells.
pub(crate) fn run(time: Duration) -> Result<String, String> {
    let mut lines =
        vec![format!("{:<40}{:>10}{:>10}{:>10}", "mock: send and recv, ns a packet", "p10", "median", "p90")];
    let share = time / 6;
    let mut worst = 0.0_f64;
    for (pace, words) in Pace::ALL {
        for size in [64, 1400] {
            let cost = measure(pace, size, share).map_err(|error| error.to_string())?;
            lines.push(format!(
                "{:<40}{:>10.0}{:>10.0}{:>10.0}",
                format!("{size} bytes, {words}"),
                cost.p10,
                cost.median,
                cost.p90
            ));
            if !matches!(pace, Pace::OneWatched) {
                worst = worst.max(cost.median);
            }
        }
    }
    let met = if worst <= GOAL { "met" } else { "not met" };
    lines.push(format!("goal: {GOAL:.0} ns without an event loop: {met} (worst {worst:.0})"));
    Ok(lines.join("\n"))
}

fn measure(pace: Pace, size: usize, time: Duration) -> tunctl_core::Result<Summary> {
    let kernel = MockBackend::new();
    let (left, right) = (device(&kernel, "left")?, device(&kernel, "right")?);
    kernel.cable(&left, &right)?;
    if matches!(pace, Pace::OneWatched) {
        let _ = right.as_fd();
    }
    let burst = if matches!(pace, Pace::Bursts) { 100 } else { 1 };
    let packet = vec![0x45; size];
    let mut buffer = [0; 2000];
    let mut samples = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < time || samples.len() < 20 {
        let batch = Instant::now();
        for _ in 0..BATCH / burst {
            for _ in 0..burst {
                left.send(black_box(&packet))?;
            }
            for _ in 0..burst {
                black_box(right.recv(&mut buffer)?);
            }
        }
        samples.push(batch.elapsed().as_secs_f64() * 1e9 / f64::from(BATCH));
    }
    // The first tenth warms up.
    let warm = samples.len() / 10;
    Ok(Summary::of(samples.into_iter().skip(warm)).unwrap_or_default())
}

fn device(kernel: &MockBackend, name: &str) -> tunctl_core::Result<MockDevice> {
    let device = kernel.create(&CreateOptions::tun().name(name))?;
    device.interface().set_state(State::Up)?;
    Ok(device)
}
