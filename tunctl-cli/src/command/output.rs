//! Printing objects as JSON, one per line.

use std::io::{self, BufWriter, Write};

use serde::Serialize;

/// Prints one JSON object on one line.
pub(super) fn json(value: &impl Serialize) -> io::Result<()> {
    // Else each piece of the object would go through standard output's own, smaller buffer.
    let mut output = BufWriter::new(io::stdout().lock());
    write_json(&mut output, value)?;
    output.flush()
}

/// Writes one JSON object on one line.
pub(super) fn write_json(mut output: impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut output, value)?;
    writeln!(output)
}
