//! Words that are searched for alike, from a file.

use std::collections::HashMap;

use super::{Analysis, Word, words};

/// Groups of words or phrases, each to be found by the others: one group a line, separated by commas; `#` starts a comment.
#[derive(Clone, Debug)]
pub struct Synonyms(Vec<Vec<Vec<Word>>>);

/// A line of a file of synonyms that is no group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct InvalidSynonyms {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl std::str::FromStr for Synonyms {
    type Err = InvalidSynonyms;

    fn from_str(text: &str) -> Result<Synonyms, InvalidSynonyms> {
        let mut groups = Vec::new();
        for (nth, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            if line.trim().is_empty() {
                continue;
            }
            let error = |reason| InvalidSynonyms { line: nth + 1, reason };
            let phrase = |text| words(text).into_iter().map(|placed| placed.word).collect::<Vec<_>>();
            let group: Vec<Vec<Word>> = line.split(',').map(phrase).collect();
            if group.iter().any(Vec::is_empty) {
                return Err(error("there is no word between two commas"));
            }
            if group.len() < 2 {
                return Err(error("a group has at least two words, separated by commas"));
            }
            groups.push(group);
        }
        Ok(Synonyms(groups))
    }
}

/// Terms that have to be there, alternatives of each.
pub(crate) type Phrase = Vec<Vec<String>>;

/// Synonyms by the words that start them.
pub(crate) struct SynonymIndex {
    analysis: Analysis,
    /// The words of each phrase by its first one, and its group.
    by_first: HashMap<String, Vec<(Vec<String>, usize)>>,
    groups: Vec<Vec<Phrase>>,
}

impl SynonymIndex {
    pub(crate) fn new(analysis: Analysis, synonyms: Option<&Synonyms>) -> SynonymIndex {
        let groups = synonyms.map_or(&[][..], |synonyms| &synonyms.0);
        let mut by_first: HashMap<_, Vec<_>> = HashMap::new();
        for (group, phrases) in groups.iter().enumerate() {
            for phrase in phrases {
                let keys: Vec<String> = phrase.iter().map(|word| key(analysis, word)).collect();
                if let Some(first) = keys.first().cloned() {
                    by_first.entry(first).or_default().push((keys, group));
                }
            }
        }
        let alike = |phrase: &Vec<Word>| phrase.iter().flat_map(|word| analysis.like(word)).collect();
        let groups = groups.iter().map(|phrases| phrases.iter().map(alike).collect()).collect();
        SynonymIndex { analysis, by_first, groups }
    }

    /// How many of the first words have synonyms together, the most that do, and these.
    pub(crate) fn of_first<'w>(
        &self,
        words: impl Iterator<Item = &'w Word>,
    ) -> Option<(usize, Vec<&Phrase>)> {
        let keys: Vec<String> = words.map(|word| key(self.analysis, word)).collect();
        let phrases = self.by_first.get(keys.first()?)?;
        let fitting = || phrases.iter().filter(|(phrase, _)| keys.starts_with(phrase));
        let longest = fitting().map(|(phrase, _)| phrase.len()).max()?;
        let groups = fitting().filter(|(phrase, _)| phrase.len() == longest);
        Some((longest, groups.filter_map(|(_, group)| self.groups.get(*group)).flatten().collect()))
    }
}

/// By which a word is the same in singular and plural.
fn key(analysis: Analysis, word: &Word) -> String {
    match word {
        Word::Plain { whole, .. } => analysis.stem(whole).unwrap_or_else(|| whole.clone()),
        Word::Run(run) => run.clone(),
        Word::Symbol(c) => c.to_string(),
    }
}
