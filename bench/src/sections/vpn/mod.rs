//! TCP through WireGuard between two network namespaces: ours, and the other programs that speak it.

mod program;
mod tunnel;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use self::tunnel::Tunnel;
use super::pump::KIB;
use super::pump::transfer::{SAMPLE, Streams, cpu_time, during};
use crate::compare::rounds;
use crate::results::{Goal, Row};

/// Rounds measured even if the time is up.
const LEAST: usize = 3;
/// Streams at once, all in one direction.
const STREAMS: [usize; 2] = [1, 16];
/// What each of our peers may have in memory, in MB.
const MOST_RESIDENT: f64 = 32.0;

/// What ours should get, beside one of the others.
struct Goals {
    other: &'static str,
    goodput: Option<Goal>,
    cpu: Option<Goal>,
}

const GOALS: [Goals; 3] = [
    Goals {
        other: program::WIREGUARD_GO.name,
        goodput: Some(Goal::AtLeast(1.5)),
        cpu: Some(Goal::AtMost(0.62)),
    },
    Goals { other: program::BORINGTUN.name, goodput: Some(Goal::AtLeast(2.0)), cpu: None },
    Goals { other: program::GOTATUN.name, goodput: None, cpu: None },
];

/// Measures for so long, each program in its own pair of namespaces.
pub(super) fn run(time: Duration) -> Result<Vec<Row>, String> {
    tunnel::own_run()?;
    let mut tunnels = vec![Tunnel::new(&program::OURS)?];
    for other in [&program::WIREGUARD_GO, &program::BORINGTUN, &program::GOTATUN] {
        match other.find() {
            Ok(_) => tunnels.push(Tunnel::new(other)?),
            Err(why) => eprintln!("vpn: {} is left out: {why}", other.name),
        }
    }
    let ways: Vec<_> = tunnels.iter().flat_map(|tunnel| STREAMS.map(|streams| (tunnel, streams))).collect();
    let samples = rounds(time, LEAST, ways.len(), |index| {
        let (tunnel, streams) = ways[index];
        sample(tunnel, streams).map_err(|why| format!("{}, {streams} streams: {why}", tunnel.path.name))
    })?;
    let measured = |(tunnel, samples): (&Tunnel, &[Vec<Sample>])| {
        let resident = tunnel.resident()?;
        Ok(Measured {
            name: tunnel.path.name,
            transfers: samples.iter().map(|samples| Transfers::of(samples)).collect(),
            resident,
        })
    };
    let measured = tunnels.iter().zip(samples.chunks(STREAMS.len())).map(measured);
    Ok(rows(&measured.collect::<Result<Vec<_>, String>>()?))
}

/// What is known of a program when it is over.
struct Measured {
    name: &'static str,
    /// By the number of streams.
    transfers: Vec<Transfers>,
    /// The most that a peer had in memory, in MB.
    resident: f64,
}

/// One sample a round.
struct Transfers {
    /// Nanoseconds a byte.
    wall: Vec<f64>,
    /// Nanoseconds a KiB and peer.
    cpu: Vec<f64>,
}

impl Transfers {
    fn of(samples: &[Sample]) -> Self {
        let wall = samples.iter().map(|sample| sample.wall).collect();
        Self { wall, cpu: samples.iter().map(|sample| sample.cpu * KIB / 2.0).collect() }
    }
}

/// Those of the others that are there, beside the first, which is ours.
fn rows(measured: &[Measured]) -> Vec<Row> {
    let Some((ours, others)) = measured.split_first() else { return Vec::new() };
    let others =
        || GOALS.iter().filter_map(|goals| Some((goals, others.iter().find(|m| m.name == goals.other)?)));
    let mut rows = Vec::new();
    for (index, streams) in STREAMS.iter().enumerate() {
        let streams = if *streams == 1 { "1 stream".to_owned() } else { format!("{streams} streams") };
        let mine = &ours.transfers[index];
        for (goals, other) in others() {
            let (theirs, name) = (&other.transfers[index], other.name);
            let case = |what: &str| format!("{what}, {streams}, {name}");
            rows.push(Row::rates(case("TCP"), 1, (&mine.wall, &theirs.wall), name, goals.goodput));
            rows.push(Row::costs(case("CPU a KiB"), (&mine.cpu, &theirs.cpu), name, goals.cpu));
        }
    }
    let resident = |what: &str, most, name, goal: Option<Goal>| {
        Row::numbers(format!("resident, {what}"), "MB", (ours.resident, most), name, goal)
    };
    rows.push(resident("the most allowed", MOST_RESIDENT, "the most allowed", Some(Goal::AtMost(1.0))));
    rows.extend(others().map(|(_, other)| resident(other.name, other.resident, other.name, None)));
    rows
}

