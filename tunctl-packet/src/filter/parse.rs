//! The parser: from words to the tree of conditions.

use alloc::format;
use alloc::vec::Vec;
use core::ops::Range;

use super::condition::Condition;
use super::error::FilterError;
use super::primitive::{self, Direction, Link};
use super::qualifiers::{Kind, Message, NO_FRAMES, Qualifiers};
use super::value;
use super::word::{Token, Word, words};
use crate::Layer;

/// More words than any program has instructions for.
const WORDS_MAX: usize = 4096;
/// How deep parentheses may be nested, since the parser's stack grows with them.
const DEPTH_MAX: usize = 32;
/// How deep `and` and `or` may alternate, since whatever walks through the tree needs a stack for them.
const ALTERNATIONS_MAX: usize = 512;

/// Parses a text for packets of the layer. An empty one is true of every packet.
pub(super) fn parse(layer: Layer, text: &str) -> Result<Condition, FilterError> {
    let words = words(text);
    if let Some(word) = words.get(WORDS_MAX) {
        return Err(FilterError::new(text, word.range(), "the expression is too long"));
    }
    if words.is_empty() {
        return Ok(Condition::Always);
    }
    let mut parser = Parser { link: Link::new(layer), text, words, next: 0, depth: 0, alternations: 0 };
    let (condition, _) = parser.expression(None, Operands::Any)?;
    match parser.peek() {
        None => Ok(condition),
        Some(_) => Err(parser.unexpected("`and`, `or` or the end")),
    }
}

struct Parser<'a> {
    /// Where the headers are that the next words are about: `vlan` moves them.
    link: Link,
    text: &'a str,
    words: Vec<Word<'a>>,
    next: usize,
    depth: usize,
    alternations: usize,
}

/// What may be joined by and, or, not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operands {
    Any,
    /// Values of the same qualifiers, as in `port (80 or 443)`.
    Values,
}

