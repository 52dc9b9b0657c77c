use rand::{Rng, RngExt as _};

/// Zipf's law with exponent 1: entry `n` of any list is picked in proportion to `1 / n`.
///
/// Integers only, so that every machine picks alike. One table of running sums serves lists of every length, because
/// a shorter list needs just a prefix of it.
pub(super) struct Ranks {
    running_sums: Vec<u64>,
}

impl Ranks {
    pub(super) fn new(longest: usize) -> Self {
        let running_sums = (1..=longest as u64)
            .scan(0, |sum, rank| {
                *sum += (1 << 32) / rank;
                Some(*sum)
            })
            .collect();
        Self { running_sums }
    }

    /// Picks from `list`, whose most common entry comes first. It must not be empty, nor longer than the table.
    pub(super) fn pick<'a, T>(&self, list: &'a [T], rng: &mut impl Rng) -> &'a T {
        let sums = &self.running_sums[..list.len()];
        let point = rng.random_range(0..sums[sums.len() - 1]);
        &list[sums.partition_point(|&sum| sum <= point)]
    }
}
