//! What every handler works with.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::Response;
use farmlokal_cache::Cache;
use farmlokal_catalog::Catalog;
use farmlokal_telemetry::Metrics;

use crate::answer::{Answer, Freshness};
use crate::health::Health;
use crate::problem::{Code, Problem};

/// The service's parts, shared by all handlers.
pub(crate) struct App {
    pub(crate) catalog: Catalog,
    pub(crate) cache: Cache<Answer>,
    pub(crate) freshness: Freshness,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
}

impl App {
    /// Answers from the cache, or from `fill` where the cache has nothing.
    ///
    /// # Errors
    /// The problem that `fill` met when no stale answer could take its place, or `not_found`.
    pub(crate) async fn answer<F, Fut>(
        &self,
        request: &HeaderMap,
        key: &str,
        fill: F,
    ) -> Result<Response, Problem>
    where
        F: FnOnce(Catalog) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Answer, Problem>> + Send + 'static,
    {
        let lookup = if let Some(hit) = self.cache.get_local(key) {
            hit
        } else {
            let (catalog, health) = (self.catalog.clone(), self.health.clone());
            let fill = async move || {
                health.require_database()?;
                fill(catalog).await
            };
            self.cache.get_or_fill(key, fill).await.map_err(Arc::unwrap_or_clone)?
        };
        self.freshness
            .respond(&lookup, request)
            .ok_or_else(|| Problem::new(Code::NotFound, "There is no product with this id."))
    }
}
