//! `farmlokal-api serve`: wires the parts, serves, and shuts down in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use axum::Router;
use farmlokal_auth::Verifier;
use farmlokal_cache::Cache;
use farmlokal_catalog::Catalog;
use farmlokal_http_server::{self as http_server, Limits, SPARE_CONNECTIONS};
use farmlokal_rate_limit::RateLimits;
use farmlokal_redis::{Connection, Servers};
use farmlokal_search::Search;
use farmlokal_telemetry::Metrics;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::answer::{Answer, Freshness};
use crate::app::App;
use crate::body::BodyLimits;
use crate::config::{ServeArgs, ServerArgs};
use crate::health::Health;
use crate::invalidation::Invalidation;
use crate::middleware::{self, InFlight, ObserveLayer, Stack};
use crate::partners::Partners;
use crate::webhook::Webhook;
use crate::writes::Writes;
use crate::{prune, routes};

/// How long the end may wait for what goes on without a client. Traces may take 2 s more; the chart reserves 5 s for both.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Files that are open beside connections of clients and of the database: for Redis, partners, traces, listeners.
const OTHER_FILES: u64 = 128;

/// Serves until SIGTERM or SIGINT, then finishes what is in flight.
///
/// # Errors
/// A setting that cannot work, a port that cannot be had, or a background task that ended before it should.
pub async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let (metrics, traces) = farmlokal_telemetry::init_with_traces(&args.logs, &args.traces, "farmlokal-api")?;
    farmlokal_auth::describe_metrics();
    farmlokal_cache::describe_metrics();
    farmlokal_catalog::describe_metrics();
    farmlokal_rate_limit::describe_metrics();
    farmlokal_redis::describe_metrics();
    farmlokal_search::describe_metrics();
    routes::operations::describe_metrics();
    raise_open_files(&args);
    // From the first moment on: a signal during the start counts as well.
    let stop = farmlokal_http_server::stopped()?;
    let shutdown = CancellationToken::new();
    // All that runs in the background, for as long as the process lives.
    let mut tasks = JoinSet::new();
    let (app, writes) = wire(&args, metrics, &mut tasks)?;
    let mut servers = serve(&args, &app, writes.as_ref(), &shutdown)?;

    let stopped = until_stopped(stop, &mut tasks, &mut servers).await;
    info!("shutting down");
    app.health.drain();
    tokio::time::sleep(args.server.shutdown_delay).await;
    shutdown.cancel();
    while let Some(finished) = servers.join_next().await {
        if !finished.unwrap_or(false) {
            warn!("some requests did not finish in time");
        }
    }
    let closing = async {
        let writes_end = async {
            if let Some(writes) = &writes {
                writes.close().await;
            }
        };
        tokio::join!(app.partners.close(), app.webhook.close(), writes_end);
        // Calls, deliveries and writes need the tasks until then, and fills of the cache the database.
        tasks.shutdown().await;
        app.cache.close().await;
        app.catalog.close().await;
    };
    if timeout(CLOSE_TIMEOUT, closing).await.is_err() {
        warn!("what went on without a client did not finish in time");
    }
    // The last thing, so that nothing that ended before is missing.
    traces.shutdown().await;
    info!("bye");
    stopped
}

/// Comes back when `stop` does.
///
/// # Errors
/// A task or a server ended before that. The service lacks a part then: whoever started it should start it again.
async fn until_stopped(
    stop: impl Future<Output = ()>,
    tasks: &mut JoinSet<()>,
    servers: &mut JoinSet<bool>,
) -> anyhow::Result<()> {
    let reason = |ended: Result<(), JoinError>| match ended {
        Ok(()) => anyhow!("a background task ended"),
        Err(error) => anyhow!("a background task failed: {error}"),
    };
    let ended = tokio::select! {
        () = stop => return Ok(()),
        Some(ended) = tasks.join_next() => reason(ended),
        Some(ended) = servers.join_next() => reason(ended.map(drop)),
    };
    error!(error = %ended, "the service cannot go on");
    Err(ended)
}

