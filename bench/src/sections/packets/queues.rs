//! Two queues of one interface, each with a thread that receives or sends: ours beside system calls.

use std::hint::spin_loop;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tunctl_core::{CreateOptions, TunBackend};
use tunctl_linux::{LinuxBackend, LinuxDevice};

use super::methods::{Raw, Timed, Timing, Tunctl};
use super::rounds::{BATCH, CASES, Case, Direction, QUEUED, check};
use super::traffic::{KernelSide, discard_queue, readable, settle_namespace};
use crate::compare::rounds;
use crate::results::{Goal, Row};

const NAME: &str = "queues";
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 78, 4, 1);
/// Rounds measured even if the time is up.
const LEAST: usize = 20;
/// Flows that are tried to find one for each queue.
const FLOWS: usize = 64;
/// How often a batch is tried whose check fails.
const ATTEMPTS: usize = 3;

/// Measures for about so long.
pub(crate) fn run(time: Duration) -> Result<Vec<Row>, String> {
    let queues = Queues::open()?;
    let mut rows = Vec::new();
    for case in CASES {
        let samples = rounds(time / 4, LEAST, 2, |way| queues.sample(case, way == 1))?;
        let name = format!("two threads, {} of {} bytes", case.direction, case.size);
        let (raw, ours) = (&samples[0], &samples[1]);
        rows.push(Row::costs(name, (ours, raw), "raw calls", Some(Goal::AtMost(1.05))));
    }
    Ok(rows)
}

struct Queues {
    devices: [LinuxDevice; 2],
    /// Of each queue, a flow whose packets come to it.
    flows: [KernelSide; 2],
}

impl Queues {
    fn open() -> Result<Self, String> {
        settle_namespace();
        let options = CreateOptions::tun().name(NAME).address(format!("{ADDRESS}/24")).up();
        let devices = LinuxBackend::new().create_queues(&options, 2).map_err(|error| error.to_string())?;
        let devices = <[_; 2]>::try_from(devices).map_err(|_| "there are not two queues")?;
        let mut flows = [None, None];
        for _ in 0..FLOWS {
            let flow = KernelSide::new(NAME, ADDRESS)?;
            flow.send(&[0])?;
            for (device, place) in devices.iter().zip(&mut flows) {
                if readable(device.as_fd())? {
                    discard_queue(device.as_fd())?;
                    place.get_or_insert(flow);
                    break;
                }
            }
        }
        match flows {
            [Some(one), Some(other)] => Ok(Self { devices, flows: [one, other] }),
            _ => Err(format!("of {FLOWS} flows, none came to one of the queues")),
        }
    }

    /// Nanoseconds a packet of one queue's batch, while the other does the same.
    fn sample(&self, case: Case, is_ours: bool) -> Result<f64, String> {
        let mut why = String::new();
        for _ in 0..ATTEMPTS {
            match self.batch(case, is_ours) {
                Ok(elapsed) => return Ok(elapsed.as_nanos() as f64 / BATCH as f64),
                Err(reason) => why = reason,
            }
        }
        Err(format!("{} of {} bytes by two threads: {why}", case.direction, case.size))
    }

    fn batch(&self, case: Case, is_ours: bool) -> Result<Duration, String> {
        for device in &self.devices {
            discard_queue(device.as_fd())?;
        }
        let [flow, _] = &self.flows;
        let before = flow.counters()?;
        if case.direction == Direction::Receive {
            self.flows.iter().try_for_each(|flow| flow.fill(case.size, QUEUED))?;
        }
        let packet = flow.packet(case.size)?;
        let timings = at_once(|queue| {
            let device = &self.devices[queue];
            if is_ours {
                time(&Tunctl(device), case, &packet)
            } else {
                time(&Raw(device.as_fd()), case, &packet)
            }
        })?;
        let after = flow.counters()?;
        let counted = match case.direction {
            Direction::Receive => after.tx.since(before.tx),
            Direction::Send => after.rx.since(before.rx),
        };
        let [one, other] = timings;
        let both = Timing { elapsed: one.elapsed.max(other.elapsed), bytes: one.bytes + other.bytes };
        check(&both, counted, case.size, 2 * BATCH)
    }
}

fn time(method: &impl Timed, case: Case, packet: &[u8]) -> Result<Timing, String> {
    match case.direction {
        Direction::Receive => method.time_receive(&mut [0; 2048], BATCH),
        Direction::Send => method.time_send(packet, BATCH),
    }
}

/// Two threads that begin at the same time, each on a processor.
fn at_once(work: impl Fn(usize) -> Result<Timing, String> + Sync) -> Result<[Timing; 2], String> {
    let missing = AtomicUsize::new(2);
    let (work, missing) = (&work, &missing);
    let begin = move |queue| {
        missing.fetch_sub(1, Ordering::SeqCst);
        while missing.load(Ordering::SeqCst) > 0 {
            spin_loop();
        }
        work(queue)
    };
    thread::scope(|scope| {
        let threads = [0, 1].map(|queue| scope.spawn(move || begin(queue)));
        let [one, other] =
            threads.map(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".into())));
        Ok([one?, other?])
    })
}
