//! `/livez`, `/readyz`, `/health`, `/metrics`: for the orchestrator and the operators.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use farmlokal_catalog::ReplicaState;
use farmlokal_search::SearchStatus;
use metrics::{describe_gauge, gauge};
use serde::Serialize;
use utoipa::ToSchema;

use super::not_stored;
use crate::app::App;
use crate::health::Database;
use crate::query;

/// The state of the service and of each dependency.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct HealthResponse {
    /// `degraded`: some requests are slower, or searches are not served. `unavailable`: only cached answers are served.
    status: ServiceStatus,
    version: &'static str,
    uptime_seconds: u64,
    dependencies: Dependencies,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
enum ServiceStatus {
    Ok,
    Degraded,
    Unavailable,
}

#[derive(Serialize, ToSchema)]
struct Dependencies {
    database: DatabaseHealth,
    redis: RedisHealth,
    search: SearchHealth,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DatabaseHealth {
    status: DependencyStatus,
    /// Why it is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// How long it took to answer, in milliseconds, when it was asked last.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
    connections: Connections,
    /// The read replica. Reads go to the database itself unless it is `up`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^(up|behind|down)$")]
    replica: Option<ReplicaState>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Connections {
    open: u32,
    in_use: u32,
    max: u32,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RedisHealth {
    status: DependencyStatus,
    /// Whether the in-process layer hears of flushes; it is bypassed while it does not.
    in_process_layer: bool,
}

/// The search index: of this process, or in OpenSearch. Lists and single products are served without one.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SearchHealth {
    /// `tooLarge`: the catalogue needs more than `SEARCH_MEMORY`. `failed`: it cannot be built, or OpenSearch does not answer.
    #[schema(value_type = String, pattern = "^(building|ready|tooLarge|failed)$")]
    status: SearchStatus,
    /// Products in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    documents: Option<u64>,
}

#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
enum DependencyStatus {
    Up,
    Down,
}

/// Is the process alive?
///
/// Always 200: a process that cannot answer this should be restarted, and no dependency is a reason for that.
#[utoipa::path(get, path = "/livez", tag = "operations", responses((status = 200, description = "Alive", body = str)))]
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// Should this process get requests?
///
/// Not before it has reached a migrated database once and built its search index, for which it has
/// `SEARCH_READY_TIMEOUT`, and not while it shuts down.
#[utoipa::path(get, path = "/readyz", tag = "operations", responses(
    (status = 200, description = "Ready", body = str),
    (status = 503, description = "Not ready, and why", body = str),
))]
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Response {
    match app.health.readiness() {
        Ok(()) => "ok\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

/// How are the service and its dependencies?
#[utoipa::path(get, path = "/health", tag = "operations", responses(
    (status = 200, description = "It serves", body = HealthResponse),
    (status = 503, description = "It serves cached answers at best", body = HealthResponse),
))]
pub(super) async fn health(State(app): State<Arc<App>>) -> Response {
    let pool = app.catalog.pool();
    let redis = app.cache.state();
    let (database_up, reason, latency) = match app.health.database() {
        Database::Up { latency } => (true, None, Some(latency)),
        Database::Down { reason } => (false, Some(reason), None),
        Database::Unknown => (false, Some("not asked yet"), None),
    };
    let up = |up| if up { DependencyStatus::Up } else { DependencyStatus::Down };
    let search = SearchHealth { status: app.search.status(), documents: app.search.documents() };
    let replica = app.catalog.replica();
    let all_up = redis.up && search.status == SearchStatus::Ready && replica != Some(ReplicaState::Down);
    let status = match (database_up, all_up) {
        (true, true) => ServiceStatus::Ok,
        (true, false) => ServiceStatus::Degraded,
        (false, _) => ServiceStatus::Unavailable,
    };
    let body = HealthResponse {
        status,
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: app.health.uptime().as_secs(),
        dependencies: Dependencies {
            database: DatabaseHealth {
                status: up(database_up),
                reason,
                latency_ms: latency.map(|latency| query::rounded(latency.as_secs_f64() * 1e3)),
                connections: Connections { open: pool.open, in_use: pool.in_use, max: pool.max },
                replica,
            },
            redis: RedisHealth { status: up(redis.up), in_process_layer: redis.subscribed },
            search,
        },
    };
    let code = if database_up { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, not_stored(body)).into_response()
}

/// Metrics in the Prometheus text format
#[utoipa::path(get, path = "/metrics", tag = "operations", responses(
    (status = 200, description = "All metrics", body = str, content_type = "text/plain"),
))]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let pool = app.catalog.pool();
    gauge!("farmlokal_db_connections", "state" => "in_use").set(pool.in_use);
    gauge!("farmlokal_db_connections", "state" => "idle").set(pool.open.saturating_sub(pool.in_use));
    gauge!("farmlokal_db_connections_max").set(pool.max);
    gauge!("farmlokal_db_queue").set(pool.waiting);
    #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
    gauge!("http_server_active_requests").set(app.in_flight.count() as f64);
    #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
    gauge!("farmlokal_rate_limit_clients").set(app.rate_limits.clients() as f64);
    let database_up = matches!(app.health.database(), Database::Up { .. });
    gauge!("farmlokal_db_up").set(f64::from(u8::from(database_up)));
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics.render()).into_response()
}

/// Gives the metrics recorder the help text of what `/metrics` itself finds out.
pub(crate) fn describe_metrics() {
    describe_gauge!("farmlokal_db_connections", "Connections of the pool by state (in_use, idle)");
    describe_gauge!("farmlokal_db_connections_max", "The most connections that the pool may open");
    describe_gauge!("farmlokal_db_queue", "Calls that wait in the admission queue before the database");
    describe_gauge!("farmlokal_db_up", "1 while the database answers");
    describe_gauge!("http_server_active_requests", "Requests in flight, the operators' left out");
    describe_gauge!(
        "farmlokal_rate_limit_clients",
        "Clients that do not have their whole quota, in this process"
    );
}
