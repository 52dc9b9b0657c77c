//! What every handler works with.

use std::panic::resume_unwind;
use std::sync::Arc;

use axum::http::Uri;
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::response::Response;
use farmlokal_cache::{Cache, Source};
use farmlokal_catalog::Catalog;
use farmlokal_telemetry::{Metrics, request_id};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use crate::answer::{Answer, Freshness};
use crate::health::Health;
use crate::middleware::InFlight;
use crate::partners::Partners;
use crate::problem::{Code, Problem};
use crate::rate_limit::RateLimits;
use crate::webhook::Webhook;

/// The service's parts, shared by all handlers.
pub(crate) struct App {
    pub(crate) catalog: Catalog,
    pub(crate) cache: Cache<Answer>,
    /// Where the cache and the database are asked; see [`fill_runtime`](crate::fill_runtime).
    pub(crate) fills: Handle,
    /// For all that is kept in Redis beside the cache.
    pub(crate) redis: Arc<farmlokal_redis::Connection>,
    pub(crate) partners: Partners,
    pub(crate) freshness: Freshness,
    pub(crate) webhook: Arc<Webhook>,
    pub(crate) health: Health,
    pub(crate) rate_limits: Arc<RateLimits>,
    pub(crate) in_flight: InFlight,
    pub(crate) metrics: Metrics,
}

impl App {
    /// Answers from the cache, or from `fill` where the cache has nothing. `key` is what the request asks for.
    ///
    /// # Errors
    /// The problem that `fill` met when no stale answer could take its place, or `not_found`.
    pub(crate) async fn answer<F, Fut>(
        &self,
        request: &Parts,
        key: &str,
        fill: F,
    ) -> Result<Response, Problem>
    where
        F: FnOnce(Catalog) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Answer, Problem>> + Send + 'static,
    {
        let (catalog, health) = (self.catalog.clone(), self.health.clone());
        // The fill runs in a task of its own; what it logs belongs to this request.
        let request_id = request_id::current();
        let fill = move || {
            request_id::scope_of(request_id, async move {
                health.require_database()?;
                // A database that stands still answers nothing, not even an error.
                tokio::select! {
                    filled = fill(catalog) => filled,
                    problem = health.database_lost() => Err(problem),
                }
            })
        };
        let (cache, asked) = (self.cache.clone(), key.to_owned());
        let lookup = async move { cache.get_or_fill(&asked, fill).await };
        let lookup = request_id::scope_of(request_id::current(), lookup).in_current_span();
        // The threads of requests answer at once what can be, and wait for the rest. Whoever goes away takes the task along.
        let lookup = match AbortOnDropHandle::new(self.fills.spawn(lookup)).await {
            Ok(lookup) => lookup.map_err(Arc::unwrap_or_clone)?,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => return Err(Problem::new(Code::Internal, "The service is ending.")),
            },
        };
        match self.freshness.respond(&lookup, &request.headers) {
            Some(response) => {
                // Most of what is asked once is not asked again, and is kept once.
                if lookup.source != Source::Miss {
                    self.cache.alias_local(path_and_query(&request.uri), key);
                }
                Ok(response)
            }
            None => Err(Problem::new(Code::NotFound, "There is no product with this id.")),
        }
    }
}

/// The path and query as they were sent; no key of the cache starts with a slash.
pub(crate) fn path_and_query(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", PathAndQuery::as_str)
}
