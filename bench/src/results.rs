//! What was measured, in one form for all sections: for a person, for programs, and as a chart.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::statistics::{Summary, ratios};

/// One comparison.
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) unit: &'static str,
    pub(crate) ours: Summary,
    pub(crate) reference: Summary,
    pub(crate) reference_name: &'static str,
    /// Ours to the reference, within each round.
    pub(crate) ratio: Summary,
    pub(crate) goal: Option<Goal>,
}

/// What the median of the ratios should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// Of what there should be more of.
    AtLeast(f64),
    /// Of what there should be less of.
    AtMost(f64),
}

impl Goal {
    pub(crate) fn is_met(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(limit) => ratio >= limit,
            Self::AtMost(limit) => ratio <= limit,
        }
    }

    pub(crate) const fn limit(self) -> f64 {
        match self {
            Self::AtLeast(limit) | Self::AtMost(limit) => limit,
        }
    }

    const fn sign(self) -> &'static str {
        match self {
            Self::AtLeast(_) => "≥",
            Self::AtMost(_) => "≤",
        }
    }
}

impl Row {
    /// Compares costs: nanoseconds, one sample a round.
    pub(crate) fn costs(
        case: String,
        (ours, reference): (&[f64], &[f64]),
        reference_name: &'static str,
        goal: Option<Goal>,
    ) -> Self {
        Self {
            case,
            unit: "ns",
            ours: summary(ours.iter().copied()),
            reference: summary(reference.iter().copied()),
            reference_name,
            ratio: summary(ratios(ours, reference)),
            goal,
        }
    }

    /// Compares how many bytes a nanosecond are done, of so many that took these nanoseconds.
    pub(crate) fn rates(
        case: String,
        bytes: usize,
        (ours, reference): (&[f64], &[f64]),
        reference_name: &'static str,
        goal: Option<Goal>,
    ) -> Self {
        let rate = |costs: &[f64]| summary(costs.iter().map(|cost| bytes as f64 / cost));
        Self {
            case,
            unit: "GB/s",
            ours: rate(ours),
            reference: rate(reference),
            reference_name,
            ratio: summary(ratios(reference, ours)),
            goal,
        }
    }

    /// Compares numbers, which are the same in each round.
    pub(crate) fn numbers(
        case: String,
        unit: &'static str,
        (ours, reference): (f64, f64),
        reference_name: &'static str,
        goal: impl Into<Option<Goal>>,
    ) -> Self {
        let [ours, reference] = [ours, reference].map(Summary::constant);
        // Nothing of nothing is all.
        let ratio = if reference.median == 0.0 { 1.0 } else { ours.median / reference.median };
        Self {
            case,
            unit,
            ours,
            reference,
            reference_name,
            ratio: Summary::constant(ratio),
            goal: goal.into(),
        }
    }
}

/// There is always a round.
fn summary(samples: impl IntoIterator<Item = f64>) -> Summary {
    Summary::of(samples).unwrap_or_default()
}

/// The rows of a section, for a person.
pub(crate) fn table(section: &str, rows: &[Row]) -> String {
    let mut table = format!("{section:<44}{:>24}{:>24}{:>24}  goal\n", "ours", "reference", "ratio");
    for row in rows {
        let case = format!("{}, {}", row.case, row.unit);
        let _ = write!(
            table,
            "  {case:<42}{:>24}{:>24}{:>24}",
            cell(row.ours),
            cell(row.reference),
            cell(row.ratio)
        );
        if let Some(goal) = row.goal {
            let met = if goal.is_met(row.ratio.median) { "met" } else { "not met" };
            let _ = write!(table, "  {} {}: {met}", goal.sign(), goal.limit());
        }
        table.push('\n');
    }
    table += "  median (p10–p90); the ratio is the median of the ratios within each round\n";
    table
}

fn cell(Summary { p10, median, p90 }: Summary) -> String {
    let short = |value: f64| format!("{value:.*}", if value < 100.0 { 2 } else { 0 });
    if p10 == p90 { short(median) } else { format!("{} ({}–{})", short(median), short(p10), short(p90)) }
}

/// A row for programs. Figures are medians.
pub(crate) fn json(section: &str, row: &Row) -> Value {
    let goal = row.goal.map(|goal| match goal {
        Goal::AtLeast(limit) => json!({ "at_least": limit }),
        Goal::AtMost(limit) => json!({ "at_most": limit }),
    });
    json!({
        "section": section,
        "case": row.case,
        "ours": row.ours.median,
        "reference": row.reference.median,
        "reference_name": row.reference_name,
        "unit": row.unit,
        "ratio": row.ratio.median,
        "ratio_p10": row.ratio.p10,
        "ratio_p90": row.ratio.p90,
        "goal": goal,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_better_where_the_cost_is_less() {
        let (ours, theirs) = ([10.0, 20.0, 10.0], [20.0, 40.0, 20.0]);
        let row = Row::rates(String::new(), 100, (&ours, &theirs), "theirs", None);
        assert_eq!((row.ours.median, row.reference.median, row.ratio.median), (10.0, 5.0, 2.0));
        assert!(Goal::AtLeast(2.0).is_met(2.0) && !Goal::AtLeast(2.0).is_met(1.99));
        let row = Row::costs(String::new(), (&ours, &theirs), "theirs", None);
        assert_eq!((row.ours.median, row.ratio.median), (10.0, 0.5));
        assert!(Goal::AtMost(0.5).is_met(0.5) && !Goal::AtMost(0.5).is_met(0.51));
    }

    #[test]
    fn nothing_of_nothing_is_all() {
        let ratio = |ours, best| {
            Row::numbers(String::new(), "packets", (ours, best), "best", Goal::AtLeast(1.0)).ratio.median
        };
        assert_eq!((ratio(0.0, 0.0), ratio(3.0, 4.0)), (1.0, 0.75));
    }
}
