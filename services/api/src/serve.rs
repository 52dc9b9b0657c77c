//! `farmlokal-api serve`: wires the parts, serves, and shuts down in order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use farmlokal_cache::{Cache, CacheConfig, InProcessConfig, RedisConfig};
use farmlokal_catalog::{Catalog, CatalogConfig, SearchConfig};
use farmlokal_telemetry::{Metrics, Service};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::answer::Freshness;
use crate::app::App;
use crate::config::{CacheArgs, ServeArgs};
use crate::health::Health;
use crate::middleware::{Apart, BodyLimits, InFlight, Limits, RouteTable, Stack};
use crate::partners::Partners;
use crate::rate_limit::RateLimits;
use crate::routes;
use crate::server::{self, Connection, ConnectionLimits};
use crate::webhook::Webhook;

const SERVICE: Service = Service { name: "farmlokal-api", version: env!("CARGO_PKG_VERSION") };

/// How often histograms are folded into their buckets.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// Connections that the kernel holds until they are taken; Linux bounds it by `net.core.somaxconn`, which is as much. One
/// beyond it would try again after a second.
const BACKLOG: u32 = 4_096;

/// Serves until SIGTERM or SIGINT, then finishes what is in flight.
///
/// # Errors
/// A setting that cannot work, or a port that cannot be had.
pub async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let (metrics, traces) = farmlokal_telemetry::init_with_traces(&args.logs, &args.traces, SERVICE)?;
    farmlokal_cache::describe_metrics();
    farmlokal_catalog::describe_metrics();
    farmlokal_rate_limit::describe_metrics();
    farmlokal_redis::describe_metrics();
    routes::describe_metrics();
    // From the first moment on: a signal during the start counts as well.
    let terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let app = Arc::new(wire(&args, metrics, &mut tasks)?);
    app.catalog.spawn(&mut tasks);
    let server = &args.server;
    let listener = bind(SocketAddr::new(server.host, server.port), "PORT")?;
    let management = match server.management_port {
        Some(port) => Some(bind(SocketAddr::new(server.host, port), "MANAGEMENT_PORT")?),
        None => None,
    };
    let (api, operations) = routers(&app);
    let limits = Limits {
        max_requests: server.max_requests as usize,
        request_timeout: server.request_timeout,
        body: BodyLimits { max_bytes: server.max_body as usize, timeout: server.body_timeout },
    };
    let connections = ConnectionLimits {
        max_connections: server.max_connections as usize,
        header_timeout: server.header_timeout,
        idle_timeout: server.idle_timeout,
        write_timeout: server.write_timeout,
    };
    let table = route_table();

    info!(address = %listener.local_addr()?, "listening");
    if let Some(management) = &management {
        info!(address = %management.local_addr()?, "listening for operators");
    }
    let grace = server.shutdown_timeout;
    let rate_limits = Arc::clone(&app.rate_limits);
    let everybody = Stack::new(table, limits, app.in_flight.clone())
        .limited_by(Arc::clone(&rate_limits))
        .closing(app.health.draining());
    // Operators get in even when the API is full.
    let operators = Stack::new(table, limits, InFlight::default());
    let operations = move |connection: Connection| {
        operators.around(operations.clone(), Connection { crowded: false, ..connection })
    };
    let (serving, management) = if let Some(management) = management {
        let services = move |connection| everybody.around(api.clone(), connection);
        let serving = tokio::spawn(server::serve(listener, services, connections, shutdown.clone(), grace));
        let serve = server::serve(management, operations, connections, shutdown.clone(), grace);
        (serving, Some(tokio::spawn(serve)))
    } else {
        let services = move |connection| {
            let api = everybody.around(api.clone(), connection);
            Apart::new(&routes::OPERATIONS, operations(connection), api)
        };
        (tokio::spawn(server::serve(listener, services, connections, shutdown.clone(), grace)), None)
    };
    let limiting = tokio::spawn(rate_limits.keep_house());
    let upkeep = tokio::spawn(keep_metrics(app.metrics.clone()));
    tasks.spawn(Arc::clone(&app.redis).supervise());

    either(terminate, interrupt).await;
    info!("shutting down");
    app.health.drain();
    tokio::time::sleep(server.shutdown_delay).await;
    shutdown.cancel();
    if !serving.await.context("the server")? {
        warn!("some requests did not finish in time");
    }
    if let Some(management) = management {
        management.await.context("the management server")?;
    }
    app.partners.close().await;
    upkeep.abort();
    limiting.abort();
    app.webhook.close().await;
    // Deliveries need them until then.
    tasks.shutdown().await;
    app.cache.close().await;
    app.catalog.close().await;
    // The last thing, so that nothing that ended before is missing.
    traces.shutdown().await;
    info!("bye");
    Ok(())
}

