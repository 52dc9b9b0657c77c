//! Exact order over all segments: by a key, then by id, in one direction.
//!
//! Keys are whole numbers. In descending order both are inverted, so that what comes first is always the smallest. Names have
//! the place of their key in the segment's dictionary, which is compared by its bytes only between segments.

use std::sync::Arc;

use farmlokal_catalog::{ListQuery, Order, Position, Price, PriceRange, Sort, SortValue};
use tantivy::{
    COLLECT_BLOCK_BUFFER_LEN, DocId, Score, SegmentReader, TantivyError,
    columnar::{BytesColumn, ColumnValues, TermOrdHit},
};

use super::schema::{CREATED_AT, ID, NAME_KEY, PRICE};
use crate::Match;

type Column = Arc<dyn ColumnValues<u64>>;

/// The order of a query, and where its page starts.
pub(super) struct Ordering<'q> {
    pub(super) sort: Sort,
    order: Order,
    rows: usize,
    after: Option<&'q Position>,
    name_key: Option<&'q [u8]>,
}

/// A document of a page: its name's key where names are the order, otherwise its key.
struct Row {
    name: Vec<u8>,
    key: u64,
    id: u64,
}

impl<'q> Ordering<'q> {
    pub(super) fn new(query: &'q ListQuery, name_key: Option<&'q [u8]>) -> Ordering<'q> {
        let rows = usize::try_from(query.rows()).unwrap_or(usize::MAX);
        Ordering { sort: query.sort(), order: query.order(), rows, after: query.after(), name_key }
    }

    fn directed(&self, number: u64) -> u64 {
        match self.order {
            Order::Asc => number,
            Order::Desc => !number,
        }
    }

    /// An empty page of a segment.
    pub(super) fn page(&self, segment: &SegmentReader) -> Result<SegmentPage<'_>, TantivyError> {
        let columns = segment.fast_fields();
        let column = |name| Ok::<_, TantivyError>(columns.u64(name)?.first_or_default_col(0));
        let mut names = None;
        let keys = match self.sort {
            Sort::Id => Some(column(ID)?),
            Sort::Price => Some(column(PRICE)?),
            Sort::CreatedAt => Some(column(CREATED_AT)?),
            Sort::Relevance => None,
            Sort::Name => {
                let missing = || TantivyError::SchemaError(NAME_KEY.into());
                let column = columns.bytes(NAME_KEY)?.ok_or_else(missing)?;
                let keys = column.ords().clone().first_or_default_col(0);
                names = Some(column);
                Some(keys)
            }
        };
        let after = self.after.map(|position| self.start(position, names.as_ref())).transpose()?.flatten();
        Ok(SegmentPage { ordering: self, keys, ids: column(ID)?, names, after, end: None, rows: Vec::new() })
    }

    /// The key and id in a segment after which a page starts.
    fn start(&self, at: &Position, names: Option<&BytesColumn>) -> Result<Option<(u64, u64)>, TantivyError> {
        let key = match &at.value {
            SortValue::Id => at.id,
            SortValue::Price(price) => price.cents(),
            SortValue::CreatedAt(time) => tantivy::i64_to_u64(time.timestamp_millis()),
            SortValue::Relevance(relevance) => u64::from(*relevance),
            SortValue::Name(_) => {
                let (Some(names), Some(key)) = (names, self.name_key) else {
                    return Err(TantivyError::InvalidArgument(
                        "a cursor by name needs the name's key".into(),
                    ));
                };
                match names.dictionary().term_ord_or_next(key)? {
                    TermOrdHit::Exact(place) => place,
                    // The page starts between the place before and this one.
                    TermOrdHit::Next(place) => {
                        return Ok(match self.order {
                            Order::Asc => place.checked_sub(1).map(|before| (before, u64::MAX)),
                            Order::Desc => Some((!place, u64::MAX)),
                        });
                    }
                }
            }
        };
        Ok(Some((self.directed(key), self.directed(at.id))))
    }

    /// The first rows of the pages of all segments.
    pub(super) fn merge(&self, pages: Vec<SegmentPage<'_>>) -> Result<Vec<Match>, TantivyError> {
        let mut rows = Vec::new();
        for page in pages {
            rows.extend(page.rows()?);
        }
        rows.sort_by(|a: &Row, b: &Row| {
            let names = match self.order {
                Order::Asc => a.name.cmp(&b.name),
                Order::Desc => b.name.cmp(&a.name),
            };
            names.then(a.key.cmp(&b.key)).then(a.id.cmp(&b.id))
        });
        rows.truncate(self.rows);
        let relevance = |row: &Row| match self.sort {
            Sort::Relevance => u32::try_from(self.directed(row.key)).unwrap_or(u32::MAX),
            _ => 0,
        };
        Ok(rows.iter().map(|row| Match { id: self.directed(row.id), relevance: relevance(row) }).collect())
    }
}

