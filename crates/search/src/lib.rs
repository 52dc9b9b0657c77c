//! The search index: text analysis, queries, facets, suggestions, and what keeps it up to date. No HTTP.

mod analysis;
mod engine;
mod page;
mod tantivy;

pub use self::tantivy::{EngineConfig, TantivyEngine};
pub use analysis::{InvalidSynonyms, Language, Synonyms, UnknownLanguage};
pub use engine::{Correction, Engine, EngineError, Found, Match, Piece, Rebuild, Suggestion, Words};
pub use page::{Highlights, Reading, SearchPage};

#[cfg(test)]
mod tests;
