//! The search index: text analysis, queries, facets, suggestions, and what keeps it up to date. No HTTP.

mod engine;
mod page;

pub use engine::{Correction, Engine, EngineError, Found, Match, Piece, Rebuild, Suggestion, Words};
pub use page::{Highlights, Reading, SearchPage};