/// The first documents of a segment, in a query's order.
pub(super) struct SegmentPage<'o> {
    ordering: &'o Ordering<'o>,
    /// `None` for the relevance that comes with a document.
    keys: Option<Column>,
    ids: Column,
    names: Option<BytesColumn>,
    after: Option<(u64, u64)>,
    /// Nothing from here on is on the page.
    end: Option<(u64, u64)>,
    rows: Vec<(u64, u64)>,
}

impl SegmentPage<'_> {
    /// Considers at most [`COLLECT_BLOCK_BUFFER_LEN`] documents, with their scores where relevance orders them.
    pub(super) fn collect(&mut self, documents: &[DocId], scores: &[Score]) {
        let mut keys = [0; COLLECT_BLOCK_BUFFER_LEN];
        let keys = &mut keys[..documents.len()];
        match &self.keys {
            Some(column) => column.get_vals(documents, keys),
            // Sums of small whole numbers.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            None => keys.iter_mut().zip(scores).for_each(|(key, score)| *key = *score as u64),
        }
        for (document, key) in documents.iter().zip(keys) {
            let key = self.ordering.directed(*key);
            if self.end.is_some_and(|(end, _)| key > end) || self.after.is_some_and(|(after, _)| key < after)
            {
                continue;
            }
            let row = (key, self.ordering.directed(self.ids.get_val(*document)));
            if self.after.is_none_or(|after| row > after) && self.end.is_none_or(|end| row < end) {
                self.rows.push(row);
                if self.rows.len() >= 2 * self.ordering.rows {
                    self.shorten();
                }
            }
        }
    }

    /// Whether the order is that of the segment's documents, or its reverse, ties aside.
    pub(super) fn is_by_price(&self) -> bool {
        self.ordering.sort == Sort::Price
    }

    pub(super) fn is_descending(&self) -> bool {
        self.ordering.order == Order::Desc
    }

    /// The prices that a page by price can have.
    pub(super) fn prices_beyond(&self) -> PriceRange {
        let start = self.after.and_then(|(key, _)| Price::from_cents(self.ordering.directed(key)));
        let range = if self.is_descending() { (None, start) } else { (start, None) };
        PriceRange::new(range.0, range.1).unwrap_or_default()
    }

    /// Leaves only what can be on the page.
    pub(super) fn shorten(&mut self) {
        let rows = self.ordering.rows;
        if self.rows.len() > rows {
            let (_, end, _) = self.rows.select_nth_unstable(rows);
            self.end = Some(*end);
            self.rows.truncate(rows);
        }
    }

    /// Whether nothing with this key or a later one is on the page.
    pub(super) fn ends_before(&self, key: u64) -> bool {
        self.end.is_some_and(|(end, _)| self.ordering.directed(key) > end)
    }

    fn rows(mut self) -> Result<Vec<Row>, TantivyError> {
        self.shorten();
        let Some(names) = &self.names else {
            return Ok(self.rows.into_iter().map(|(key, id)| Row { key, id, name: Vec::new() }).collect());
        };
        self.rows.sort_unstable_by_key(|(key, _)| self.ordering.directed(*key));
        let places: Vec<u64> = self.rows.iter().map(|(key, _)| self.ordering.directed(*key)).collect();
        let mut ids = self.rows.iter().map(|(_, id)| *id);
        let mut rows = Vec::with_capacity(places.len());
        names.dictionary().sorted_ords_to_term_cb(&places, |name| {
            rows.extend(ids.next().map(|id| Row { key: 0, id, name: name.to_vec() }));
        })?;
        Ok(rows)
    }
}
