//! Which types of segmentation met which protocols, and with which outcome.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use tunctl_packet::header::VnetRules;

use super::draw::{Content, Drawn, Kind};

/// Headers after which each type must have met each protocol, and both outcomes if there are two.
const ENOUGH: u64 = 10_000;

/// The least share of headers that the kernel must take, in percent: refused ones prove less.
const TAKEN: u64 = 30;

/// Counts of outcomes, which workers send and the parent adds up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeaderTally {
    /// By type and content: how often taken, how often refused.
    strata: BTreeMap<String, [u64; 2]>,
}

fn stratum(kind: Kind, content: Content) -> String {
    format!("{kind:?}, {content:?}")
}

impl HeaderTally {
    pub(super) fn add(&mut self, drawn: &Drawn, is_taken: bool) {
        let counts = self.strata.entry(stratum(Kind::of(&drawn.header), drawn.content)).or_default();
        counts[usize::from(!is_taken)] += 1;
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        for (stratum, [taken, refused]) in &other.strata {
            let counts = self.strata.entry(stratum.clone()).or_default();
            *counts = [counts[0] + taken, counts[1] + refused];
        }
    }

    fn sums(&self) -> [u64; 2] {
        self.strata.values().fold([0, 0], |sum, counts| [sum[0] + counts[0], sum[1] + counts[1]])
    }

    /// What the run should have met, and did not, on a kernel with these rules.
    pub(crate) fn shortcomings(&self, rules: &VnetRules) -> Vec<String> {
        let [taken, refused] = self.sums();
        if taken + refused < ENOUGH {
            return Vec::new();
        }
        let mut short = Vec::new();
        for kind in Kind::ALL {
            for content in Content::ALL {
                let [taken, refused] = self.strata.get(&stratum(kind, content)).copied().unwrap_or_default();
                let missing = [(taken, "taken", kind.is_ever_taken(rules)), (refused, "refused", true)];
                for (_, outcome, _) in
                    missing.iter().filter(|(count, _, is_possible)| *count == 0 && *is_possible)
                {
                    short.push(format!("no virtio-net header was {outcome}: {}", stratum(kind, content)));
                }
            }
        }
        if taken * 100 < (taken + refused) * TAKEN {
            let of = taken + refused;
            short.push(format!("only {taken} of {of} virtio-net headers were taken, and {TAKEN} % should"));
        }
        short
    }

    /// A line for all of them; nothing if there were none.
    pub(crate) fn render(&self) -> String {
        let [taken, refused] = self.sums();
        let mut text = String::new();
        if let Some((rarest, count)) = self
            .strata
            .iter()
            .flat_map(|(name, counts)| counts.map(|count| (name, count)))
            .filter(|(_, count)| *count > 0)
            .min_by_key(|(_, count)| *count)
        {
            let _ = writeln!(
                text,
                "{} virtio-net headers, {taken} of them taken; the rarest, {rarest}, {count} times",
                taken + refused,
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::differential::random::Random;

    fn run(headers: u64, is_taken: impl Fn(&Drawn) -> bool) -> HeaderTally {
        let mut tally = HeaderTally::default();
        for number in 0..headers {
            let drawn = super::super::draw::next(&mut Random::of_case(1, number), &VnetRules::LINUX_6_18);
            let is_taken = is_taken(&drawn);
            tally.add(&drawn, is_taken);
        }
        tally
    }

    fn by_the_rules(drawn: &Drawn) -> bool {
        VnetRules::LINUX_6_18.check_packet(&drawn.header, drawn.layer, &drawn.packet).is_ok()
    }

    #[test]
    fn a_full_run_meets_everything() {
        let tally = run(ENOUGH, by_the_rules);
        assert_eq!(tally.shortcomings(&VnetRules::LINUX_6_18), Vec::<String>::new(), "{}", tally.render());
    }

    #[test]
    fn what_was_not_met_is_told() {
        let tally = run(ENOUGH, |drawn| by_the_rules(drawn) && Kind::of(&drawn.header) != Kind::TcpV6);
        let short = tally.shortcomings(&VnetRules::LINUX_6_18);
        assert_eq!(short.len(), Content::ALL.len(), "{short:?}");
        assert!(short.contains(&"no virtio-net header was taken: TcpV6, TcpInIpv6".to_owned()), "{short:?}");
        let refused = run(ENOUGH, |drawn| drawn.packet.is_empty());
        let short = refused.shortcomings(&VnetRules::LINUX_6_18);
        assert!(short.iter().any(|line| line.starts_with("only ")), "{short:?}");
        assert_eq!(run(100, by_the_rules).shortcomings(&VnetRules::LINUX_6_18), Vec::<String>::new());
    }
}