/// The parts, not yet connected to anything: the first requests may find Redis or the database missing. Without an issuer
/// of tokens nothing can be written.
fn wire(
    args: &ServeArgs,
    metrics: Metrics,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<(Arc<App>, Option<Arc<Writes>>)> {
    let mut catalog = Catalog::new(args.database.options()?, &args.catalog)?;
    if let Some(replica) = args.replica.options(&args.database)? {
        catalog = catalog.with_replica(replica, &args.catalog, tasks)?;
    }
    let servers = Servers::new(&args.redis.config()?)?;
    let cache = Cache::new(Arc::clone(&servers), &args.cache, tasks);
    let redis = Connection::to(servers, args.cache.redis_timeout, "shared", None);
    tasks.spawn(Arc::clone(&redis).supervise());
    tasks.spawn({
        let metrics = metrics.clone();
        async move { metrics.upkeep().await }
    });
    let search = Search::new(catalog.clone(), &args.search).context("SEARCH_URL or SEARCH_TLS_CA")?;
    search.spawn(tasks);
    tasks.spawn(follow_cache(cache.clone(), search.clone()));
    let request_timeout = args.server.request_timeout;
    // No pod waits for an index that it does not build.
    let patience = args.search.url.as_ref().map_or(args.search.ready_timeout, |_| Duration::ZERO);
    let longest = args.search.deadline + args.search.wait;
    ensure!(
        args.search.url.is_none() || longest < request_timeout,
        "SEARCH_DEADLINE and SEARCH_WAIT together must be below REQUEST_TIMEOUT"
    );
    let partners = Partners::new(&args.partners, request_timeout, &redis, tasks)?;
    let health = Health::watch(catalog.clone(), search.clone(), patience, tasks);
    let invalidation = Invalidation::start(cache.clone(), search.clone(), tasks);
    tasks.spawn(prune::run(catalog.clone(), args.webhook.longest_age()));
    let webhook = Webhook::start(
        &args.webhook,
        catalog.clone(),
        invalidation.clone(),
        Arc::clone(&redis),
        health.clone(),
        tasks,
    )?;
    let body_limits = Arc::new(BodyLimits::new(args.server.max_body as usize, args.server.body_timeout));
    let verifier = Verifier::spawn(&args.auth, tasks)?;
    let writes = verifier.map(|verifier| {
        let (catalog, health, body_limits) = (catalog.clone(), health.clone(), Arc::clone(&body_limits));
        Writes::new(verifier, catalog, health, invalidation, body_limits, args.server.max_batch_body as usize)
    });
    let app = Arc::new(App {
        catalog,
        search,
        cache,
        partners,
        freshness: Freshness::new(args.server.http_max_age),
        webhook,
        health,
        rate_limits: RateLimits::new(args.rate_limit.config(), redis, tasks),
        in_flight: InFlight::new(args.server.max_requests as usize),
        body_limits,
        metrics,
    });
    Ok((app, writes))
}

/// Starts to serve on the ports that the settings name.
fn serve(
    args: &ServeArgs,
    app: &Arc<App>,
    writes: Option<&Arc<Writes>>,
    shutdown: &CancellationToken,
) -> anyhow::Result<JoinSet<bool>> {
    let (api, operations, over_limit) = routers(args, app, writes);
    let args = &args.server;
    let listener = bind(args, args.port, "PORT", "listening")?;
    let management = args.management_port;
    let management =
        management.map(|port| bind(args, port, "MANAGEMENT_PORT", "listening for operators")).transpose()?;
    let limits = Limits {
        max_connections: args.max_connections as usize,
        header_timeout: args.header_timeout,
        write_timeout: args.write_timeout,
    };
    let mut servers = JoinSet::new();
    let mut start = |listener, router, over_limit| {
        let grace = args.shutdown_timeout;
        servers.spawn(http_server::serve(listener, router, over_limit, limits, shutdown.clone(), grace));
    };
    if let Some(management) = management {
        start(listener, api, over_limit);
        start(management, operations.clone(), operations);
    } else {
        // There is one fallback: the API's.
        start(listener, api.merge(operations.reset_fallback()), over_limit);
    }
    Ok(servers)
}

/// The API's routes, the operators', and what the API's connections beyond the limit get.
fn routers(args: &ServeArgs, app: &Arc<App>, writes: Option<&Arc<Writes>>) -> (Router, Router, Router) {
    let document = crate::openapi::document(&args.auth);
    let (args, auth) = (&args.server, &args.auth);
    let operators = Stack {
        draining: app.health.draining(),
        observe: ObserveLayer::new(document.paths.paths.keys().cloned()),
        cors: None,
        rate_limits: None,
        in_flight: InFlight::new(args.max_requests as usize),
        request_timeout: args.request_timeout,
    };
    let everybody = Stack {
        cors: middleware::cors(&args.cors_allowed_origins),
        rate_limits: Some(Arc::clone(&app.rate_limits)),
        in_flight: app.in_flight.clone(),
        ..operators.clone()
    };
    let api: Router<Arc<App>> = routes::api().into();
    let mut api = api.with_state(Arc::clone(app)).merge(routes::documentation::router(document, auth));
    if let Some(writes) = writes {
        let router: Router<Arc<Writes>> = routes::writes().into();
        api = api.merge(router.with_state(Arc::clone(writes)));
    }
    let operations: Router<Arc<App>> = routes::operations().into();
    let operations = routes::with_fallbacks(operations.with_state(Arc::clone(app)));
    let overloaded = async || middleware::overloaded();
    // Operators' routes are on one port only: where they have one of their own, nothing else shows them.
    let over_limit = match args.management_port {
        Some(_) => Router::new().fallback(overloaded),
        None => operations.clone().fallback(overloaded),
    };
    (
        everybody.around(routes::with_fallbacks(api)),
        operators.around(operations),
        operators.around(over_limit),
    )
}

fn bind(args: &ServerArgs, port: u16, setting: &'static str, message: &str) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::new(args.host, port);
    let listener = http_server::bind(address)
        .map_err(|error| farmlokal_settings::cannot_listen(&error, address, setting))?;
    info!(address = %listener.local_addr()?, "{message}");
    Ok(listener)
}

/// Lets the process open as many files as it may; shells and container runtimes often set a low soft limit.
fn raise_open_files(args: &ServeArgs) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    // Those of a replica, two for the search index, one for pings of each server.
    let database = u64::from(2 * args.catalog.max_connections + args.catalog.write_connections + 4);
    // Each listener has the whole limit for itself.
    let listeners = 1 + u64::from(args.server.management_port.is_some());
    let connections = listeners * (u64::from(args.server.max_connections) + SPARE_CONNECTIONS as u64);
    let needed = connections + database + OTHER_FILES;
    if let Some(limit) = limit.filter(|limit| *limit < needed) {
        warn!(limit, needed, "MAX_CONNECTIONS does not fit into the limit of open files (RLIMIT_NOFILE)");
    }
}

/// Tells the search index what the cache's subscription hears of: it need not wait for its next look at the database.
async fn follow_cache(cache: Cache<Answer>, search: Search) {
    loop {
        tokio::select! {
            () = cache.changed() => search.wake(),
            // Whoever flushes may have changed rows in a way that the database does not tell of.
            () = cache.flushed() => search.rebuild(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_or_panics_ends_the_service_with_an_error() {
        let (mut servers, mut tasks) = (JoinSet::new(), JoinSet::new());
        tasks.spawn(pending());
        servers.spawn(pending());
        assert!(until_stopped(ready(()), &mut tasks, &mut servers).await.is_ok());

        tasks.spawn(async { panic!("by design") });
        let error = until_stopped(pending(), &mut tasks, &mut servers).await.unwrap_err().to_string();
        assert!(error.starts_with("a background task failed: ") && error.contains("by design"), "{error}");
        tasks.spawn(ready(()));
        let error = until_stopped(pending(), &mut tasks, &mut servers).await.unwrap_err();
        assert_eq!(error.to_string(), "a background task ended");
        servers.spawn(ready(true));
        assert!(until_stopped(pending(), &mut tasks, &mut servers).await.is_err());
    }
}
