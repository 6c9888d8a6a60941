//! How a case says that it cannot run here.

use std::process;

/// The exit status of a case that could not run.
pub(crate) const SKIPPED: i32 = 77;
/// What the line with the reason starts with.
const MARK: &str = "skipped: ";

/// Ends the process: the case cannot run here.
pub fn skip(why: &str) -> ! {
    println!("{MARK}{why}");
    process::exit(SKIPPED)
}

/// The reason, from what a skipped case has printed.
pub(crate) fn reason(printed: &str) -> &str {
    printed.lines().rev().find_map(|line| line.strip_prefix(MARK)).unwrap_or("for no reason that it gave")
}
