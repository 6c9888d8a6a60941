//! One of the processes that run sequences: single-threaded, in namespaces of its own.

use std::any::Any;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use tunctl_linux::netns;
use tunctl_mock::KernelProfile;
use tunctl_mock::conformance::MockHarness;
use tunctl_sys::linux::process;

use crate::differential::headers::{self, HeaderDifference};
use crate::differential::kernel::Kernel;
use crate::differential::message::Message;
use crate::differential::pair::{Difference, Pair};
use crate::differential::random::Random;
use crate::differential::settings::{LENGTH, Settings};
use crate::differential::table::Tally;
use crate::differential::{pair, rust_test, shrink};
use crate::profile::running_kernel;

/// Replays that a difference may cost to shrink.
const BUDGET: usize = 250;

/// How often a worker reports.
const REPORT: Duration = Duration::from_millis(500);

/// Enters the namespaces, and runs every case whose number is `first` plus a multiple of the number of
/// workers.
pub(crate) fn run(settings: &Settings, first: u64) -> Result<(), String> {
    netns::enter_new().map_err(|error| error.to_string())?;
    // A /proc with this process alone: whoever is refused a device looks there for its holders.
    unshare(CloneFlags::CLONE_NEWPID).map_err(|errno| format!("enter a pid namespace: {errno}"))?;
    let work = || {
        // An unwinding copy would go on as if it were the original.
        let panicked = |panic: Box<dyn Any + Send>| Err(Ended::Failed(pair::message(panic.as_ref())));
        catch_unwind(AssertUnwindSafe(|| work_inside(settings, first))).unwrap_or_else(panicked)
    };
    let pid = process::in_copy(|| match work() {
        Ok(()) => 0,
        // Nobody listens any more: the run is over.
        Err(Ended::Unheard) => 1,
        Err(Ended::Failed(why)) => i32::from(tell(&Message::Failed(why)).is_err()) + 1,
    });
    let pid = pid.map_err(|error| format!("start a copy of the worker: {error}"))?;
    match waitpid(Pid::from_raw(pid), None) {
        Ok(WaitStatus::Exited(_, _)) => Ok(()),
        Ok(status) => Err(format!("a worker ended with {status:?}")),
        Err(errno) => Err(format!("wait for a worker: {errno}")),
    }
}

enum Ended {
    Unheard,
    Failed(String),
}

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Self::Unheard
    }
}

fn work_inside(settings: &Settings, first: u64) -> Result<(), Ended> {
    let none: Option<&Path> = None;
    let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), safe, none)
        .map_err(|errno| Ended::Failed(format!("mount /proc: {errno}")))?;
    // A panic of either side is a difference, and is told as one.
    std::panic::set_hook(Box::new(|_| {}));
    if settings.against_itself {
        cases(settings, first, &Pair { model: Kernel::new, kernel: Kernel::new })
    } else {
        cases(settings, first, &Pair { model: fresh_model, kernel: Kernel::new })
    }
}

/// The model of the running kernel, or of the nearest one that it knows.
pub(crate) fn fresh_model() -> MockHarness {
    MockHarness::new(KernelProfile::of_release(&release()))
}

/// The running kernel's release.
fn release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

fn cases<M, K>(settings: &Settings, first: u64, pair: &Pair<M, K>) -> Result<(), Ended>
where
    M: tunctl_conformance::Harness,
    K: tunctl_conformance::Harness,
{
    let mut tally = Tally::default();
    let mut told = Instant::now();
    let mut kinds = BTreeSet::new();
    let numbers = (first..settings.headers).step_by(usize::try_from(settings.jobs).unwrap_or(usize::MAX));
    let profile = running_kernel();
    if let Some(found) = headers::compare(settings.seed, numbers, profile, pair, &mut tally.headers) {
        let HeaderDifference { number, kind, text } = found;
        tell(&Message::Difference { case: number, kind, text })?;
        if !settings.all {
            return Ok(tell(&Message::Done)?);
        }
    }
    let mut case = settings.only.unwrap_or(first);
    while case < settings.cases || settings.only == Some(case) {
        let found = pair.explore(&mut Random::of_case(settings.seed, case), LENGTH, &mut tally);
        tally.cases += 1;
        if let Some(difference) = found.filter(|difference| kinds.insert(difference.kind())) {
            tell(&shrunk(settings.seed, case, pair, difference))?;
            if !settings.all {
                break;
            }
        }
        if told.elapsed() > REPORT {
            tell(&Message::Progress(std::mem::take(&mut tally)))?;
            told = Instant::now();
        }
        if settings.only.is_some() {
            break;
        }
        case += settings.jobs;
    }
    tell(&Message::Progress(tally))?;
    Ok(tell(&Message::Done)?)
}

fn shrunk<M, K>(seed: u64, case: u64, pair: &Pair<M, K>, difference: Difference) -> Message
where
    M: tunctl_conformance::Harness,
    K: tunctl_conformance::Harness,
{
    let kind = difference.kind();
    let mut smallest = difference.clone();
    shrink::shrink(difference.ops, BUDGET, &mut |ops| {
        let replayed = pair.replay(ops).filter(|difference| difference.kind() == kind);
        let differs = replayed.is_some();
        if let Some(difference) = replayed {
            smallest = difference;
        }
        differs
    });
    Message::Difference { case, text: rust_test::render(&release(), seed, case, &smallest), kind }
}

fn tell(message: &Message) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

/// Whether this is root of the machine, who alone may give device nodes and other users' ids to a namespace.
pub(crate) fn is_real_root() -> bool {
    let whole_map = |map: String| map.split_whitespace().collect::<Vec<_>>() == ["0", "0", "4294967295"];
    nix::unistd::Uid::effective().is_root() && fs::read_to_string("/proc/self/uid_map").is_ok_and(whole_map)
}
