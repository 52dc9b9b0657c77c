//! The reference that the API is measured against: one axum route that serves bytes from memory, and nothing else. Then
//! the same with the API's own layers around it, one more each time, to see what each costs.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::Response;
use axum::routing::get;
use clap::{Args, ValueEnum};
use farmlokal_api::middleware::{
    AdmissionLayer, BodyLimits, CatchPanicLayer, DeadlineLayer, InFlight, Limits, RequestIdLayer, RouteTable,
    Stack,
};
use farmlokal_api::rate_limit::{RateLimitArgs, RateLimits};
use farmlokal_api::server::{self, ConnectionLimits};
use farmlokal_redis::{Connection, RedisConfig};
use farmlokal_settings::RedisArgs;
use farmlokal_telemetry::LogArgs;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceBuilder};

/// The path that is always refused.
pub(crate) const REFUSAL: &str = "/refusal";
/// As long as the API's own refusal.
const REFUSED: &str = r#"{"type":"/problems#overloaded","title":"The service is overloaded","status":503,"code":"overloaded","detail":"Every database connection is in use."}"#;

/// What a reference server serves.
#[derive(Args, Debug)]
pub(crate) struct ReferenceArgs {
    #[arg(long)]
    port: u16,
    /// The body of every answer
    #[arg(long)]
    file: PathBuf,
    #[arg(long, value_enum, default_value_t = Layers::Bare)]
    layers: Layers,
    #[command(flatten)]
    logs: LogArgs,
    #[command(flatten)]
    rate_limit: RateLimitArgs,
    #[command(flatten)]
    redis: RedisArgs,
}

/// A stack of layers: each variant is the one before it and one more. The order is the request's, from the handler out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Layers {
    Bare,
    Connections,
    Deadline,
    CatchPanic,
    Admission,
    RequestId,
    Observe,
    RateLimit,
}

impl Layers {
    /// What the variant adds.
    pub(crate) fn adds(self) -> &'static str {
        match self {
            Layers::Bare => "bare axum route",
            Layers::Connections => "connections of our own: limit, header timeout, TCP_NODELAY, shutdown",
            Layers::Deadline => "request timeout",
            Layers::CatchPanic => "panics caught",
            Layers::Admission => "limit on requests in flight",
            Layers::RequestId => "x-request-id",
            Layers::Observe => "metrics and the log of slow and failed requests",
            Layers::RateLimit => "rate limits, the account in Redis included",
        }
    }
}

const LIMITS: Limits = Limits {
    max_requests: 2048,
    request_timeout: Duration::from_secs(5),
    body: BodyLimits { max_bytes: 1 << 18, timeout: Duration::from_secs(5) },
};
const CONNECTIONS: ConnectionLimits = ConnectionLimits {
    max_connections: 8192,
    header_timeout: Duration::from_secs(10),
    idle_timeout: Duration::from_secs(75),
    write_timeout: Duration::from_secs(10),
};

/// Serves the file's bytes at `/products`, a refusal, and `/readyz`, on the loopback address until the process is killed.
pub(crate) async fn serve(args: ReferenceArgs) -> Result<()> {
    let body = std::fs::read(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    // Layers that log and count do so as in the API.
    let metrics = farmlokal_telemetry::init(&args.logs)?;
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            metrics.upkeep();
        }
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await?;
    let route = bytes(body.into());
    let deadline = DeadlineLayer::new(LIMITS.request_timeout);
    let admission = AdmissionLayer::new(LIMITS.max_requests, InFlight::default());
    let table = RouteTable::new(["/products", "/products/{id}", "/categories", "/readyz"]);
    let layers = ServiceBuilder::new();
    match args.layers {
        Layers::Bare => axum::serve(listener, route).await?,
        Layers::Connections => connections(listener, route).await,
        Layers::Deadline => connections(listener, layers.layer(deadline).service(route)).await,
        Layers::CatchPanic => {
            connections(listener, layers.layer(CatchPanicLayer).layer(deadline).service(route)).await;
        }
        Layers::Admission => {
            let layers = layers.layer(admission).layer(CatchPanicLayer).layer(deadline);
            connections(listener, layers.service(route)).await;
        }
        Layers::RequestId => {
            let layers = layers.layer(RequestIdLayer::default()).layer(admission);
            connections(listener, layers.layer(CatchPanicLayer).layer(deadline).service(route)).await;
        }
        Layers::Observe | Layers::RateLimit => {
            let stack = Stack::new(table, LIMITS, InFlight::default());
            let stack = if args.layers == Layers::Observe {
                stack
            } else {
                stack.limited_by(rate_limits(&args.rate_limit, args.redis.url())?)
            };
            let services = move |connection| stack.around(route.clone(), connection);
            server::serve(listener, services, CONNECTIONS, CancellationToken::new(), Duration::ZERO).await;
        }
    }
    Ok(())
}

/// One route with the bytes.
fn bytes(body: Bytes) -> Router {
    let answer = move || ([(CONTENT_TYPE, "application/json")], body.clone());
    let list = get(async move || answer());
    let refuse = get(async || (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], REFUSED));
    Router::new().route("/products", list).route(REFUSAL, refuse).route("/readyz", get(async || "ready"))
}

/// The API's limits, with the tasks that they live by.
fn rate_limits(args: &RateLimitArgs, redis: String) -> Result<Arc<RateLimits>> {
    let connection = Connection::new(&RedisConfig::new(redis), "shared")?;
    tokio::spawn(Arc::clone(&connection).supervise());
    let limits = Arc::new(RateLimits::new(args, connection));
    tokio::spawn(Arc::clone(&limits).keep_house());
    Ok(limits)
}

async fn connections<S>(listener: TcpListener, service: S)
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    server::serve(listener, move |_| service.clone(), CONNECTIONS, CancellationToken::new(), Duration::ZERO)
        .await;
}
