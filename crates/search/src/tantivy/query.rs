//! A search as terms of the index: each word with what it may stand for, at a level of forgiving.

use std::collections::{BTreeMap, HashSet};

use farmlokal_catalog::Level;
use tantivy::{TantivyError, schema::Field};

use super::{
    dictionary::{Postings, Terms, at_most},
    documents::{Documents, any, retain_common},
    scores::Scores,
    snapshot::Snapshot,
};
use crate::{
    Correction,
    analysis::{STEM, Word},
    expansion::{Alternative, CORRECTIONS, IN_NAME, Likeness, Unit, Wanted, expand},
};

/// A search at a level.
pub(super) struct Expanded(Vec<Unit<Terms>>);

impl Snapshot {
    /// Expands words as this level allows.
    pub(super) fn expand(&self, words: &[Word], level: Level) -> Result<Expanded, TantivyError> {
        let fields = self.fields.texts();
        let look_up = |wanted| match wanted {
            Wanted::Terms(terms) => self.terms(&fields, &terms),
            Wanted::Beginning(prefix) => self.beginning_with(&fields, &prefix),
            Wanted::Misspelt(forms) => self.misspelt(&forms),
        };
        expand(words, level, self.analysis, &self.synonyms, look_up).map(Expanded)
    }

    /// The products that have all words.
    pub(super) fn find(&self, Expanded(units): &Expanded) -> Result<Scores<'_>, TantivyError> {
        let mut units: Vec<&Unit<Terms>> = units.iter().collect();
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
                let others = self.most_common(others.into_iter(), CORRECTIONS, found)?;
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
        alternatives: impl IntoIterator<Item = &'a Alternative<Terms>>,
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
        alternatives: impl IntoIterator<Item = &'a Alternative<Terms>>,
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
