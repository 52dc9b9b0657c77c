//! A search as a query of the index: each word with what it may stand for, at a level of forgiving.

use std::collections::HashSet;

use farmlokal_catalog::Level;
use tantivy::{
    Searcher, TantivyError, Term,
    query::{BooleanQuery, ConstScoreQuery, DisjunctionMaxQuery, EmptyQuery, Query, TermQuery, TermSetQuery},
    schema::{Field, IndexRecordOption},
};

use super::{
    dictionary::{Candidates, beginning_with, misspelt, typos},
    schema::Fields,
};
use crate::analysis::{Analysis, STEM, SynonymIndex, Word, pairs};

/// Documents of more terms than these are gathered in a set first.
const FEW: usize = 8;

/// How a word was read, by how much it counts for relevance: in a name [`IN_NAME`] more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    Typo = 1,
    Prefix = 2,
    Alike = 3,
    Exact = 4,
}

/// Every match in a name counts more than any in a description.
const IN_NAME: u16 = 4;

/// One way to read a word: at least so many of these terms, alternatives of each, all in the name or all in the description.
struct Reading {
    likeness: Likeness,
    terms: Vec<Vec<String>>,
    at_least: usize,
}

impl Reading {
    fn new(likeness: Likeness, terms: Vec<Vec<String>>) -> Reading {
        Reading { likeness, at_least: terms.len(), terms }
    }

    fn one_of(likeness: Likeness, words: &Candidates) -> Reading {
        Reading::new(likeness, vec![words.keys().cloned().collect()])
    }
}

/// A searched word and how it is read at a level.
struct Read {
    word: Word,
    readings: Vec<Reading>,
    /// What was found in the dictionary instead of the word.
    forgiven: Candidates,
}

/// Words that follow each other, and phrases that mean the same as all of them.
struct Unit {
    words: Vec<Read>,
    synonyms: Vec<Reading>,
}

/// A search at a level.
pub(super) struct Expanded {
    fields: Fields,
    units: Vec<Unit>,
}

/// What a search is expanded by.
#[derive(Clone, Copy)]
pub(super) struct Expander<'a> {
    pub(super) searcher: &'a Searcher,
    pub(super) fields: Fields,
    pub(super) analysis: Analysis,
    pub(super) synonyms: &'a SynonymIndex,
}

impl Expander<'_> {
    /// Expands words as this level allows.
    pub(super) fn expand(&self, words: &[Word], level: Level) -> Result<Expanded, TantivyError> {
        let mut units = Vec::new();
        let mut rest = words;
        while !rest.is_empty() {
            let (length, phrases) = self.synonyms.of_first(rest.iter()).unwrap_or((1, Vec::new()));
            let (of_unit, following) = rest.split_at(length.min(rest.len()));
            let mut reads = Vec::with_capacity(of_unit.len());
            for (nth, word) in of_unit.iter().enumerate() {
                let is_last = following.is_empty() && nth + 1 == of_unit.len();
                reads.push(self.read(word, is_last, level)?);
            }
            let synonyms = phrases.into_iter().map(|phrase| Reading::new(Likeness::Alike, phrase.clone()));
            units.push(Unit { words: reads, synonyms: synonyms.collect() });
            rest = following;
        }
        Ok(Expanded { fields: self.fields, units })
    }

    fn read(&self, word: &Word, is_last: bool, level: Level) -> Result<Read, TantivyError> {
        let mut readings = as_written(self.analysis, word);
        let mut forgiven = Candidates::new();
        let fields = [self.fields.name, self.fields.description];
        match word {
            Word::Plain { whole, .. } => {
                if is_last && level >= Level::Prefix {
                    let longer = beginning_with(self.searcher, &fields, whole)?;
                    readings.push(Reading::one_of(Likeness::Prefix, &longer));
                    forgiven.extend(longer);
                }
                if level >= Level::Typos {
                    let others = misspelt(self.searcher, &fields, whole)?;
                    readings.push(Reading::one_of(Likeness::Typo, &others));
                    forgiven.extend(others);
                }
            }
            Word::Run(run) if level >= Level::Typos && typos(run) > 0 => {
                let pairs: Vec<_> = pairs(run).into_iter().map(|pair| vec![pair.to_owned()]).collect();
                // A wrong character is in two pairs.
                let at_least = pairs.len().saturating_sub(2 * usize::from(typos(run))).max(1);
                readings.push(Reading { likeness: Likeness::Typo, terms: pairs, at_least });
            }
            Word::Run(_) | Word::Symbol(_) => {}
        }
        readings.retain(|reading| reading.terms.iter().all(|alternatives| !alternatives.is_empty()));
        Ok(Read { word: word.clone(), readings, forgiven })
    }
}

