//! `cargo xtask mutate`: is each rule of the mock's model, of the filter expressions and of classic BPF held
//! by a test?
//!
//! cargo-mutants changes the files of each [`Scope`] in one place after the other, and runs the scope's tests
//! on each mutant. One that they do not notice shows a rule that nothing tests: it fails the task, unless it
//! is on the list of those that were [`reviewed`], with the reason why no test could, or should, notice it.

mod fates;
mod mutant;
mod reviewed;

use std::fs::{self, File};
use std::num::NonZeroU8;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tool::{self, Tool};
use crate::{Outcome, root};
use fates::{Extent, Fates};
use mutant::Mutant;
use reviewed::Reviewed;

/// In the one release whose names of mutants the list has.
const TOOL: Tool = Tool::new("cargo-mutants", "27.1.0");

/// Files of a package, and the tests that should notice any change in them.
struct Scope {
    package: &'static str,
    files: &'static [&'static str],
    /// Options of cargo that choose test programs.
    programs: &'static [&'static str],
    /// Options of the test programs.
    options: &'static [&'static str],
}

const SCOPES: &[Scope] = &[
    Scope {
        package: "tunctl-mock",
        // The model, and what the test's side of it is made of.
        files: &[
            "tunctl-mock/src/kernel.rs",
            "tunctl-mock/src/kernel/*.rs",
            "tunctl-mock/src/rig.rs",
            "tunctl-mock/src/rig/*.rs",
            "tunctl-mock/src/adopt.rs",
            "tunctl-mock/src/backend.rs",
            "tunctl-mock/src/caller.rs",
            "tunctl-mock/src/device.rs",
            "tunctl-mock/src/interface.rs",
            "tunctl-mock/src/offload.rs",
            "tunctl-mock/src/profile.rs",
            "tunctl-mock/src/system.rs",
            "tunctl-mock/src/target.rs",
            "tunctl-mock/src/watcher.rs",
            "tunctl-mock/src/wiring.rs",
        ],
        // The examples in the documentation would take most of the time.
        programs: &["--lib", "--tests"],
        // Cases wait more than they compute. What stands beside the model proves nothing of it, and takes its
        // time.
        options: &["--test-threads=16", "--skip", "strategy::"],
    },
    Scope {
        package: "tunctl-packet",
        files: &["tunctl-packet/src/bpf/*.rs", "tunctl-packet/src/filter/*.rs"],
        // The properties of random bytes would catch a mutant in one run, and miss it in the next.
        programs: &["--test=bpf", "--test=filter"],
        options: &[],
    },
];

/// What nobody promises: the text of `{:?}`.
const UNPROMISED: &str = "<impl (std::)?fmt::Debug for ";

/// The tests take a second. A mutant that needs so long makes one of them wait for what never comes.
const LIMIT: &str = "30";

/// Mutates files, those of all scopes unless some are named, or what has changed in them since a commit, and
/// judges what survives.
pub(crate) fn run(options: &[&str]) -> Outcome {
    let Options { files, since, jobs } = Options::parse(options)?;
    let extent = match (&files[..], since) {
        (_, Some(_)) => Extent::Changes,
        ([], None) => Extent::Whole,
        _ => Extent::Files,
    };
    let reviewed = reviewed::read()?;
    let folder = tool::folder("mutants");
    let tool = TOOL.provide()?;
    let diff = since.map(|revision| changes(revision, &folder)).transpose()?;
    let mut fates = Fates::default();
    for scope in SCOPES {
        let files = if files.is_empty() { scope.files } else { &files };
        let run = Run { tool: &tool, scope, files, diff: diff.as_deref() };
        fates.append(run.fates(&reviewed, jobs, &folder.join(scope.package))?);
    }
    fates::conclude(&fates, &reviewed, extent)
}

/// What all runs of cargo-mutants for a scope have in common.
struct Run<'a> {
    tool: &'a Path,
    scope: &'a Scope,
    /// Those of other packages are left out.
    files: &'a [&'a str],
    /// Only what this changes is mutated.
    diff: Option<&'a Path>,
}