/// Nanoseconds a byte that the receiver got.
struct Sample {
    wall: f64,
    /// Of both peers.
    cpu: f64,
}

/// No number without a check: what arrived came out of the tunnel, and had gone into it.
fn sample(tunnel: &Tunnel, streams: usize) -> Result<Sample, String> {
    let before = tunnel.carried()?;
    let (sample, arrived) = during(&tunnel.path, Streams { each_way: streams, back: false }, |received| {
        let before = Meter::read(tunnel, received)?;
        thread::sleep(SAMPLE);
        let after = Meter::read(tunnel, received)?;
        Ok((after.since(&before)?, after.bytes))
    })?;
    let after = tunnel.carried()?;
    check(arrived, [after[0] - before[0], after[1] - before[1]])?;
    Ok(sample)
}

/// The kernel has counted at least as many bytes into the tunnel, and out of it.
fn check(arrived: u64, carried: [u64; 2]) -> Result<(), String> {
    if arrived > 0 && carried.iter().all(|bytes| *bytes >= arrived) {
        return Ok(());
    }
    Err(format!("{arrived} bytes arrived, and {carried:?} went into the tunnel and came out of it"))
}

/// What has happened so far.
struct Meter {
    at: Instant,
    /// That receivers got.
    bytes: u64,
    /// Nanoseconds of all threads of both peers.
    cpu: u64,
}

impl Meter {
    fn read(tunnel: &Tunnel, received: &AtomicU64) -> Result<Self, String> {
        let cpu = tunnel.processes().map(cpu_of).sum::<Result<_, _>>()?;
        Ok(Self { at: Instant::now(), bytes: received.load(Ordering::Relaxed), cpu })
    }

    fn since(&self, before: &Self) -> Result<Sample, String> {
        let bytes = (self.bytes - before.bytes) as f64;
        let cpu = self.cpu.checked_sub(before.cpu).ok_or("a thread has ended, with what it had run")?;
        if bytes == 0.0 || cpu == 0 {
            return Err(format!("{bytes} bytes arrived, and the processes ran for {cpu} ns"));
        }
        Ok(Sample { wall: (self.at - before.at).as_nanos() as f64 / bytes, cpu: cpu as f64 / bytes })
    }
}

/// How long the threads of a process have run.
fn cpu_of(process: u32) -> Result<u64, String> {
    let folder = format!("/proc/{process}/task");
    let threads = fs::read_dir(&folder).map_err(|error| format!("{folder}: {error}"))?;
    let paths = threads.flatten().map(|thread| thread.path().join("schedstat"));
    paths.map(|schedstat: PathBuf| cpu_time(&schedstat)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_round_the_tunnel_is_found() {
        assert!(check(100, [104, 104]).is_ok());
        for (arrived, carried) in [(100, [104, 0]), (100, [0, 104]), (100, [99, 99]), (0, [0, 0])] {
            assert!(check(arrived, carried).is_err(), "{arrived} {carried:?}");
        }
    }

    #[test]
    fn who_is_not_there_has_no_rows() {
        let measured = |name| {
            let transfers = || Transfers { wall: vec![1.0], cpu: vec![1.0] };
            Measured { name, transfers: STREAMS.map(|_| transfers()).into(), resident: 16.0 }
        };
        let names = |others: &[&'static str]| {
            let all: Vec<_> = others.iter().map(|name| measured(name)).collect();
            rows(&all).into_iter().map(|row| row.reference_name).collect::<Vec<_>>()
        };
        assert_eq!(names(&["ours"]), ["the most allowed"]);
        let gotatun = program::GOTATUN.name;
        assert_eq!(names(&["ours", gotatun])[..4], [gotatun; 4]);
        assert_eq!(names(&["ours", gotatun])[4..], ["the most allowed", gotatun]);
    }
}
