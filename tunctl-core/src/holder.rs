//! Who holds an interface.

use std::fmt;

/// A process that holds an interface open.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The process's number.
    pub pid: u32,
    /// Its short name, as `ps` shows it.
    pub command: String,
}

impl Holder {
    /// A process, by number and short name. Control characters, which any process may have in its name, are
    /// escaped, so that the name is safe to show on a terminal.
    #[must_use]
    pub fn new(pid: u32, command: &str) -> Self {
        let escape = |character: char| {
            let shown = if character.is_control() {
                character.escape_default().to_string()
            } else {
                character.into()
            };
            shown.chars().collect::<Vec<_>>()
        };
        Self { pid, command: command.chars().flat_map(escape).collect() }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.command, self.pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_play_tricks_on_a_terminal() {
        assert_eq!(Holder::new(7, "\x1b[31m\nevil").to_string(), "\\u{1b}[31m\\nevil (pid 7)");
    }
}