/// The readings of a word that forgive nothing, synonyms left out.
fn as_written(analysis: Analysis, word: &Word) -> Vec<Reading> {
    let mut like = analysis.like(word);
    let Word::Plain { whole, parts } = word else { return vec![Reading::new(Likeness::Exact, like)] };
    let exact = Reading::new(Likeness::Exact, vec![vec![whole.clone()]]);
    if parts.is_empty() {
        for alternatives in &mut like {
            alternatives.retain(|term| term != whole);
        }
        return vec![exact, Reading::new(Likeness::Alike, like)];
    }
    let stem = analysis.stem(whole).unwrap_or_else(|| whole.clone());
    let stems = vec![vec![format!("{STEM}{stem}"), stem]];
    vec![exact, Reading::new(Likeness::Alike, like), Reading::new(Likeness::Alike, stems)]
}

impl Expanded {
    /// The query for products that match all words.
    pub(super) fn query(&self) -> Box<dyn Query> {
        self.query_reading(|_, readings| readings.iter().collect())
    }

    /// The same, but the word at this place only as it is written, with its stems.
    pub(super) fn query_with_written(&self, place: usize) -> Box<dyn Query> {
        let is_written = |reading: &&Reading| reading.likeness >= Likeness::Alike;
        self.query_reading(|nth, readings| {
            readings.iter().filter(|reading| nth != place || is_written(reading)).collect()
        })
    }

    fn query_reading<'e>(
        &'e self,
        choose: impl Fn(usize, &'e [Reading]) -> Vec<&'e Reading>,
    ) -> Box<dyn Query> {
        let mut place = 0;
        let mut queries = Vec::with_capacity(self.units.len());
        for unit in &self.units {
            let words = unit.words.iter().map(|word| {
                let readings = choose(place, &word.readings);
                place += 1;
                any(readings.into_iter().flat_map(|reading| self.read(reading, 1)).collect())
            });
            let words = all(words.collect());
            let synonyms = unit.synonyms.iter().flat_map(|reading| self.read(reading, unit.words.len()));
            queries.push(any(std::iter::once(words).chain(synonyms).collect()));
        }
        all(queries)
    }

    /// The reading in names and in descriptions, which counts as this many words.
    fn read(&self, reading: &Reading, words: usize) -> Vec<Box<dyn Query>> {
        let words = u16::try_from(words).unwrap_or(u16::MAX);
        let mut queries: Vec<Box<dyn Query>> = Vec::new();
        for (field, more) in [(self.fields.name, IN_NAME), (self.fields.description, 0)] {
            let weight = f32::from(reading.likeness as u16 + more) * f32::from(words);
            let mut add = |query| queries.push(Box::new(ConstScoreQuery::new(query, weight)));
            match reading.terms.as_slice() {
                // Their documents are merged with those of the word's other readings, not before.
                [terms] if terms.len() <= FEW => terms.iter().for_each(|term| add(one_of(field, &[term]))),
                [terms] => add(one_of(field, terms)),
                all if all.len() == reading.at_least => {
                    let terms = all.iter().map(|terms| one_of(field, terms)).collect();
                    add(Box::new(BooleanQuery::intersection(terms)));
                }
                some => {
                    let terms = some.iter().map(|terms| one_of(field, terms)).collect();
                    let at_least = reading.at_least;
                    add(Box::new(BooleanQuery::union_with_minimum_required_clauses(terms, at_least)));
                }
            }
        }
        queries
    }

    /// The words that were not read as written alone, their places, and what else they may be.
    pub(super) fn forgiven(&self) -> impl Iterator<Item = (usize, &str, &Candidates)> {
        let words = self.units.iter().flat_map(|unit| &unit.words).enumerate();
        words.filter_map(|(place, read)| match &read.word {
            Word::Plain { whole, .. } if !read.forgiven.is_empty() => {
                Some((place, whole.as_str(), &read.forgiven))
            }
            _ => None,
        })
    }

    /// Every term that a product may have been found by.
    pub(super) fn terms(&self) -> HashSet<String> {
        let readings = self
            .units
            .iter()
            .flat_map(|unit| unit.words.iter().flat_map(|word| &word.readings).chain(&unit.synonyms));
        readings.flat_map(|reading| reading.terms.iter().flatten().cloned()).collect()
    }
}

/// Documents that match one query, and count as the best that they match.
fn any(mut queries: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    if queries.len() == 1 { queries.remove(0) } else { Box::new(DisjunctionMaxQuery::new(queries)) }
}

/// Documents that match all queries; none if there is no query.
pub(super) fn all(mut queries: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    match queries.len() {
        0 => Box::new(EmptyQuery),
        1 => queries.remove(0),
        _ => Box::new(BooleanQuery::intersection(queries)),
    }
}

/// Documents that have one of these terms.
pub(super) fn one_of<T: AsRef<str>>(field: Field, terms: &[T]) -> Box<dyn Query> {
    let terms = terms.iter().map(|term| Term::from_field_text(field, term.as_ref()));
    if terms.len() > FEW {
        return Box::new(TermSetQuery::new(terms));
    }
    let query = |term| Box::new(TermQuery::new(term, IndexRecordOption::Basic)) as Box<dyn Query>;
    let mut queries: Vec<_> = terms.map(query).collect();
    if queries.len() == 1 { queries.remove(0) } else { Box::new(BooleanQuery::union(queries)) }
}
