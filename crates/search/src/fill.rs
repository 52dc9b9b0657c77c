//! Answers whose ids, totals and rows are of one moment, however fast the catalogue changes.
//!
//! The index tells the position that its answer is of, and the database the position at which it read the rows. Where the two
//! are equal, nothing changed in between. Otherwise the index catches up and is asked again. What it finds from then on has every
//! change that was made before the search began, and it will do if the page's own products have not changed since.

use std::sync::Arc;

use farmlokal_catalog::{ListQuery, Page, SearchText, SortValue};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    Engine, EngineError, Found, Search, SearchError, Suggestion,
    follower::{Behind, Follower, PAUSE},
    metrics,
    search::Backend,
};

impl<E: Engine> Search<E> {
    /// A page of any list, as fresh as the database at the moment of the call, and what else was found.
    ///
    /// # Errors
    /// [`EngineError::Deadline`] after [`SearchConfig::deadline`](crate::SearchConfig::deadline), and what the index and the
    /// database say.
    pub async fn list(&self, query: &ListQuery) -> Result<(Page, Found), SearchError> {
        let find = async {
            match &self.backend {
                Backend::Embedded(follower) => follower.find(query).await,
                Backend::OpenSearch(opensearch) => opensearch.find(query).await,
            }
        };
        let answer = self.within_deadline("list", find).await?;
        metrics::count_stale(answer.1.is_stale);
        metrics::count_list(query.filter().search.is_some().then_some(answer.1.level));
        Ok(answer)
    }

    /// At most `limit` completions of a text's last word, the most common first, as fresh as a [list](Self::list), and whether
    /// they may be [stale](Found::is_stale).
    ///
    /// # Errors
    /// As of a [list](Self::list).
    pub async fn suggest(
        &self,
        text: &SearchText,
        limit: usize,
    ) -> Result<(Vec<Suggestion>, bool), SearchError> {
        let complete = async {
            match &self.backend {
                Backend::Embedded(follower) => Ok((follower.complete(text, limit).await?, false)),
                Backend::OpenSearch(opensearch) => opensearch.complete(text, limit).await,
            }
        };
        let answer = self.within_deadline("suggest", complete).await?;
        metrics::count_stale(answer.1);
        Ok(answer)
    }

    /// What still runs at the deadline goes on: a thread until its work is done, and what brings the index up to date.
    async fn within_deadline<T>(
        &self,
        kind: &'static str,
        search: impl Future<Output = Result<T, SearchError>>,
    ) -> Result<T, SearchError> {
        let started = Instant::now();
        let result = timeout(self.deadline, search).await;
        let result = result.unwrap_or_else(|_| Err(EngineError::Deadline.into()));
        metrics::record(kind, started.elapsed(), result.as_ref().err());
        result
    }
}

impl<E: Engine> Follower<E> {
    async fn find(self: &Arc<Self>, query: &ListQuery) -> Result<(Page, Found), SearchError> {
        self.require_ready()?;
        let name_key = match query.after().map(|position| &position.value) {
            Some(SortValue::Name(name)) => Some(self.catalog.name_key(name).await?),
            _ => None,
        };
        // At or after the moment when this search began.
        let mut begun = None;
        loop {
            self.require_ready()?;
            let found = self.engine.search(query, name_key.clone()).await?;
            let shown = found.matches.iter().take(query.limit().get() as usize);
            let ids: Vec<u64> = shown.map(|found| found.id).collect();
            let (products, database) = self.catalog.products_at(&ids).await?;
            let is_whole = products.len() == ids.len();
            if database == found.position && is_whole {
                return Ok((found.page(query, products), found));
            }
            if database == found.position {
                self.report_missing();
                sleep(PAUSE).await;
            }
            let has_all = found.position >= *begun.get_or_insert(database);
            let behind = Behind { index: found.position, database, products: ids };
            metrics::count_retry();
            if self.catch_up(Some(behind)).await? && has_all && is_whole {
                return Ok((found.page(query, products), found));
            }
        }
    }

    async fn complete(
        self: &Arc<Self>,
        text: &SearchText,
        limit: usize,
    ) -> Result<Vec<Suggestion>, SearchError> {
        self.require_ready()?;
        let (_, database) = self.catalog.products_at(&[]).await?;
        let (suggestions, index) = self.engine.suggest(text, limit).await?;
        if index >= database {
            return Ok(suggestions);
        }
        metrics::count_retry();
        self.catch_up(Some(Behind { index, database, products: Vec::new() })).await?;
        Ok(self.engine.suggest(text, limit).await?.0)
    }
}
