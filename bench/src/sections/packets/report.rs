//! What was measured, for a person.

use std::fs;

use super::devices::Role;
use super::figures::{Figure, Figures, GOALS};
use super::rounds::{CASES, Direction, Measurement};

/// What was locked is what was built.
const LOCK: &str = include_str!("../../../Cargo.lock");
/// What is compared, and the package that it is of.
const LIBRARIES: [(&str, &str); 3] =
    [("tunctl", "tunctl-linux"), ("tun-rs", "tun-rs"), ("tappers", "tappers")];

/// For a person.
pub(crate) fn text(figures: &Figures, measurement: &Measurement) -> String {
    let versions = LIBRARIES.map(|(name, package)| format!("{name} {}", locked_version(package)));
    let (least, greatest) = figures.noise;
    let mut lines = vec![
        format!("{}, {}", kernel(), processor()),
        format!("{}; {} rounds", versions.join(", "), measurement.rounds),
        String::new(),
        table(figures, Direction::Receive),
        table(figures, Direction::Send),
        "ratio: to raw calls on the same descriptor, the median of the ratios within each round".to_owned(),
        format!("noise: raw calls on different interfaces have ratios from {least:.3} to {greatest:.3}"),
    ];
    if measurement.repeated > 0 {
        let repeated = measurement.repeated;
        lines.push(format!("void:  {repeated} batches did not pass their check, and were measured again"));
    }
    for goal in &GOALS {
        let outcome = figures.worst(goal).map_or_else(
            || "not measured".to_owned(),
            |(ratio, case)| {
                let met = if ratio <= goal.limit { "met" } else { "not met" };
                format!("{met} (worst {ratio:.3}: {}, {} bytes)", case.direction, case.size)
            },
        );
        lines.push(format!("goal: {} within {:.2} of raw: {outcome}", goal.of, goal.limit));
    }
    lines.join("\n")
}

/// A row for each call, a group of columns for each size.
fn table(figures: &Figures, direction: Direction) -> String {
    let cases = || CASES.into_iter().filter(move |case| case.direction == direction);
    let mut table = format!("{:<24}", format!("{direction}, ns a packet"));
    for case in cases() {
        table += &format!("{:>36}", format!("{} bytes", case.size));
    }
    table += &format!("\n{:24}", "");
    for _ in cases() {
        table += &format!("{:>12}{:>8}{:>8}{:>8}", "p10", "median", "p90", "ratio");
    }
    table.push('\n');
    // Raw calls on each interface are left to the noise line, and to programs.
    let shown = || {
        let figures = figures.all.iter();
        figures.filter(|figure| figure.role != Role::Raw || figure.interface.is_none())
    };
    for row in shown().filter(|figure| Some(figure.case) == cases().next()) {
        let mut line = format!("  {:<22}", row.call);
        for case in cases() {
            if let Some(figure) = shown().find(|figure| figure.case == case && figure.call == row.call) {
                line += &cells(figure);
            }
        }
        table += line.trim_end();
        table.push('\n');
    }
    table
}

fn cells(Figure { cost, ratio, .. }: &Figure) -> String {
    let ratio = ratio.map_or_else(String::new, |ratio| format!("{:.3}", ratio.median));
    format!("{:>12.0}{:>8.0}{:>8.0}{ratio:>8}", cost.p10, cost.median, cost.p90)
}

fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {}", release.trim())
}

fn processor() -> String {
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information.lines().find_map(|line| {
        let (key, model) = line.split_once(':')?;
        (key.trim() == "model name").then_some(model.trim())
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} CPUs ({}, {})", model.unwrap_or("model unknown"), std::env::consts::ARCH)
}

fn locked_version(package: &str) -> &'static str {
    version_in(LOCK, package).unwrap_or("of unknown version")
}

/// The version of a package in a lock file, which has a table of lines for each.
fn version_in<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let table = lock.split("[[package]]").find(|table| table.lines().any(|line| line == name))?;
    let version = table.lines().find_map(|line| line.strip_prefix("version = \""))?;
    version.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_library_compared_is_in_the_lock_file() {
        for (name, package) in LIBRARIES {
            let version = version_in(LOCK, package);
            assert!(version.is_some_and(|version| version.contains('.')), "{name}");
        }
        assert_eq!(version_in(LOCK, "tun"), None);
    }
}
