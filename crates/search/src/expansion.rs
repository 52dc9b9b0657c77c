//! A search as alternatives: each word with what it may stand for, at a level of forgiving.

use farmlokal_catalog::Level;

use crate::analysis::{Analysis, STEM, SynonymIndex, Word, pairs};

/// How a word is matched, by how much that counts for relevance: in a name [`IN_NAME`] more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Likeness {
    Typo = 1,
    Prefix = 2,
    Alike = 3,
    Exact = 4,
}

/// Letters of a word that may be misspelt, at the most: to find what is like a longer one takes long.
const LONGEST_MISSPELT: usize = 64;

/// Every match in a name counts more than any in a description.
pub(crate) const IN_NAME: u16 = 4;

/// Terms of the index, any of which will do.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// These.
    Terms(Vec<String>),
    /// Words that begin so, and are longer.
    Beginning(String),
    /// Words and stems that become one of these by as many [`typos`] as it allows.
    Misspelt(Vec<String>),
}

/// One way to match a word: terms of at least so many groups, all in the name or all in the description. What a group is, each
/// engine says.
pub(crate) struct Alternative<G> {
    pub(crate) likeness: Likeness,
    pub(crate) groups: Vec<G>,
    pub(crate) at_least: usize,
}

/// A searched word and how it is matched at a level.
pub(crate) struct ExpandedWord<G> {
    pub(crate) word: Word,
    pub(crate) alternatives: Vec<Alternative<G>>,
}

/// Words that follow each other, and phrases that mean the same as all of them.
pub(crate) struct Unit<G> {
    pub(crate) words: Vec<ExpandedWord<G>>,
    pub(crate) synonyms: Vec<Alternative<G>>,
}

impl<G> Unit<G> {
    pub(crate) fn alternatives(&self) -> impl Iterator<Item = &Alternative<G>> {
        self.words.iter().flat_map(|word| &word.alternatives).chain(&self.synonyms)
    }
}

/// Expands words as this level allows.
pub(crate) fn expand<G, E>(
    words: &[Word],
    level: Level,
    analysis: Analysis,
    synonyms: &SynonymIndex,
    look_up: impl Fn(Wanted) -> Result<G, E>,
) -> Result<Vec<Unit<G>>, E> {
    let expansion = Expansion { level, analysis, look_up };
    let mut units = Vec::new();
    let mut rest = words;
    while !rest.is_empty() {
        let (length, phrases) = synonyms.of_first(rest.iter()).unwrap_or((1, Vec::new()));
        let (of_unit, following) = rest.split_at(length.min(rest.len()));
        let mut words = Vec::with_capacity(of_unit.len());
        for (nth, word) in of_unit.iter().enumerate() {
            let is_last = following.is_empty() && nth + 1 == of_unit.len();
            let alternatives = expansion.word(word, is_last)?;
            words.push(ExpandedWord { word: word.clone(), alternatives });
        }
        let synonyms = phrases.into_iter().map(|phrase| expansion.all_of(Likeness::Alike, phrase.clone()));
        units.push(Unit { words, synonyms: synonyms.collect::<Result<_, _>>()? });
        rest = following;
    }
    Ok(units)
}

struct Expansion<F> {
    level: Level,
    analysis: Analysis,
    look_up: F,
}

impl<G, E, F: Fn(Wanted) -> Result<G, E>> Expansion<F> {
    fn word(&self, word: &Word, is_last: bool) -> Result<Vec<Alternative<G>>, E> {
        let mut alternatives = self.as_written(word)?;
        let mut forgive = |likeness, wanted| {
            let groups = vec![(self.look_up)(wanted)?];
            alternatives.push(Alternative { likeness, groups, at_least: 1 });
            Ok(())
        };
        match word {
            Word::Plain { whole, .. } => {
                if is_last && self.level >= Level::Prefix {
                    forgive(Likeness::Prefix, Wanted::Beginning(whole.clone()))?;
                }
                if self.level >= Level::Typos {
                    let forms = [Some(whole.clone()), self.analysis.stem(whole)].into_iter().flatten();
                    let may_be = |form: &String| typos(form) > 0 && form.chars().count() <= LONGEST_MISSPELT;
                    let forms = forms.filter(may_be).collect();
                    forgive(Likeness::Typo, Wanted::Misspelt(forms))?;
                }
            }
            Word::Run(run) if self.level >= Level::Typos && typos(run) > 0 => {
                let pairs = pairs(run).into_iter().map(|pair| vec![pair.to_owned()]).collect();
                let all = self.all_of(Likeness::Typo, pairs)?;
                // A wrong character is in two pairs.
                let at_least = all.at_least.saturating_sub(2 * usize::from(typos(run))).max(1);
                alternatives.push(Alternative { at_least, ..all });
            }
            Word::Run(_) | Word::Symbol(_) => {}
        }
        Ok(alternatives)
    }

    /// How a word is matched where nothing is forgiven, synonyms left out.
    fn as_written(&self, word: &Word) -> Result<Vec<Alternative<G>>, E> {
        let like = self.analysis.like(word);
        let Word::Plain { whole, parts } = word else {
            return Ok(vec![self.all_of(Likeness::Exact, like)?]);
        };
        let exact = self.all_of(Likeness::Exact, vec![vec![whole.clone()]])?;
        let mut alternatives = vec![exact, self.all_of(Likeness::Alike, like)?];
        if !parts.is_empty() {
            let stem = self.analysis.stem(whole).unwrap_or_else(|| whole.clone());
            alternatives.push(self.all_of(Likeness::Alike, vec![vec![format!("{STEM}{stem}"), stem]])?);
        }
        Ok(alternatives)
    }

    /// One term of each group.
    fn all_of(&self, likeness: Likeness, groups: Vec<Vec<String>>) -> Result<Alternative<G>, E> {
        let groups = groups.into_iter().map(|terms| (self.look_up)(Wanted::Terms(terms)));
        let groups = groups.collect::<Result<Vec<_>, _>>()?;
        Ok(Alternative { likeness, at_least: groups.len(), groups })
    }
}

/// How many letters of a word may be wrong.
pub(crate) fn typos(word: &str) -> u8 {
    match word.chars().count() {
        _ if word.chars().any(char::is_numeric) => 0,
        0..5 => 0,
        5..9 => 1,
        _ => 2,
    }
}

/// How many words a correction names.
pub(crate) const CORRECTIONS: usize = 5;
