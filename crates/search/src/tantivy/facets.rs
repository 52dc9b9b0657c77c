//! How many products there are of each category and in each range of prices.

use std::{collections::HashMap, ops::Range};

use farmlokal_catalog::PriceRange;
use tantivy::{DocId, TantivyError};

use super::{
    documents::{Documents, places},
    segment::Segment,
};
use crate::facets::{CATEGORIES, price_ranges};

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
    /// The [ranges](price_ranges), empty.
    pub(super) fn new() -> PriceCounts {
        PriceCounts(price_ranges().map(|range| (range, 0)).collect())
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
