//! The list of survivors that were reviewed, each with the reason.

use std::fs;

use crate::{Outcome, root};

/// Where it is.
pub(super) const LIST: &str = "xtask/src/mutate/reviewed.txt";

/// A mutant that may survive.
pub(super) struct Reviewed {
    /// Its name, as in [`Mutant`](super::Mutant).
    pub(super) mutant: String,
    /// Where it stands in the list.
    pub(super) line: usize,
}

impl Reviewed {
    pub(super) fn file(&self) -> &str {
        super::mutant::file(&self.mutant)
    }
}

pub(super) fn read() -> Outcome<Vec<Reviewed>> {
    let text = fs::read_to_string(root().join(LIST)).map_err(|error| format!("read {LIST}: {error}"))?;
    parse(&text)
}

/// Mutants, each on a line of its own; behind one or several of them, indented, why they survive.
pub(super) fn parse(text: &str) -> Outcome<Vec<Reviewed>> {
    let mut list: Vec<Reviewed> = Vec::new();
    let mut reasoned = 0;
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim_end()));
    for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with(char::is_whitespace) {
            reasoned = list.len();
        } else if list.iter().any(|entry| entry.mutant == line) {
            return Err(format!("line {number} of {LIST} is there twice: {line}"));
        } else {
            list.push(Reviewed { mutant: line.to_owned(), line: number });
        }
    }
    match list.get(reasoned) {
        Some(entry) => Err(format!("line {} of {LIST} has no reason: {}", entry.line, entry.mutant)),
        None => Ok(list),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mutant_has_a_reason() {
        let list = parse("# Why?\n\na.rs: b\n  As it is,\n  so.\n\nc.rs: d\nc.rs: d #2\n  Both.\n");
        let names =
            list.map(|list| list.into_iter().map(|entry| (entry.line, entry.mutant)).collect::<Vec<_>>());
        assert_eq!(names, Ok(vec![(3, "a.rs: b".into()), (7, "c.rs: d".into()), (8, "c.rs: d #2".into())]));
        assert!(parse("a.rs: b\n  So.\nc.rs: d\n").is_err());
        assert!(parse("a.rs: b\n  So.\na.rs: b\n  So.\n").is_err());
    }
}
