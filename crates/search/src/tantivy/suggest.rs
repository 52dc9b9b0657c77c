//! Completions of the last word of a text, from the names of products.

use std::collections::{HashMap, hash_map::Entry};

use farmlokal_catalog::{Level, SearchText};
use tantivy::{
    BitSet, COLLECT_BLOCK_BUFFER_LEN, DocSet as _, SegmentReader, TantivyError,
    postings::TermInfo,
    query::{EnableScoring, Query},
    schema::IndexRecordOption,
};

use super::{dictionary::most_common, snapshot::Snapshot};
use crate::{
    Suggestion,
    analysis::{COMPLETION, SURFACE, Word, words},
};

/// How many completions are counted among the products that have the words before.
const COUNTED: usize = 100;

impl Snapshot {
    /// Completes the last word of a text with words of products that have the words before as well.
    pub(super) fn suggest(&self, text: &SearchText, limit: usize) -> Result<Vec<Suggestion>, TantivyError> {
        let mut before = words(text.as_str());
        let Some(last) = before.pop() else { return Ok(Vec::new()) };
        let (Word::Plain { whole: prefix, .. } | Word::Run(prefix)) = last.word else {
            return Ok(Vec::new());
        };
        let begins = text.as_str().get(..last.range.start).unwrap_or_default();
        let before: Vec<Word> = before.into_iter().map(|placed| placed.word).collect();
        let before = if before.is_empty() {
            None
        } else {
            Some(self.expander().expand(&before, Level::AsWritten)?.query())
        };

        let at_most = |places: &[(usize, TermInfo)]| {
            places.iter().map(|(_, term)| u64::from(term.doc_freq)).sum::<u64>()
        };
        let completions = self.completions(&prefix)?.into_iter();
        let completions = completions.map(|(written, places)| (at_most(&places), written, places)).collect();
        let mut documents = HashMap::new();
        let common = most_common(completions, limit, COUNTED, |_, places| {
            let mut products = 0;
            for (nth, term) in places {
                let segment = &self.searcher.segment_readers()[nth];
                let documents = match documents.entry(nth) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => new.insert(matching(segment, before.as_deref())?),
                };
                products += self.having(segment, &term, documents.as_ref())?;
            }
            Ok(products)
        })?;
        let suggestion = |(written, products)| Suggestion { text: format!("{begins}{written}"), products };
        Ok(common.into_iter().map(suggestion).collect())
    }

    /// Words of names that begin with a folded word, as they are written there, and their places in the dictionaries.
    fn completions(&self, prefix: &str) -> Result<HashMap<String, Vec<(usize, TermInfo)>>, TantivyError> {
        let prefix = format!("{COMPLETION}{prefix}");
        let mut completions: HashMap<String, Vec<_>> = HashMap::new();
        for (nth, segment) in self.searcher.segment_readers().iter().enumerate() {
            let index = segment.inverted_index(self.fields.name)?;
            let mut terms = index.terms().range().ge(&prefix).into_stream()?;
            while terms.advance() && terms.key().starts_with(prefix.as_bytes()) {
                let term = str::from_utf8(terms.key()).unwrap_or_default();
                let Some((_, written)) = term.split_once(SURFACE) else { continue };
                let place = (nth, terms.value().clone());
                match completions.get_mut(written) {
                    Some(places) => places.push(place),
                    None => drop(completions.insert(written.to_owned(), vec![place])),
                }
            }
        }
        Ok(completions)
    }

    /// How many of these documents have a term in their names; without documents, how many at all.
    fn having(
        &self,
        segment: &SegmentReader,
        term: &TermInfo,
        documents: Option<&BitSet>,
    ) -> Result<u64, TantivyError> {
        let Some(documents) = documents else { return Ok(term.doc_freq.into()) };
        let index = segment.inverted_index(self.fields.name)?;
        let mut postings = index.read_block_postings_from_terminfo(term, IndexRecordOption::Basic)?;
        let mut products = 0;
        while !postings.docs().is_empty() {
            products +=
                postings.docs().iter().filter(|document| documents.contains(**document)).count() as u64;
            postings.advance();
        }
        Ok(products)
    }
}

/// The documents of a segment that exist and match; `None` for all.
fn matching(segment: &SegmentReader, query: Option<&dyn Query>) -> Result<Option<BitSet>, TantivyError> {
    let alive = segment.alive_bitset();
    let Some(query) = query else {
        return Ok(alive.map(|alive| {
            let mut documents = BitSet::with_max_value(segment.max_doc());
            for document in alive.iter_alive() {
                documents.insert(document);
            }
            documents
        }));
    };
    let scoring = EnableScoring::disabled_from_schema(segment.schema());
    let mut scorer = query.weight(scoring)?.scorer(segment, 1.0)?;
    let mut documents = BitSet::with_max_value(segment.max_doc());
    let mut block = [0; COLLECT_BLOCK_BUFFER_LEN];
    loop {
        let filled = scorer.fill_buffer(&mut block);
        for document in &block[..filled] {
            if alive.is_none_or(|alive| alive.is_alive(*document)) {
                documents.insert(*document);
            }
        }
        if filled < block.len() {
            return Ok(Some(documents));
        }
    }
}
