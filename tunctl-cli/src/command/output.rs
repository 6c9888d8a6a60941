//! Printing: objects as JSON, one per line, and lines for people that fit their terminal.

use std::fmt::Display;
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

/// How many columns the lines of standard output may have: those of the terminal, if it is one.
pub(super) fn width() -> usize {
    let size = terminal_size::terminal_size_of(io::stdout());
    size.map_or(usize::MAX, |(terminal_size::Width(columns), _)| columns.into())
}

/// Columns of a line, one after the other, on more lines if they do not fit the width.
pub(super) struct Columns {
    width: usize,
    /// What a further line begins with.
    indent: usize,
    text: String,
    /// Columns of the last line.
    used: usize,
}

impl Columns {
    pub(super) const fn new(width: usize, indent: usize) -> Self {
        Self { width, indent, text: String::new(), used: 0 }
    }

    /// Adds a column behind a gap. It takes as many columns of the terminal as `plain`, which is the same
    /// without colour.
    pub(super) fn push(&mut self, gap: usize, plain: &str, shown: impl Display) {
        let length = plain.chars().count();
        let gap = if self.used == 0 {
            0
        } else if self.used + gap + length > self.width {
            self.text.push('\n');
            self.used = 0;
            self.indent.min(self.width.saturating_sub(length))
        } else {
            gap
        };
        self.text.push_str(&format!("{:gap$}{shown}", ""));
        self.used += gap + length;
    }

    /// Adds text, a word at a time.
    pub(super) fn push_words(&mut self, gap: usize, text: &str) {
        for (position, word) in text.split_whitespace().enumerate() {
            self.push(if position == 0 { gap } else { 1 }, word, word);
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_go_on_below_where_the_line_is_full() {
        let line = |width| {
            let mut columns = Columns::new(width, 4);
            columns.push(0, "  0.1", "  0.1");
            columns.push(2, "UDP", "\x1b[34mUDP\x1b[0m");
            columns.push_words(2, "echo request id 7");
            columns.finish()
        };
        assert_eq!(line(usize::MAX), "  0.1  \x1b[34mUDP\x1b[0m  echo request id 7");
        assert_eq!(line(29), line(usize::MAX));
        assert_eq!(line(16), "  0.1  \x1b[34mUDP\x1b[0m  echo\n    request id 7");
        assert_eq!(line(9), "  0.1\n    \x1b[34mUDP\x1b[0m\n    echo\n  request\n    id 7");
        assert_eq!(line(1), "  0.1\n\x1b[34mUDP\x1b[0m\necho\nrequest\nid\n7");
    }
}
