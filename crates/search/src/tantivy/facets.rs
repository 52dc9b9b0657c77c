//! How many products there are of each category and in each range of prices.

use std::{collections::HashMap, ops::Range, sync::Arc};

use farmlokal_catalog::{Price, PriceRange};
use tantivy::{DocId, SegmentReader, TantivyError, columnar::ColumnValues};

use super::{
    documents::{Documents, places},
    schema::{CATEGORY, PRICE, read_block},
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
        segment: &SegmentReader,
        documents: &Documents,
        range: Range<DocId>,
    ) -> Result<(), TantivyError> {
        let missing = || TantivyError::SchemaError(CATEGORY.into());
        let column = segment.fast_fields().str(CATEGORY)?.ok_or_else(missing)?;
        let mut counts = vec![0; column.num_terms()];
        for (start, bits) in documents.blocks(range) {
            let categories = read_block(&*column.ords().values, start);
            for place in places(bits) {
                let category = usize::try_from(categories[place]).ok();
                if let Some(count) = category.and_then(|category| counts.get_mut(category)) {
                    *count += 1;
                }
            }
        }
        let mut name = String::new();
        for (place, count) in (0..).zip(counts) {
            if count > 0 && column.ord_to_str(place, &mut name)? {
                *self.0.entry(name.clone()).or_default() += count;
            }
        }
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
    pub(super) fn add(&mut self, prices: &Prices, documents: &Documents) {
        for (range, count) in &mut self.0 {
            *count += documents.count(prices.documents(*range));
        }
    }

    /// Those that have products.
    pub(super) fn into_facet(self) -> Vec<(PriceRange, u64)> {
        self.0.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}

/// The prices of a segment, in the order of its documents.
pub(super) struct Prices(Arc<dyn ColumnValues<u64>>);

impl Prices {
    pub(super) fn new(segment: &SegmentReader) -> Result<Prices, TantivyError> {
        Ok(Prices(segment.fast_fields().u64(PRICE)?.values))
    }

    pub(super) fn of(&self, document: DocId) -> u64 {
        self.0.get_val(document)
    }

    /// The documents with prices in this range.
    pub(super) fn documents(&self, range: PriceRange) -> Range<DocId> {
        self.first_at(range.lowest().cents())..self.first_at(range.highest().cents() + 1)
    }

    /// The first document whose price is at least this one, in cents.
    pub(super) fn first_at(&self, cents: u64) -> DocId {
        let (mut start, mut end) = (0, self.0.num_vals());
        while start < end {
            let middle = start + (end - start) / 2;
            if self.of(middle) >= cents {
                end = middle;
            } else {
                start = middle + 1;
            }
        }
        start
    }
}
