//! Parsing durations.

use std::time::Duration;

/// Parses a duration in seconds, which may have a fraction.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds, such as 5 or 0.5")?;
    let duration = Duration::try_from_secs_f64(seconds)
        .map_err(|_| "expected a number of seconds that is positive and not too large")?;
    if duration.is_zero() { Err("expected more than 0 seconds".into()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_positive_number_of_seconds() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["0", "-1", "nan", "inf", "1e30", "five", ""] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
