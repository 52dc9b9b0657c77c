//! `/livez`, `/readyz`, `/metrics`: for the orchestrator and the operators.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use farmlokal_telemetry::Metrics;
use kube::runtime::reflector::Store;
use tokio_util::sync::CancellationToken;

use crate::catalog_metrics;
use crate::crd::ProductCatalog;

/// Whether this replica can do its part: to lead, or to take over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness {
    /// Whether the API server has answered once.
    pub(crate) in_touch: Arc<AtomicBool>,
    /// Whether the leader's watch has failed since the API server's last good answer.
    pub(crate) watch_fails: Arc<AtomicBool>,
    /// Cancelled when the process is about to end.
    pub(crate) stop: CancellationToken,
}

impl Readiness {
    fn why_not(&self) -> Option<&'static str> {
        if self.stop.is_cancelled() {
            return Some("shutting down");
        }
        if self.watch_fails.load(Relaxed) {
            return Some("ProductCatalogs cannot be watched");
        }
        (!self.in_touch.load(Relaxed)).then_some("the API server has not answered yet")
    }
}

/// Is the process alive? Always 200: no dependency is a reason to start it again.
async fn livez() -> &'static str {
    "ok\n"
}

/// Could this process take over, or does it lead and see what changes?
async fn readyz(State(operators): State<Operators>) -> Response {
    match operators.readiness.why_not() {
        None => "ok\n".into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

/// Metrics in the Prometheus text format.
async fn metrics(State(Operators { metrics, catalogs, release, .. }): State<Operators>) -> Response {
    let own = catalogs.get().map(|catalogs| catalog_metrics::render(catalogs, &release));
    let text = metrics.render() + &own.unwrap_or_default();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

/// What the leader's watch shows; nothing before this process leads.
pub(crate) type Catalogs = Arc<OnceLock<Store<ProductCatalog>>>;

/// What the routes tell of.
#[derive(Clone)]
pub(crate) struct Operators {
    pub(crate) readiness: Readiness,
    pub(crate) metrics: Metrics,
    pub(crate) catalogs: Catalogs,
    pub(crate) release: String,
}

pub(crate) fn router(operators: Operators) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(operators)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_from_the_first_answer_to_the_end_but_while_the_watch_fails() {
        let readiness = Readiness::default();
        assert!(readiness.why_not().is_some());
        readiness.in_touch.store(true, Relaxed);
        assert_eq!(readiness.why_not(), None);
        readiness.watch_fails.store(true, Relaxed);
        assert_eq!(readiness.why_not(), Some("ProductCatalogs cannot be watched"));
        readiness.watch_fails.store(false, Relaxed);
        assert_eq!(readiness.why_not(), None);
        readiness.stop.cancel();
        assert_eq!(readiness.why_not(), Some("shutting down"));
    }
}
