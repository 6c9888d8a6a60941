//! `docs/offload.md`: each trap has a number, and tests that are there.

use super::{has_case, read};
use crate::linux_table::quoted;
use crate::{Outcome, root};

const DOCUMENT: &str = "docs/offload.md";

pub(super) fn check() -> Outcome<Vec<String>> {
    let text = read(&root().join(DOCUMENT))?;
    Ok(problems(&text, has_case).into_iter().map(|problem| format!("{DOCUMENT}: {problem}")).collect())
}

fn problems(text: &str, has_case: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut problems = Vec::new();
    let mut last = 0;
    for (number, tests) in text.lines().filter_map(row) {
        if number != last + 1 {
            problems.push(format!("{number} follows {last}"));
        }
        last = number;
        if tests.is_empty() || tests.len() % 2 != 0 {
            problems.push(format!("{number} needs a file of tests and a case in it"));
        }
        for test in tests.chunks_exact(2) {
            if !has_case(&test[0], &test[1]) {
                problems.push(format!("{} has no case {}", test[0], test[1]));
            }
        }
    }
    if last == 0 {
        problems.push("it has no table".to_owned());
    }
    problems
}

/// The number of a row, and what its last cell names.
fn row(line: &str) -> Option<(u32, Vec<String>)> {
    let cells: Vec<&str> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
    let [number, _, tests, ""] = cells.as_slice() else { return None };
    Some((number.parse().ok()?, quoted(tests)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_a_test_that_is_there() {
        let there = |file: &str, case: &str| (file, case) == ("a.rs", "one");
        let text = "| | trap | tested by |\n|---|---|---|\n| 1 | x | `a.rs` `one` |\n";
        assert_eq!(problems(text, there), [""; 0]);
        let more = [text, "| 3 | y | `a.rs` `two`, `a.rs` `one` |\n| 4 | z | |\n"].concat();
        let expected = ["3 follows 1", "a.rs has no case two", "4 needs a file of tests and a case in it"];
        assert_eq!(problems(&more, there), expected);
        assert_eq!(problems("", there), ["it has no table"]);
    }
}
