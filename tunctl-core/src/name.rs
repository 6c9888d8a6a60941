//! Interface names, and patterns for names.

use std::fmt;
use std::str::FromStr;

use crate::Escaped;
use crate::escaped::unescape;
use crate::text::try_from_text;

/// The most bytes that a name may have: `IFNAMSIZ` is 16 with the terminating NUL.
const MAX_LENGTH: usize = 15;

/// The name of a network interface: 1 to 15 bytes.
///
/// A parsed name has only what every kernel accepts and a terminal can show. A name that a kernel reports
/// ([`from_kernel`](Self::from_kernel)) is kept as it is, since another program may have chosen it.
///
/// ```
/// use tunctl_core::{InterfaceName, InvalidName};
///
/// let name: InterfaceName = "vpn0".parse()?;
/// assert_eq!(name.to_string(), "vpn0");
/// assert_eq!("a-name-too-long-0".parse::<InterfaceName>(), Err(InvalidName::TooLong { length: 17 }));
/// # Ok::<(), InvalidName>(())
/// ```
///
/// # Platform
///
/// Linux silently cuts a longer name to 15 bytes, and accepts control bytes. This type refuses both.
#[doc(alias = "IFNAMSIZ")]
#[doc(alias = "devname")]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName {
    // Padded with NULs, which no name contains, so that the derived traits compare names.
    bytes: [u8; MAX_LENGTH],
}

impl InterfaceName {
    /// Parses a name that a user chose.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] says what is wrong with the name.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        check(name)?;
        if name.contains('%') {
            return Err(InvalidName::StrayPercent);
        }
        Ok(Self::store(name.as_bytes()))
    }

    /// Takes over a name that a kernel reported, whatever bytes it has.
    ///
    /// # Errors
    ///
    /// [`InvalidName::Empty`], [`InvalidName::TooLong`], or [`InvalidName::Control`] for a NUL byte.
    pub fn from_kernel(name: &[u8]) -> Result<Self, InvalidName> {
        check_length(name.len())?;
        if name.contains(&0) {
            return Err(InvalidName::Control { byte: 0 });
        }
        Ok(Self::store(name))
    }

    /// Parses a name as `Display` shows it, or as it is. An interface that exists may have any name, whoever
    /// chose it.
    ///
    /// ```
    /// use tunctl_core::InterfaceName;
    ///
    /// let name = InterfaceName::from_kernel(b"a\x1b[31m\xff")?;
    /// assert_eq!(name.to_string(), r"a\u{1b}[31m\xff");
    /// assert_eq!(InterfaceName::from_displayed(r"a\u{1b}[31m\xff"), Ok(name));
    /// assert_eq!(InterfaceName::from_displayed("vpn0"), InterfaceName::new("vpn0"));
    /// # Ok::<(), tunctl_core::InvalidName>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidName`]; of a control byte, only if it is NUL.
    pub fn from_displayed(text: &str) -> Result<Self, InvalidName> {
        let bytes = unescape(text);
        match Self::new(text) {
            Ok(name) if bytes == text.as_bytes() => Ok(name),
            Ok(_) | Err(InvalidName::Control { .. } | InvalidName::TooLong { .. }) => {
                Self::from_kernel(&bytes)
            }
            Err(invalid) => Err(invalid),
        }
    }

    fn store(name: &[u8]) -> Self {
        let mut bytes = [0; MAX_LENGTH];
        bytes[..name.len()].copy_from_slice(name);
        Self { bytes }
    }

    /// The bytes of the name, without padding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        let end = self.bytes.iter().position(|&byte| byte == 0).unwrap_or(MAX_LENGTH);
        &self.bytes[..end]
    }
}

impl FromStr for InterfaceName {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        Self::new(name)
    }
}

try_from_text!(InterfaceName, InvalidName);

impl fmt::Display for InterfaceName {
    /// Shows the name; what a terminal would not show as itself is [`Escaped`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped::new(self.as_bytes()).fmt(f)
    }
}

impl fmt::Debug for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

/// The name for a new interface: a whole name, or a pattern in which the kernel replaces `%d` with the first
/// free number.
///
/// ```
/// use tunctl_core::NamePattern;
///
/// assert!("vpn%d".parse::<NamePattern>()?.exact().is_none());
/// assert_eq!("vpn0".parse::<NamePattern>()?.exact(), Some("vpn0".parse()?));
/// assert!("vpn%x".parse::<NamePattern>().is_err());
/// # Ok::<(), tunctl_core::InvalidName>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NamePattern {
    name: InterfaceName,
    numbered: bool,
}

impl NamePattern {
    /// Parses a name or a pattern.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] says what is wrong with it.
    pub fn new(pattern: &str) -> Result<Self, InvalidName> {
        check(pattern)?;
        let numbered = match pattern.split_once('%') {
            None => false,
            Some((_, rest)) => match rest.strip_prefix('d') {
                Some(rest) if !rest.contains('%') => true,
                _ => return Err(InvalidName::StrayPercent),
            },
        };
        Ok(Self { name: InterfaceName::store(pattern.as_bytes()), numbered })
    }

    /// The name; `None` for a pattern, whose number the kernel chooses.
    #[must_use]
    pub fn exact(&self) -> Option<InterfaceName> {
        (!self.numbered).then_some(self.name)
    }

    /// The bytes of the pattern.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.name.as_bytes()
    }
}

impl FromStr for NamePattern {
    type Err = InvalidName;

    fn from_str(pattern: &str) -> Result<Self, InvalidName> {
        Self::new(pattern)
    }
}

impl From<InterfaceName> for NamePattern {
    fn from(name: InterfaceName) -> Self {
        Self { name, numbered: false }
    }
}

