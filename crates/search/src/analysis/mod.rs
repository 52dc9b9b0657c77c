//! How texts become words: one analysis for what is indexed, for what is searched and for what is highlighted.

mod fold;
mod highlight;
mod synonyms;
mod words;

use std::collections::HashMap;

use rust_stemmers::{Algorithm, Stemmer};
use serde::{
    Deserialize as _,
    de::{IntoDeserializer as _, value::Error as ValueError},
};

pub use highlight::Highlighter;
pub use synonyms::{InvalidSynonyms, Synonyms};
pub(crate) use {
    synonyms::SynonymIndex,
    words::{Word, pairs, searched, words},
};

/// Before stems that are no words of the text, so that words are told from them.
pub(crate) const STEM: &str = "\u{1}";
/// Before what completes a prefix: the folded word, [`SURFACE`], and the word as it is written.
pub(crate) const COMPLETION: &str = "\u{2}";
/// Between the folded word of a completion and how it is written.
pub(crate) const SURFACE: &str = "\0";

/// A language whose words are reduced to their stems, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Language(Option<Algorithm>);

impl Language {
    /// English.
    pub const ENGLISH: Language = Language(Some(Algorithm::English));

    /// In small letters, or `none`.
    pub(crate) fn name(self) -> String {
        self.0.map_or("none".to_owned(), |algorithm| format!("{algorithm:?}").to_ascii_lowercase())
    }
}

/// From its name, or `none`.
impl std::str::FromStr for Language {
    type Err = String;

    fn from_str(name: &str) -> Result<Language, String> {
        if name == "none" {
            return Ok(Language(None));
        }
        let mut variant = name.to_ascii_lowercase();
        variant.get_mut(..1).map(str::make_ascii_uppercase);
        // Its error names all languages.
        let named = Algorithm::deserialize(variant.into_deserializer());
        named
            .map(|algorithm| Language(Some(algorithm)))
            .map_err(|error: ValueError| format!("{error}, or none"))
    }
}

/// The stems of words that were met before: most words are met often.
#[derive(Clone, Default)]
pub(crate) struct StemCache(HashMap<String, Option<String>>);

impl StemCache {
    fn of(&mut self, analysis: Analysis, word: &str) -> Option<&str> {
        /// Enough for the common words of a catalogue, in some megabytes.
        const WORDS: usize = 50_000;
        if !self.0.contains_key(word) {
            if self.0.len() >= WORDS {
                self.0.clear();
            }
            self.0.insert(word.to_owned(), analysis.stem(word));
        }
        self.0.get(word)?.as_deref()
    }
}

/// What the analysis depends on beside the text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Analysis {
    pub(crate) language: Language,
}

impl Analysis {
    /// The stem of a word, if it is another than the word. Words with digits have none.
    pub(crate) fn stem(self, word: &str) -> Option<String> {
        let algorithm = self.language.0?;
        if word.chars().any(char::is_numeric) {
            return None;
        }
        let stem = Stemmer::create(algorithm).stem(word).into_owned();
        (!stem.is_empty() && stem != word).then_some(stem)
    }

    /// What a word is indexed as. `completes`: also as a completion, of the word as it is written.
    pub(crate) fn terms(
        self,
        word: &Word,
        completes: Option<&str>,
        stems: &mut StemCache,
        add: &mut impl FnMut(String),
    ) {
        let folded = match word {
            Word::Plain { whole, parts } => {
                for word in parts.iter().chain([whole]) {
                    if let Some(stem) = stems.of(self, word) {
                        add([STEM, stem].concat());
                    }
                    add(word.clone());
                }
                whole
            }
            Word::Run(run) => {
                run.chars().for_each(|c| add(c.to_string()));
                if run.chars().nth(1).is_some() {
                    for pair in pairs(run) {
                        add(pair.to_owned());
                    }
                }
                run
            }
            Word::Symbol(c) => return add(c.to_string()),
        };
        if let Some(written) = completes {
            add([COMPLETION, folded, SURFACE, written.to_lowercase().as_str()].concat());
        }
    }

    /// The terms of products that have a word like this one, alternatives of each that must be there.
    pub(crate) fn like(self, word: &Word) -> Vec<Vec<String>> {
        match word {
            Word::Plain { whole, parts } if parts.is_empty() => {
                let stem = self.stem(whole);
                let stemmed = format!("{STEM}{}", stem.as_ref().unwrap_or(whole));
                vec![stem.into_iter().chain([whole.clone(), stemmed]).collect()]
            }
            Word::Plain { parts, .. } => parts.iter().map(|part| vec![part.clone()]).collect(),
            Word::Run(run) => pairs(run).into_iter().map(|pair| vec![pair.to_owned()]).collect(),
            Word::Symbol(c) => vec![vec![c.to_string()]],
        }
    }
}
