//! `docs/platform-marks.md`: every operation has a mark on every system, and the tables agree.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use tunctl_bsd::BsdBackend;
use tunctl_core::{Operation, TunBackend};

use crate::models::{Model, System};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/platform-marks.md");

const MARKS: [&str; 3] = ["run", "read", "assumed"];
/// What stands for an operation that there is none of.
const NONE: &str = "–";
/// What is no operation, and happens all the same.
const DROP: &str = "drop";
/// An assumption is not enough for these.
const ESSENTIAL: [&str; 5] = ["Create", "Destroy", DROP, "Receive", "Send"];

/// The headings of the document, and what the backend of the system always refuses, although it can do it for
/// interfaces of another kind.
const COLUMNS: [(&str, System, &[Operation]); 6] = [
    ("FreeBSD", System::FreeBsd, &[]),
    ("NetBSD", System::NetBsd, &[]),
    ("OpenBSD", System::OpenBsd, &[]),
    ("DragonFly", System::DragonFly, &[]),
    ("macOS utun", System::MacOs, &[Operation::Open, Operation::SetMac, Operation::Delete]),
    ("macOS feth", System::MacOs, &[Operation::Open, Operation::Adopt]),
];

/// The mark of an operation in a column.
type Marks<'a> = BTreeMap<(usize, &'a str), &'a str>;

/// The text below a heading, up to the next one.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let below = |part: &'a str| part.strip_prefix(heading)?.strip_prefix('\n');
    text.split("\n## ").find_map(below).unwrap_or_default()
}

/// The rows of the table in a section.
fn table(section: &str) -> impl Iterator<Item = Vec<&str>> {
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
}

/// What a cell quotes.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn words() -> Vec<String> {
    let operations = Operation::ALL.iter().map(|operation| format!("{operation:?}"));
    operations.chain([DROP.to_owned()]).collect()
}

/// Whether it names what was read: a commit, or a revision of CVS.
fn is_version(cell: &str) -> bool {
    match cell.strip_prefix("revision 1.") {
        Some(rest) => rest.starts_with(|digit: char| digit.is_ascii_digit()) && rest.contains(", of 20"),
        None => matches!(quoted(cell)[..], [commit] if commit.len() == 40 && commit.bytes().all(is_hex)),
    }
}

const fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// The files of a system that the document says to have been read.
fn sources<'a>(text: &'a str, heading: &str, problems: &mut Vec<String>) -> Vec<&'a str> {
    let mut files = Vec::new();
    for row in table(section(text, "Sources")) {
        let [system, file, _, version] = row[..] else {
            problems.push(format!("Sources: {row:?} is no row"));
            continue;
        };
        if heading.starts_with(system) {
            files.extend(quoted(file));
            if !is_version(version) {
                problems.push(format!("{system}, {file}: {version:?} is no commit and no revision"));
            }
        }
    }
    files
}

/// What is wrong with the functions that a mark relies on.
fn source_problem(mark: &str, cell: &str, files: &[&str]) -> Option<&'static str> {
    match mark {
        "run" if cell.is_empty() => Some("does not tell where it ran"),
        "read" => cell.split(';').find_map(|part| match quoted(part)[..] {
            [file, _, ..] if files.contains(&file) => None,
            [_, _, ..] => Some("was read in a file without a commit"),
            _ => Some("names no function that was read"),
        }),
        _ => None,
    }
}

fn read<'a>(text: &'a str, problems: &mut Vec<String>) -> Marks<'a> {
    let mut marks = Marks::new();
    for (column, (heading, ..)) in COLUMNS.iter().enumerate() {
        let files = sources(text, heading, problems);
        for row in table(section(text, heading)) {
            let [operations, mark, functions, _] = row[..] else {
                problems.push(format!("{heading}: {row:?} is no row"));
                continue;
            };
            if mark != NONE && !MARKS.contains(&mark) {
                problems.push(format!("{heading}: {mark:?} is no mark"));
            }
            if let Some(problem) = source_problem(mark, functions, &files) {
                problems.push(format!("{heading}: {operations} {problem}"));
            }
            for operation in quoted(operations) {
                if marks.insert((column, operation), mark).is_some() {
                    problems.push(format!("{heading}: {operation} has two marks"));
                }
            }
        }
    }
    marks
}