try_from_text!(NamePattern, InvalidName);

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

impl fmt::Debug for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

/// Why a text is not the name of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// The text is empty.
    #[error("an interface name has at least one byte")]
    Empty,
    /// More than 15 bytes. (A kernel would cut it silently.)
    #[error("an interface name has at most 15 bytes, this one has {length}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// `/`, which separates directories below `/sys/class/net`, or `:`, which marks an alias.
    #[error("an interface name cannot contain {character:?}")]
    Separator {
        /// The character.
        character: char,
    },
    /// A space, a tab, or the byte 0xA0, which Linux takes for whitespace even inside a UTF-8 character.
    #[error("an interface name cannot contain whitespace (byte {byte:#04x})")]
    Whitespace {
        /// The byte.
        byte: u8,
    },
    /// A control byte, NUL among them.
    #[error("an interface name cannot contain the control byte {byte:#04x}")]
    Control {
        /// The byte.
        byte: u8,
    },
    /// `.` or `..`, which name directories.
    #[error("an interface cannot be called \".\" or \"..\"")]
    Dots,
    /// `all` or `default`: Linux keeps the settings of all interfaces, and of future ones, under these names.
    #[error(
        "an interface cannot be called \"all\" or \"default\": the kernel keeps general settings under these names"
    )]
    Reserved,
    /// A `%` that is not the one `%d` of a pattern.
    #[error("an interface name can contain % only as a single %d, and only in a pattern for a new interface")]
    StrayPercent,
}

fn check(name: &str) -> Result<(), InvalidName> {
    check_length(name.len())?;
    if matches!(name, "." | "..") {
        return Err(InvalidName::Dots);
    }
    if matches!(name, "all" | "default") {
        return Err(InvalidName::Reserved);
    }
    name.bytes().try_for_each(|byte| match byte {
        b'/' | b':' => Err(InvalidName::Separator { character: char::from(byte) }),
        b'\t'..=b'\r' | b' ' | 0xA0 => Err(InvalidName::Whitespace { byte }),
        0x00..=0x1F | 0x7F => Err(InvalidName::Control { byte }),
        _ => Ok(()),
    })
}

fn check_length(length: usize) -> Result<(), InvalidName> {
    match length {
        0 => Err(InvalidName::Empty),
        1..=MAX_LENGTH => Ok(()),
        _ => Err(InvalidName::TooLong { length }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_the_kernel_refuses_or_cuts_is_refused_with_its_reason() {
        let refused = [
            ("", InvalidName::Empty),
            ("0123456789abcdef", InvalidName::TooLong { length: 16 }),
            ("a/b", InvalidName::Separator { character: '/' }),
            ("a:b", InvalidName::Separator { character: ':' }),
            ("a b", InvalidName::Whitespace { byte: b' ' }),
            ("a\tb", InvalidName::Whitespace { byte: b'\t' }),
            ("a\nb", InvalidName::Whitespace { byte: b'\n' }),
            ("\u{e0}", InvalidName::Whitespace { byte: 0xA0 }),
            ("a\0b", InvalidName::Control { byte: 0 }),
            ("a\x1bb", InvalidName::Control { byte: 0x1b }),
            ("a\x7f", InvalidName::Control { byte: 0x7f }),
            (".", InvalidName::Dots),
            ("..", InvalidName::Dots),
            ("all", InvalidName::Reserved),
            ("default", InvalidName::Reserved),
            ("%", InvalidName::StrayPercent),
            ("a%", InvalidName::StrayPercent),
            ("a%s", InvalidName::StrayPercent),
            ("a%d%d", InvalidName::StrayPercent),
            ("%%d", InvalidName::StrayPercent),
        ];
        for (name, reason) in refused {
            assert_eq!(InterfaceName::new(name), Err(reason), "{name:?}");
            assert_eq!(NamePattern::new(name), Err(reason), "{name:?}");
        }
    }

    #[test]
    fn what_the_kernel_accepts_is_accepted() {
        for name in ["a", "0123456789abcde", "...", "-x", "\"q\"", "tün", "x.y", "%d"] {
            assert!(NamePattern::new(name).is_ok(), "{name:?}");
        }
        assert_eq!(InterfaceName::new("vpn%d"), Err(InvalidName::StrayPercent));
        assert_eq!(NamePattern::new("foo%dbar").unwrap().exact(), None);
    }

    #[test]
    fn a_name_from_the_kernel_is_kept_and_shown_without_control_characters() {
        let name = InterfaceName::from_kernel(b"a\x1b[31m\xff").unwrap();
        assert_eq!(name.as_bytes(), b"a\x1b[31m\xff");
        assert_eq!(name.to_string(), "a\\u{1b}[31m\\xff");
        let turned = InterfaceName::from_kernel("a\u{202e}b\\".as_bytes()).unwrap();
        assert_eq!(turned.to_string(), r"a\u{202e}b\");
        for name in [name, turned] {
            assert_eq!(InterfaceName::from_displayed(&name.to_string()), Ok(name));
        }
        assert_eq!(InterfaceName::from_displayed("a\x1b").unwrap().as_bytes(), b"a\x1b");
        assert_eq!(InterfaceName::from_displayed("a/b"), InterfaceName::new("a/b"));
        assert_eq!(InterfaceName::from_displayed(r"\x00"), Err(InvalidName::Control { byte: 0 }));
        assert_eq!(InterfaceName::from_kernel(b"a\0"), Err(InvalidName::Control { byte: 0 }));
        assert_eq!(format!("{:>6}", InterfaceName::new("tun0").unwrap()), "  tun0");
    }
}
