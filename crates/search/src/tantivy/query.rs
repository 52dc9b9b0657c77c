//! A search as terms of the index: each word with what it may stand for, at a level of forgiving.

use std::collections::{BTreeMap, HashSet};

use farmlokal_catalog::Level;
use tantivy::{TantivyError, schema::Field};

use super::{
    dictionary::{Postings, Terms, typos},
    scores::Scores,
    snapshot::Snapshot,
};
use crate::analysis::{STEM, Word, pairs};

/// How a word is matched, by how much that counts for relevance: in a name [`IN_NAME`] more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    Typo = 1,
    Prefix = 2,
    Alike = 3,
    Exact = 4,
}

/// Every match in a name counts more than any in a description.
const IN_NAME: u16 = 4;

/// One way to match a word: terms of at least so many groups, all in the name or all in the description.
struct Alternative {
    likeness: Likeness,
    groups: Vec<Terms>,
    at_least: usize,
}

/// A searched word and how it is matched at a level.
struct ExpandedWord {
    word: Word,
    alternatives: Vec<Alternative>,
}

/// Words that follow each other, and phrases that mean the same as all of them.
struct Unit {
    words: Vec<ExpandedWord>,
    synonyms: Vec<Alternative>,
}

/// A search at a level.
pub(super) struct Expanded(Vec<Unit>);

impl Snapshot {
    /// Expands words as this level allows.
    pub(super) fn expand(&self, words: &[Word], level: Level) -> Result<Expanded, TantivyError> {
        let mut units = Vec::new();
        let mut rest = words;
        while !rest.is_empty() {
            let (length, phrases) = self.synonyms.of_first(rest.iter()).unwrap_or((1, Vec::new()));
            let (of_unit, following) = rest.split_at(length.min(rest.len()));
            let mut words = Vec::with_capacity(of_unit.len());
            for (nth, word) in of_unit.iter().enumerate() {
                let is_last = following.is_empty() && nth + 1 == of_unit.len();
                words.push(self.expand_word(word, is_last, level)?);
            }
            let synonyms = phrases.into_iter().map(|phrase| self.all_of(Likeness::Alike, phrase));
            units.push(Unit { words, synonyms: synonyms.collect::<Result<_, _>>()? });
            rest = following;
        }
        Ok(Expanded(units))
    }

    fn expand_word(&self, word: &Word, is_last: bool, level: Level) -> Result<ExpandedWord, TantivyError> {
        let fields = self.fields.texts();
        let mut alternatives = self.as_written(word)?;
        let mut forgive =
            |likeness, terms| alternatives.push(Alternative { likeness, groups: vec![terms], at_least: 1 });
        match word {
            Word::Plain { whole, .. } => {
                if is_last && level >= Level::Prefix {
                    forgive(Likeness::Prefix, self.beginning_with(&fields, whole)?);
                }
                if level >= Level::Typos {
                    forgive(Likeness::Typo, self.misspelt(&fields, whole)?);
                }
            }
            Word::Run(run) if level >= Level::Typos && typos(run) > 0 => {
                let pairs = pairs(run).into_iter().map(|pair| self.terms(&fields, &[pair]));
                let groups = pairs.collect::<Result<Vec<_>, _>>()?;
                // A wrong character is in two pairs.
                let at_least = groups.len().saturating_sub(2 * usize::from(typos(run))).max(1);
                alternatives.push(Alternative { likeness: Likeness::Typo, groups, at_least });
            }
            Word::Run(_) | Word::Symbol(_) => {}
        }
        Ok(ExpandedWord { word: word.clone(), alternatives })
    }

    /// How a word is matched where nothing is forgiven, synonyms left out.
    fn as_written(&self, word: &Word) -> Result<Vec<Alternative>, TantivyError> {
        let like = self.analysis.like(word);
        let Word::Plain { whole, parts } = word else {
            return Ok(vec![self.all_of(Likeness::Exact, &like)?]);
        };
        let mut alternatives =
            vec![self.all_of(Likeness::Exact, &[vec![whole.clone()]])?, self.all_of(Likeness::Alike, &like)?];
        if !parts.is_empty() {
            let stem = self.analysis.stem(whole).unwrap_or_else(|| whole.clone());
            alternatives.push(self.all_of(Likeness::Alike, &[vec![format!("{STEM}{stem}"), stem]])?);
        }
        Ok(alternatives)
    }