impl Run<'_> {
    /// Tries all mutants, and those that survive once more.
    fn fates(&self, reviewed: &[Reviewed], jobs: NonZeroU8, folder: &Path) -> Outcome<Fates> {
        println!("\n── {}", self.scope.package);
        let mut fates = self.mutants(&[], jobs, folder)?;
        let doubtful = fates.doubtful(reviewed);
        if !doubtful.is_empty() {
            // With several jobs, one was once called a survivor that tests catch whenever it is tried.
            println!("\n── once more, one at a time: {} that no test noticed", doubtful.len());
            let patterns: Vec<_> = doubtful.into_iter().map(Mutant::pattern).collect();
            let second = self.mutants(&patterns, NonZeroU8::MIN, &folder.join("again"))?;
            fates.correct(&second);
        }
        Ok(fates)
    }

    /// Tries the mutants whose names match one of the patterns, or all if there is none.
    fn mutants(&self, patterns: &[String], jobs: NonZeroU8, folder: &Path) -> Outcome<Fates> {
        let results = folder.join("mutants.out");
        // cargo-mutants leaves the results of an earlier run if the diff changes nothing of this package.
        if results.exists() {
            fs::remove_dir_all(&results).map_err(|error| format!("remove {}: {error}", results.display()))?;
        }
        fs::create_dir_all(folder).map_err(|error| format!("make {}: {error}", folder.display()))?;
        let Scope { package, programs, options, .. } = *self.scope;
        let mut command = Command::new(self.tool);
        command.args(["mutants", "--package", package, "--test-package", package]);
        for file in self.files {
            command.args(["--file", file]);
        }
        if let Some(diff) = self.diff {
            command.arg("--in-diff").arg(diff);
        }
        for pattern in patterns {
            command.args(["--re", pattern]);
        }
        let status = command
            .args(["--exclude-re", UNPROMISED, "--timeout", LIMIT, "--cap-lints", "true"])
            .args(["--jobs", &jobs.to_string()])
            .arg("--output")
            .arg(folder)
            .args(programs.iter().map(|program| format!("--cargo-arg={program}")))
            .args(["--", "--"])
            .args(options)
            .current_dir(root())
            // Each job builds in a copy of its own.
            .env_remove("CARGO_TARGET_DIR")
            .env("CARGO_PROFILE_TEST_DEBUG", "0")
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .status()
            .map_err(|error| format!("run cargo-mutants: {error}"))?;
        // Mutants that were missed, or that took too long, are for us to judge.
        if !matches!(status.code(), Some(0 | 2 | 3)) {
            return Err(format!("cargo-mutants failed, {status}: see {}", folder.display()));
        }
        if results.exists() { Fates::read(&results) } else { Ok(Fates::default()) }
    }
}

/// Writes what has changed in the packages since a commit into a file.
fn changes(revision: &str, folder: &Path) -> Outcome<PathBuf> {
    let path = folder.join("changes.diff");
    fs::create_dir_all(folder).map_err(|error| format!("make {}: {error}", folder.display()))?;
    let file = File::create(&path).map_err(|error| format!("write {}: {error}", path.display()))?;
    let sources = SCOPES.iter().map(|scope| format!("{}/src", scope.package));
    let git = Command::new("git")
        .args(["diff", revision, "--"])
        .args(sources)
        .current_dir(root())
        .stdout(file)
        .status();
    match git.map_err(|error| format!("run git: {error}"))? {
        status if status.success() => Ok(path),
        _ => Err(format!("git does not know what has changed since {revision}")),
    }
}

struct Options<'a> {
    files: Vec<&'a str>,
    since: Option<&'a str>,
    jobs: NonZeroU8,
}

impl<'a> Options<'a> {
    fn parse(mut options: &[&'a str]) -> Outcome<Self> {
        let mut parsed = Self { files: Vec::new(), since: None, jobs: NonZeroU8::MIN };
        while let [option, rest @ ..] = options {
            let value = || rest.first().copied().ok_or_else(|| format!("{option}: it takes a value"));
            match *option {
                "--file" => parsed.files.push(value()?),
                "--since" => parsed.since = Some(value()?),
                "--jobs" => {
                    let jobs = value()?;
                    let number = jobs.parse();
                    parsed.jobs = number
                        .map_err(|_| format!("--jobs: it takes a number from 1 to 255, not {jobs:?}"))?;
                }
                _ => {
                    return Err(format!(
                        "{option}: the options are --file GLOB, as often as you like, --since COMMIT, and \
                         --jobs N"
                    ));
                }
            }
            options = rest.get(1..).unwrap_or_default();
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_values() {
        let options = Options::parse(&["--file", "a", "--jobs", "2", "--since", "c", "--file", "b"]).unwrap();
        assert_eq!((options.files, options.since, options.jobs.get()), (vec!["a", "b"], Some("c"), 2));
        for nonsense in [&["--jobs"][..], &["--jobs", "0"], &["--jobs", "two"], &["--file"], &["--since"]] {
            assert!(Options::parse(nonsense).is_err(), "{nonsense:?}");
        }
        assert!(Options::parse(&["--fast", "1"]).is_err());
    }
}
