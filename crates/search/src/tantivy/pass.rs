//! One pass over the documents that match: the page, the total and the facets that have the same filter.

use std::ops::Range;

use farmlokal_catalog::{PriceRange, Sort};
use tantivy::{
    COLLECT_BLOCK_BUFFER_LEN, DocId, Score, Searcher, SegmentReader, TERMINATED, TantivyError,
    query::{EnableScoring, Query, Scorer, Weight},
};

use super::{
    facets::{CategoryCounts, PriceCounts, Prices, SegmentCategories, SegmentPrices},
    order::{Ordering, SegmentPage},
};
use crate::Match;

/// What a pass is to find.
pub(super) struct Pass<'p> {
    pub(super) query: &'p dyn Query,
    pub(super) prices: PriceRange,
    pub(super) page: Option<&'p Ordering<'p>>,
    pub(super) total: bool,
    pub(super) categories: bool,
    pub(super) price_ranges: bool,
}

/// What a pass found: nothing of what it was not to find.
pub(super) struct Outcome {
    pub(super) matches: Vec<Match>,
    pub(super) total: u64,
    pub(super) categories: CategoryCounts,
    pub(super) price_ranges: PriceCounts,
}

/// Documents with their scores, where these are needed.
struct Block {
    documents: [DocId; COLLECT_BLOCK_BUFFER_LEN],
    scores: [Score; COLLECT_BLOCK_BUFFER_LEN],
}

impl Pass<'_> {
    pub(super) fn run(&self, searcher: &Searcher) -> Result<Outcome, TantivyError> {
        let by_relevance = self.page.is_some_and(|page| page.sort == Sort::Relevance);
        let scoring = if by_relevance {
            EnableScoring::enabled_from_searcher(searcher)
        } else {
            EnableScoring::disabled_from_searcher(searcher)
        };
        let weight = self.query.weight(scoring)?;
        let mut pages = Vec::new();
        let mut outcome = Outcome {
            matches: Vec::new(),
            total: 0,
            categories: CategoryCounts::default(),
            price_ranges: PriceCounts::new(),
        };
        for segment in searcher.segment_readers() {
            let mut page = self.page.map(|page| page.page(segment)).transpose()?;
            let mut categories = self.categories.then(|| SegmentCategories::new(segment)).transpose()?;
            let prices = Prices::new(segment)?;
            let mut price_ranges =
                self.price_ranges.then(|| SegmentPrices::new(&prices, &outcome.price_ranges));
            let range = prices.documents(self.prices);
            if let Some(mut page) = page.take_if(|page| page.is_by_price()) {
                page_by_price(&mut page, weight.as_ref(), segment, &prices, range.clone())?;
                pages.push(page);
            }
            let mut total = 0;
            if self.total || self.categories || self.price_ranges || page.is_some() {
                let mut scorer = weight.scorer(segment, 1.0)?;
                each_block(scorer.as_mut(), segment, range, by_relevance, |documents, scores| {
                    total += documents.len() as u64;
                    if let Some(page) = &mut page {
                        page.collect(documents, scores);
                    }
                    if let Some(categories) = &mut categories {
                        categories.collect(documents);
                    }
                    if let Some(price_ranges) = &mut price_ranges {
                        price_ranges.collect(documents);
                    }
                    true
                });
            }
            outcome.total += total;
            pages.extend(page);
            categories.map(|categories| categories.add_to(&mut outcome.categories)).transpose()?;
            if let Some(price_ranges) = price_ranges {
                price_ranges.add_to(&mut outcome.price_ranges);
            }
        }
        if let Some(page) = self.page {
            outcome.matches = page.merge(pages)?;
        }
        Ok(outcome)
    }
}

/// Fills a page by price: from that end of the documents where it starts, as far as needed.
fn page_by_price(
    page: &mut SegmentPage<'_>,
    weight: &dyn Weight,
    segment: &SegmentReader,
    prices: &Prices,
    mut range: Range<DocId>,
) -> Result<(), TantivyError> {
    let beyond = prices.documents(page.prices_beyond());
    range = range.start.max(beyond.start)..range.end.min(beyond.end);
    let mut window = range.len() / 64 + COLLECT_BLOCK_BUFFER_LEN;
    while !range.is_empty() {
        let mut part = range.clone();
        if page.is_descending() {
            // Documents come in ascending order only: a part at the end first, then greater ones before it.
            part.start = part.end.saturating_sub(u32::try_from(window).unwrap_or(u32::MAX)).max(range.start);
            window *= 8;
        }
        let mut scorer = weight.scorer(segment, 1.0)?;
        each_block(scorer.as_mut(), segment, part.clone(), false, |documents, _| {
            page.collect(documents, &[]);
            let last = documents.last().filter(|_| !page.is_descending());
            last.is_none_or(|last| !page.ends_before(prices.of(*last)))
        });
        range.end = part.start;
        page.shorten();
        if range.is_empty() || page.ends_before(prices.of(range.end - 1)) {
            break;
        }
    }
    Ok(())
}

/// Calls `collect` with the documents that exist, in order, until it returns false.
fn each_block(
    scorer: &mut dyn Scorer,
    segment: &SegmentReader,
    range: Range<DocId>,
    with_scores: bool,
    mut collect: impl FnMut(&[DocId], &[Score]) -> bool,
) {
    let alive = segment.alive_bitset();
    let mut block =
        Block { documents: [0; COLLECT_BLOCK_BUFFER_LEN], scores: [0.0; COLLECT_BLOCK_BUFFER_LEN] };
    if scorer.doc() < range.start {
        scorer.seek(range.start);
    }
    while scorer.doc() < range.end {
        let filled =
            if with_scores { block.fill_scored(scorer) } else { scorer.fill_buffer(&mut block.documents) };
        let mut kept = block.documents[..filled].partition_point(|document| *document < range.end);
        if let Some(alive) = alive {
            let mut existing = 0;
            for nth in 0..kept {
                if alive.is_alive(block.documents[nth]) {
                    block.documents[existing] = block.documents[nth];
                    block.scores[existing] = block.scores[nth];
                    existing += 1;
                }
            }
            kept = existing;
        }
        if !collect(&block.documents[..kept], &block.scores[..kept]) {
            return;
        }
    }
}

impl Block {
    fn fill_scored(&mut self, scorer: &mut dyn Scorer) -> usize {
        for nth in 0..COLLECT_BLOCK_BUFFER_LEN {
            if scorer.doc() == TERMINATED {
                return nth;
            }
            self.documents[nth] = scorer.doc();
            self.scores[nth] = scorer.score();
            scorer.advance();
        }
        COLLECT_BLOCK_BUFFER_LEN
    }
}

/// Whether any document that exists matches.
pub(super) fn finds(searcher: &Searcher, query: &dyn Query) -> Result<bool, TantivyError> {
    let weight = query.weight(EnableScoring::disabled_from_searcher(searcher))?;
    for segment in searcher.segment_readers() {
        let mut found = false;
        let mut scorer = weight.scorer(segment, 1.0)?;
        each_block(scorer.as_mut(), segment, 0..segment.max_doc(), false, |documents, _| {
            found |= !documents.is_empty();
            !found
        });
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How many documents that exist match.
pub(super) fn count(searcher: &Searcher, query: &dyn Query) -> Result<u64, TantivyError> {
    let weight = query.weight(EnableScoring::disabled_from_searcher(searcher))?;
    let counts = searcher.segment_readers().iter().map(|segment| weight.count(segment).map(u64::from));
    counts.sum()
}
