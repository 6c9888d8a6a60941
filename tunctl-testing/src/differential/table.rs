//! What the operations met, and with which outcome: proof that the comparison compared something.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::differential::headers::HeaderTally;
use crate::differential::op::Op;
use crate::differential::seen::Answer;

/// The least share of operations that must meet an attached device, in percent.
const MET: u64 = 60;

/// Counts of outcomes, which workers send and the parent adds up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) cases: u64,
    operations: u64,
    met: u64,
    outcomes: BTreeMap<String, BTreeMap<String, u64>>,
    pub(crate) headers: HeaderTally,
}

impl Tally {
    /// Counts one operation. A refusal stands in the row of the operation that the error names, which for
    /// `up` may be another than the one that was called.
    pub(crate) fn add(&mut self, op: &Op, answer: &Answer, is_met: bool) {
        self.operations += 1;
        self.met += u64::from(is_met);
        let row = answer.refusal().map_or_else(|| op.row(), |refusal| format!("{:?}", refusal.operation));
        *self.outcomes.entry(row).or_default().entry(answer.label()).or_default() += 1;
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        self.cases += other.cases;
        self.operations += other.operations;
        self.met += other.met;
        self.headers.absorb(&other.headers);
        for (row, outcomes) in &other.outcomes {
            let row = self.outcomes.entry(row.clone()).or_default();
            for (outcome, count) in outcomes {
                *row.entry(outcome.clone()).or_default() += count;
            }
        }
    }

    /// The share of operations that met an attached device, in percent.
    pub(crate) fn percent_met(&self) -> u64 {
        (self.met * 100).checked_div(self.operations).unwrap_or(0)
    }

    fn count(&self, row: &str, outcome: &str) -> u64 {
        self.outcomes.get(row).and_then(|outcomes| outcomes.get(outcome)).copied().unwrap_or(0)
    }

    /// Which of these refusals never occurred.
    pub(crate) fn missing(&self, named: &BTreeSet<(String, String)>) -> Vec<String> {
        let missing = named.iter().filter(|(row, outcome)| self.count(row, outcome) == 0);
        missing.map(|(row, outcome)| format!("{row}: {outcome}")).collect()
    }

    /// The refusal that occurred least often of these, and how often: how near a run was to missing one.
    pub(crate) fn rarest(&self, named: &BTreeSet<(String, String)>) -> Option<(String, u64)> {
        let counted =
            named.iter().map(|(row, outcome)| (format!("{row}: {outcome}"), self.count(row, outcome)));
        counted.min_by_key(|(_, count)| *count)
    }

    /// What the run should have met, and did not.
    pub(crate) fn shortcomings(&self, named: &BTreeSet<(String, String)>) -> Vec<String> {
        let missing = self.missing(named);
        let mut short: Vec<String> = missing
            .iter()
            .map(|refusal| format!("a refusal that a conformance case names never occurred: {refusal}"))
            .collect();
        if self.percent_met() < MET {
            short.push(format!(
                "only {} % of the operations met an attached device, and {MET} % should",
                self.percent_met()
            ));
        }
        short
    }

    /// A line for each operation: how often it ended how.
    pub(crate) fn render(&self) -> String {
        let width = self.outcomes.keys().map(String::len).max().unwrap_or(0);
        let mut text = String::new();
        for (row, outcomes) in &self.outcomes {
            let mut outcomes: Vec<_> = outcomes.iter().collect();
            // "Ok" first, and then the most frequent.
            outcomes.sort_by_key(|(outcome, count)| (*outcome != "Ok", u64::MAX - **count));
            let told: Vec<_> = outcomes.iter().map(|(outcome, count)| format!("{outcome} {count}")).collect();
            let _ = writeln!(text, "{row:<width$}  {}", told.join(", "));
        }
        let _ = writeln!(
            text,
            "{} sequences, {} operations, {} % of which met an attached device",
            self.cases,
            self.operations,
            self.percent_met()
        );
        text.push_str(&self.headers.render());
        text
    }
}

#[cfg(test)]
mod tests {
    use tunctl_core::{Cause, Operation};

    use super::*;
    use crate::differential::seen::Refusal;

    fn refused(operation: Operation, cause: Cause) -> Answer {
        Answer::Refused(Refusal { operation, cause, errno: None })
    }

    fn sample() -> Tally {
        let mut tally = Tally { cases: 1, ..Tally::default() };
        tally.add(&Op::List, &Answer::Infos(Vec::new()), false);
        tally.add(&Op::Close { slot: 0 }, &Answer::Done, true);
        let up = Op::Up { slot: 0, address: "10.0.0.1".into() };
        tally.add(&up, &refused(Operation::AddAddress, Cause::AddressExists), true);
        tally.add(&up, &Answer::Done, true);
        tally
    }

    #[test]
    fn a_refusal_stands_in_the_row_of_the_operation_that_it_names() {
        let text = sample().render();
        assert!(text.contains("AddAddress  AddressExists 1\n"), "{text}");
        assert!(text.contains("(close)     Ok 1\n"), "{text}");
        assert!(
            text.ends_with("1 sequences, 4 operations, 75 % of which met an attached device\n"),
            "{text}"
        );
    }

    #[test]
    fn sums_are_those_of_all_workers() {
        let mut sum = sample();
        sum.absorb(&sample());
        assert_eq!((sum.cases, sum.operations, sum.met), (2, 8, 6));
        assert!(sum.render().contains("AddressExists 2\n"));
    }

    #[test]
    fn what_was_not_met_is_told() {
        let refusal = |row: &str, outcome: &str| (row.to_owned(), outcome.to_owned());
        let tally = sample();
        assert!(tally.shortcomings(&BTreeSet::from([refusal("AddAddress", "AddressExists")])).is_empty());
        let named = BTreeSet::from([refusal("AddAddress", "AddressExists"), refusal("AddAddress", "Gone")]);
        assert_eq!(tally.rarest(&named), Some(("AddAddress: Gone".into(), 0)));
        let short = tally.shortcomings(&named);
        assert_eq!(short, ["a refusal that a conformance case names never occurred: AddAddress: Gone"]);
        let mut apart = Tally::default();
        apart.add(&Op::List, &Answer::Done, false);
        assert_eq!(apart.shortcomings(&BTreeSet::new()).len(), 1);
    }
}