/// The parts, not yet connected to anything: the first requests may find Redis or the database missing.
fn wire(args: &ServeArgs, metrics: Metrics, tasks: &mut JoinSet<()>) -> anyhow::Result<App> {
    let catalog = Catalog::new(catalog_config(args, args.database.url()?.as_str())?)?;
    let redis = RedisConfig { timeout: args.cache.redis_timeout, ..RedisConfig::new(args.redis.url()) };
    let cache = Cache::new(cache_config(&args.cache, redis.clone()), tasks)?;
    let redis = farmlokal_redis::Connection::new(&redis, "shared")?;
    let request_timeout = args.server.request_timeout;
    let partners = Partners::new(&args.partners, request_timeout, &redis, tasks)?;
    let freshness = Freshness::new(args.server.http_max_age);
    let health = Health::watch(catalog.clone(), tasks);
    let webhook = Webhook::start(
        &args.webhook,
        catalog.clone(),
        cache.clone(),
        Arc::clone(&redis),
        health.clone(),
        tasks,
    )?;
    let rate_limits = Arc::new(RateLimits::new(&args.rate_limit, Arc::clone(&redis)));
    let in_flight = InFlight::default();
    Ok(App { catalog, cache, redis, partners, freshness, webhook, health, rate_limits, in_flight, metrics })
}

fn catalog_config(args: &ServeArgs, url: &str) -> anyhow::Result<CatalogConfig> {
    let event_connections = args.webhook.webhook_db_connections;
    let args = &args.catalog;
    Ok(CatalogConfig {
        max_connections: args.db_max_connections,
        queue_timeout: args.db_queue_timeout,
        acquire_timeout: args.db_acquire_timeout,
        list_deadline: args.list_timeout,
        event_connections,
        search: SearchConfig {
            deadline: args.search_timeout,
            concurrency: args.search_concurrency as usize,
            queue_timeout: args.search_queue_timeout,
            time_share: f64::from(args.search_db_share) / 100.0,
            ..SearchConfig::default()
        },
        ..CatalogConfig::new(url).context("the database URL")?
    })
}

fn cache_config(args: &CacheArgs, redis: RedisConfig) -> CacheConfig {
    let in_process =
        InProcessConfig { ttl: args.local_cache_ttl, capacity: u64::from(args.local_cache_mib) << 20 };
    CacheConfig {
        redis,
        fresh: args.cache_ttl,
        stale: args.cache_stale_ttl,
        in_process: args.local_cache.then_some(in_process),
    }
}

/// The API's routes and the operators'.
fn routers(app: &Arc<App>) -> (Router, Router) {
    let documentation = routes::documentation::router(crate::openapi::document());
    let api: Router<Arc<App>> = routes::api().into();
    let operations: Router<Arc<App>> = routes::operations().into();
    let api = api.with_state(Arc::clone(app)).merge(documentation);
    (routes::with_fallbacks(api), routes::with_fallbacks(operations.with_state(Arc::clone(app))))
}

/// The routes that metrics tell apart: all that the document has, and the documentation itself.
fn route_table() -> RouteTable {
    let document = crate::openapi::document();
    let documented = document.paths.paths.keys().map(String::as_str);
    RouteTable::new(documented.chain(["/", "/openapi.json", "/problems", "/docs", "/docs/{*file}"]))
}

fn bind(address: SocketAddr, setting: &'static str) -> anyhow::Result<TcpListener> {
    listen(address).map_err(|error| {
        let setting = farmlokal_settings::setting_of_listener(&error, setting);
        anyhow::Error::new(error).context(format!("{setting}: cannot listen on {address}"))
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // What the connections of a service that was just stopped are still up to keeps no address taken.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn keep_metrics(metrics: Metrics) {
    let mut ticks = tokio::time::interval(METRICS_UPKEEP);
    loop {
        ticks.tick().await;
        metrics.upkeep();
    }
}

async fn either(mut terminate: Signal, mut interrupt: Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
