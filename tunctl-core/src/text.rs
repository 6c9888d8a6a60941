//! Conversions from text, for the setters that parse it.

/// What parses from text is also made of text by `TryFrom`.
macro_rules! try_from_text {
    ($parsed:ty, $invalid:ty) => {
        try_from_text!($parsed, $invalid, &str, &String, String);
    };
    ($parsed:ty, $invalid:ty, $($text:ty),+) => {$(
        impl TryFrom<$text> for $parsed {
            type Error = $crate::Error;

            /// The error quotes the text.
            fn try_from(text: $text) -> $crate::Result<Self> {
                text.parse().map_err(|invalid: $invalid| $crate::Error::refused_text(&text, invalid))
            }
        }
    )+};
}
pub(crate) use try_from_text;
