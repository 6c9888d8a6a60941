//! How long a datagram takes there and back.

use std::io;
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use super::path::Path;
use crate::results::{Goal, Row};

const ROUNDS: usize = 20;
/// Of one round and path.
const PINGS: usize = 300;
const WARM_UP: usize = 30;
const SIZE: usize = 64;
/// One that takes longer is lost.
const LOST: Duration = Duration::from_secs(2);

/// Compares the pump with the calls alone.
pub(super) fn rows(pump: &Path, raw: &Path) -> Result<Vec<Row>, String> {
    let paths = [pump, raw];
    let mut random = fastrand::Rng::with_seed(1);
    let mut order = [0, 1];
    let [mut halves, mut tails] = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
    for _ in 0..ROUNDS {
        random.shuffle(&mut order);
        for index in order {
            let path = paths[index];
            let times = round(path).map_err(|why| format!("{}, ping: {why}", path.name))?;
            halves[index].push(times[PINGS / 2]);
            tails[index].push(times[PINGS * 99 / 100]);
        }
    }
    let row = |case: &str, [ours, raw]: &[Vec<f64>; 2], goal| {
        Row::costs(format!("there and back, {case}, beside raw calls"), (ours, raw), "raw calls", goal)
    };
    Ok(vec![row("p50", &halves, Some(Goal::AtMost(1.05))), row("p99", &tails, None)])
}

/// Nanoseconds of each, from the shortest to the longest.
fn round(path: &Path) -> Result<Vec<f64>, String> {
    let socket = |end: usize| {
        path.at(end, || {
            let socket = UdpSocket::bind((path.hosts[end], 0))?;
            socket.set_read_timeout(Some(LOST))?;
            Ok(socket)
        })
    };
    let [near, far] = [socket(0)?, socket(1)?];
    let pings = || {
        near.connect(far.local_addr()?)?;
        far.connect(near.local_addr()?)?;
        thread::scope(|scope| {
            scope.spawn(|| echo(&far));
            let mut times = (0..WARM_UP + PINGS).map(|_| ping(&near)).collect::<io::Result<Vec<_>>>()?;
            times.drain(..WARM_UP);
            times.sort_by(f64::total_cmp);
            Ok(times)
        })
    };
    pings().map_err(|error: io::Error| error.to_string())
}

fn ping(near: &UdpSocket) -> io::Result<f64> {
    let start = Instant::now();
    near.send(&[0x55; SIZE])?;
    let mut answer = [0; SIZE + 1];
    let length = near.recv(&mut answer)?;
    let took = start.elapsed();
    if answer[..length] != [0x55; SIZE] {
        return Err(io::Error::other("the answer is not what was sent"));
    }
    Ok(took.as_nanos() as f64)
}

/// So many times, or until one is lost.
fn echo(far: &UdpSocket) {
    let mut packet = [0; SIZE + 1];
    for _ in 0..WARM_UP + PINGS {
        let Ok(length) = far.recv(&mut packet) else { return };
        if far.send(&packet[..length]).is_err() {
            return;
        }
    }
}
