//! `cargo xtask test`: everything that must be true before a commit, in stages.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::tidy::{self, KERNEL_TESTS, NATIVE_TEST, PURE_TESTS};
use crate::tool::Build;
use crate::{Outcome, differential, filters, helper, oracle, root};

/// What one stage did.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    pub(crate) reasons: Vec<String>,
}

struct Finished {
    name: String,
    report: Report,
    took: Duration,
    problem: Option<String>,
}

pub(crate) fn run() -> Outcome {
    let mut finished = Vec::new();
    stage(&mut finished, "format", || {
        let of = |manifest| ["fmt", "--manifest-path", manifest, "--check"];
        let simulation = of("examples/vpn-simulation/Cargo.toml");
        let others = [&of("bench/Cargo.toml")[..], &of("fuzz/Cargo.toml"), &simulation];
        checks(&[&[&["fmt", "--all", "--check"][..]], &others[..]].concat(), &[])
    });
    stage(&mut finished, "lints", || {
        // Together, tests turn features on; so the libraries once more with what a user may have left out.
        let alone = ["clippy", "--package", "tunctl", "--lib", "--features", "mio,tokio"];
        let alone = [&alone[..], &["--", "-D", "warnings"]].concat();
        checks(&[&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &alone], &[])
    });
    stage(&mut finished, "documentation", || {
        checks(&[&["doc", "--workspace", "--no-deps"]], &[("RUSTDOCFLAGS", "-D warnings")])
    });
    stage(&mut finished, "tidy", || tidy::run().map(|()| Report { passed: 1, ..Report::default() }));
    stage(&mut finished, "unit tests", || tests(&["--workspace", "--lib", "--bins", "--examples"]));
    for (package, names) in PURE_TESTS {
        let chosen = names.iter().flat_map(|name| ["--test", name]);
        let arguments: Vec<_> = ["--package", package].into_iter().chain(chosen).collect();
        stage(&mut finished, &format!("memory: {package}"), || tests(&arguments));
    }
    stage(&mut finished, "documentation tests", || tests(&["--workspace", "--doc"]));
    let (package, test) = NATIVE_TEST;
    stage(&mut finished, &format!("{test}: {package}"), || tests(&["--package", package, "--test", test]));
    // Elsewhere these have no cases, and a stage that runs nothing would fail.
    if cfg!(target_os = "linux") {
        // What the tests of the helper install.
        stage(&mut finished, "helper", || helper::build().map(|_| Report { passed: 1, ..Report::default() }));
        for (package, test) in KERNEL_TESTS {
            stage(&mut finished, &format!("{test}: {package}"), || {
                tests(&["--package", package, "--test", test])
            });
        }
        stage(&mut finished, "differential", compare_with_kernel);
        stage(&mut finished, "oracle", cut_as_the_kernel_does);
        stage(&mut finished, "filters", compare_with_tcpdump);
    }
    conclude(&finished)
}

