//! What a backend of somebody else's has to write: few methods, and an example of two screens.

use std::process::Command;

use super::read;
use crate::{Outcome, root};

/// Required methods of the three traits together.
const MOST_METHODS: usize = 18;
/// Lines of the backend in the documentation of `TunBackend`.
const MOST_LINES: usize = 130;
const EXAMPLE: &str = "tunctl-core/doc/backend.rs";
const TRAITS: [&str; 3] = ["backend.rs", "device.rs", "interface.rs"];

pub(super) fn check() -> Outcome<Vec<String>> {
    let mut problems = Vec::new();
    let mut methods = 0;
    for file in TRAITS {
        methods += required(&read(&root().join("tunctl-core/src").join(file))?);
    }
    if methods > MOST_METHODS {
        problems.push(format!("{methods} methods are required of a backend, and {MOST_METHODS} are enough"));
    }
    let lines = read(&root().join(EXAMPLE))?.lines().count();
    if lines > MOST_LINES {
        problems.push(format!("{EXAMPLE} has {lines} lines, and should have at most {MOST_LINES}"));
    }
    let formatted =
        Command::new("rustfmt").args(["--check", "--edition", "2024", EXAMPLE]).current_dir(root()).status();
    if !formatted.map_err(|error| format!("run rustfmt: {error}"))?.success() {
        problems.push(format!("{EXAMPLE} is not as rustfmt leaves it"));
    }
    Ok(problems)
}

/// How many methods the public traits of a file declare without a body.
fn required(source: &str) -> usize {
    let mut count = 0;
    let mut inside = false;
    let mut declares = false;
    for line in source.lines() {
        match line {
            _ if line.starts_with("pub trait ") => inside = true,
            "}" => inside = false,
            _ if inside && line.starts_with("    fn ") => declares = true,
            _ => {}
        }
        if declares && line.ends_with(';') {
            count += 1;
        }
        declares = declares && !line.ends_with([';', '{']);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_without_a_body_are_required() {
        let source = "pub trait A: B {\n    type C;\n    fn d(&self);\n    fn e(\n        &self,\n    ) -> F;\n    fn g(&self) {\n        h();\n    }\n}\nfn i();\n";
        assert_eq!(required(source), 2);
    }
}
