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

/// The processes that hold an interface open, as far as the caller may see them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holders {
    /// Those that the caller sees.
    pub seen: Vec<Holder>,
    /// Whether the interface is also open somewhere that the caller does not see, such as in a process of
    /// another user. If this is false and none is seen, nobody has it open.
    pub others: bool,
}

impl Holders {
    /// Those that are seen, and whether there are others.
    #[must_use]
    pub const fn new(seen: Vec<Holder>, others: bool) -> Self {
        Self { seen, others }
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