/// Random sequences on the mock and the kernel: some that are always the same, so that a difference between
/// two commits is not one of luck, and other ones each time.
fn compare_with_kernel() -> Outcome<Report> {
    const SAME: &str = "1";
    const SEQUENCES: &str = "1000";
    if let Some(why) = differential::obstacle() {
        return skipped("differential", why);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let fresh = now.as_secs().to_string();
    for seed in [SAME, &fresh] {
        println!("cargo xtask differential --cases {SEQUENCES} --seed {seed}");
        differential::run(Build::AsTests, &["--cases", SEQUENCES, "--seed", seed])?;
    }
    Ok(Report { passed: 2, ..Report::default() })
}

/// Random packets that the kernel cuts as well: some that are always the same, and other ones each time.
fn cut_as_the_kernel_does() -> Outcome<Report> {
    if let Some(why) = differential::obstacle() {
        return skipped("oracle", why);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    for seed in ["1", &now.as_secs().to_string()] {
        println!("cargo xtask oracle --cases 50000 --seed {seed}");
        oracle::run(Build::AsTests, &["--cases", "50000", "--seed", seed])?;
    }
    Ok(Report { passed: 2, ..Report::default() })
}

/// Random filter expressions, ours and tcpdump's: always the same.
fn compare_with_tcpdump() -> Outcome<Report> {
    if let Some(why) = filters::obstacle() {
        return skipped("filters", why);
    }
    filters::run(Build::AsTests, &["--packets", "20000"])?;
    Ok(Report { passed: 1, ..Report::default() })
}

/// A comparison that cannot run here, which is a failure where nothing may be skipped.
fn skipped(name: &str, why: String) -> Outcome<Report> {
    if std::env::var_os("TUNCTL_REQUIRE_KERNEL").is_some_and(|value| value != "0" && !value.is_empty()) {
        return Err(why);
    }
    Ok(Report { skipped: 1, reasons: vec![format!("skipped: {name}: {why}")], ..Report::default() })
}

/// Runs a stage, whatever became of those before it: one run shows everything that is wrong.
fn stage(finished: &mut Vec<Finished>, name: &str, work: impl FnOnce() -> Outcome<Report>) {
    println!("\n── {name}");
    let started = Instant::now();
    let (report, problem) = match work() {
        Ok(report) if report.failed > 0 => {
            let problem = format!("{} failed", report.failed);
            (report, Some(problem))
        }
        Ok(report) if report.passed + report.skipped == 0 => (report, Some("it ran nothing".into())),
        Ok(report) => (report, None),
        Err(why) => (Report::default(), Some(why)),
    };
    if let Some(problem) = &problem {
        println!("FAILED: {problem}");
    }
    finished.push(Finished { name: name.to_owned(), report, took: started.elapsed(), problem });
}

fn conclude(finished: &[Finished]) -> Outcome {
    println!("\n── summary");
    for Finished { name, report, took, problem } in finished {
        let Report { passed, failed, skipped, .. } = report;
        let verdict = match problem {
            Some(problem) => format!("FAILED: {problem}"),
            None if *passed == 0 => "nothing ran: see why below".to_owned(),
            None => "ok".to_owned(),
        };
        println!(
            "{name:<26} {passed:>5} passed {failed:>3} failed {skipped:>3} skipped {:>6.1} s  {verdict}",
            took.as_secs_f64()
        );
    }
    for reason in finished.iter().flat_map(|stage| &stage.report.reasons) {
        println!("{reason}");
    }
    let total =
        |count: fn(&Report) -> usize| finished.iter().map(|stage| count(&stage.report)).sum::<usize>();
    let broken = finished.iter().filter(|stage| stage.problem.is_some()).count();
    // A stage that broke without a failed test counts as one.
    let failed = total(|report| report.failed).max(broken);
    println!(
        "{} passed, {failed} failed, {} skipped",
        total(|report| report.passed),
        total(|report| report.skipped)
    );
    if broken == 0 { Ok(()) } else { Err(format!("{broken} stages failed")) }
}

/// Runs cargo commands that either succeed or don't; each counts as one check.
fn checks(commands: &[&[&str]], environment: &[(&str, &str)]) -> Outcome<Report> {
    for arguments in commands {
        let status = Command::new(env!("CARGO"))
            .args(*arguments)
            .envs(environment.iter().copied())
            .current_dir(root())
            .status()
            .map_err(|error| format!("run cargo: {error}"))?;
        if !status.success() {
            return Err(format!("cargo {} failed", arguments.join(" ")));
        }
    }
    Ok(Report { passed: commands.len(), ..Report::default() })
}

/// Runs `cargo test`, shows what it prints, and counts.
fn tests(arguments: &[&str]) -> Outcome<Report> {
    let mut child = Command::new(env!("CARGO"))
        .arg("test")
        .args(arguments)
        .current_dir(root())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("run cargo: {error}"))?;
    let output = child.stdout.take().ok_or("cargo has no output")?;
    let mut report = Report::default();
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|error| format!("read what cargo prints: {error}"))?;
        println!("{line}");
        report.read(&line);
    }
    let status = child.wait().map_err(|error| format!("wait for cargo: {error}"))?;
    // A binary that does not compile, or that dies, reports no failed test.
    if !status.success() && report.failed == 0 {
        return Err(format!("cargo test {} failed", arguments.join(" ")));
    }
    Ok(report)
}

impl Report {
    pub(crate) fn read(&mut self, line: &str) {
        if line.starts_with("skipped: ") {
            self.reasons.push(line.to_owned());
        }
        let Some(counts) = line.strip_prefix("test result: ") else {
            return;
        };
        let count = |what: &str| {
            let words = counts.split([' ', ';', '.']).collect::<Vec<_>>();
            let found = words.windows(2).find(|pair| pair[1] == what);
            found.and_then(|pair| pair[0].parse::<usize>().ok()).unwrap_or(0)
        };
        self.passed += count("passed");
        self.failed += count("failed");
        self.skipped += count("ignored");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_the_lines_that_test_binaries_end_with() {
        let mut report = Report::default();
        report.read(
            "test result: ok. 15 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        );
        report.read("test result: FAILED. 3 passed; 4 failed; 0 ignored; 0 measured; 1 filtered out");
        report.read("skipped: owner: it needs root");
        assert_eq!((report.passed, report.failed, report.skipped), (18, 4, 2));
        assert_eq!(report.reasons, ["skipped: owner: it needs root"]);
    }
}
