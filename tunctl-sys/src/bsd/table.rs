//! Our numbers and layouts as C has them, so that a compiler of the system can be asked.

/// A constant expression of C, and the value that we have for it.
pub type Row = (&'static str, u64);

/// Makes a table of rows `"expression of C" => ours => measured;`.
///
/// Each row is asserted when it is compiled: ours is computed, measured is what the system's headers gave, and a wrong
/// digit in either does not compile.
macro_rules! table {
    ($(#[$documentation:meta])* $table:ident: $($expression:expr => $ours:expr => $measured:literal;)*) => {
        $(#[$documentation])*
        #[allow(clippy::unnecessary_cast, reason = "of all integer types, one is the table's own")]
        pub const $table: &[$crate::bsd::table::Row] = &[$(($expression, $ours as u64)),*];
        #[allow(clippy::unnecessary_cast, reason = "of all integer types, one is the table's own")]
        const _: () = {
            $(assert!($ours as u64 == $measured, $expression);)*
        };
    };
}
pub(crate) use table;
