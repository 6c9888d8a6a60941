//! `docs/linux.md` against the libraries: items and tests exist, an alias leads from each constant to its
//! items, and what is not there yet is not.

use super::map::defines;
use super::{has_case, read, sources};
use crate::Outcome;
use crate::linux_table::{self, Api, DOCUMENT, Row};

/// What documents items by their name in C.
const LIBRARIES: [&str; 3] = ["tunctl-core", "tunctl-linux", "tunctl-packet"];
/// Has what the driver says that it has, whether the library uses it or not.
const QUESTIONS: &str = "tunctl-linux/src/features.rs";
/// Reads and writes bytes, and asks no driver.
const BYTES: &str = "tunctl-packet";

pub(super) fn check() -> Outcome<Vec<String>> {
    let rows = linux_table::read()?;
    let sources = documented()?;
    let mut problems = Vec::new();
    for row in &rows {
        problems.extend(row_problems(row, &sources));
        for test in row.tests.chunks(2) {
            let [file, case] = test else { continue };
            if !has_case(file, case) {
                problems.push(format!("{file} has no case {case}"));
            }
        }
    }
    Ok(problems.into_iter().map(|problem| format!("{DOCUMENT}: {problem}")).collect())
}

/// A file's path and text.
type Source = (String, String);

fn row_problems(row: &Row, sources: &[Source]) -> Vec<String> {
    let mut problems = Vec::new();
    for constant in &row.constants {
        let name = constant.trim_start_matches("struct ");
        let alias = format!("#[doc(alias = \"{name}\")]");
        let mut having = sources.iter().filter(|(_, text)| text.contains(&alias)).map(|(file, _)| file);
        match &row.api {
            Api::Items(_) if having.next().is_none() => {
                problems.push(format!("no item has the alias {name}"));
            }
            Api::NotYet => {
                let is_api = |file: &&String| *file != QUESTIONS && !file.starts_with(BYTES);
                if let Some(file) = having.find(is_api) {
                    problems.push(format!("{name} is not there yet, and {file} has an item for it"));
                }
            }
            _ => {}
        }
    }
    if let Api::Items(items) = &row.api {
        let missing = items.iter().filter(|item| !sources.iter().any(|(_, text)| has(text, item)));
        problems.extend(missing.map(|item| format!("there is no item {item}")));
    }
    problems
}

/// Whether a file has a member of a type or trait: it defines the one, or has a block of its, and defines the
/// other.
fn has(text: &str, item: &str) -> bool {
    let Some((parent, member)) = item.split_once("::") else { return false };
    let has_parent = defines(text, parent)
        || ["impl", "for"].iter().any(|before| text.contains(&format!("{before} {parent} {{")));
    has_parent && (defines(text, member) || text.contains(&format!("    pub {member}: ")))
}

fn documented() -> Outcome<Vec<Source>> {
    let mut documented = Vec::new();
    for library in LIBRARIES {
        for path in sources(&format!("{library}/src"))? {
            documented.push((super::shown(&path), read(&path)?));
        }
    }
    Ok(documented)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(api: Api, files: &[&str]) -> Vec<String> {
        let text = "impl T {\n    #[doc(alias = \"TUNX\")]\n    pub fn m(&self) {}\n}\n";
        let source = |file: &&str| ((*file).to_owned(), text.to_owned());
        let row = Row { constants: vec!["struct TUNX".into()], api, tests: Vec::new() };
        row_problems(&row, &files.iter().map(source).collect::<Vec<_>>())
    }

    #[test]
    fn an_api_has_its_items_and_an_alias() {
        let items = |item: &str| Api::Items(vec![item.to_owned()]);
        assert_eq!(problems(items("T::m"), &["tunctl-core/src/a.rs"]), [""; 0]);
        assert_eq!(problems(items("T::m"), &[]), ["no item has the alias TUNX", "there is no item T::m"]);
        assert_eq!(problems(items("T::n"), &[QUESTIONS]), ["there is no item T::n"]);
    }

    #[test]
    fn an_item_is_a_member_of_its_type() {
        let info = "pub struct Info {\n    pub state: State,\n}\n";
        assert!(has(info, "Info::state") && !has(info, "Info::stat") && !has(info, "Other::state"));
        let implemented = "impl Device for Mine {\n    fn name(&self) {}\n}\n";
        assert!(has(implemented, "Mine::name") && !has(implemented, "Mine::names"));
    }

    #[test]
    fn what_is_not_there_yet_has_no_item() {
        assert_eq!(problems(Api::NotYet, &[QUESTIONS, "tunctl-packet/src/gso.rs"]), [""; 0]);
        let there = problems(Api::NotYet, &["tunctl-linux/src/filters.rs"]);
        assert_eq!(there, ["TUNX is not there yet, and tunctl-linux/src/filters.rs has an item for it"]);
        assert_eq!(problems(Api::None, &[]), [""; 0]);
    }
}
