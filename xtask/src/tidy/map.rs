//! ARCHITECTURE.md's table of operations, both ways: each file exists and has what its row says is there, and
//! each source file of a crate has a row, or stands in a room that has one.

use super::{CRATES, read, shown, sources};
use crate::linux_table::quoted;
use crate::{Outcome, root};

/// The heading under which the table stands.
const HEADING: &str = "## Where each operation is";

pub(super) fn check() -> Outcome<Vec<String>> {
    let text = read(&root().join("ARCHITECTURE.md"))?;
    let rows = rows(&text);
    if rows.is_empty() {
        return Ok(vec![format!("ARCHITECTURE.md has no table under \"{HEADING}\"")]);
    }
    let mut problems = strangers(&rows)?;
    for Row { operation, items, files } in rows {
        let mut sources = String::new();
        for file in &files {
            match text_of(file) {
                Ok(source) => sources.push_str(&source),
                Err(why) => problems.push(format!("ARCHITECTURE.md, {operation}: {why}")),
            }
        }
        for item in items.iter().filter(|item| !defines(&sources, item)) {
            problems.push(format!("ARCHITECTURE.md, {operation}: {} has no `{item}`", files.join(", ")));
        }
    }
    Ok(problems)
}

/// The source files that no row names, nor a room (a row's path that ends with a slash) has.
fn strangers(rows: &[Row]) -> Outcome<Vec<String>> {
    let named: Vec<&str> = rows.iter().flat_map(|row| &row.files).map(String::as_str).collect();
    let mut problems = Vec::new();
    for package in CRATES {
        for path in sources(&format!("{}/src", package.folder()))? {
            let path = shown(&path);
            if is_root_or_test(&path) {
                continue;
            }
            let has_place =
                |place: &&str| *place == path || (place.ends_with('/') && path.starts_with(*place));
            if !named.iter().any(has_place) {
                problems.push(format!("ARCHITECTURE.md has no row for {path}"));
            }
        }
    }
    Ok(problems)
}

/// The root of a crate lists what is in it, and a file of tests belongs to what it tests.
fn is_root_or_test(path: &str) -> bool {
    ["src/lib.rs", "src/main.rs", "/tests.rs"].iter().any(|end| path.ends_with(end))
        || path.contains("/tests/")
}

struct Row {
    operation: String,
    items: Vec<String>,
    files: Vec<String>,
}

/// A file's text, or that of all files in a room.
fn text_of(place: &str) -> Outcome<String> {
    if !place.ends_with('/') {
        return read(&root().join(place));
    }
    let files = sources(place)?;
    if files.is_empty() {
        return Err(format!("{place} has no source file"));
    }
    files.iter().map(|file| read(file)).collect()
}

/// The rows below the heading: operation, items in code marks, files in code marks.
fn rows(text: &str) -> Vec<Row> {
    let section = text.split_once(HEADING).map_or("", |(_, rest)| rest);
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    section.lines().filter_map(row).collect()
}

fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    let [operation, items, files] = cells.as_slice() else {
        return None;
    };
    let files = quoted(files);
    (!files.is_empty()).then(|| Row { operation: (*operation).to_owned(), items: quoted(items), files })
}

/// Whether an item of that name is defined.
pub(super) fn defines(source: &str, item: &str) -> bool {
    ["fn", "struct", "enum", "trait", "type", "const", "mod", "macro_rules!"].iter().any(|kind| {
        source.match_indices(&format!("{kind} {item}")).any(|(at, found)| {
            let next = source[at + found.len()..].chars().next();
            next.is_none_or(|next| !next.is_alphanumeric() && next != '_')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_names_items_and_files() {
        let text =
            format!("x\n{HEADING}\n\n| a | b | c |\n|---|---|---|\n| up | `up`, `down` | `x/y.rs` |\n## z\n");
        let rows = rows(&text);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].items, ["up", "down"]);
        assert_eq!(rows[0].files, ["x/y.rs"]);
    }

    #[test]
    fn a_definition_is_a_whole_name() {
        assert!(defines("    pub fn up(&self)", "up"));
        assert!(!defines("    pub fn update(&self)", "up"));
        assert!(!defines("    self.up()", "up"));
    }
}
