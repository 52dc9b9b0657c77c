//! What is read of a segment, opened once for each snapshot.

use std::{ops::Range, sync::Arc};

use farmlokal_catalog::PriceRange;
use tantivy::{
    DocId, SegmentReader, TantivyError,
    columnar::{BytesColumn, ColumnValues, StrColumn},
};

use super::{
    documents::Documents,
    schema::{CATEGORY, CREATED_AT, ID, NAME_KEY, PRICE},
};

/// A number for each document.
#[derive(Clone)]
pub(super) struct Values(Arc<dyn ColumnValues<u64>>);

/// The columns of a segment. Its documents are in the order of prices.
pub(super) struct Segment {
    /// The documents that were not removed.
    pub(super) existing: Documents,
    pub(super) ids: Values,
    pub(super) prices: Values,
    pub(super) created_at: Values,
    pub(super) names: BytesColumn,
    pub(super) categories: StrColumn,
}

impl Segment {
    pub(super) fn open(reader: &SegmentReader) -> Result<Segment, TantivyError> {
        let columns = reader.fast_fields();
        // Each document has one value: there is no index from documents to values.
        let numbers = |name| Ok::<_, TantivyError>(Values(columns.u64(name)?.values));
        let missing = |name: &str| TantivyError::SchemaError(name.to_owned());
        Ok(Segment {
            existing: Documents::existing(reader),
            ids: numbers(ID)?,
            prices: numbers(PRICE)?,
            created_at: numbers(CREATED_AT)?,
            names: columns.bytes(NAME_KEY)?.ok_or_else(|| missing(NAME_KEY))?,
            categories: columns.str(CATEGORY)?.ok_or_else(|| missing(CATEGORY))?,
        })
    }

    /// The ordinals of names in the order of their keys.
    pub(super) fn name_ordinals(&self) -> Values {
        Values(Arc::clone(&self.names.ords().values))
    }

    /// The ordinals of categories.
    pub(super) fn category_ordinals(&self) -> Values {
        Values(Arc::clone(&self.categories.ords().values))
    }

    /// The documents with prices in this range.
    pub(super) fn priced(&self, range: PriceRange) -> Range<DocId> {
        self.first_priced(range.lowest().cents())..self.first_priced(range.highest().cents() + 1)
    }

    /// The first document whose price is at least this one, in cents.
    pub(super) fn first_priced(&self, cents: u64) -> DocId {
        let (mut start, mut end) = (0, self.prices.0.num_vals());
        while start < end {
            let middle = start + (end - start) / 2;
            if self.prices.of(middle) >= cents {
                end = middle;
            } else {
                start = middle + 1;
            }
        }
        start
    }
}

impl Values {
    pub(super) fn of(&self, document: DocId) -> u64 {
        self.0.get_val(document)
    }

    /// The values of 64 documents, as far as there are so many.
    pub(super) fn block(&self, start: DocId) -> [u64; 64] {
        let mut block = [0; 64];
        let length = self.0.num_vals().saturating_sub(start).min(64);
        self.0.get_range(start.into(), &mut block[..length as usize]);
        block
    }
}
