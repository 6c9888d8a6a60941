//! Printing objects as JSON, one per line.

use std::io::{self, Write};

use serde::Serialize;

/// Prints one JSON object on one line.
pub(super) fn json(value: &impl Serialize) -> io::Result<()> {
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, value)?;
    writeln!(output)
}