/// Compares the marks of one system with what its backend can do.
fn compare(column: usize, marks: &Marks<'_>, problems: &mut Vec<String>) {
    let (heading, system, refused) = COLUMNS[column];
    let able = BsdBackend::with_syscalls(system, Model::new(system)).capabilities();
    let mut expected: BTreeMap<String, bool> =
        able.iter().map(|operation| (format!("{operation:?}"), !refused.contains(&operation))).collect();
    expected.insert(DROP.to_owned(), true);
    let found = marks.iter().filter(|((of, _), _)| *of == column).map(|((_, word), mark)| (*word, *mark));
    for (word, mark) in found {
        match expected.remove(word) {
            None => problems.push(format!("{heading}: its backend has no {word}")),
            Some(is_done) if is_done == (mark == NONE) => {
                problems.push(format!("{heading}: {word} is {mark}, and its backend says otherwise"));
            }
            Some(_) if mark == "assumed" && ESSENTIAL.contains(&word) => {
                problems.push(format!("{heading}: {word} may not be assumed"));
            }
            Some(_) => {}
        }
    }
    problems.extend(expected.keys().map(|word| format!("{heading}: {word} has no mark")));
}

fn head(first: &str, last: &str) -> String {
    let headings: Vec<_> = COLUMNS.iter().map(|column| column.0).collect();
    let columns = headings.len() + usize::from(!last.is_empty());
    format!("| {first} | {}{last} |\n|---|{}\n", headings.join(" | "), "---|".repeat(columns))
}

/// The marks at a glance.
fn grid(marks: &Marks<'_>) -> String {
    let mut grid = head("operation", "");
    for word in words() {
        let row = (0..COLUMNS.len()).map(|column| marks.get(&(column, word.as_str())).copied());
        let row: Vec<_> = row.map(|mark| mark.unwrap_or(NONE)).collect();
        if row.iter().any(|&mark| mark != NONE) {
            let _ = writeln!(grid, "| `{word}` | {} |", row.join(" | "));
        }
    }
    grid
}

/// How many there are of each.
fn counts(marks: &Marks<'_>) -> String {
    let mut counts = head("mark", " | all");
    for mark in MARKS {
        let of = |column| marks.iter().filter(|((of, _), is)| *of == column && **is == mark).count();
        let row: Vec<_> = (0..COLUMNS.len()).map(of).collect();
        let all: usize = row.iter().sum();
        let row: Vec<_> = row.iter().chain([&all]).map(ToString::to_string).collect();
        let _ = writeln!(counts, "| {mark} | {} |", row.join(" | "));
    }
    counts
}

/// What is wrong with the document.
fn problems(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let marks = read(text, &mut problems);
    for column in 0..COLUMNS.len() {
        compare(column, &marks, &mut problems);
    }
    for (heading, expected) in [("At a glance", grid(&marks)), ("How many", counts(&marks))] {
        if section(text, heading).trim() != expected.trim() {
            problems.push(format!("{heading}: the rows below it give\n\n{expected}"));
        }
    }
    problems
}

fn document() -> String {
    fs::read_to_string(DOCUMENT).expect("the document")
}

#[test]
fn every_operation_of_every_system_has_a_mark() {
    let problems = problems(&document());
    assert!(problems.is_empty(), "docs/platform-marks.md:\n{}", problems.join("\n"));
}

#[test]
fn what_the_document_lacks_is_said() {
    let text = document();
    let row_of = |heading: &str, word: &str| {
        let mut rows =
            section(&text, heading).lines().filter(|line| line.starts_with(&format!("| `{word}`")));
        rows.next().expect("a row").to_owned()
    };
    let (receive, rename) = (row_of("OpenBSD", "Receive"), row_of("FreeBSD", "Rename"));
    let changed = |row: &str, from: &str, to: &str| (row.to_owned(), row.replace(from, to));
    let cases = [
        ((receive.clone(), String::new()), "OpenBSD: Receive has no mark"),
        (changed(&receive, "read", "assumed"), "OpenBSD: Receive may not be assumed"),
        (changed(&receive, "read", "–"), "OpenBSD: Receive is –"),
        (changed(&receive, "read", "seen"), "\"seen\" is no mark"),
        (changed(&receive, "`if_tun.c`", "`tun.c`"), "was read in a file without a commit"),
        (changed(&receive, ": `tun_dev_read`, `tun_output`", ""), "names no function"),
        (changed(&receive, "`Receive`", "`Receive`, `Rename`"), "OpenBSD: its backend has no Rename"),
        (changed(&rename, "`Rename`", "`Rename`, `Send`"), "FreeBSD: Send has two marks"),
        (changed("the driver of 2016 |", "the driver of 2016", ""), "does not tell where it ran"),
        (changed("`002829ea", "00", ""), "is no commit and no revision"),
        (changed("revision 1.252", "1.252", "latest"), "is no commit and no revision"),
        (changed("| `Up` | read", "read", "run"), "At a glance: the rows below it give"),
        (changed("| run | 0", "0", "1"), "How many: the rows below it give"),
    ];
    for ((from, to), expected) in cases {
        let worse = text.replacen(&from, &to, 1);
        assert_ne!(worse, text, "{from}");
        let found = problems(&worse);
        assert!(found.iter().any(|problem| problem.contains(expected)), "{expected}: {found:?}");
    }
}
