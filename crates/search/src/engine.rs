//! What an engine does: it finds ids. Products themselves come from the database.

use farmlokal_catalog::{ChangePosition, IndexRow, Level, ListQuery, Page, PriceRange, Product, SearchText};
use tokio::task::JoinError;

use crate::Highlighter;

/// A product that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Its id.
    pub id: u64,
    /// A whole number made of the query and the product alone; 0 where the order is another.
    pub relevance: u32,
}

/// How a word of a search was read where it was not found as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// As it was searched for.
    pub word: String,
    /// The most common words that were found instead, at most 5.
    pub found: Vec<String>,
}

/// A piece of a text. All pieces together are the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The piece.
    pub text: String,
    /// Whether it matches the search.
    pub matched: bool,
}

/// What an engine found, all of one snapshot of its index.
#[derive(Debug)]
pub struct Found {
    /// In the query's order, after its cursor; at most [`ListQuery::rows`], one more than the page.
    pub matches: Vec<Match>,
    /// How many match, where asked for.
    pub total: Option<u64>,
    /// Categories and how many match in each, its own filter left out; the most first, then by bytes; at most 100.
    pub category_facet: Option<Vec<(String, u64)>>,
    /// Ranges of prices and how many match in each, its own filter left out; cheapest first, empty ones left out.
    pub price_facet: Option<Vec<(PriceRange, u64)>>,
    /// How the search was read. [`Level::AsWritten`] without one.
    pub level: Level,
    /// Words that were read otherwise than written, in the search's order.
    pub corrections: Vec<Correction>,
    /// `None` where highlights are not asked for.
    pub highlighter: Option<Highlighter>,
    /// The [sum](ChangePosition::sum) of the position that the snapshot is of.
    pub position: u64,
    /// It may lack changes from before the search began.
    pub is_stale: bool,
}

impl Found {
    /// The page of these products: all that were found, but for the one that shows whether there is another page.
    pub(crate) fn page(&self, query: &ListQuery, products: Vec<Product>) -> Page {
        let last = products.last().zip(self.matches.get(products.len().saturating_sub(1)));
        let next = last.filter(|_| self.matches.len() > products.len());
        let next_cursor =
            next.map(|(product, last)| query.cursor_after_match(product, last.relevance, self.level));
        Page { products, next_cursor }
    }
}

/// A completion of what a user types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// The whole text, its last word completed.
    pub text: String,
    /// How many products have it.
    pub products: u64,
}

/// Why an engine gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is no index yet.
    #[error("the search index is being built")]
    NotBuilt,
    /// Too many searches wait for a thread already.
    #[error("too many searches at once")]
    Busy,
    /// The search had no answer in time.
    #[error("the search took too long")]
    Deadline,
    /// The catalogue needs more memory than the index may have.
    #[error("the search index needs more memory than it may have")]
    TooLarge,
    /// OpenSearch does not answer, or refuses.
    #[error("the search engine is not available: {0}")]
    Unavailable(String),
    /// A defect.
    #[error("the search index failed: {0}")]
    Failed(String),
}

/// Of work that panicked.
impl From<JoinError> for EngineError {
    fn from(error: JoinError) -> EngineError {
        EngineError::Failed(error.to_string())
    }
}

/// An index of the catalogue's products.
///
/// Every answer is of one snapshot, whose position it tells. Orders are exact: ties are by id, and a cursor is a filter.
pub trait Engine: Send + Sync + 'static {
    /// The products that match, after the query's cursor. `name_key` is the [key](farmlokal_catalog::Catalog::name_key) of the
    /// cursor's name, where names are what it sorts by.
    fn search(
        &self,
        query: &ListQuery,
        name_key: Option<Vec<u8>>,
    ) -> impl Future<Output = Result<Found, EngineError>> + Send;

    /// At most `limit` completions of a text's last word, the most common first, and the position that they are of.
    fn suggest(
        &self,
        text: &SearchText,
        limit: usize,
    ) -> impl Future<Output = Result<(Vec<Suggestion>, u64), EngineError>> + Send;

    /// Stores products, or removes those that are `None`, and makes that visible together with the position.
    fn apply(
        &self,
        changes: Vec<(u64, Option<IndexRow>)>,
        position: &ChangePosition,
    ) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// A new index, beside the one that answers meanwhile; where memory has no room for both, instead of it.
    fn rebuild(&self) -> Result<impl Rebuild, EngineError>;

    /// How many products the index has; `None` before it is built.
    fn documents(&self) -> Option<u64>;

    /// Bytes that the index takes.
    fn memory(&self) -> u64;
}

/// An index in the making. Dropped, it leaves the one before as it was.
pub trait Rebuild: Send {
    /// Adds products. Their ids are new to it.
    fn add(&mut self, rows: Vec<IndexRow>) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Ends it at a position. The function that comes back replaces the index that answers; it may block for a moment.
    fn finish(
        self,
        position: &ChangePosition,
    ) -> impl Future<Output = Result<impl FnOnce() + Send + 'static, EngineError>> + Send;
}
