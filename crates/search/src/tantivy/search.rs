//! What a list query finds in a snapshot.

use std::slice;

use farmlokal_catalog::{Categories, Category, Filter, Level, ListQuery, SearchText};
use tantivy::TantivyError;

use super::{
    documents::Documents,
    facets::{CategoryCounts, PriceCounts, Prices},
    order::Page,
    query::Expanded,
    scores::Scores,
    snapshot::Snapshot,
};
use crate::{
    Correction, Found, Highlighter,
    analysis::{Matched, Word, searched},
};

/// A search as it was read, and what it found.
struct Searched {
    level: Level,
    expanded: Expanded,
    scores: Scores,
    /// By segment.
    found: Vec<Documents>,
}

impl Snapshot {
    /// Answers a list query.
    pub(super) fn search(&self, query: &ListQuery, name_key: Option<&[u8]>) -> Result<Found, TantivyError> {
        let Filter { categories, prices, search } = query.filter();
        let include = query.include();
        let of_cursor = query.after().map(|position| position.level);
        let searched = search.as_ref().map(|search| self.read(search, of_cursor)).transpose()?;
        let found = searched.as_ref().map_or_else(|| self.documents(None), |searched| searched.found.clone());
        let mut chosen = found.clone();
        if !categories.as_slice().is_empty() {
            self.retain_categories(&mut chosen, categories)?;
        }

        let mut page = Page::new(query, name_key);
        let mut total = 0;
        let mut category_facet = include.category_facet.then(CategoryCounts::default);
        let mut price_facet = include.price_facet.then(PriceCounts::new);
        for (nth, segment) in self.searcher.segment_readers().iter().enumerate() {
            let segment_prices = Prices::new(segment)?;
            let range = segment_prices.documents(*prices);
            // A facet leaves its own filter out.
            if let Some(facet) = &mut category_facet {
                facet.add(segment, &found[nth], range.clone())?;
            }
            if let Some(facet) = &mut price_facet {
                facet.add(&segment_prices, &chosen[nth]);
            }
            if include.total {
                total += chosen[nth].count(range.clone());
            }
            let scores = searched.as_ref().map_or(&[][..], |searched| searched.scores.of(nth));
            page.add(segment, &segment_prices, &chosen[nth], scores, range)?;
        }

        let highlighter = searched.as_ref().filter(|_| include.highlights).map(|searched| {
            let terms = searched.expanded.terms();
            Box::new(Matched { analysis: self.analysis, terms }) as Box<dyn Highlighter>
        });
        let corrections = searched.as_ref().map(|searched| self.corrections(searched)).transpose()?;
        Ok(Found {
            matches: page.into_matches(),
            total: include.total.then_some(total),
            category_facet: category_facet.map(CategoryCounts::into_facet),
            price_facet: price_facet.map(PriceCounts::into_facet),
            level: searched.map_or(Level::AsWritten, |searched| searched.level),
            corrections: corrections.unwrap_or_default(),
            highlighter,
            position: self.position,
        })
    }

    /// The products that exist; with scores, those of them that count something.
    pub(super) fn documents(&self, scores: Option<&Scores>) -> Vec<Documents> {
        let segments = self.searcher.segment_readers().iter().enumerate();
        let documents = segments.map(|(nth, segment)| {
            let mut documents = Documents::existing(segment);
            if let Some(scores) = scores {
                documents.retain_scored(scores.of(nth));
            }
            documents
        });
        documents.collect()
    }

    fn retain_categories(
        &self,
        documents: &mut [Documents],
        categories: &Categories,
    ) -> Result<(), TantivyError> {
        let names: Vec<&str> = categories.as_slice().iter().map(Category::as_str).collect();
        let terms = self.terms(&[self.fields.category], &names)?;
        let mut scores = Scores::none(&self.searcher);
        scores.raise(&self.searcher, terms.values().flatten(), |_| 1)?;
        for (nth, documents) in documents.iter_mut().enumerate() {
            documents.retain_scored(scores.of(nth));
        }
        Ok(())
    }

    /// Reads a search at the first level where any product has it; where none has, as it is written.
    fn read(&self, text: &SearchText, of_cursor: Option<Level>) -> Result<Searched, TantivyError> {
        let words: Vec<Word> = searched(text.as_str()).into_iter().map(|placed| placed.word).collect();
        let at = |level| {
            let expanded = self.expand(&words, level)?;
            let scores = self.scores(&expanded, None)?;
            let found = self.documents(Some(&scores));
            Ok::<_, TantivyError>(Searched { level, expanded, scores, found })
        };
        for level in of_cursor.as_ref().map_or(&Level::ALL[..], slice::from_ref) {
            let searched = at(*level)?;
            if of_cursor.is_some() || !searched.found.iter().all(Documents::is_empty) {
                return Ok(searched);
            }
        }
        at(Level::AsWritten)
    }

    /// The words without which, matched as they are written, nothing is found, and the most common that are found instead.
    fn corrections(
        &self,
        Searched { expanded, found, .. }: &Searched,
    ) -> Result<Vec<Correction>, TantivyError> {
        const SHOWN: usize = 5;
        let mut corrections = Vec::new();
        for (place, word, others) in expanded.forgiven() {
            let as_written = self.documents(Some(&self.scores(expanded, Some(place))?));
            if as_written.iter().all(Documents::is_empty) {
                let others = self.most_common(others.into_iter(), SHOWN, found)?;
                let found = others.into_iter().map(|(other, _)| other.to_owned()).collect();
                corrections.push(Correction { word: word.to_owned(), found });
            }
        }
        Ok(corrections)
    }
}
