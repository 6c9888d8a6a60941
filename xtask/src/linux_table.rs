//! The tables of `docs/linux.md`: what the driver has, and where this library has it.

use std::fs;

use crate::{Outcome, root};

/// Where they are.
pub(crate) const DOCUMENT: &str = "docs/linux.md";
/// Stands in the place of an API that is yet to be.
const NOT_YET: &str = "not there yet";

/// What is said of some constants of `<linux/if_tun.h>`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Names of constants, and of structures as `struct tun_pi`.
    pub(crate) constants: Vec<String>,
    pub(crate) api: Api,
    /// Files of tests, each followed by a case in it.
    pub(crate) tests: Vec<String>,
}

/// Where the library has it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Api {
    /// Items, as `Type::method`.
    Items(Vec<String>),
    NotYet,
    /// It has no counterpart, for the reason that is given.
    None,
}

/// All rows.
pub(crate) fn read() -> Outcome<Vec<Row>> {
    let text =
        fs::read_to_string(root().join(DOCUMENT)).map_err(|error| format!("read {DOCUMENT}: {error}"))?;
    let rows = rows(&text)?;
    if rows.is_empty() { Err(format!("{DOCUMENT} has no table")) } else { Ok(rows) }
}

fn rows(text: &str) -> Outcome<Vec<Row>> {
    text.lines().filter_map(|line| row(line).transpose()).collect()
}

/// The row of a line; `None` if it is none, or the head of a table.
fn row(line: &str) -> Outcome<Option<Row>> {
    let Some(cells) = line.strip_prefix('|').and_then(|rest| rest.trim_end().strip_suffix('|')) else {
        return Ok(None);
    };
    let cells: Vec<&str> = cells.split('|').map(str::trim).collect();
    let constants = quoted(cells[0]);
    if constants.is_empty() {
        return Ok(None);
    }
    let wrong = |what: &str| Err(format!("{DOCUMENT}, {}: {what}", cells[0]));
    match cells.as_slice() {
        [_, ""] => wrong("no reason is given"),
        [_, _] => Ok(Some(Row { constants, api: Api::None, tests: Vec::new() })),
        [_, _, api, since, _, tests] => {
            let (api, tests) = (api_of(api), quoted(tests));
            let is_complete = match &api {
                Api::Items(items) => !items.is_empty() && !tests.is_empty() && tests.len() % 2 == 0,
                _ => tests.is_empty(),
            };
            if !is_complete {
                return wrong(
                    "an API needs a file of tests and a case in it, and what is not there yet has none",
                );
            }
            if *since != "–" && since.split('.').any(|number| number.parse::<u32>().is_err()) {
                return wrong("a kernel's series, such as 6.2, or a dash");
            }
            Ok(Some(Row { constants, api, tests }))
        }
        _ => wrong("a row has six cells, and a reason two"),
    }
}

fn api_of(cell: &str) -> Api {
    if cell == NOT_YET { Api::NotYet } else { Api::Items(quoted(cell)) }
}

/// What stands in code marks.
pub(crate) fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_names_constants_items_and_tests() {
        let text = "| constants | what | API | since | command | tested by |\n|---|---|---|---|---|---|\n\
                    | `A`, `struct b` | x | `T::m`, `T::n` | 6.2 | `tunctl x --y` | `t/a.rs` `case` |\n\
                    | `C` | y | not there yet | – | | |\n\ntext\n\n| `D` | it is old |\n";
        let row = |constants: &[&str], api, tests: &[&str]| Row {
            constants: constants.iter().copied().map(str::to_owned).collect(),
            api,
            tests: tests.iter().copied().map(str::to_owned).collect(),
        };
        let items = Api::Items(vec!["T::m".into(), "T::n".into()]);
        let expected = vec![
            row(&["A", "struct b"], items, &["t/a.rs", "case"]),
            row(&["C"], Api::NotYet, &[]),
            row(&["D"], Api::None, &[]),
        ];
        assert_eq!(rows(text), Ok(expected));
    }

    #[test]
    fn a_row_that_is_incomplete_is_an_error() {
        for line in [
            "| `A` | |",
            "| `A` | x | y |",
            "| `A` | x | `T::m` | 6.2 | | |",
            "| `A` | x | | 6.2 | | `t.rs` `c` |",
            "| `A` | x | `T::m` | 6.2 | | `t.rs` |",
            "| `A` | x | `T::m` | soon | | `t.rs` `c` |",
            "| `A` | x | not there yet | 6.2 | | `t.rs` `c` |",
        ] {
            assert!(row(line).is_err(), "{line}");
        }
    }
}
