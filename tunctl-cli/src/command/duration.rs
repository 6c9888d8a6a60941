//! How long something is to last.

use std::time::Duration;

/// A duration in seconds, with a fraction if wanted.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds, as 5 or 0.5")?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|_| "a number of seconds from 0 on")?;
    if duration.is_zero() { Err("more than 0 seconds".into()) } else { Ok(duration) }
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
