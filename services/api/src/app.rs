//! What every handler works with.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::response::Response;
use farmlokal_cache::{Cache, Key};
use farmlokal_catalog::Catalog;
use farmlokal_rate_limit::RateLimits;
use farmlokal_search::Search;
use farmlokal_telemetry::{Metrics, request_id};

use crate::answer::{Answer, Freshness};
use crate::body::BodyLimits;
use crate::health::Health;
use crate::list_header;
use crate::middleware::InFlight;
use crate::partners::Partners;
use crate::problem::{Code, Problem};
use crate::webhook::Webhook;

/// The service's parts, shared by all handlers.
pub(crate) struct App {
    pub(crate) catalog: Catalog,
    pub(crate) search: Search,
    pub(crate) cache: Cache<Answer>,
    pub(crate) partners: Partners,
    pub(crate) freshness: Freshness,
    pub(crate) webhook: Arc<Webhook>,
    pub(crate) health: Health,
    pub(crate) rate_limits: Arc<RateLimits>,
    pub(crate) in_flight: InFlight,
    pub(crate) body_limits: Arc<BodyLimits>,
    pub(crate) metrics: Metrics,
}

impl App {
    /// Answers from the cache, or from `fill` where the cache has nothing. `key` is what the request asks for. With
    /// `Cache-Control: no-cache` it sees, while Redis answers, every change that was acknowledged before, by whichever process.
    ///
    /// # Errors
    /// The problem that `fill` met when no stale answer could take its place, or `not_found`.
    pub(crate) async fn answer<F, Fut>(
        &self,
        request: &Parts,
        key: &Key,
        fill: F,
    ) -> Result<Response, Problem>
    where
        F: FnOnce(Catalog, Search) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Answer, Problem>> + Send + 'static,
    {
        let validated = no_cache(&request.headers);
        let hit = if validated { None } else { self.cache.get_in_process(key) };
        let lookup = if let Some(hit) = hit {
            hit
        } else {
            let (catalog, search, health) = (self.catalog.clone(), self.search.clone(), self.health.clone());
            // The fill runs in a task of its own; what it logs belongs to this request.
            let request_id = request_id::current();
            let fill = move || {
                request_id::scope(request_id, async move {
                    health.require_database()?;
                    // A database that stands still answers nothing, not even an error.
                    tokio::select! {
                        filled = fill(catalog, search) => filled,
                        problem = health.database_lost() => Err(problem),
                    }
                })
            };
            // On the heap: a hit would have to move a future with room for a fill.
            let found = if validated {
                Box::pin(self.cache.get_validated(key, fill)).await
            } else {
                Box::pin(self.cache.get_or_fill(key, fill)).await
            };
            found.map_err(Arc::unwrap_or_clone)?
        };
        match self.freshness.respond(&lookup, &request.headers).await {
            Some(response) => Ok(response),
            None => Err(Problem::new(Code::NotFound, "There is no product with this id.")),
        }
    }
}

/// The client wants what is stored to be validated: <https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.4>
fn no_cache(headers: &HeaderMap) -> bool {
    list_header::items(headers, CACHE_CONTROL).any(|item| item.trim().eq_ignore_ascii_case("no-cache"))
}