    /// One term of each group.
    fn all_of(&self, likeness: Likeness, groups: &[Vec<String>]) -> Result<Alternative, TantivyError> {
        let groups = groups.iter().map(|terms| self.terms(&self.fields.texts(), terms));
        let groups = groups.collect::<Result<Vec<_>, _>>()?;
        Ok(Alternative { likeness, at_least: groups.len(), groups })
    }

    /// What each product counts that has all words; 0 for others. `written`: the word at this place only as it is written.
    pub(super) fn scores(
        &self,
        Expanded(units): &Expanded,
        written: Option<usize>,
    ) -> Result<Scores, TantivyError> {
        let both = |others: Option<Scores>, scores: Scores| match others {
            Some(others) => others.and(&scores),
            None => scores,
        };
        let mut all: Option<Scores> = None;
        let mut place = 0;
        for unit in units {
            let mut of_unit: Option<Scores> = None;
            for word in &unit.words {
                let mut scores = Scores::none(&self.searcher);
                for alternative in &word.alternatives {
                    if written != Some(place) || alternative.likeness >= Likeness::Alike {
                        self.raise(&mut scores, alternative, 1)?;
                    }
                }
                of_unit = Some(both(of_unit, scores));
                place += 1;
            }
            let mut scores = of_unit.unwrap_or_else(|| Scores::none(&self.searcher));
            for synonym in &unit.synonyms {
                self.raise(&mut scores, synonym, unit.words.len())?;
            }
            all = Some(both(all, scores));
        }
        Ok(all.unwrap_or_else(|| Scores::none(&self.searcher)))
    }

    /// Counts documents that match in this way as much as so many words.
    fn raise(
        &self,
        scores: &mut Scores,
        alternative: &Alternative,
        words: usize,
    ) -> Result<(), TantivyError> {
        let Alternative { likeness, groups, at_least } = alternative;
        let words = u16::try_from(words).unwrap_or(u16::MAX);
        let weight = |field: Field| {
            let more = if field == self.fields.name { IN_NAME } else { 0 };
            (*likeness as u16 + more).saturating_mul(words)
        };
        match groups.as_slice() {
            [terms] => scores.raise(&self.searcher, terms.values().flatten(), weight),
            groups => {
                let groups = groups.iter().map(|terms| terms.values().flatten());
                scores.raise_all(&self.searcher, groups, *at_least, weight)
            }
        }
    }
}

impl Expanded {
    /// The words that were not matched as written alone, their places, and what else they may be.
    pub(super) fn forgiven(&self) -> impl Iterator<Item = (usize, &str, BTreeMap<&str, &[Postings]>)> {
        let words = self.0.iter().flat_map(|unit| &unit.words).enumerate();
        words.filter_map(|(place, expanded)| {
            let Word::Plain { whole, .. } = &expanded.word else { return None };
            let forgiven = expanded.alternatives.iter().filter(|other| other.likeness < Likeness::Alike);
            let terms = forgiven.flat_map(|other| other.groups.iter().flatten());
            let terms: BTreeMap<_, _> =
                terms.map(|(term, postings)| (term.as_str(), postings.as_slice())).collect();
            (!terms.is_empty()).then_some((place, whole.as_str(), terms))
        })
    }

    /// Every term that a product may have been found by.
    pub(super) fn terms(&self) -> HashSet<String> {
        let alternatives = self
            .0
            .iter()
            .flat_map(|unit| unit.words.iter().flat_map(|word| &word.alternatives).chain(&unit.synonyms));
        alternatives.flat_map(|one| one.groups.iter().flat_map(Terms::keys).cloned()).collect()
    }
}
