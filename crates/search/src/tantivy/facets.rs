//! How many products there are of each category and in each range of prices.

use std::{collections::HashMap, ops::Range};

use farmlokal_catalog::{Price, PriceRange};
use tantivy::{DocId, TantivyError};

use super::{
    documents::{Documents, places},
    segment::Segment,
};

/// How many categories a facet shows.
const CATEGORIES: usize = 100;

/// Products of each category.
#[derive(Default)]
pub(super) struct CategoryCounts(HashMap<String, u64>);

impl CategoryCounts {
    /// Counts documents of a segment.
    pub(super) fn add(
        &mut self,
        segment: &Segment,
        documents: &Documents,
        range: Range<DocId>,
    ) -> Result<(), TantivyError> {
        let mut counts = vec![0; segment.categories.num_terms()];
        let ordinals = segment.category_ordinals();
        for (start, bits) in documents.blocks(range) {
            let categories = ordinals.block(start);
            for place in places(bits) {
                let category = usize::try_from(categories[place as usize]).ok();
                if let Some(count) = category.and_then(|category| counts.get_mut(category)) {
                    *count += 1;
                }
            }
        }
        let categories = (0..).zip(counts).filter(|(_, count)| *count > 0);
        let (ordinals, counts): (Vec<u64>, Vec<u64>) = categories.unzip();
        let mut counts = counts.into_iter();
        segment.categories.dictionary().sorted_ords_to_term_cb(&ordinals, |name| {
            let name = String::from_utf8_lossy(name).into_owned();
            *self.0.entry(name).or_default() += counts.next().unwrap_or(0);
        })?;
        Ok(())
    }

    /// The most common first.
    pub(super) fn into_facet(self) -> Vec<(String, u64)> {
        let mut facet: Vec<_> = self.0.into_iter().collect();
        facet.sort_unstable_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then_with(|| a.cmp(b)));
        facet.truncate(CATEGORIES);
        facet
    }
}

/// Products in each range of prices.
pub(super) struct PriceCounts(Vec<(PriceRange, u64)>);

impl PriceCounts {
    /// Ranges that begin at 0, 10, 20, 50, 100, 200, 500 and so on, each up to the next.
    pub(super) fn new() -> PriceCounts {
        let tens = (0..).map(|power| 1_000 * 10_u64.pow(power));
        let beginnings = tens.flat_map(|ten| [ten, 2 * ten, 5 * ten]);
        let beginnings = beginnings.take_while(|cents| *cents <= Price::MAX.cents());
        let beginnings: Vec<u64> = std::iter::once(0).chain(beginnings).collect();
        let ends = beginnings.iter().skip(1).map(|next| next - 1).chain([Price::MAX.cents()]);
        let ranges = beginnings.iter().zip(ends).filter_map(|(lowest, highest)| {
            PriceRange::new(Price::from_cents(*lowest), Price::from_cents(highest)).ok()
        });
        PriceCounts(ranges.map(|range| (range, 0)).collect())
    }

    /// Counts documents of a segment.
    pub(super) fn add(&mut self, segment: &Segment, documents: &Documents) {
        for (range, count) in &mut self.0 {
            *count += documents.count(segment.priced(*range));
        }
    }

    /// Those that have products.
    pub(super) fn into_facet(self) -> Vec<(PriceRange, u64)> {
        self.0.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}
