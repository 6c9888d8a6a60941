//! What the command makes of the library's errors: a short wait where that helps, and operators' words.

use std::thread;
use std::time::{Duration, Instant};

use tunctl::{Cause, Error, Result};

/// How long an interface may be in use: its holder may be about to end, or be another `tunctl create`.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(20);

/// What the library advises to a program, and what the operator of the command does instead.
const WORDS: [(&str, &str); 9] = [
    ("Ask for multi_queue", "Add --multi-queue"),
    ("Ask without multi_queue", "Leave out --multi-queue"),
    ("create the interface with multi_queue", "create the interface with --multi-queue"),
    ("Ask for its layer", "Ask for its layer (--tun or --tap)"),
    ("open the existing interface", "leave out --exclusive or --hold"),
    ("share their packet headers: ask for the same ones", "share their packet headers (--pi, --vnet-hdr)"),
    ("(drop_ipv6, or --drop-ipv6)", "(--drop-ipv6)"),
    ("close this device and create a new one", "create it again"),
    (
        "Convert all queues of one interface together: Bulk::of_queues, Bulk::into_devices",
        "End the programs that hold them, or use --offload off",
    ),
];

/// Opens an interface, and tries again for a moment while it is in use.
pub(super) fn patiently<T>(mut open: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match open() {
            Err(error) if error.cause() == Cause::Busy && Instant::now() < deadline => thread::sleep(PAUSE),
            outcome => return outcome,
        }
    }
}

/// The message of an error, in operators' words.
pub(super) fn message(error: &Error) -> String {
    in_operators_words(&error.to_string())
}

/// A text of the library, in operators' words.
pub(super) fn in_operators_words(text: &str) -> String {
    WORDS.iter().fold(text.to_owned(), |text, (library, operator)| text.replace(library, operator))
}

/// A message with a further sentence behind it.
pub(super) fn with_sentence(message: &str, sentence: &str) -> String {
    format!("{}. {sentence}", message.trim_end_matches('.'))
}
