//! Why a text is no filter.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;
use core::ops::Range;

/// What is wrong with an expression, and where.
///
/// ```
/// use tunctl_packet::{Filter, Layer};
///
/// let error = Filter::parse(Layer::Tun, "tcp prot 80").unwrap_err();
/// assert_eq!(error.range(), 4..8);
/// assert_eq!(error.to_string(), "column 5: expected `and`, `or` or the end, found `prot`");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FilterError {
    range: Range<usize>,
    /// Counted from 1, in characters.
    column: usize,
    message: Cow<'static, str>,
}

impl FilterError {
    pub(super) fn new(text: &str, range: Range<usize>, message: impl Into<Cow<'static, str>>) -> FilterError {
        let column = text.get(..range.start).map_or(0, |before| before.chars().count()) + 1;
        FilterError { range, column, message: message.into() }
    }

    /// The bytes of the text that are wrong. They are none at the end of the text if something is missing
    /// there.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// What is wrong, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The text with a line below it that marks the place, to be printed in front of the message.
    ///
    /// ```text
    /// tcp prot 80
    ///     ^^^^
    /// ```
    ///
    /// It must be the text that was parsed.
    #[must_use]
    pub fn mark(&self, text: &str) -> String {
        let marked = text.get(self.range.clone()).map_or(0, |marked| marked.chars().count()).max(1);
        let before = self.column - 1;
        // A tab or a line break would move the mark.
        let is_odd = |c: char| c.is_whitespace() || c.is_control();
        let mut lines: String = text.chars().map(|c| if is_odd(c) { ' ' } else { c }).collect();
        lines.push('\n');
        lines.extend(core::iter::repeat_n(' ', before).chain(core::iter::repeat_n('^', marked)));
        lines
    }
}

/// `column 5: expected …`.
impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.message)
    }
}

impl core::error::Error for FilterError {}
