//! How interfaces may be called.

use std::fmt;

/// The most bytes of a name.
const LONGEST: usize = 15;

/// Names that mean something to the system, or to the helper itself.
const RESERVED: [&str; 3] = ["lo", "all", "default"];

/// A name that a rule allows, or a prefix of names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NameRule {
    /// This name alone.
    Whole(String),
    /// This prefix with a number behind it.
    Numbered(String),
}

impl NameRule {
    /// Parses a name, or a prefix with `%d` behind it.
    ///
    /// # Errors
    ///
    /// Why it is none. Letters, digits, `_`, `-` and `.` of ASCII are all that there may be, so that no name
    /// looks like another.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (stem, is_numbered) = text.strip_suffix("%d").map_or((text, false), |stem| (stem, true));
        if stem.is_empty() {
            return Err("a name needs letters, also in front of %d");
        }
        if text.len() > LONGEST {
            return Err("a name has at most 15 bytes, %d included");
        }
        if !stem.bytes().all(is_allowed) {
            return Err(
                "a name has letters, digits, `_`, `-` and `.` of ASCII only, and %d at its end alone",
            );
        }
        if stem.starts_with(crate::lock::PREFIX) {
            return Err("names that begin with `tunlock` are the helper's own");
        }
        if is_numbered && stem.ends_with(|last: char| last.is_ascii_digit()) {
            return Err("in front of %d there may be no digit: nobody could tell where the number begins");
        }
        if !is_numbered && (RESERVED.contains(&stem) || stem.bytes().all(|byte| byte == b'.')) {
            return Err("the system itself uses this name");
        }
        Ok(if is_numbered { Self::Numbered(stem.to_owned()) } else { Self::Whole(stem.to_owned()) })
    }

    /// Whether an interface may be called so. A pattern must be the rule's own.
    #[must_use]
    pub fn allows(&self, name: &[u8]) -> bool {
        match self {
            Self::Whole(whole) => name == whole.as_bytes(),
            Self::Numbered(stem) => {
                let number = name.strip_prefix(stem.as_bytes());
                number.is_some_and(|number| number == b"%d" || is_number(number))
            }
        }
    }
}

impl fmt::Display for NameRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(name) => f.write_str(name),
            Self::Numbered(stem) => write!(f, "{stem}%d"),
        }
    }
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// As the kernel writes a number: without zeros in front.
fn is_number(text: &[u8]) -> bool {
    let is_plain = text == b"0" || !text.starts_with(b"0");
    !text.is_empty() && is_plain && text.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_allows_numbers_and_nothing_else() {
        let rule = NameRule::parse("vpn%d").unwrap();
        for allowed in ["vpn0", "vpn7", "vpn10", "vpn4294967295", "vpn%d"] {
            assert!(rule.allows(allowed.as_bytes()), "{allowed}");
        }
        for denied in [
            "",
            "vpn",
            "vpnx",
            "vpnx0",
            "vpn00",
            "vpn01",
            "vpn-1",
            "vpn 1",
            "VPN0",
            "vpn0x",
            "xvpn0",
            "vp%d",
            "%d",
            "vpn%d%d",
            "vpn1%d",
            "vpn%d1",
            "vpn\u{0661}",
            "\u{0440}pn0",
            "vpn0\n",
        ] {
            assert!(!rule.allows(denied.as_bytes()), "{denied}");
        }
    }

    #[test]
    fn a_whole_name_allows_itself() {
        let rule = NameRule::parse("work0").unwrap();
        assert!(rule.allows(b"work0"));
        for denied in ["work", "work00", "work1", "work%d", "Work0", "work0 "] {
            assert!(!rule.allows(denied.as_bytes()), "{denied}");
        }
    }

    #[test]
    fn what_is_no_name_is_no_rule() {
        for text in [
            "",
            "%d",
            "a name",
            "vpn/0",
            "vpn:0",
            "v\u{0440}n%d",
            "%dvpn",
            "vpn%dx",
            "vpn%s",
            "vpn%",
            "%",
            "lo",
            "all",
            "default",
            ".",
            "..",
            "tunlock%d",
            "tunlock0000ffff",
            "vpn0%d",
            "abcdefghijklmnop",
            "abcdefghijklmn%d",
            "vpn\0",
        ] {
            assert!(NameRule::parse(text).is_err(), "{text}");
        }
        for text in ["vpn%d", "work0", "a", "abcdefghijklmno", "abcdefghijklm%d", "lo%d", "br-lan.7"] {
            assert_eq!(NameRule::parse(text).unwrap().to_string(), text);
        }
    }
}
