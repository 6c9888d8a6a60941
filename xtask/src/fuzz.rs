//! `cargo xtask fuzz`: looks for bytes for which a parser or an answer of tunctl-packet, or of the
//! privileged helper, does not hold.
//!
//! cargo-fuzz builds the targets of `fuzz/`, and libFuzzer runs each for some time, from its committed corpus
//! and from what earlier runs have found. What it finds stays in the target folder until `--keep` adds it to
//! the corpus, which `cargo xtask test` replays.

mod campaign;
mod corpus;
mod log;

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::tool::{self, Tool};
use crate::{Outcome, root};
use campaign::{Campaign, End};

const TOOL: Tool = Tool::new("cargo-fuzz", "0.13.2");
/// Where the targets are, from the root of the workspace.
const TARGETS: &str = "fuzz/fuzz_targets";

/// Runs all targets, or the one that is named.
pub(crate) fn run(options: &[&str]) -> Outcome {
    let Options { seconds, target, keep } = Options::parse(options)?;
    let names = corpus::targets(&root().join(TARGETS))?;
    let names: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| target.is_none_or(|wanted| wanted == *name)).collect();
    if names.is_empty() {
        return Err(format!("{} is no target: they are in {TARGETS}", target.unwrap_or("nothing")));
    }
    check_compiler()?;
    let folder = tool::folder("fuzz");
    let programs = build(target)?;
    let campaigns: Vec<_> = names.iter().map(|name| Campaign::new(name, &programs, &folder)).collect();

    println!("{} targets, {seconds} s each", campaigns.len());
    let ends = run_all(&campaigns, seconds);
    let problems: Vec<&String> = ends.iter().filter_map(|end| end.as_ref().err()).collect();
    for problem in &problems {
        println!("\n{problem}");
    }
    if let Some(first) = problems.first() {
        let name = first.split(':').next().unwrap_or_default();
        return Err(format!("{} of {} targets failed, {name} among them", problems.len(), campaigns.len()));
    }
    if keep {
        for campaign in &campaigns {
            corpus::keep(campaign)?;
        }
    }
    Ok(())
}

/// Builds the targets; returns the folder of their programs.
fn build(target: Option<&str>) -> Outcome<PathBuf> {
    let tool = TOOL.provide()?;
    // Build scripts would get the flags too if no target was named.
    let (triple, into) = (tool::host()?, crate::cache().join("fuzz"));
    // The flags for coverage and for the sanitizer are unstable, not so what they do: a stable toolchain
    // comes with all of it, and lets them pass if told so. The address sanitizer costs speed; but only this
    // project's crates are known to have no unsafe code, not what they depend on. cargo-fuzz adds debug
    // assertions and overflow checks.
    let status = Command::new(tool)
        .args(["fuzz", "build", "--fuzz-dir", "fuzz", "--sanitizer", "address", "--target", &triple])
        .arg("--target-dir")
        .arg(&into)
        .args(target)
        .current_dir(root())
        .env("RUSTC_BOOTSTRAP", "1")
        .status()
        .map_err(|error| format!("run {}: {error}", TOOL.name))?;
    if status.success() {
        Ok(into.join(triple).join("release"))
    } else {
        Err("the fuzz targets were not built".into())
    }
}

/// That libFuzzer can be compiled.
fn check_compiler() -> Outcome {
    let compiler = env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let told = Command::new(&compiler).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match told {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!(
            "libFuzzer is written in C++, and there is no compiler {}: install one (Debian's package is g++), or name it in CXX",
            compiler.display()
        )),
    }
}

/// Runs as many at a time as there are processors.
fn run_all(campaigns: &[Campaign], seconds: u32) -> Vec<Outcome<End>> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let (next, ends) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..workers.min(campaigns.len()) {
            scope.spawn(|| {
                while let Some(campaign) = campaigns.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let end = campaign.run(seconds);
                    match &end {
                        Ok(end) => println!("{:<16} {end}", campaign.name),
                        Err(_) => println!("{:<16} FAILED", campaign.name),
                    }
                    ends.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(end);
                }
            });
        }
    });
    ends.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

struct Options<'a> {
    seconds: u32,
    target: Option<&'a str>,
    keep: bool,
}

impl<'a> Options<'a> {
    fn parse(mut options: &[&'a str]) -> Outcome<Self> {
        let mut parsed = Self { seconds: 5, target: None, keep: false };
        loop {
            options = match options {
                [] => return Ok(parsed),
                ["--keep", rest @ ..] => {
                    parsed.keep = true;
                    rest
                }
                ["--target", name, rest @ ..] => {
                    parsed.target = Some(name);
                    rest
                }
                ["--seconds", seconds, rest @ ..] => {
                    // To libFuzzer, no time is all the time there is.
                    let number = seconds.parse().ok().filter(|seconds| *seconds > 0);
                    parsed.seconds =
                        number.ok_or(format!("--seconds {seconds}: it takes a number from 1 up"))?;
                    rest
                }
                [option, ..] => {
                    return Err(format!("{option}: the options are --seconds N, --target NAME and --keep"));
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_few() {
        let options = Options::parse(&["--seconds", "3", "--keep", "--target", "vnet"]);
        assert!(options.is_ok_and(|it| it.seconds == 3 && it.keep && it.target == Some("vnet")));
        assert!(Options::parse(&[]).is_ok_and(|it| it.seconds == 5 && !it.keep && it.target.is_none()));
        for wrong in [&["--seconds", "0"][..], &["--seconds"], &["--target"], &["vnet"]] {
            assert!(Options::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
