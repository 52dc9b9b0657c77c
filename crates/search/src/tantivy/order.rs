//! Exact order over all segments: by a key, then by id, in one direction.
//!
//! Keys are whole numbers. In descending order both are inverted, so that what comes first is always the smallest. Names have
//! the ordinal of their key in the segment's dictionary, which is compared by its bytes only between segments.

use std::ops::Range;

use farmlokal_catalog::{ListQuery, Order, Position, Sort, SortValue};
use tantivy::{
    DocId, TantivyError,
    columnar::{BytesColumn, TermOrdHit},
};

use super::{
    documents::{Documents, places},
    segment::Segment,
};
use crate::Match;

/// A page in the making.
pub(super) struct PageRows<'q> {
    query: &'q ListQuery,
    name_key: Option<&'q [u8]>,
    /// How many the page has at the most.
    limit: usize,
    rows: Vec<Row>,
}

/// A document of a page: its name's key where names are the order, otherwise its key.
struct Row {
    name: Vec<u8>,
    key: u64,
    id: u64,
}

impl<'q> PageRows<'q> {
    pub(super) fn new(query: &'q ListQuery, name_key: Option<&'q [u8]>) -> PageRows<'q> {
        let limit = usize::try_from(query.rows()).unwrap_or(usize::MAX);
        PageRows { query, name_key, limit, rows: Vec::new() }
    }

    fn directed(&self, number: u64) -> u64 {
        match self.query.order() {
            Order::Asc => number,
            Order::Desc => !number,
        }
    }

    /// Adds the first of these documents of a segment. `scores`: by which relevance orders them.
    pub(super) fn add(
        &mut self,
        segment: &Segment,
        documents: &Documents,
        scores: &[u16],
        mut range: Range<DocId>,
    ) -> Result<(), TantivyError> {
        let keys = match self.query.sort() {
            Sort::Id => Some(segment.ids.clone()),
            Sort::Price => {
                range = self.priced(segment, documents, range);
                Some(segment.prices.clone())
            }
            Sort::CreatedAt => Some(segment.created_at.clone()),
            Sort::Name => Some(segment.name_ordinals()),
            Sort::Relevance => None,
        };
        let after = self.query.after().map(|position| self.start(position, &segment.names));
        let after = after.transpose()?.flatten();
        let scores_of = |start: DocId| {
            let mut block = [0; 64];
            block.iter_mut().zip(&scores[start as usize..]).for_each(|(key, score)| *key = (*score).into());
            block
        };
        let mut rows = Vec::new();
        // Nothing from here on is on the page.
        let mut end: Option<(u64, u64)> = None;
        for (start, bits) in documents.blocks(range) {
            let keys = keys.as_ref().map_or_else(|| scores_of(start), |keys| keys.block(start));
            let keys = keys.map(|key| self.directed(key));
            let (first, last) = (after.map_or(0, |(key, _)| key), end.map_or(u64::MAX, |(key, _)| key));
            // Most often none of the 64 can be on the page: compared without a branch for each.
            if !keys.iter().fold(false, |any, key| any | (first..=last).contains(key)) {
                continue;
            }
            for place in places(bits) {
                let key = keys[place as usize];
                if !(first..=last).contains(&key) {
                    continue;
                }
                let row = (key, self.directed(segment.ids.of(start + place)));
                if after.is_none_or(|after| row > after) && end.is_none_or(|end| row < end) {
                    rows.push(row);
                    if rows.len() >= 2 * self.limit {
                        end = Some(*rows.select_nth_unstable(self.limit).1);
                        rows.truncate(self.limit);
                    }
                }
            }
        }
        self.add_rows(rows, &segment.names)
    }

    fn add_rows(&mut self, mut rows: Vec<(u64, u64)>, names: &BytesColumn) -> Result<(), TantivyError> {
        rows.sort_unstable();
        rows.truncate(self.limit);
        if self.query.sort() != Sort::Name {
            self.rows.extend(rows.into_iter().map(|(key, id)| Row { key, id, name: Vec::new() }));
            return Ok(());
        }
        // The dictionary is read in its own order.
        if self.query.order() == Order::Desc {
            rows.reverse();
        }
        let ordinals: Vec<u64> = rows.iter().map(|(key, _)| self.directed(*key)).collect();
        let mut ids = rows.iter().map(|(_, id)| *id);
        let rows = &mut self.rows;
        names.dictionary().sorted_ords_to_term_cb(&ordinals, |name| {
            rows.extend(ids.next().map(|id| Row { key: 0, id, name: name.to_vec() }));
        })?;
        Ok(())
    }

    /// The documents of a range, which come in the order of prices, that can be on a page by price: as far as its last row, and
    /// all with the same price.
    fn priced(&self, segment: &Segment, documents: &Documents, range: Range<DocId>) -> Range<DocId> {
        let cursor = self.query.after().and_then(|position| match position.value {
            SortValue::Price(price) => Some(price.cents()),
            _ => None,
        });
        let first_at = |cents: u64| segment.first_priced(cents).clamp(range.start, range.end);
        // Rows with the cursor's price can be before it, and are not counted.
        let beyond = match (cursor, self.query.order()) {
            (None, _) => range.clone(),
            (Some(cents), Order::Asc) => first_at(cents + 1)..range.end,
            (Some(cents), Order::Desc) => range.start..first_at(cents),
        };
        let last = self.limit.saturating_sub(1);
        match self.query.order() {
            Order::Asc => {
                let last = documents.within(beyond).nth(last);
                cursor.map_or(range.start, first_at)
                    ..last.map_or(range.end, |last| first_at(segment.prices.of(last) + 1))
            }
            Order::Desc => {
                let last = documents.within(beyond).nth_back(last);
                last.map_or(range.start, |last| first_at(segment.prices.of(last)))
                    ..cursor.map_or(range.end, |cents| first_at(cents + 1))
            }
        }
    }

    /// The key and id in a segment after which a page starts.
    fn start(&self, at: &Position, names: &BytesColumn) -> Result<Option<(u64, u64)>, TantivyError> {
        let key = match &at.value {
            SortValue::Id => at.id,
            SortValue::Price(price) => price.cents(),
            SortValue::CreatedAt(time) => tantivy::i64_to_u64(time.timestamp_millis()),
            SortValue::Relevance(relevance) => u64::from(*relevance),
            SortValue::Name(_) => {
                let Some(key) = self.name_key else {
                    return Err(TantivyError::InvalidArgument(
                        "a cursor by name needs the name's key".into(),
                    ));
                };
                match names.dictionary().term_ord_or_next(key)? {
                    TermOrdHit::Exact(ordinal) => ordinal,
                    // The page starts between the ordinal before and this one.
                    TermOrdHit::Next(ordinal) => {
                        return Ok(match self.query.order() {
                            Order::Asc => ordinal.checked_sub(1).map(|before| (before, u64::MAX)),
                            Order::Desc => Some((!ordinal, u64::MAX)),
                        });
                    }
                }
            }
        };
        Ok(Some((self.directed(key), self.directed(at.id))))
    }

    /// The first rows of all segments.
    pub(super) fn into_matches(mut self) -> Vec<Match> {
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_by(|a, b| {
            let names = match self.query.order() {
                Order::Asc => a.name.cmp(&b.name),
                Order::Desc => b.name.cmp(&a.name),
            };
            names.then(a.key.cmp(&b.key)).then(a.id.cmp(&b.id))
        });
        rows.truncate(self.limit);
        let relevance = |row: &Row| match self.query.sort() {
            Sort::Relevance => u32::try_from(self.directed(row.key)).unwrap_or(u32::MAX),
            _ => 0,
        };
        rows.iter().map(|row| Match { id: self.directed(row.id), relevance: relevance(row) }).collect()
    }
}
