//! What a mutant is called: by cargo-mutants, and on the list, where lines do not count.

use std::collections::HashMap;
use std::fmt;

use crate::Outcome;

/// A mutant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mutant {
    /// File and change, without the position. Of several mutants that are called the same, the second in the
    /// file is `#2`.
    pub(super) name: String,
    /// What cargo-mutants calls it, which no other mutant of the same tree is called.
    pub(super) given: String,
    position: (u32, u32),
}

impl Mutant {
    /// The file, from the root of the workspace.
    pub(super) fn file(&self) -> &str {
        file(&self.name)
    }

    /// A regular expression for this mutant and no other.
    pub(super) fn pattern(&self) -> String {
        let escaped = self.given.chars().flat_map(|c| {
            let escape = r"\.+*?()|[]{}^$".contains(c).then_some('\\');
            escape.into_iter().chain([c])
        });
        format!("^{}$", escaped.collect::<String>())
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.position;
        write!(f, "{} (at {line}:{column})", self.name)
    }
}

/// The file that the name of a mutant begins with.
pub(super) fn file(name: &str) -> &str {
    name.split_once(": ").map_or(name, |(file, _)| file)
}

/// Parses lists of mutants, `FILE:LINE:COLUMN: CHANGE`, which together have all those of a file.
pub(super) fn parse<const N: usize>(lists: [&str; N]) -> Outcome<[Vec<Mutant>; N]> {
    let mut parsed = [const { Vec::new() }; N];
    for (into, list) in parsed.iter_mut().zip(lists) {
        for line in list.lines().filter(|line| !line.is_empty()) {
            let mutant = one(line);
            into.push(mutant.ok_or_else(|| format!("cargo-mutants calls a mutant so: {line}"))?);
        }
    }
    let mut positions: HashMap<String, Vec<(u32, u32)>> = HashMap::new();
    for mutant in parsed.iter().flatten() {
        positions.entry(mutant.name.clone()).or_default().push(mutant.position);
    }
    for mutant in parsed.iter_mut().flatten() {
        let before = positions[&mutant.name].iter().filter(|position| **position < mutant.position).count();
        if before > 0 {
            mutant.name.push_str(&format!(" #{}", before + 1));
        }
    }
    Ok(parsed)
}

fn one(given: &str) -> Option<Mutant> {
    let (place, change) = given.split_once(": ")?;
    let mut parts = place.rsplitn(3, ':');
    let column = parts.next()?.parse().ok()?;
    let line = parts.next()?.parse().ok()?;
    let name = format!("{}: {change}", parts.next()?);
    Some(Mutant { name, given: given.to_owned(), position: (line, column) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutants_of_one_name_are_numbered_in_the_order_of_the_file() {
        let caught = "a/b.rs:10:20: replace + with - in f::g\n\
                      a/b.rs:2:5: replace f::g -> bool with true\n";
        let missed = "a/b.rs:9:30: replace + with - in f::g\na/b.rs:10:3: replace + with - in f::g\n";
        let lists = parse([caught, missed]).unwrap_or_default();
        let names =
            lists.each_ref().map(|list| list.iter().map(|mutant| &mutant.name[..]).collect::<Vec<_>>());
        assert_eq!(
            names[0],
            ["a/b.rs: replace + with - in f::g #3", "a/b.rs: replace f::g -> bool with true"]
        );
        assert_eq!(names[1], ["a/b.rs: replace + with - in f::g", "a/b.rs: replace + with - in f::g #2"]);
        assert_eq!(lists[0][0].file(), "a/b.rs");
        assert_eq!(lists[0][1].to_string(), "a/b.rs: replace f::g -> bool with true (at 2:5)");
    }

    #[test]
    fn a_pattern_is_of_one_mutant() {
        let lists = parse(["a/b.rs:1:2: replace f -> [u8; 2] with [0; 2] in <impl G for H>::f\n"]);
        let patterns = lists.map(|[list]| list.iter().map(Mutant::pattern).collect::<Vec<_>>());
        assert_eq!(
            patterns,
            Ok(vec![r"^a/b\.rs:1:2: replace f -> \[u8; 2\] with \[0; 2\] in <impl G for H>::f$".to_owned()])
        );
    }

    #[test]
    fn what_is_no_mutant_is_refused() {
        assert!(parse(["a/b.rs: replace + with -"]).is_err());
        assert!(parse(["nothing"]).is_err());
    }
}
