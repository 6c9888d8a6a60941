//! The words of an expression.

use alloc::vec::Vec;
use core::ops::Range;

/// The word, and where it is in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub(super) token: Token<'a>,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Open,
    Close,
    Not,
    And,
    Or,
    /// A word of the language: a protocol, a direction, …
    Name(&'a str),
    /// An address, a number, the escaped name of a protocol.
    Value(&'a str),
}

/// The words that have a meaning of their own.
const NAMES: &[&str] = &[
    "ah",
    "arp",
    "broadcast",
    "dst",
    "esp",
    "ether",
    "greater",
    "host",
    "icmp",
    "icmp6",
    "igmp",
    "ip",
    "ip6",
    "less",
    "mask",
    "multicast",
    "net",
    "pim",
    "port",
    "portrange",
    "proto",
    "rarp",
    "sctp",
    "src",
    "tcp",
    "udp",
    "vlan",
    "vrrp",
];

impl Word<'_> {
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// The words of a text, in order. Symbols need no space around them.
pub(super) fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(length) = length_of_first(rest) else { return words };
        let (word, behind) = rest.split_at_checked(length).unwrap_or((rest, ""));
        let start = text.len() - rest.len();
        words.push(Word { token: Token::of(word), start, end: start + word.len() });
        rest = behind;
    }
}

/// The length of the word that the text begins with, in bytes; `None` at the end.
fn length_of_first(text: &str) -> Option<usize> {
    match text.chars().next()? {
        '(' | ')' | '!' => Some(1),
        symbol @ ('&' | '|') => Some(text.chars().take_while(|&c| c == symbol).count()),
        _ => Some(text.find(|c: char| c.is_whitespace() || "()!&|".contains(c)).unwrap_or(text.len())),
    }
}

impl Token<'_> {
    fn of(word: &str) -> Token<'_> {
        match word {
            "(" => Token::Open,
            ")" => Token::Close,
            "!" | "not" => Token::Not,
            "&&" | "and" => Token::And,
            "||" | "or" => Token::Or,
            name if NAMES.contains(&name) => Token::Name(name),
            value => Token::Value(value),
        }
    }
}
