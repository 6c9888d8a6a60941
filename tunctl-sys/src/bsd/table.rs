//! Our numbers and layouts beside C's expressions for them, so that a compiler for the system can compare.

/// A constant expression of C, and our value for it.
pub type Row = (&'static str, u64);

/// Makes a table of rows `"expression of C" => ours => measured;`.
///
/// Each row is asserted at compile time: ours is computed, measured is the value from the system's headers,
/// and a wrong digit in either does not compile.
macro_rules! table {
    ($(#[$documentation:meta])* $table:ident: $($expression:expr => $ours:expr => $measured:literal;)*) => {
        $(#[$documentation])*
        #[allow(clippy::unnecessary_cast, reason = "the cast does nothing where ours is already a `u64`")]
        pub const $table: &[$crate::bsd::table::Row] = &[$(($expression, $ours as u64)),*];
        #[allow(clippy::unnecessary_cast, reason = "the cast does nothing where ours is already a `u64`")]
        const _: () = {
            $(assert!($ours as u64 == $measured, $expression);)*
        };
    };
}
pub(crate) use table;
