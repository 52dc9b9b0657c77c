//! What a list query finds in a snapshot.

use farmlokal_catalog::{Category, Filter, Level, ListQuery, PriceRange, SearchText};
use tantivy::{
    TantivyError,
    query::{AllQuery, BooleanQuery, ConstScoreQuery, Occur, Query},
};

use super::{
    dictionary::most_common,
    facets::{CategoryCounts, PriceCounts},
    order::Ordering,
    pass::{Pass, count, finds},
    query::{Expanded, Expander, all, one_of},
    snapshot::Snapshot,
};
use crate::{
    Correction, Found, Highlighter,
    analysis::{Matched, Word, searched},
};

impl Snapshot {
    /// Answers a list query.
    pub(super) fn search(&self, query: &ListQuery, name_key: Option<&[u8]>) -> Result<Found, TantivyError> {
        let Filter { categories, prices, search } = query.filter();
        let include = query.include();
        let of_cursor = query.after().map(|position| position.level);
        let read = search.as_ref().map(|search| self.read(search, of_cursor)).transpose()?;
        let (level, expanded) = match read {
            Some((level, expanded)) => (level, Some(expanded)),
            None => (Level::AsWritten, None),
        };
        let search: Box<dyn Query> =
            expanded.as_ref().map_or_else(|| Box::new(AllQuery) as _, Expanded::query);
        let in_categories = self.in_categories(search.as_ref(), categories.as_slice());

        let ordering = Ordering::new(query, name_key);
        let page = Pass {
            query: in_categories.as_ref(),
            prices: *prices,
            page: Some(&ordering),
            total: include.total,
            categories: include.category_facet && categories.as_slice().is_empty(),
            price_ranges: include.price_facet && prices.is_all(),
        };
        let found = page.run(&self.searcher)?;
        let facet = |query, prices, categories| {
            let pass =
                Pass { query, prices, page: None, total: false, categories, price_ranges: !categories };
            pass.run(&self.searcher)
        };
        let category_facet = match (include.category_facet, page.categories) {
            (false, _) => None,
            (_, true) => Some(found.categories),
            _ => Some(facet(search.as_ref(), *prices, true)?.categories),
        };
        let price_facet = match (include.price_facet, page.price_ranges) {
            (false, _) => None,
            (_, true) => Some(found.price_ranges),
            _ => Some(facet(in_categories.as_ref(), PriceRange::default(), false)?.price_ranges),
        };
        let highlighter = expanded.as_ref().filter(|_| include.highlights).map(|expanded| {
            Box::new(Matched { analysis: self.analysis, terms: expanded.terms() }) as Box<dyn Highlighter>
        });
        let corrections = expanded.as_ref().map(|expanded| self.corrections(expanded, level)).transpose()?;
        Ok(Found {
            matches: found.matches,
            total: include.total.then_some(found.total),
            category_facet: category_facet.map(CategoryCounts::into_facet),
            price_facet: price_facet.map(PriceCounts::into_facet),
            level,
            corrections: corrections.unwrap_or_default(),
            highlighter,
            position: self.position,
        })
    }

    /// Reads a search at the first level where any product has it; where none has, as it is written.
    fn read(&self, text: &SearchText, level: Option<Level>) -> Result<(Level, Expanded), TantivyError> {
        let words: Vec<Word> = searched(text.as_str()).into_iter().map(|placed| placed.word).collect();
        if let Some(level) = level {
            return Ok((level, self.expander().expand(&words, level)?));
        }
        for level in Level::ALL {
            let expanded = self.expander().expand(&words, level)?;
            if finds(&self.searcher, expanded.query().as_ref())? {
                return Ok((level, expanded));
            }
        }
        Ok((Level::AsWritten, self.expander().expand(&words, Level::AsWritten)?))
    }

    pub(super) fn expander(&self) -> Expander<'_> {
        Expander {
            searcher: &self.searcher,
            fields: self.fields,
            analysis: self.analysis,
            synonyms: &self.synonyms,
        }
    }

    fn in_categories(&self, query: &dyn Query, categories: &[Category]) -> Box<dyn Query> {
        if categories.is_empty() {
            return query.box_clone();
        }
        let names: Vec<&str> = categories.iter().map(Category::as_str).collect();
        let of_category = one_of(self.fields.category, &names);
        // Only what is searched for counts for relevance.
        let of_category = Box::new(ConstScoreQuery::new(of_category, 0.0));
        all(vec![query.box_clone(), of_category])
    }

    /// The words without which, read as they are written, nothing is found, and the most common that are found instead.
    fn corrections(&self, expanded: &Expanded, level: Level) -> Result<Vec<Correction>, TantivyError> {
        /// How many candidates are counted among the products that were found.
        const CANDIDATES: usize = 20;
        const SHOWN: usize = 5;
        let mut corrections = Vec::new();
        if level == Level::AsWritten {
            return Ok(corrections);
        }
        let fields = [self.fields.name, self.fields.description];
        for (place, word, others) in expanded.forgiven() {
            if finds(&self.searcher, expanded.query_with_written(place).as_ref())? {
                continue;
            }
            let with = |other: &str| -> Box<dyn Query> {
                let query = |field| (Occur::Should, one_of(field, &[other]));
                Box::new(BooleanQuery::new(fields.map(query).into()))
            };
            let others = others.iter().map(|(other, at_most)| (*at_most, other.clone(), ())).collect();
            let common = most_common(others, CANDIDATES, usize::MAX, |other, ()| {
                count(&self.searcher, with(other).as_ref())
            })?;
            let common = common.into_iter().map(|(other, products)| (products, other, ())).collect();
            let found = most_common(common, SHOWN, usize::MAX, |other, ()| {
                count(&self.searcher, all(vec![with(other), expanded.query()]).as_ref())
            })?;
            let found = found.into_iter().map(|(other, _)| other).collect();
            corrections.push(Correction { word: word.to_owned(), found });
        }
        Ok(corrections)
    }
}
