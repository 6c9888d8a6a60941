//! Comments are as wide as the formatter's lines, which leaves them alone.

use crate::{Outcome, root};

use super::{CRATES, Crate, read, shown, sources};

/// `max_width` of rustfmt.toml.
const WIDTH: usize = 110;

pub(super) fn check() -> Outcome<Vec<String>> {
    let mut problems = Vec::new();
    for folder in CRATES.iter().map(Crate::folder).chain(["bench", "fuzz", "examples/vpn-simulation"]) {
        for path in sources(folder)? {
            // Below the target folder of a workspace of its own, the files are others'.
            if path.starts_with(root().join(folder).join("target")) {
                continue;
            }
            for line in too_wide(&read(&path)?) {
                problems.push(format!("{}:{line}: a comment is wider than {WIDTH}", shown(&path)));
            }
        }
    }
    Ok(problems)
}

/// The numbers of the lines of prose that are too wide. Tables, and examples in documentation, are not prose.
fn too_wide(source: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut in_example = false;
    for (number, line) in source.lines().enumerate() {
        let Some(comment) = line.trim_start().strip_prefix("//") else { continue };
        let text = comment.trim_start_matches(['/', '!']).trim_start();
        if text.starts_with("```") {
            in_example = !in_example;
        }
        let is_prose = !in_example && !text.starts_with(['|', '─']);
        if is_prose && line.chars().count() > WIDTH {
            found.push(number + 1);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_measured_and_nothing_else() {
        let long = "word ".repeat(30);
        let lines = [
            format!("/// {long}"),
            format!("let text = \"{long}\";"),
            format!("    // {long}"),
            format!("//! | {long}|"),
            "/// ```".to_owned(),
            format!("/// {long}"),
            "/// ```".to_owned(),
            format!("//! {long}"),
        ];
        assert_eq!(too_wide(&lines.join("\n")), [1, 3, 8]);
        assert_eq!(too_wide(&format!("// {}", "é".repeat(WIDTH - 3))), [0; 0]);
    }
}
