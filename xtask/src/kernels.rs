//! `cargo xtask kernels`: the conformance suite on kernels that this machine does not run.
//!
//! Debian's own kernels, in qemu without hardware virtualisation, which not every machine has: they
//! boot from an initramfs that holds the suite and the command, statically linked, and little else. The suite
//! begins only if `tunctl doctor` finds nothing wrong.

mod guest;
mod initramfs;
mod modules;
mod packages;
mod suite;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::Outcome;
use crate::test::Report;
use guest::{Machine, Transcript};
use suite::Programs;

/// A kernel, and the suite of Debian's that has it.
struct Kernel {
    series: &'static str,
    suite: &'static str,
    /// The release that has the rest, if the suite has only what is newer there.
    release: &'static str,
}

/// The oldest kernel that is supported, the one of Debian's release, and the newest that runs there. That one
/// moves on: a later series than the one named here is expected, too.
const KERNELS: &[Kernel] = &[
    Kernel { series: "6.1", suite: "bookworm", release: "bookworm" },
    Kernel { series: "6.12", suite: "trixie", release: "trixie" },
    Kernel { series: "7.3", suite: "trixie-backports", release: "trixie" },
];

/// How long one kernel may take to boot and to run the suite: an emulated processor is ten times slower, or
/// more.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// What became of one kernel.
struct Finished {
    /// The release that it gave itself, or its series if it did not get that far.
    name: String,
    report: Report,
    /// From power on to power off.
    took: Duration,
    problem: Option<String>,
}

/// Runs the suite on the kernels that are named, or on all; what follows `--` is for the suite.
pub(crate) fn run(options: &[&str]) -> Outcome {
    let (series, for_suite) = match options.iter().position(|option| *option == "--") {
        Some(at) => (&options[..at], &options[at + 1..]),
        None => (options, [].as_slice()),
    };
    if let Some(unknown) = series.iter().find(|name| !KERNELS.iter().any(|kernel| kernel.series == **name)) {
        let known: Vec<_> = KERNELS.iter().map(|kernel| kernel.series).collect();
        return Err(format!("{unknown} is no kernel of this task: those are {}", known.join(", ")));
    }
    packages::provide_qemu()?;
    let programs = suite::build()?;
    let mut finished = Vec::new();
    for kernel in KERNELS.iter().filter(|kernel| series.is_empty() || series.contains(&kernel.series)) {
        println!("\n── Linux {}", kernel.series);
        finished.push(Finished::new(kernel, examine(kernel, &programs, for_suite)));
    }
    conclude(&finished)
}

/// Boots a kernel with the suite.
fn examine(kernel: &Kernel, programs: &Programs, for_suite: &[&str]) -> Outcome<Transcript> {
    let folder = cache().join(kernel.suite);
    let unpacked = packages::unpacked(&folder, kernel.suite, kernel.release)?;
    let archive = initramfs::build(&unpacked, programs, for_suite)?;
    let initramfs = folder.join("initramfs");
    fs::write(&initramfs, archive).map_err(|error| format!("write {}: {error}", initramfs.display()))?;
    let machine = Machine { image: &unpacked.image(), initramfs: &initramfs };
    guest::run(&machine, kernel.series, LIMIT)
}

impl Finished {
    fn new(kernel: &Kernel, outcome: Outcome<Transcript>) -> Self {
        let (transcript, problem) = match outcome {
            Ok(transcript) => {
                let problem = transcript.problem(kernel.series, kernel.suite != kernel.release);
                (transcript, problem)
            }
            Err(why) => (Transcript::default(), Some(why)),
        };
        if let Some(problem) = &problem {
            println!("FAILED: {problem}");
        }
        let Transcript { release, report, took, .. } = transcript;
        Self { name: release.unwrap_or_else(|| kernel.series.to_owned()), report, took, problem }
    }
}

fn conclude(finished: &[Finished]) -> Outcome {
    println!("\n── summary");
    for Finished { name, report, took, problem } in finished {
        let Report { passed, failed, skipped, .. } = report;
        // The first line: a kernel that did not boot has a long story.
        let verdict = problem.as_deref().and_then(|problem| problem.lines().next());
        let verdict = verdict.map_or("ok".to_owned(), |problem| format!("FAILED: {problem}"));
        println!(
            "{name:<30} {passed:>5} passed {failed:>3} failed {skipped:>3} skipped {:>6.1} s  {verdict}",
            took.as_secs_f64()
        );
    }
    let total =
        |count: fn(&Report) -> usize| finished.iter().map(|kernel| count(&kernel.report)).sum::<usize>();
    let broken = finished.iter().filter(|kernel| kernel.problem.is_some()).count();
    // A kernel that broke without a failed test counts as one.
    let failed = total(|report| report.failed).max(broken);
    println!(
        "{} passed, {failed} failed, {} skipped",
        total(|report| report.passed),
        total(|report| report.skipped)
    );
    match broken {
        0 => Ok(()),
        broken => Err(format!("the suite failed on {broken} of {} kernels", finished.len())),
    }
}

/// Where packages and what is made of them are kept.
fn cache() -> PathBuf {
    crate::cache().join("kernels")
}
