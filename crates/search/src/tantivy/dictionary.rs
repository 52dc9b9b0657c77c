//! What the dictionary of words has that is like a word.

use std::collections::BTreeSet;

use tantivy::{Searcher, TantivyError, Term, query::FuzzyTermQuery, schema::Field};

/// The words that begin like this one, and are longer.
pub(super) fn beginning_with(
    searcher: &Searcher,
    fields: &[Field],
    prefix: &str,
) -> Result<BTreeSet<String>, TantivyError> {
    let mut words = BTreeSet::new();
    for segment in searcher.segment_readers() {
        for field in fields {
            let index = segment.inverted_index(*field)?;
            let mut terms = index.terms().range().gt(prefix).into_stream()?;
            while terms.advance() && terms.key().starts_with(prefix.as_bytes()) {
                words.extend(word(terms.key()));
            }
        }
    }
    Ok(words)
}

/// The words that become this one by so many letters that are added, left out, replaced or exchanged with their neighbour.
pub(super) fn misspelt(
    searcher: &Searcher,
    fields: &[Field],
    written: &str,
) -> Result<BTreeSet<String>, TantivyError> {
    let mut words = BTreeSet::new();
    let letters = typos(written);
    if letters == 0 {
        return Ok(words);
    }
    for field in fields {
        let automaton = FuzzyTermQuery::new(Term::from_field_text(*field, written), letters, true);
        for segment in searcher.segment_readers() {
            let index = segment.inverted_index(*field)?;
            let mut terms = index.terms().search(automaton.automaton()?).into_stream()?;
            while terms.advance() {
                words.extend(word(terms.key()).filter(|word| word != written));
            }
        }
    }
    Ok(words)
}

/// How many letters of a word may be wrong.
pub(super) fn typos(word: &str) -> u8 {
    match word.chars().count() {
        _ if word.chars().any(char::is_numeric) => 0,
        0..5 => 0,
        5..9 => 1,
        _ => 2,
    }
}

/// The word of a term, if it is one: stems and completions begin with a control character.
fn word(term: &[u8]) -> Option<String> {
    let word = str::from_utf8(term).ok()?;
    (!word.starts_with(char::is_control)).then(|| word.to_owned())
}
