//! TCP for a while, and what it cost.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tunctl_core::Statistics;

use super::path::{MTU, Path};

pub(in crate::sections) const SAMPLE: Duration = Duration::from_secs(1);
/// Windows have opened by then, and caches are warm.
const WARM_UP: Duration = Duration::from_millis(200);
/// Of one write or read of a socket.
const PIECE: usize = 128 << 10;

/// What is sent at once.
#[derive(Clone, Copy)]
pub(in crate::sections) struct Streams {
    pub(in crate::sections) each_way: usize,
    /// Whether there are streams from the second end to the first, too.
    pub(in crate::sections) back: bool,
}

/// Nanoseconds a byte that the receiver got.
pub(super) struct Sample {
    pub(super) wall: f64,
    /// Of the threads that forward.
    pub(super) cpu: f64,
}

pub(super) fn sample(path: &Path, streams: Streams) -> Result<Sample, String> {
    let forwarders = path.forwarders()?;
    during(path, streams, |received| {
        let before = Meter::read(path, &forwarders, received)?;
        thread::sleep(SAMPLE);
        Meter::read(path, &forwarders, received)?.since(&before, path, streams)
    })
}

/// Measures while there is TCP, after a warm-up. What it measures with is told the bytes that receivers got.
pub(in crate::sections) fn during<T>(
    path: &Path,
    streams: Streams,
    measure: impl FnOnce(&AtomicU64) -> Result<T, String>,
) -> Result<T, String> {
    let sockets = connect(path, streams.each_way)?;
    let received = AtomicU64::new(0);
    thread::scope(|scope| {
        for [client, server] in &sockets {
            scope.spawn(|| send(client));
            scope.spawn(|| receive(server, &received));
            if streams.back {
                scope.spawn(|| send(server));
                scope.spawn(|| receive(client, &received));
            }
        }
        thread::sleep(WARM_UP);
        let measured = measure(&received);
        for socket in sockets.iter().flatten() {
            // One that has failed is not connected any more, and its threads have ended.
            let _ = socket.shutdown(Shutdown::Both);
        }
        measured
    })
}

/// Pairs of sockets: of the first end, and of the second.
fn connect(path: &Path, count: usize) -> Result<Vec<[TcpStream; 2]>, String> {
    let listener = path.at(1, || TcpListener::bind((path.hosts[1], 0)))?;
    let pair = || {
        let client = TcpStream::connect_timeout(&listener.local_addr()?, Duration::from_secs(10))?;
        // The socket is of the listener's namespace, whoever accepts.
        let (server, _) = listener.accept()?;
        Ok([client, server])
    };
    path.at(0, || (0..count).map(|_| pair()).collect())
}

/// Until the socket is shut down.
fn send(mut socket: &TcpStream) {
    let piece = vec![0x55; PIECE];
    while socket.write_all(&piece).is_ok() {}
}

/// Until the socket is shut down.
fn receive(mut socket: &TcpStream, received: &AtomicU64) {
    let mut piece = vec![0; PIECE];
    while let Ok(length @ 1..) = socket.read(&mut piece) {
        received.fetch_add(length as u64, Ordering::Relaxed);
    }
}

/// What has happened so far.
struct Meter {
    at: Instant,
    /// That receivers got.
    bytes: u64,
    /// Nanoseconds.
    cpu: u64,
    /// Of the kernel, for what is forwarded by a program.
    kernel: Option<[Statistics; 2]>,
    /// Packets that a program was given, and calls.
    calls: Option<(u64, u64)>,
}

impl Meter {
    fn read(path: &Path, forwarders: &[PathBuf], received: &AtomicU64) -> Result<Self, String> {
        let kernel = if forwarders.is_empty() { None } else { Some(path.statistics()?) };
        let cpu = forwarders.iter().map(cpu_time).sum::<Result<_, _>>()?;
        let bytes = received.load(Ordering::Relaxed);
        Ok(Self { at: Instant::now(), bytes, cpu, kernel, calls: path.calls.as_ref().map(|calls| calls()) })
    }

    /// No number without a check: the packets were as large as they are meant to be.
    fn since(&self, before: &Self, path: &Path, streams: Streams) -> Result<Sample, String> {
        let bytes = self.bytes - before.bytes;
        if bytes == 0 {
            return Err("nothing arrived".into());
        }
        let cpu = self.cpu - before.cpu;
        if path.threads > 0 && cpu == 0 {
            return Err("the kernel does not count how long threads run".into());
        }
        if let (Some(after), Some(before)) = (&self.kernel, &before.kernel) {
            // The other direction is acknowledgements, if there are no streams back.
            for from in 0..=usize::from(streams.back) {
                check_sizes(sizes(after, before, from), path.is_large)?;
            }
        }
        if let (Some((packets, calls)), Some((packets_before, calls_before))) = (self.calls, before.calls) {
            check_calls(packets - packets_before, calls - calls_before)?;
        }
        Ok(Sample {
            wall: (self.at - before.at).as_nanos() as f64 / bytes as f64,
            cpu: cpu as f64 / bytes as f64,
        })
    }
}

fn check_sizes(sizes: [f64; 2], is_large: bool) -> Result<(), String> {
    let limit = f64::from(MTU) * if is_large { 2.0 } else { 1.0 };
    if sizes.iter().all(|size| if is_large { *size > limit } else { *size <= limit }) {
        return Ok(());
    }
    Err(format!("the kernel's packets had {sizes:.0?} bytes"))
}

fn check_calls(packets: u64, calls: u64) -> Result<(), String> {
    if packets > 2 * calls { Ok(()) } else { Err(format!("{packets} packets came by {calls} calls")) }
}

/// How large packets from one end to the other were for the kernel: where the program took them, and where
/// it gave them back.
fn sizes(after: &[Statistics; 2], before: &[Statistics; 2], from: usize) -> [f64; 2] {
    let to = 1 - from;
    let (taken, taken_before) = (after[from].to_program, before[from].to_program);
    let (given, given_before) = (after[to].from_program, before[to].from_program);
    [(taken, taken_before), (given, given_before)]
        .map(|(after, before)| (after.bytes - before.bytes) as f64 / (after.packets - before.packets) as f64)
}

/// How long a thread has run.
pub(in crate::sections) fn cpu_time(schedstat: &PathBuf) -> Result<u64, String> {
    let line = fs::read_to_string(schedstat).map_err(|error| format!("{}: {error}", schedstat.display()))?;
    let time = line.split(' ').next().and_then(|time| time.parse().ok());
    time.ok_or_else(|| format!("{}: {line}", schedstat.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offload_that_is_not_at_work_or_should_not_be_is_found() {
        for (sizes, is_large, is_right) in [
            ([30_000.0, 20_000.0], true, true),
            ([30_000.0, 1500.0], true, false),
            ([1500.0, 30_000.0], true, false),
            ([1500.0, 1500.0], false, true),
            ([1500.0, 30_000.0], false, false),
            ([f64::NAN, f64::NAN], true, false),
            ([f64::NAN, f64::NAN], false, false),
        ] {
            assert_eq!(check_sizes(sizes, is_large).is_ok(), is_right, "{sizes:?}");
        }
        assert!(check_calls(45, 1).is_ok() && check_calls(2, 1).is_err() && check_calls(0, 0).is_err());
    }
}
