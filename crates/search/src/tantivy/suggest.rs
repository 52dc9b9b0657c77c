//! Completions of the last word of a text, from the names of products.

use farmlokal_catalog::{Level, SearchText};
use tantivy::TantivyError;

use super::snapshot::Snapshot;
use crate::{
    Suggestion,
    analysis::{COMPLETION, SURFACE, Word, searched, words},
};

impl Snapshot {
    /// Completes the last word of a text with words of products that have the words before as well.
    pub(super) fn suggest(&self, text: &SearchText, limit: usize) -> Result<Vec<Suggestion>, TantivyError> {
        let Some(last) = words(text.as_str()).pop() else { return Ok(Vec::new()) };
        let (Word::Plain { whole: prefix, .. } | Word::Run(prefix)) = last.word else {
            return Ok(Vec::new());
        };
        let begins = text.as_str().get(..last.range.start).unwrap_or_default();
        let before: Vec<Word> = searched(begins).into_iter().map(|placed| placed.word).collect();
        let found = if before.is_empty() {
            self.existing()
        } else {
            self.find(&self.expand(&before, Level::AsWritten)?)?.documents
        };
        let terms = self.beginning_with(&[self.fields.name], &[COMPLETION, &prefix].concat())?;
        let completions = terms.iter().filter_map(|(term, postings)| {
            let (_, written) = term.split_once(SURFACE)?;
            Some((written, postings.as_slice()))
        });
        let common = self.most_common(completions, limit, &found)?.into_iter();
        let suggestion = |(written, products)| Suggestion { text: format!("{begins}{written}"), products };
        Ok(common.map(suggestion).collect())
    }
}
