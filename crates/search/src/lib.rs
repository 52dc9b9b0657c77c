//! The search index: text analysis, queries, facets, suggestions, and what keeps it up to date. No HTTP.

mod analysis;
mod config;
mod engine;
mod expansion;
mod facets;
mod fill;
mod follower;
mod metrics;
mod opensearch;
mod search;
mod tantivy;
#[cfg(test)]
mod tests;

pub use self::tantivy::TantivyEngine;
pub use analysis::{Highlighter, InvalidSynonyms, Language, Synonyms};
pub use config::SearchConfig;
pub use engine::{Correction, Engine, EngineError, Found, Match, Piece, Rebuild, Suggestion};
pub use metrics::describe_metrics;
pub use search::{Search, SearchError, SearchStatus};
