//! The seeded products. A row depends on the seed and its id alone.
//!
//! Each row has a random stream of its own, so any batch can be made again after an interruption.

mod makers;
mod price;
mod rank;
mod text;
mod time;
mod vocabulary;

use std::iter::repeat_n;

use farmlokal_catalog::Product;
use rand::distr::Distribution as _;
use rand::distr::weighted::WeightedIndex;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use self::makers::Makers;
use self::rank::Ranks;
use self::vocabulary::{Category, categories};

/// A hash of some rows of seed 1, checked by a test. It is a part of the catalogue's label, so that a run never continues
/// with the rows of another generator.
pub(crate) const GENERATOR: u64 = 0x2048_4d20_470d_ec66;

/// Makes products for one seed.
pub(crate) struct Products {
    rng: ChaCha8Rng,
    ranks: Ranks,
    makers: Makers,
    categories: Vec<Category>,
    by_share: WeightedIndex<u32>,
}

impl Products {
    pub(crate) fn new(seed: u64) -> anyhow::Result<Self> {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let categories = categories()?;
        Ok(Self {
            // Rows start at id 1, so stream 0 is free for what all rows share.
            makers: Makers::new(&mut rng.clone())?,
            ranks: Ranks::new(makers::COUNT),
            by_share: WeightedIndex::new(categories.iter().map(|category| category.share))?,
            categories,
            rng,
        })
    }

    /// The product of `id`, which is at least 1.
    pub(crate) fn product(&self, id: u64) -> Product {
        let mut rng = self.rng.clone();
        rng.set_stream(id);
        let category = &self.categories[self.by_share.sample(&mut rng)];
        // The share of a range follows from how many kinds it has.
        let kinds: usize = category.ranges.iter().map(|range| range.kinds.len()).sum();
        let mut by_kind = category.ranges.iter().flat_map(|range| repeat_n(range, range.kinds.len()));
        let range = by_kind.nth(rng.random_range(0..kinds)).unwrap_or(&category.ranges[0]);

        let (kind, cents) = self.ranks.pick(&range.kinds, &mut rng);
        let (size, percent) = self.ranks.pick(&range.sizes, &mut rng);
        let words = text::Words { range, kind, size, ranks: &self.ranks, makers: &self.makers };
        let name = words.name(&mut rng);
        let description = words.description(&mut rng);
        let (created_at, updated_at) = time::times(id, &mut rng);
        Product {
            id,
            name,
            description,
            category: category.slug.clone(),
            price: price::price(*cents, *percent, range.trade, &mut rng),
            created_at,
            updated_at,
        }
    }
}

#[cfg(test)]
mod tests;
