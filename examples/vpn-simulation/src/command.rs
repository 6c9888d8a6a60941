//! Runs many seeds, on all cores, and adds up.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use tunctl_vpn_simulation::{Failure, Summary, run};

const USAGE: &str = "\
usage: tunctl-vpn-simulation [--seeds N] [--seed FIRST] [--minutes N] [--cpu-seconds N] [--trace]

  --seeds N        how many seeds, one after the other; 1 by default
  --seed FIRST     the first of them; 1 by default
  --minutes N      the simulated time of each; 10 by default
  --cpu-seconds N  fail if all of them take more CPU time than this
  --trace          print what happened, a line each: virtual time, sender and receiver, kind and length of
                   each datagram, hash of the packet in it, verdict";

struct Options {
    seeds: u64,
    first: u64,
    minutes: u64,
    cpu_seconds: Option<u64>,
    is_traced: bool,
}

#[derive(Default)]
struct Total {
    summaries: u64,
    lines: u64,
    digest: u64,
    least_rekeys: Option<u64>,
    rekeys: u64,
    packets: BTreeMap<&'static str, u64>,
    datagrams: BTreeMap<&'static str, u64>,
    most: [usize; 3],
    failures: Vec<Failure>,
}

pub(crate) fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let started = Instant::now();
    let mut total = run_all(&options);
    total.failures.sort_by_key(|failure| failure.seed);
    for failure in &total.failures {
        println!("{failure}\n");
    }
    let cpu = cpu_time();
    print_total(&options, &total, cpu, started.elapsed());
    let is_slow = options.cpu_seconds.is_some_and(|most| cpu > Duration::from_secs(most));
    if is_slow {
        println!("FAILED: it took {:.1} s of CPU time, which is too much", cpu.as_secs_f64());
    }
    if is_slow || !total.failures.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn options() -> Result<Options, String> {
    let mut options = Options { seeds: 1, first: 1, minutes: 10, cpu_seconds: None, is_traced: false };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--trace" {
            options.is_traced = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{name} takes a number"))?;
        let value = value.parse().map_err(|_| format!("{name} {value}: this is not a number"))?;
        match name.as_str() {
            "--seeds" => options.seeds = value,
            "--seed" => options.first = value,
            "--minutes" => options.minutes = value,
            "--cpu-seconds" => options.cpu_seconds = Some(value),
            _ => return Err(format!("{name} is unknown")),
        }
    }
    Ok(options)
}

/// The clock that boringtun reads is a thread's own, so each thread has a simulation.
fn run_all(options: &Options) -> Total {
    let total = Mutex::new(Total::default());
    let (next, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        while !is_over.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= options.seeds {
                break;
            }
            let outcome = run_one(options.first + number, options);
            // Those that run already are finished; one failure is enough to look at.
            is_over.fetch_or(outcome.is_err(), Ordering::Relaxed);
            total.lock().unwrap_or_else(std::sync::PoisonError::into_inner).add(outcome);
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    total.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn run_one(seed: u64, options: &Options) -> Result<Summary, Box<Failure>> {
    let duration = Duration::from_secs(options.minutes * 60);
    let outcome = catch_unwind(AssertUnwindSafe(|| run(seed, duration, options.is_traced)));
    let outcome = outcome.unwrap_or_else(|panic| {
        let what = format!("panic: {}", message(&*panic));
        Err(Box::new(Failure { seed, duration, at: Duration::ZERO, what, trace: Vec::new() }))
    });
    if let (Ok(summary), true) = (&outcome, options.is_traced) {
        println!("{}", summary.trace.join("\n"));
    }
    outcome
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("of an unknown kind")
}

impl Total {
    fn add(&mut self, outcome: Result<Summary, Box<Failure>>) {
        let summary = match outcome {
            Ok(summary) => summary,
            Err(failure) => return self.failures.push(*failure),
        };
        self.summaries += 1;
        self.lines += summary.lines;
        // The order in which threads finish does not matter.
        self.digest ^= summary.digest.rotate_left((summary.seed % 64) as u32);
        // The most of a seed: a client may have died, or have been cut off for long.
        let rekeys = summary.rekeys.iter().copied().max();
        self.least_rekeys = self.least_rekeys.into_iter().chain(rekeys).min();
        self.rekeys += summary.rekeys.iter().sum::<u64>();
        let add = |to: &mut BTreeMap<_, u64>, from: BTreeMap<_, u64>| {
            from.into_iter().for_each(|(name, count)| *to.entry(name).or_default() += count);
        };
        add(&mut self.packets, summary.packets);
        add(&mut self.datagrams, summary.datagrams);
        self.most.iter_mut().zip(summary.most).for_each(|(most, one)| *most = one.max(*most));
    }
}

/// CPU time of this process, of all its threads.
fn cpu_time() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return Duration::MAX };
    let micros =
        [usage.user_time(), usage.system_time()].map(|time| time.tv_sec() * 1_000_000 + time.tv_usec());
    Duration::from_micros(micros.iter().sum::<i64>().unsigned_abs())
}

fn print_total(options: &Options, total: &Total, cpu: Duration, took: Duration) {
    let list = |counts: &BTreeMap<&str, u64>| {
        counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    };
    let [undecided, in_flight, waiting] = total.most;
    let peak = getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.max_rss());
    println!(
        "{} seeds from {} of {} simulated minutes passed",
        total.summaries, options.first, options.minutes
    );
    println!("packets: {}", list(&total.packets));
    println!("datagrams: {}", list(&total.datagrams));
    println!(
        "rekeys: {}, of which the best pair of each seed had {} or more",
        total.rekeys,
        total.least_rekeys.unwrap_or_default()
    );
    println!(
        "at most at once: {undecided} packets undecided, {in_flight} datagrams on their way, {waiting} packets waiting in a tunnel"
    );
    println!("trace: {} lines, digest {:016x}", total.lines, total.digest);
    println!("{:.1} s of CPU time, {:.1} s, {peak} KiB of memory", cpu.as_secs_f64(), took.as_secs_f64());
}
