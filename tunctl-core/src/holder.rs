//! The processes that hold an interface.

use std::fmt;

use crate::Escaped;

/// A process that holds an interface open.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The process's number.
    pub pid: u32,
    /// Its short name, as `ps` shows it, [escaped](Escaped).
    pub command: String,
}

impl Holder {
    /// A process, by number and short name. Any process may choose its own name; so it is
    /// [escaped](Escaped), and safe to show on a terminal.
    #[must_use]
    pub fn new<T: AsRef<[u8]> + ?Sized>(pid: u32, command: &T) -> Self {
        Self { pid, command: Escaped::new(command).to_string() }
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
        assert_eq!(Holder::new(7, b"a\xff\xe2\x80\xae").to_string(), r"a\xff\u{202e} (pid 7)");
    }
}
