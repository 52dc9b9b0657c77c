//! What a list query finds in a snapshot.

use std::borrow::Cow;

use farmlokal_catalog::{Categories, Category, Filter, Level, ListQuery, SearchText};
use tantivy::TantivyError;

use super::{
    documents::{Documents, any, retain_common},
    facets::{CategoryCounts, PriceCounts},
    order::PageRows,
    query::Expanded,
    scores::Scores,
    snapshot::Snapshot,
};
use crate::{
    Found,
    analysis::{Highlighter, Word, searched},
};

/// A search as it was read, and what it found.
struct Searched<'s> {
    level: Level,
    expanded: Expanded,
    found: Scores<'s>,
}

impl Snapshot {
    /// Answers a list query.
    pub(super) fn search(&self, query: &ListQuery, name_key: Option<&[u8]>) -> Result<Found, TantivyError> {
        let Filter { categories, prices, search } = query.filter();
        let include = query.include();
        let of_cursor = query.after().map(|position| position.level);
        let searched = search.as_ref().map(|search| self.read(search, of_cursor)).transpose()?;
        let existing;
        let found = if let Some(searched) = &searched {
            &searched.found.documents
        } else {
            existing = self.existing();
            &existing
        };
        let chosen = self.in_categories(found, categories)?;

        let mut page = PageRows::new(query, name_key);
        let mut total = 0;
        let mut category_facet = include.category_facet.then(CategoryCounts::default);
        let mut price_facet = include.price_facet.then(PriceCounts::new);
        for (nth, segment) in self.segments.iter().enumerate() {
            let range = segment.priced(*prices);
            // A facet leaves its own filter out.
            if let Some(facet) = &mut category_facet {
                facet.add(segment, &found[nth], range.clone())?;
            }
            if let Some(facet) = &mut price_facet {
                facet.add(segment, &chosen[nth]);
            }
            if include.total {
                total += chosen[nth].count(range.clone());
            }
            let scores = searched.as_ref().map_or(&[][..], |searched| searched.found.of(nth));
            page.add(segment, &chosen[nth], scores, range)?;
        }

        let highlighter = searched.as_ref().filter(|_| include.highlights).map(|searched| {
            let terms = searched.expanded.terms();
            Highlighter { analysis: self.analysis, terms }
        });
        let corrections =
            searched.as_ref().map(|searched| self.corrections(&searched.expanded, &searched.found.documents));
        Ok(Found {
            matches: page.into_matches(),
            total: include.total.then_some(total),
            category_facet: category_facet.map(CategoryCounts::into_facet),
            price_facet: price_facet.map(PriceCounts::into_facet),
            level: searched.as_ref().map_or(Level::AsWritten, |searched| searched.level),
            corrections: corrections.transpose()?.unwrap_or_default(),
            highlighter,
            position: self.position,
            is_stale: false,
        })
    }

    /// The products that exist, by segment.
    pub(super) fn existing(&self) -> Vec<Documents> {
        self.segments.iter().map(|segment| segment.existing.clone()).collect()
    }

    /// Those of these documents that are in any of the categories; without categories, all.
    fn in_categories<'d>(
        &self,
        documents: &'d [Documents],
        categories: &Categories,
    ) -> Result<Cow<'d, [Documents]>, TantivyError> {
        if categories.as_slice().is_empty() {
            return Ok(Cow::Borrowed(documents));
        }
        let names: Vec<&str> = categories.as_slice().iter().map(Category::as_str).collect();
        let mut chosen: Vec<Documents> = documents.iter().map(Documents::none).collect();
        for one in self.terms(&[self.fields.category], &names)?.values().flatten() {
            let chosen = &mut chosen[one.segment];
            one.each(&self.searcher, &documents[one.segment], |document| {
                chosen.insert(document);
            })?;
        }
        retain_common(&mut chosen, documents);
        Ok(Cow::Owned(chosen))
    }

    /// Reads a search at the first level where any product has it; where none has, as it is written.
    fn read(&self, text: &SearchText, of_cursor: Option<Level>) -> Result<Searched<'_>, TantivyError> {
        let words: Vec<Word> = searched(text.as_str()).into_iter().map(|placed| placed.word).collect();
        let at = |level| {
            let expanded = self.expand(&words, level)?;
            let found = self.find(&expanded)?;
            Ok::<_, TantivyError>(Searched { level, expanded, found })
        };
        let first = at(of_cursor.unwrap_or(Level::AsWritten))?;
        if of_cursor.is_some() || any(&first.found.documents) {
            return Ok(first);
        }
        for level in [Level::Prefix, Level::Typos] {
            let searched = at(level)?;
            if any(&searched.found.documents) {
                return Ok(searched);
            }
        }
        Ok(first)
    }
}
