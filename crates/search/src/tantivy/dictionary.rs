//! What the dictionary of words has that is like a word.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use tantivy::{Searcher, TantivyError, Term, postings::TermInfo, query::FuzzyTermQuery, schema::Field};

/// Words, and the most documents that can have each: those that are gone are still counted.
pub(super) type Candidates = BTreeMap<String, u64>;

/// The words that begin like this one, and are longer.
pub(super) fn beginning_with(
    searcher: &Searcher,
    fields: &[Field],
    prefix: &str,
) -> Result<Candidates, TantivyError> {
    let mut words = Candidates::new();
    for segment in searcher.segment_readers() {
        for field in fields {
            let index = segment.inverted_index(*field)?;
            let mut terms = index.terms().range().gt(prefix).into_stream()?;
            while terms.advance() && terms.key().starts_with(prefix.as_bytes()) {
                add(&mut words, terms.key(), terms.value());
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
) -> Result<Candidates, TantivyError> {
    let mut words = Candidates::new();
    let letters = typos(written);
    if letters == 0 {
        return Ok(words);
    }
    let Some(field) = fields.first() else { return Ok(words) };
    let automaton = FuzzyTermQuery::new(Term::from_field_text(*field, written), letters, true).automaton()?;
    for field in fields {
        for segment in searcher.segment_readers() {
            let index = segment.inverted_index(*field)?;
            let mut terms = index.terms().search(&automaton).into_stream()?;
            while terms.advance() {
                add(&mut words, terms.key(), terms.value());
            }
        }
    }
    words.remove(written);
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

/// Adds a term, if it is a word: stems and completions begin with a control character.
fn add(words: &mut Candidates, term: &[u8], of: &TermInfo) {
    if let Some(word) = str::from_utf8(term).ok().filter(|word| !word.starts_with(char::is_control)) {
        *words.entry(word.to_owned()).or_default() += u64::from(of.doc_freq);
    }
}

/// The words that most products have, and at least one; equally common ones by their bytes. `tried`: how many are counted at the
/// most, those first that can be the most common.
pub(super) fn most_common<T>(
    mut candidates: Vec<(u64, String, T)>,
    most: usize,
    tried: usize,
    mut count: impl FnMut(&str, T) -> Result<u64, TantivyError>,
) -> Result<Vec<(String, u64)>, TantivyError> {
    candidates.sort_unstable_by(|(a, word_a, _), (b, word_b, _)| b.cmp(a).then_with(|| word_a.cmp(word_b)));
    let mut counted: BTreeSet<(Reverse<u64>, String)> = BTreeSet::new();
    for (at_most, word, candidate) in candidates.into_iter().take(tried) {
        if counted.iter().nth(most.saturating_sub(1)).is_some_and(|(Reverse(least), _)| *least > at_most) {
            break;
        }
        let products = count(&word, candidate)?;
        if products > 0 {
            counted.insert((Reverse(products), word));
        }
    }
    Ok(counted.into_iter().take(most).map(|(Reverse(products), word)| (word, products)).collect())
}
