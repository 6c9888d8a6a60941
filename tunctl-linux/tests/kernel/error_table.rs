//! Each way to fail, provoked: its errno, its cause, and what the error advises. `docs/errors.md` has the
//! same table, which is compared.

mod beyond;
mod device;
mod helper;
mod interface;
mod places;

use std::collections::BTreeSet;
use std::fs;

use nix::errno::Errno;
use tunctl_core::{Cause, Error, Operation};
use tunctl_testing::{Case, case};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![case!(the_document_has_the_table)];
    cases.extend(places::cases());
    cases
}

/// Where an error can be provoked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// As root of a namespace.
    Here,
    /// As root of the machine, with nodes of the case's own.
    Nodes,
    /// As a user without capabilities, who owns the interface `mine`.
    User,
    /// In a user namespace that does not own the network namespace.
    Foreign,
    /// In a user namespace that maps only root.
    Unmapped,
    /// With all descriptors taken.
    Full,
    /// Where no namespaces may be made.
    Limited,
    /// Nowhere that a test can set up: strace makes the system call fail. `openat` is that of the node, any
    /// other call the first of the process.
    Injected { call: &'static str },
}

/// One way to fail.
struct Row {
    operation: Operation,
    /// One of these, which kernels differ in; none if the library refuses without asking the kernel.
    errnos: &'static [Errno],
    /// When that is so, to complete "if …".
    when: &'static str,
    cause: Cause,
    /// Words that the message contains: part of the advice, or what distinguishes it.
    words: &'static str,
    place: Place,
    provoke: fn() -> Error,
}

fn row(
    place: Place,
    operation: Operation,
    errnos: &'static [Errno],
    when: &'static str,
    (cause, words): (Cause, &'static str),
    provoke: fn() -> Error,
) -> Row {
    Row { operation, errnos, when, cause, words, place, provoke }
}

/// A way to fail that root of a namespace can provoke.
fn here(
    operation: Operation,
    errnos: &'static [Errno],
    when: &'static str,
    reason: (Cause, &'static str),
    provoke: fn() -> Error,
) -> Row {
    row(Place::Here, operation, errnos, when, reason, provoke)
}

fn rows() -> Vec<Row> {
    [places::rows(), device::rows(), interface::rows(), helper::rows(), beyond::rows()]
        .into_iter()
        .flatten()
        .collect()
}

/// Provokes the error of a row, and compares.
fn check(row: &Row) {
    let Row { operation, errnos, when, cause, words, provoke, .. } = row;
    println!("{operation}, if {when}");
    let error = provoke();
    assert_eq!((error.operation(), error.cause()), (*operation, *cause), "if {when}: {error}");
    let errno = error.raw_os_error().map(Errno::from_raw);
    let is_expected = match errno {
        Some(errno) => errnos.contains(&errno),
        None => errnos.is_empty(),
    };
    assert!(is_expected, "{errno:?} is not of {errnos:?}: {error}");
    assert!(error.to_string().contains(words), "{words:?} is not in: {error}");
}

/// A line of the document for each row.
fn document() -> String {
    let mut text =
        String::from("| operation | errno | if … | `Cause` | the error says |\n|---|---|---|---|---|\n");
    let all = rows();
    for operation in Operation::ALL {
        for row in all.iter().filter(|row| row.operation == *operation) {
            let Row { errnos, when, cause, words, .. } = row;
            let errnos = match errnos {
                [] => "none".to_owned(),
                some => some.iter().map(|errno| format!("{errno:?}")).collect::<Vec<_>>().join(" or "),
            };
            text += &format!("| `{operation:?}` | {errnos} | {when} | `{cause:?}` | … {words} … |\n");
        }
    }
    text
}

fn the_document_has_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md");
    let written = fs::read_to_string(path).unwrap_or_default();
    let expected = document();
    assert!(written.ends_with(&expected), "docs/errors.md must end with:\n\n{expected}");
    // Each cause that a program can meet on Linux has a row.
    let met: BTreeSet<_> = rows().iter().map(|row| format!("{:?}", row.cause)).collect();
    let absent: Vec<_> =
        Cause::ALL.iter().map(|cause| format!("{cause:?}")).filter(|cause| !met.contains(cause)).collect();
    // The first is for other systems, and the second is what no row describes.
    assert_eq!(absent, ["Unsupported", "Other"]);
}
