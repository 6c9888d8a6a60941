//! Conversions from text, for the setters that parse it.

/// What parses from text is also made of text by `TryFrom`.
macro_rules! try_from_text {
    ($parsed:ty, $invalid:ty) => {
        try_from_text!($parsed, $invalid, &str, &String, String);
    };
    ($parsed:ty, $invalid:ty, $($text:ty),+) => {$(
        impl TryFrom<$text> for $parsed {
            type Error = $invalid;

            fn try_from(text: $text) -> Result<Self, $invalid> {
                text.parse()
            }
        }
    )+};
}
pub(crate) use try_from_text;
