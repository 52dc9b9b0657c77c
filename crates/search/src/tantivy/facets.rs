//! How many products there are of each category and in each range of prices.

use std::{collections::HashMap, ops::Range, sync::Arc};

use farmlokal_catalog::{Price, PriceRange};
use tantivy::{
    COLLECT_BLOCK_BUFFER_LEN, DocId, SegmentReader, TantivyError,
    columnar::{ColumnValues, StrColumn},
};

use super::schema::{CATEGORY, PRICE};

/// How many categories a facet shows.
const CATEGORIES: usize = 100;

/// Products of each category.
#[derive(Default)]
pub(super) struct CategoryCounts(HashMap<String, u64>);

impl CategoryCounts {
    /// The most common first.
    pub(super) fn into_facet(self) -> Vec<(String, u64)> {
        let mut facet: Vec<_> = self.0.into_iter().collect();
        facet.sort_unstable_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then_with(|| a.cmp(b)));
        facet.truncate(CATEGORIES);
        facet
    }
}

/// Documents of each category in a segment.
pub(super) struct SegmentCategories {
    column: StrColumn,
    places: Arc<dyn ColumnValues<u64>>,
    counts: Vec<u64>,
}

impl SegmentCategories {
    pub(super) fn new(segment: &SegmentReader) -> Result<SegmentCategories, TantivyError> {
        let missing = || TantivyError::SchemaError(CATEGORY.into());
        let column = segment.fast_fields().str(CATEGORY)?.ok_or_else(missing)?;
        let places = column.ords().clone().first_or_default_col(0);
        Ok(SegmentCategories { counts: vec![0; column.num_terms()], column, places })
    }

    pub(super) fn collect(&mut self, documents: &[DocId]) {
        let mut places = [0; COLLECT_BLOCK_BUFFER_LEN];
        let places = &mut places[..documents.len()];
        self.places.get_vals(documents, places);
        for place in places {
            if let Some(count) = usize::try_from(*place).ok().and_then(|place| self.counts.get_mut(place)) {
                *count += 1;
            }
        }
    }

    pub(super) fn add_to(self, CategoryCounts(all): &mut CategoryCounts) -> Result<(), TantivyError> {
        let mut name = String::new();
        for (place, count) in (0..).zip(self.counts) {
            if count > 0 && self.column.ord_to_str(place, &mut name)? {
                *all.entry(name.clone()).or_default() += count;
            }
        }
        Ok(())
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

    /// Those that have products.
    pub(super) fn into_facet(self) -> Vec<(PriceRange, u64)> {
        self.0.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}

/// Documents in each range of prices in a segment, whose documents are ordered by price.
pub(super) struct SegmentPrices {
    /// Where each range ends.
    ends: Vec<DocId>,
    counts: Vec<u64>,
    current: usize,
}

impl SegmentPrices {
    pub(super) fn new(prices: &Prices, ranges: &PriceCounts) -> SegmentPrices {
        let ends: Vec<DocId> = ranges.0.iter().map(|(range, _)| prices.documents(*range).end).collect();
        SegmentPrices { counts: vec![0; ends.len()], ends, current: 0 }
    }

    /// Documents come in their order.
    pub(super) fn collect(&mut self, mut documents: &[DocId]) {
        while let (Some(last), Some(end)) = (documents.last(), self.ends.get(self.current)) {
            let within = if last < end {
                documents.len()
            } else {
                documents.partition_point(|document| document < end)
            };
            self.counts[self.current] += within as u64;
            documents = &documents[within..];
            self.current += usize::from(!documents.is_empty());
        }
    }

    pub(super) fn add_to(self, PriceCounts(all): &mut PriceCounts) {
        all.iter_mut().zip(self.counts).for_each(|((_, count), of_segment)| *count += of_segment);
    }
}

/// The prices of a segment, in the order of its documents.
pub(super) struct Prices {
    column: Arc<dyn ColumnValues<u64>>,
}

impl Prices {
    pub(super) fn new(segment: &SegmentReader) -> Result<Prices, TantivyError> {
        Ok(Prices { column: segment.fast_fields().u64(PRICE)?.first_or_default_col(0) })
    }

    pub(super) fn of(&self, document: DocId) -> u64 {
        self.column.get_val(document)
    }

    /// The documents with prices in this range.
    pub(super) fn documents(&self, range: PriceRange) -> Range<DocId> {
        let (lowest, highest) = (range.lowest().cents(), range.highest().cents());
        self.first(|price| price >= lowest)..self.first(|price| price > highest)
    }

    /// The first document whose price is beyond a limit.
    fn first(&self, is_beyond: impl Fn(u64) -> bool) -> DocId {
        let (mut start, mut end) = (0, self.column.num_vals());
        while start < end {
            let middle = start + (end - start) / 2;
            if is_beyond(self.column.get_val(middle)) {
                end = middle;
            } else {
                start = middle + 1;
            }
        }
        start
    }
}
