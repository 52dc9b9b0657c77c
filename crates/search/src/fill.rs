//! Answers whose ids, totals and rows are of one moment, however fast the catalogue changes.
//!
//! The index tells the position that its answer is of, and the database the position at which it read the rows. Where the two
//! are equal, nothing changed in between. Otherwise the index catches up and is asked again. What it finds from then on has every
//! change that was made before the search began, and it will do if the page's own products have not changed since.

use std::{sync::Arc, time::Duration};

use farmlokal_catalog::{ListQuery, Page, Product, SearchText, SortValue};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::Instrument as _;

use crate::{
    Engine, EngineError, Found, Highlights, Reading, Search, SearchError, SearchPage, Suggestion,
    follower::Behind, metrics,
};

/// The pause before a search whose rows are missing is asked again.
const PAUSE: Duration = Duration::from_millis(20);

impl<E: Engine> Search<E> {
    /// A page of any list, as fresh as the database at the moment of the call.
    ///
    /// # Errors
    /// [`EngineError::Deadline`] where the index does not get to where the database is within
    /// [`SearchConfig::deadline`](crate::SearchConfig::deadline), and what the index and the database say.
    pub async fn list(&self, query: &ListQuery) -> Result<SearchPage, SearchError> {
        let started = Instant::now();
        let result = self.find(query, started + self.deadline).await;
        metrics::record("list", started.elapsed(), result.as_ref().err());
        if let Ok(page) = &result {
            metrics::count_list(page.reading.as_ref().map(|reading| reading.level));
        }
        result
    }

    /// At most `limit` completions of a text's last word, the most common first, as fresh as a [list](Self::list).
    ///
    /// # Errors
    /// As of a [list](Self::list).
    pub async fn suggest(&self, text: &SearchText, limit: usize) -> Result<Vec<Suggestion>, SearchError> {
        let started = Instant::now();
        let result = self.complete(text, limit, started + self.deadline).await;
        metrics::record("suggest", started.elapsed(), result.as_ref().err());
        result
    }

    async fn find(&self, query: &ListQuery, deadline: Instant) -> Result<SearchPage, SearchError> {
        let follower = &self.follower;
        follower.require_ready()?;
        let name_key = match query.after().map(|position| &position.value) {
            Some(SortValue::Name(name)) => Some(follower.catalog.name_key(name).await?),
            _ => None,
        };
        // At or after the moment when this search began.
        let mut begun = None;
        loop {
            follower.require_ready()?;
            let found = follower.engine.search(query, name_key.clone()).await?;
            let shown = found.matches.iter().take(query.limit().get() as usize);
            let ids: Vec<u64> = shown.map(|found| found.id).collect();
            let (products, database) = follower.catalog.products_at(&ids).await?;
            let is_whole = products.len() == ids.len();
            if database == found.position && is_whole {
                return Ok(page(query, found, products));
            }
            if database == found.position {
                follower.report_missing();
                sleep(PAUSE).await;
            }
            let has_all = found.position >= *begun.get_or_insert(database);
            let behind = Behind { index: found.position, database, products: ids };
            if self.catch_up(behind, deadline).await? && has_all && is_whole {
                return Ok(page(query, found, products));
            }
        }
    }

    async fn complete(
        &self,
        text: &SearchText,
        limit: usize,
        deadline: Instant,
    ) -> Result<Vec<Suggestion>, SearchError> {
        self.follower.require_ready()?;
        let (_, database) = self.follower.catalog.products_at(&[]).await?;
        let (suggestions, index) = self.follower.engine.suggest(text, limit).await?;
        if index >= database {
            return Ok(suggestions);
        }
        self.catch_up(Behind { index, database, products: Vec::new() }, deadline).await?;
        Ok(self.follower.engine.suggest(text, limit).await?.0)
    }

    /// Lets the index catch up, as [`Follower::catch_up`](crate::follower::Follower::catch_up), in a task of its own: what it does
    /// to the index is not cut off where the caller gives up.
    async fn catch_up(&self, behind: Behind, deadline: Instant) -> Result<bool, SearchError> {
        metrics::count_retry();
        if Instant::now() >= deadline {
            return Err(EngineError::Deadline.into());
        }
        let follower = Arc::clone(&self.follower);
        let task = tokio::spawn(async move { follower.catch_up(Some(behind)).await }.in_current_span());
        match timeout_at(deadline, task).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => Err(EngineError::Failed(error.to_string()).into()),
            Err(_) => Err(EngineError::Deadline.into()),
        }
    }
}

/// The page of these products: all that were found, but for the one that shows whether there is another page.
fn page(query: &ListQuery, found: Found, products: Vec<Product>) -> SearchPage {
    let last = products.last().zip(found.matches.get(products.len().saturating_sub(1)));
    let next = last.filter(|_| found.matches.len() > products.len());
    let next_cursor =
        next.map(|(product, last)| query.cursor_after_match(product, last.relevance, found.level));
    let highlights = found.words.map(|words| {
        let pieces = |product: &Product| Highlights {
            name: words.pieces(&product.name),
            description: words.pieces(&product.description),
        };
        products.iter().map(pieces).collect()
    });
    let reading = Reading { level: found.level, corrections: found.corrections };
    SearchPage {
        page: Page { products, next_cursor },
        total: found.total,
        category_facet: found.category_facet,
        price_facet: found.price_facet,
        highlights,
        reading: query.filter().search.as_ref().map(|_| reading),
    }
}
