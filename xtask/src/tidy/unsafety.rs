//! Unsafe code is in tunctl-sys only, and every other crate forbids it at its roots.

use super::{CRATES, read, shown, sources};
use crate::{Outcome, root};

const EXCEPT: &str = "tunctl-sys";
const FORBID: &str = "#![forbid(unsafe_code)]";

pub(super) fn check() -> Outcome<Vec<String>> {
    let mut problems = Vec::new();
    for package in CRATES.iter().filter(|package| package.name != EXCEPT) {
        for path in sources(package.folder())? {
            let source = read(&path)?;
            let is_root = ["src/lib.rs", "src/main.rs", "main.rs"].iter().any(|end| {
                path.ends_with(end)
                    && (end.starts_with("src")
                        || path.starts_with(root().join(package.folder()).join("tests")))
            });
            if is_root && !source.contains(FORBID) {
                problems.push(format!("{} does not say {FORBID}", shown(&path)));
            }
            for (number, line) in source.lines().enumerate().filter(|(_, line)| is_unsafe(line)) {
                problems.push(format!(
                    "{}:{}: unsafe code outside of {EXCEPT}: {}",
                    shown(&path),
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    Ok(problems)
}

/// Whether a line opens an unsafe block or declares something unsafe. (The compiler holds code to this
/// already; this also finds what no target of this machine compiles.)
fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or(line);
    let opens = ["{", "fn", "impl", "extern", "trait"];
    opens.iter().any(|next| code.contains(&["unsafe", next].join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_declarations_are_found_and_comments_are_not() {
        let keyword = "unsafe";
        assert!(is_unsafe(&format!("let x = {keyword} {{ f() }};")));
        assert!(is_unsafe(&format!("pub {keyword} fn f()")));
        assert!(!is_unsafe(&format!("// {keyword} {{ }}")));
        assert!(!is_unsafe("unsafe_code = \"deny\""));
    }
}
