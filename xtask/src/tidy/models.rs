//! A rule of a model that was read in a system's source names the function in which it was read.

use super::{read, shown, sources};
use crate::Outcome;

const MODELS: &str = "tunctl-bsd/tests/models";
/// How a comment says that a rule was read.
const READ: &str = "Source:";

pub(super) fn check() -> Outcome<Vec<String>> {
    let mut problems = Vec::new();
    for path in sources(MODELS)? {
        for line in nameless(&read(&path)?) {
            problems.push(format!("{}:{line}: \"{READ}\" names no function", shown(&path)));
        }
    }
    Ok(problems)
}

/// The numbers of the lines from which on a comment says that a rule was read, and not where.
fn nameless(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    // Where the claim begins for which a name has not been seen yet.
    let mut claim = None;
    for (number, line) in text.lines().enumerate() {
        let Some(comment) = line.trim_start().strip_prefix("//") else {
            found.extend(claim.take());
            continue;
        };
        for (position, part) in comment.split(READ).enumerate() {
            if position > 0 {
                found.extend(claim.replace(number + 1));
            }
            if part.contains('`') {
                claim = None;
            }
        }
    }
    found.extend(claim);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_needs_a_name_in_its_own_comment() {
        assert!(nameless("// Source: so it is (`tunopen`).\n").is_empty());
        assert!(nameless("// Fact: so. Source: so it is,\n// in 14 (`tunopen`).\nlet x;").is_empty());
        assert_eq!(nameless("// Source: so it is.\nlet x; // `tunopen`\n"), [1]);
        assert_eq!(nameless("// Source: one. Source: two (`tunopen`).\n"), [1]);
        assert_eq!(nameless("let x;\n/// Source: so it is."), [2]);
        assert_eq!(nameless("// `tunopen`. Source: so it is."), [1]);
    }
}
