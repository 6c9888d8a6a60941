//! Parsing durations.

use std::time::Duration;

/// Parses a duration in seconds, or with its unit.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str =
        "expected a number of seconds, such as 5 or 0.5, or a time with its unit, such as 500ms";
    let text = if text.ends_with(|last: char| last.is_ascii_digit()) { &format!("{text}s") } else { text };
    let duration = with_unit(text).map_err(|_| EXPECTED)?;
    if duration.is_zero() { Err("expected more than 0 seconds".into()) } else { Ok(duration) }
}

/// Parses a duration with its unit, which may be zero.
pub(super) fn with_unit(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str = "expected a number with a unit, such as 10ms: us, ms or s";
    let units = [("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    let (number, unit) =
        units.into_iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit))).ok_or(EXPECTED)?;
    let number: f64 = number.trim_end().parse().map_err(|_| EXPECTED)?;
    Duration::try_from_secs_f64(number * unit)
        .map_err(|_| "expected a time that is not negative and not too large".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_positive_number_of_seconds() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("2s"), Ok(Duration::from_secs(2)));
        for text in ["0", "0ms", "-1", "nan", "inf", "1e30", "five", "5m", "s", ""] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_duration_may_have_a_unit() {
        assert_eq!(with_unit("10ms"), Ok(Duration::from_millis(10)));
        assert_eq!(with_unit("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(with_unit("1.5 s"), Ok(Duration::from_millis(1500)));
        assert_eq!(with_unit("0s"), Ok(Duration::ZERO));
        for text in ["10", "-1ms", "nans", "infs", "1e30s", "ms", "10 minutes", ""] {
            assert!(with_unit(text).is_err(), "{text}");
        }
    }
}
