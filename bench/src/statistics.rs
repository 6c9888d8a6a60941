//! Order statistics: on a shared machine the mean tells more of the neighbours than of the code.

/// The middle of some samples, and where the outer tenths begin.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Summary {
    pub(crate) p10: f64,
    pub(crate) median: f64,
    pub(crate) p90: f64,
}

impl Summary {
    /// Of what is always the same.
    pub(crate) const fn constant(value: f64) -> Self {
        Self { p10: value, median: value, p90: value }
    }

    /// `None` without samples.
    pub(crate) fn of(samples: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut samples: Vec<f64> = samples.into_iter().collect();
        samples.sort_by(f64::total_cmp);
        Some(Self {
            p10: percentile(&samples, 10)?,
            median: percentile(&samples, 50)?,
            p90: percentile(&samples, 90)?,
        })
    }
}

/// The ratios of samples that were taken side by side. What slowed down both falls out of each; it would not
/// of the ratio of two medians.
pub(crate) fn ratios<'a>(samples: &'a [f64], references: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
    samples.iter().zip(references).map(|(sample, reference)| sample / reference)
}

/// Interpolates between the two nearest samples, so that an even number of them has a median in its middle.
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let position = sorted.len().checked_sub(1)? * percent;
    let (index, hundredths) = (position / 100, position % 100);
    let below = *sorted.get(index)?;
    let above = *sorted.get(index + 1).unwrap_or(&below);
    Some(below + (above - below) * hundredths as f64 / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_samples_does_not_matter() {
        let summary = Summary::of((0..=100).rev().map(f64::from)).unwrap();
        assert_eq!(summary, Summary { p10: 10.0, median: 50.0, p90: 90.0 });
    }

    #[test]
    fn between_two_samples_it_interpolates() {
        let summary = Summary::of([3.0, 1.0, 2.0, 4.0]).unwrap();
        assert_eq!(summary.median, 2.5);
        assert!((summary.p10 - 1.3).abs() < 1e-12, "{summary:?}");
        assert!((summary.p90 - 3.7).abs() < 1e-12, "{summary:?}");
    }

    #[test]
    fn one_sample_is_its_own_summary_and_none_has_none() {
        let summary = Summary::of([7.0]).unwrap();
        assert_eq!((summary.p10, summary.median, summary.p90), (7.0, 7.0, 7.0));
        assert_eq!(Summary::of([]), None);
    }

    #[test]
    fn an_outlier_moves_nothing() {
        let quiet = [10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0, 20.0];
        let mut disturbed = quiet;
        disturbed[10] = 1e9;
        assert_eq!(Summary::of(quiet), Summary::of(disturbed));
    }

    #[test]
    fn what_slows_down_a_whole_round_falls_out_of_the_ratios() {
        // The second round ran at half speed, and the medians of both columns are its neighbours'.
        let (ours, raw) = ([101.0, 202.0, 101.0], [100.0, 200.0, 100.0]);
        let summary = Summary::of(ratios(&ours, &raw)).unwrap();
        assert_eq!((summary.p10, summary.median, summary.p90), (1.01, 1.01, 1.01));
    }
}
