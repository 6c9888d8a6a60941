//! Text of others, such that a terminal shows it and does nothing else.

use std::fmt;

/// Bytes that another program chose, for a terminal: what does not show as itself is escaped.
///
/// These are control characters, marks that turn the direction of text or join to what is in front of them,
/// and bytes that are not UTF-8. A backslash that would look like an escape is doubled, so that no two byte
/// strings look alike.
///
/// ```
/// use tunctl_core::Escaped;
///
/// assert_eq!(Escaped::new("vpn0").to_string(), "vpn0");
/// assert_eq!(Escaped::new("a\u{202e}\x1b[31m").to_string(), r"a\u{202e}\u{1b}[31m");
/// assert_eq!(Escaped::new(b"a\xff\\").to_string(), r"a\xff\");
/// assert_eq!(Escaped::new(r"a\xff").to_string(), r"a\\xff");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a> {
    bytes: &'a [u8],
}

impl<'a> Escaped<'a> {
    /// Text or bytes to show.
    #[must_use]
    pub fn new<T: AsRef<[u8]> + ?Sized>(text: &'a T) -> Self {
        Self { bytes: text.as_ref() }
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = String::with_capacity(self.bytes.len());
        for chunk in self.bytes.utf8_chunks() {
            let text = chunk.valid();
            for (at, character) in text.char_indices() {
                match character {
                    '\\' => shown.push_str(backslash(&text[at + 1..], chunk.invalid())),
                    // The standard library's table of what can be printed; it also escapes quotes.
                    '\'' | '"' => shown.push(character),
                    _ => shown.extend(character.escape_debug()),
                }
            }
            for byte in chunk.invalid() {
                shown.push_str(&format!("\\x{byte:02x}"));
            }
        }
        f.pad(&shown)
    }
}

/// How a backslash is shown in front of this text and these bytes.
fn backslash(text: &str, invalid: &[u8]) -> &'static str {
    let next = text.chars().next();
    let escape_follows = match next {
        Some(next) => !matches!(next, '\'' | '"') && next.escape_debug().next() == Some('\\'),
        None => !invalid.is_empty(),
    };
    if escape_follows || one(text, &mut Vec::new()).is_some() { r"\\" } else { r"\" }
}

/// The bytes that [`Escaped`] shows so. A backslash that begins no such escape is itself.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        rest = one(rest, &mut bytes).unwrap_or_else(|| {
            bytes.push(b'\\');
            rest
        });
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// Adds what the escape stands for whose text is behind a backslash; returns what follows it.
fn one<'t>(text: &'t str, bytes: &mut Vec<u8>) -> Option<&'t str> {
    if let Some(rest) = text.strip_prefix('\\') {
        bytes.push(b'\\');
        return Some(rest);
    }
    if let Some(rest) = text.strip_prefix('x') {
        let (digits, rest) = rest.split_at_checked(2)?;
        bytes.push(number(digits)?.try_into().ok()?);
        return Some(rest);
    }
    let (digits, rest) = text.strip_prefix("u{")?.split_once('}')?;
    let character = char::from_u32(number(digits)?)?;
    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Some(rest)
}

/// A number in hexadecimal digits alone: the standard library also takes a sign.
fn number(digits: &str) -> Option<u32> {
    let only_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    only_digits.then(|| u32::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_shown_raw_that_a_terminal_does_not_show() {
        let text = "\x1b[31m\u{7f}\u{85}\u{9b}\u{200f}\u{202e}\u{2066}\u{feff}\u{301}\u{e0001}";
        let shown = Escaped::new(text).to_string();
        assert!(shown.bytes().all(|byte| byte.is_ascii_graphic()), "{shown:?}");
        for plain in ["vpn0", "tün", "\"quoted\"", "'", "日本", "🦀"] {
            assert_eq!(Escaped::new(plain).to_string(), plain);
        }
        assert_eq!(format!("[{:<4}]", Escaped::new("a")), "[a   ]");
    }

    #[test]
    fn what_is_shown_stands_for_the_same_bytes() {
        let ends: [&[u8]; 6] = [b"", b"f", b"}", b"\\", b"\x1b", b"\xff"];
        for first in 0..=u8::MAX {
            for second in [b'\\', b'x', b'u', b'0', 0x80, 0xff, b'{', b'a', b'+', b'"'] {
                let bytes = |end: &&[u8]| [&[b'\\', first, second, b'4'], *end].concat();
                for bytes in ends.iter().map(bytes).chain([vec![first, second]]) {
                    // Names have no whitespace, which has escapes of its own.
                    if bytes.contains(&0) || bytes.iter().any(u8::is_ascii_whitespace) {
                        continue;
                    }
                    let shown = Escaped::new(&bytes).to_string();
                    assert_eq!(unescape(&shown), bytes, "{shown}");
                }
            }
        }
        assert_eq!(unescape(r"a\u{202e}\u{1b}\\\xff"), b"a\xe2\x80\xae\x1b\\\xff");
        for itself in [r"\", r"a\b", r"\x", r"\xg0", r"\x+4", r"\u{}", r"\u{+41}", r"\u{110000}", r"\u{41"] {
            assert_eq!(unescape(itself), itself.as_bytes());
            assert_eq!(Escaped::new(itself).to_string(), itself);
        }
    }
}
