//! A search as terms of the index: each word with what it may stand for, at a level of forgiving.

use std::collections::{BTreeMap, HashSet};

use farmlokal_catalog::Level;
use tantivy::{TantivyError, schema::Field};

use super::{
    dictionary::{Postings, Terms, at_most, typos},
    documents::{Documents, any, retain_common},
    scores::Scores,
    snapshot::Snapshot,
};
use crate::{
    Correction,
    analysis::{STEM, Word, pairs},
};

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

impl Unit {
    fn alternatives(&self) -> impl Iterator<Item = &Alternative> {
        self.words.iter().flat_map(|word| &word.alternatives).chain(&self.synonyms)
    }
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
                    forgive(Likeness::Typo, self.misspelt(whole)?);
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

    /// The products that have all words.
    pub(super) fn find(&self, Expanded(units): &Expanded) -> Result<Scores<'_>, TantivyError> {
        let mut units: Vec<&Unit> = units.iter().collect();
        // The rarest first: only its products are looked for among those of the others.
        units.sort_by_key(|unit| {
            at_most(unit.alternatives().flat_map(|one| one.groups.iter().flat_map(Terms::values)).flatten())
        });
        self.all(&units, self.existing(), |unit, among| {
            let mut scores = if let [word] = unit.words.as_slice() {
                self.scores(&word.alternatives, 1, among)?
            } else {
                self.all(&unit.words, among.to_vec(), |word, among| {
                    self.scores(&word.alternatives, 1, among)
                })?
            };
            self.raise(&mut scores, &unit.synonyms, unit.words.len(), among)?;
            Ok(scores)
        })
    }

    /// Those of the documents that match all parts of a search, with the sums of their scores.
    fn all<'s, T>(
        &'s self,
        parts: &[T],
        documents: Vec<Documents>,
        scores: impl Fn(&T, &[Documents]) -> Result<Scores<'s>, TantivyError>,
    ) -> Result<Scores<'s>, TantivyError> {
        let mut all = Scores::new(&self.searcher, documents);
        for part in parts {
            let scores = scores(part, &all.documents)?;
            all.and(scores);
        }
        Ok(all)
    }

    /// The words that no product that was found has as they are written, and the most common that these have instead.
    pub(super) fn corrections(
        &self,
        Expanded(units): &Expanded,
        found: &[Documents],
    ) -> Result<Vec<Correction>, TantivyError> {
        const SHOWN: usize = 5;
        let mut corrections = Vec::new();
        for (unit, word) in units.iter().flat_map(|unit| unit.words.iter().map(move |word| (unit, word))) {
            let (forgiving, written): (Vec<_>, Vec<_>) =
                word.alternatives.iter().partition(|one| one.likeness < Likeness::Alike);
            let forgiving = || forgiving.iter().flat_map(|one| &one.groups);
            // A stem may be no word: the words that begin with it stand for it.
            let stems = forgiving().flat_map(Terms::keys).filter_map(|term| term.strip_prefix(STEM));
            let of_stems = stems.map(|stem| {
                let mut words = self.beginning_with(&self.fields.texts(), stem)?;
                words.retain(|word, _| self.analysis.stem(word).as_deref() == Some(stem));
                Ok(words)
            });
            let of_stems = of_stems.collect::<Result<Vec<_>, TantivyError>>()?;
            let others: BTreeMap<&str, &[Postings]> = forgiving()
                .chain(&of_stems)
                .flatten()
                .filter(|(term, _)| !term.starts_with(STEM))
                .map(|(term, postings)| (term.as_str(), postings.as_slice()))
                .collect();
            let Word::Plain { whole, .. } = &word.word else { continue };
            if others.is_empty() {
                continue;
            }
            let mut as_written = self.scores(written.into_iter().chain(&unit.synonyms), 1, found)?.documents;
            retain_common(&mut as_written, found);
            if !any(&as_written) {
                let others = self.most_common(others.into_iter(), SHOWN, found)?;
                let found = others.into_iter().map(|(other, _)| other.to_owned()).collect();
                corrections.push(Correction { word: whole.clone(), found });
            }
        }
        Ok(corrections)
    }

    /// The documents that match in one of these ways, each counted as so many words: all that are `among` these, and perhaps
    /// others.
    fn scores<'a>(
        &self,
        alternatives: impl IntoIterator<Item = &'a Alternative>,
        words: usize,
        among: &[Documents],
    ) -> Result<Scores<'_>, TantivyError> {
        let none = among.iter().map(Documents::none).collect();
        let mut scores = Scores::new(&self.searcher, none);
        self.raise(&mut scores, alternatives, words, among)?;
        Ok(scores)
    }

    fn raise<'a>(
        &self,
        scores: &mut Scores<'_>,
        alternatives: impl IntoIterator<Item = &'a Alternative>,
        words: usize,
        among: &[Documents],
    ) -> Result<(), TantivyError> {
        let words = u16::try_from(words).unwrap_or(u16::MAX);
        for Alternative { likeness, groups, at_least } in alternatives {
            let score = |field: Field| {
                let more = if field == self.fields.name { IN_NAME } else { 0 };
                (*likeness as u16 + more).saturating_mul(words)
            };
            match groups.as_slice() {
                [terms] => scores.raise(terms.values().flatten(), among, score)?,
                groups => scores.raise_groups(groups, *at_least, among, score, self.fields.texts())?,
            }
        }
        Ok(())
    }
}

impl Expanded {
    /// Every term that a product may have been found by.
    pub(super) fn terms(&self) -> HashSet<String> {
        let alternatives = self.0.iter().flat_map(Unit::alternatives);
        alternatives.flat_map(|one| one.groups.iter().flat_map(Terms::keys).cloned()).collect()
    }
}
