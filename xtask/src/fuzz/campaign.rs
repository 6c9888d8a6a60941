//! One target, and its run.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::log::{self, Figures};
use crate::{Outcome, root};

/// The longest input, in bytes: an error quotes less than 1,280 of them, and longer packets only cost time.
const LENGTH_MAX: u32 = 2048;
/// How many seconds one input may take: a thousand times what any should.
const LIMIT: u32 = 10;

/// A target, and where its things are.
pub(super) struct Campaign {
    pub(super) name: String,
    pub(super) program: PathBuf,
    /// What is committed.
    pub(super) corpus: PathBuf,
    /// What runs have found.
    pub(super) found: PathBuf,
    crashes: PathBuf,
    log: PathBuf,
}

/// How a run ended that found nothing wrong.
pub(super) struct End(Figures);

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { executions, per_second, edges: (before, after), found } = self.0;
        let new = after.saturating_sub(before);
        write!(
            f,
            "{executions:>9} executions {per_second:>7} a second {after:>5} edges, {new} new {found:>5} inputs found"
        )
    }
}

impl Campaign {
    pub(super) fn new(name: &str, programs: &Path, folder: &Path) -> Self {
        Self {
            name: name.to_owned(),
            program: programs.join(name),
            corpus: root().join("fuzz/corpus").join(name),
            found: folder.join("found").join(name),
            crashes: folder.join("crashes").join(name),
            log: folder.join("logs").join(name),
        }
    }

    /// Runs it for so long; an error tells of what was found wrong.
    pub(super) fn run(&self, seconds: u32) -> Outcome<End> {
        let name = &self.name;
        if !self.corpus.is_dir() {
            return Err(format!("{name}: it has no corpus: {}", self.corpus.display()));
        }
        for folder in
            [Some(self.found.as_path()), Some(&self.crashes), self.log.parent()].into_iter().flatten()
        {
            fs::create_dir_all(folder)
                .map_err(|error| format!("{name}: make {}: {error}", folder.display()))?;
        }
        let file = File::create(&self.log)
            .map_err(|error| format!("{name}: write {}: {error}", self.log.display()))?;
        let status = Command::new(&self.program)
            .args([
                format!("-max_total_time={seconds}"),
                format!("-max_len={LENGTH_MAX}"),
                format!("-timeout={LIMIT}"),
                "-print_final_stats=1".to_owned(),
                // It puts the name behind this as it is.
                format!("-artifact_prefix={}/", self.crashes.display()),
            ])
            // What it finds goes to the first folder; what is committed is only read.
            .args([&self.found, &self.corpus])
            // Freed memory is kept back to see it used again: for a while, not for as long as a run takes.
            .env("ASAN_OPTIONS", "quarantine_size_mb=16")
            .stderr(file)
            .status()
            .map_err(|error| format!("{name}: run {}: {error}", self.program.display()))?;
        let printed =
            fs::read(&self.log).map_err(|error| format!("{name}: read {}: {error}", self.log.display()))?;
        let printed = String::from_utf8_lossy(&printed);
        if !status.success() {
            return Err(self.told(&status.to_string(), &printed));
        }
        match Figures::read(&printed) {
            Figures { executions: 0, .. } => {
                Err(format!("{name}: it ran nothing: see {}", self.log.display()))
            }
            figures => Ok(End(figures)),
        }
    }

    /// What there is to say of a run that ended early.
    fn told(&self, status: &str, printed: &str) -> String {
        let (name, program, log) = (&self.name, self.program.display(), self.log.display());
        let reason = log::reason(printed);
        let Some(input) = log::input(printed) else {
            return format!("{name}: {status}, without an input: see {log}\n{reason}");
        };
        format!(
            "{name}: {status}: see {log}\n{reason}\n\
             input:   {input}\n\
             replay:  {program} {input}\n\
             keep it: cp {input} {}/WHAT-IT-IS, and cargo test -p tunctl-packet --test corpus",
            self.corpus.display()
        )
    }
}
