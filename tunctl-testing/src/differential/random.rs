//! Random numbers that a seed and a case number bring back.

/// `SplitMix64` (Steele, Lea and Flood, 2014): a counter, scrambled. Not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The numbers of one case: they depend on nothing else.
    pub(crate) fn of_case(seed: u64, case: u64) -> Self {
        // Scrambled once, so that neighbouring cases do not share a stretch of the counter.
        Self(Self(seed ^ case.wrapping_mul(0x9fb2_1c65_1e98_df25)).next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut scrambled = self.0;
        scrambled = (scrambled ^ (scrambled >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        scrambled = (scrambled ^ (scrambled >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        scrambled ^ (scrambled >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        usize::try_from(self.next() % bound).unwrap_or(0)
    }

    /// Whether something that happens `times` times in `of` does.
    pub(crate) fn one_of(&mut self, times: usize, of: usize) -> bool {
        self.below(of) < times
    }

    /// One of these, of which there is at least one.
    pub(crate) fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.below(among.len())]
    }

    /// One of these, each as often as its weight says; their sum is not 0.
    pub(crate) fn weighted<T: Copy>(&mut self, among: &[(usize, T)]) -> Option<T> {
        let mut left = self.below(among.iter().map(|(weight, _)| weight).sum());
        among.iter().find_map(|&(weight, value)| {
            if left < weight {
                return Some(value);
            }
            left -= weight;
            None
        })
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_has_its_own_numbers_and_always_the_same() {
        let first = |seed, case| Random::of_case(seed, case).next();
        assert_eq!(first(1, 2), first(1, 2));
        assert_ne!(first(1, 2), first(1, 3));
        assert_ne!(first(1, 2), first(2, 2));
    }

    #[test]
    fn weights_are_kept() {
        let mut random = Random::of_case(1, 1);
        let heads = (0..1000).filter(|_| random.weighted(&[(9, true), (1, false)]) == Some(true)).count();
        assert!((850..950).contains(&heads), "{heads}");
    }
}