type Parsed<'a> = Result<(Condition, Option<Qualifiers<'a>>), FilterError>;

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.words.get(self.next).map(|word| word.token)
    }

    /// Takes the next word if it is this one.
    fn takes(&mut self, token: Token<'_>) -> bool {
        let is_next = self.peek() == Some(token);
        self.next += usize::from(is_next);
        is_next
    }

    /// Where the next word is, or the end.
    fn range(&self) -> Range<usize> {
        self.words.get(self.next).map_or(self.text.len()..self.text.len(), Word::range)
    }

    fn error(&self, range: Range<usize>, message: impl Into<Message>) -> FilterError {
        FilterError::new(self.text, range, message)
    }

    /// The error of a next word that is not what is expected.
    fn unexpected(&self, expected: &str) -> FilterError {
        let range = self.range();
        let message = match self.text.get(range.clone()) {
            None | Some("") => format!("expected {expected}, but the expression ends"),
            Some(word) => format!("expected {expected}, found `{word}`"),
        };
        self.error(range, message)
    }

    /// Operands joined by `and` and `or`, which bind equally, from left to right.
    fn expression(&mut self, carried: Option<Qualifiers<'a>>, operands: Operands) -> Parsed<'a> {
        let (mut left, mut qualifiers) = self.operand(carried, operands)?;
        let mut last = None;
        while let Some(join @ (Token::And | Token::Or)) = self.peek() {
            self.alternations += usize::from(last.is_some_and(|last| last != join));
            if self.alternations > ALTERNATIONS_MAX {
                return Err(self.error(self.range(), "`and` and `or` alternate too often"));
            }
            last = Some(join);
            self.next += 1;
            let (right, its_qualifiers) = self.operand(qualifiers, operands)?;
            left = if join == Token::And { left.and(right) } else { left.or(right) };
            qualifiers = its_qualifiers;
        }
        Ok((left, qualifiers))
    }

    /// One operand, with what negates it.
    fn operand(&mut self, carried: Option<Qualifiers<'a>>, operands: Operands) -> Parsed<'a> {
        let mut negated = false;
        while self.takes(Token::Not) {
            negated = !negated;
        }
        let (condition, qualifiers) = match (self.peek(), carried) {
            (Some(Token::Open), _) => (self.parenthesis(carried, operands)?, carried),
            (Some(Token::Value(_)), Some(qualifiers)) => (self.value(qualifiers)?, carried),
            (Some(Token::Value(text)), None) => return Err(self.bare_value(text)),
            (Some(Token::Name(_)), _) if operands == Operands::Any => self.primitive()?,
            // The name of a protocol may be a word of the language, too.
            (Some(Token::Name(_)), Some(qualifiers)) if qualifiers.kind == Kind::Protocol => {
                (self.value(qualifiers)?, carried)
            }
            _ if operands == Operands::Values => return Err(self.unexpected("a value")),
            _ => return Err(self.unexpected("a protocol, a direction or a kind of address")),
        };
        Ok((if negated { condition.not() } else { condition }, qualifiers))
    }

    /// The error of a value that nothing says the kind of.
    fn bare_value(&self, text: &str) -> FilterError {
        let kind = match value::number(text) {
            Some(_) => "port",
            None => "host",
        };
        self.error(
            self.range(),
            format!("`{text}` needs a word in front that says what it is, as in `{kind} {text}`"),
        )
    }

    /// An expression in parentheses. If it begins with a value, all of it are values of the qualifiers in
    /// front.
    fn parenthesis(
        &mut self,
        carried: Option<Qualifiers<'a>>,
        operands: Operands,
    ) -> Result<Condition, FilterError> {
        let opening = self.range();
        self.next += 1;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(opening, "too many parentheses in one another"));
        }
        let rest = self.words.get(self.next..).unwrap_or_default();
        let first = rest.iter().find(|word| !matches!(word.token, Token::Not | Token::Open));
        let is_value = first.is_some_and(|word| matches!(word.token, Token::Value(_)));
        let operands = if is_value && carried.is_some() { Operands::Values } else { operands };
        let (condition, _) = self.expression(carried, operands)?;
        if !self.takes(Token::Close) {
            return Err(self.unexpected("`and`, `or` or `)`"));
        }
        self.depth -= 1;
        Ok(condition)
    }

    /// What begins with a word of the language.
    fn primitive(&mut self) -> Parsed<'a> {
        for (name, condition) in
            [("less", primitive::at_most as fn(u32) -> Condition), ("greater", primitive::at_least)]
        {
            if self.takes(Token::Name(name)) {
                return Ok((condition(self.length()?), None));
            }
        }
        if self.peek() == Some(Token::Name("vlan")) {
            return Ok((self.vlan()?, None));
        }
        let start = self.range();
        let protocol = self.protocol();
        if let Some(group) = self.group(protocol, &start)? {
            return Ok((group, None));
        }
        let direction = self.direction();
        let kind = self.kind();
        if let (Some(name), None, None) = (protocol, direction, kind) {
            return Ok((self.abbreviation(name, start)?, None));
        }
        if kind == Some(Kind::Protocol) && direction.is_some() {
            let end = self.words.get(self.next - 1).map_or(start.end, |word| word.end);
            return Err(self.error(start.start..end, "a protocol has no direction"));
        }
        if protocol.is_none() && direction.is_none() && kind.is_none() {
            return Err(self.unexpected("a protocol, a direction or a kind of address"));
        }
        let qualifiers = Qualifiers {
            protocol,
            direction: direction.unwrap_or(Direction::Either),
            kind: kind.unwrap_or(Kind::Host),
        };
        let (condition, _) = self.operand(Some(qualifiers), Operands::Values)?;
        Ok((condition, Some(qualifiers)))
    }

    fn protocol(&mut self) -> Option<&'a str> {
        let Some(Token::Name(name)) = self.peek() else { return None };
        let is_protocol =
            ["ether", "ip", "ip6", "arp", "rarp"].contains(&name) || value::named_ip_protocol(name).is_some();
        self.next += usize::from(is_protocol);
        is_protocol.then_some(name)
    }

    /// `src`, `dst`, `src or dst`, `src and dst`.
    fn direction(&mut self) -> Option<Direction> {
        const SOURCE: Token<'_> = Token::Name("src");
        const DESTINATION: Token<'_> = Token::Name("dst");
        let (first, other) = match self.peek()? {
            SOURCE => (Direction::Source, DESTINATION),
            DESTINATION => (Direction::Destination, SOURCE),
            _ => return None,
        };
        self.next += 1;
        let is_other = self.words.get(self.next + 1).is_some_and(|word| word.token == other);
        let both = match self.peek() {
            Some(Token::And) => Direction::Both,
            Some(Token::Or) => Direction::Either,
            _ => return Some(first),
        };
        if !is_other {
            return Some(first);
        }
        self.next += 2;
        Some(both)
    }

    fn kind(&mut self) -> Option<Kind> {
        let kind = match self.peek()? {
            Token::Name("host") => Kind::Host,
            Token::Name("net") => Kind::Net,
            Token::Name("port") => Kind::Port,
            Token::Name("portrange") => Kind::PortRange,
            Token::Name("proto") => Kind::Protocol,
            _ => return None,
        };
        self.next += 1;
        Some(kind)
    }

    /// `broadcast` and `multicast`, behind the protocol.
    fn group(
        &mut self,
        protocol: Option<&str>,
        start: &Range<usize>,
    ) -> Result<Option<Condition>, FilterError> {
        let is_broadcast = self.peek() == Some(Token::Name("broadcast"));
        if !is_broadcast && self.peek() != Some(Token::Name("multicast")) {
            return Ok(None);
        }
        let range = start.start..self.range().end;
        self.next += 1;
        let link = self.link;
        Ok(Some(match (protocol, link.layer()) {
            (None | Some("ether"), Layer::Tun) => return Err(self.error(range, NO_FRAMES)),
            (None | Some("ether"), Layer::Tap) if is_broadcast => {
                primitive::mac(Direction::Destination, [0xff; 6])
            }
            (None | Some("ether"), Layer::Tap) => primitive::ether_multicast(),
            (Some("ip"), _) if !is_broadcast => primitive::ipv4_multicast(link),
            (Some("ip6"), _) if !is_broadcast => primitive::ipv6_multicast(link),
            (Some("ip"), _) => {
                return Err(self.error(range, "the broadcast address depends on a netmask: use `dst host`"));
            }
            (Some("ip6"), _) => {
                return Err(self.error(range, "`ip6` has no broadcast: use `ip6 multicast`"));
            }
            _ => return Err(self.error(range, "only `ether`, `ip` and `ip6` have groups")),
        }))
    }

    /// A protocol's name that stands alone.
    fn abbreviation(&self, name: &str, range: Range<usize>) -> Result<Condition, FilterError> {
        let link = self.link;
        Ok(match (name, value::named_ip_protocol(name)) {
            ("ip", _) => primitive::ipv4(link),
            ("ip6", _) => primitive::ipv6(link),
            ("arp", _) => primitive::arp(link),
            ("rarp", _) => primitive::rarp(link),
            ("icmp" | "igmp" | "vrrp", Some(number)) => primitive::ipv4_protocol(link, number),
            ("icmp6", Some(number)) => primitive::ipv6_protocol(link, number),
            (_, Some(number)) => primitive::ip_protocol(link, number),
            _ => return Err(self.error(range, format!("`{name}` needs an address or a type behind it"))),
        })
    }

    /// `vlan`, with a number or without. What follows in the text is behind the tag, whatever joins it.
    fn vlan(&mut self) -> Result<Condition, FilterError> {
        let link = self.link;
        if link.layer() == Layer::Tun {
            return Err(self.error(self.range(), NO_FRAMES));
        }
        self.next += 1;
        let id = match self.peek() {
            Some(Token::Value(text)) => {
                Some(value::vlan(text).map_err(|message| self.error(self.range(), message))?)
            }
            _ => None,
        };
        self.next += usize::from(id.is_some());
        self.link = link.behind_tag();
        Ok(primitive::vlan(link, id))
    }

    /// The number behind `less` or `greater`.
    fn length(&mut self) -> Result<u32, FilterError> {
        let length = match self.peek() {
            Some(Token::Value(text)) => value::number(text),
            _ => None,
        };
        let length = length.ok_or_else(|| self.unexpected("a number of bytes"))?;
        self.next += 1;
        Ok(length)
    }

    /// A value with its qualifiers.
    fn value(&mut self, qualifiers: Qualifiers<'_>) -> Result<Condition, FilterError> {
        let mut range = self.range();
        let Some(Token::Value(text) | Token::Name(text)) = self.peek() else {
            return Err(self.unexpected("a value"));
        };
        self.next += 1;
        let mask = if qualifiers.kind == Kind::Net && self.takes(Token::Name("mask")) {
            let Some(Token::Value(mask)) = self.peek() else { return Err(self.unexpected("a netmask")) };
            range.end = self.range().end;
            self.next += 1;
            Some(mask)
        } else {
            None
        };
        qualifiers.condition(self.link, text, mask).map_err(|message| self.error(range, message))
    }
}
