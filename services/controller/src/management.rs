//! `/livez`, `/readyz`, `/metrics`: for the orchestrator and the operators.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use farmlokal_telemetry::Metrics;
use tokio_util::sync::CancellationToken;

/// Whether this replica can do its part: to lead, or to take over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness {
    /// Whether the API server has answered once.
    pub(crate) in_touch: Arc<AtomicBool>,
    /// Cancelled when the process is about to end.
    pub(crate) stop: CancellationToken,
}

impl Readiness {
    fn why_not(&self) -> Option<&'static str> {
        if self.stop.is_cancelled() {
            return Some("shutting down");
        }
        (!self.in_touch.load(Relaxed)).then_some("the API server has not answered yet")
    }
}

/// Is the process alive? Always 200: no dependency is a reason to start it again.
async fn livez() -> &'static str {
    "ok\n"
}

/// Could this process take over? It need not lead.
async fn readyz(State((readiness, _)): State<(Readiness, Metrics)>) -> Response {
    match readiness.why_not() {
        None => "ok\n".into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

/// Metrics in the Prometheus text format.
async fn metrics(State((_, metrics)): State<(Readiness, Metrics)>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render()).into_response()
}

pub(crate) fn router(readiness: Readiness, metrics_of_process: Metrics) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state((readiness, metrics_of_process))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_from_the_first_answer_to_the_end() {
        let readiness = Readiness::default();
        assert!(readiness.why_not().is_some());
        readiness.in_touch.store(true, Relaxed);
        assert_eq!(readiness.why_not(), None);
        readiness.stop.cancel();
        assert_eq!(readiness.why_not(), Some("shutting down"));
    }
}
