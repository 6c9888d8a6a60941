//! What `docs/doctor.md` prints of a broken system.

use std::fs;

use super::super::process::{PROGRAM, Run};

/// Checks of whose lines only the verdict is compared: what kernels have differs.
const OF_THE_KERNEL: [&str; 2] = ["ok       driver", "ok       features"];

/// Asserts that the section of this title has what the program has printed.
#[track_caller]
pub(super) fn assert_has(title: &str, run: &Run) {
    assert_eq!(run.status.code(), Some(i32::from(!run.stderr.is_empty())), "{run:#?}");
    let printed = format!("{}{}", run.stdout, run.stderr).replace(PROGRAM, "/usr/bin/tunctl");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/doctor.md");
    let document = fs::read_to_string(path).unwrap_or_default();
    let section = document.split("\n## ").find(|section| section.starts_with(&format!("{title}\n")));
    let block = section.and_then(|section| section.split_once("```text\n$ tunctl doctor\n"));
    let written = block.and_then(|(_, block)| block.split_once("```")).map_or("", |(block, _)| block);
    assert!(words(written) == words(&printed), "docs/doctor.md, {title}, must have:\n{printed}");
}

/// The words, however the lines are broken, without what differs between kernels.
fn words(printed: &str) -> Vec<String> {
    let is_continued = |line: &str| line.starts_with(' ');
    let mut words = Vec::new();
    let mut is_left_out = false;
    for line in printed.lines() {
        let kind = OF_THE_KERNEL.iter().find(|kind| line.starts_with(**kind));
        is_left_out = kind.is_some() || is_left_out && is_continued(line);
        let kept = if is_left_out { kind.copied().unwrap_or_default() } else { line };
        words.extend(kept.split_whitespace().map(str::to_owned));
    }
    words
}
