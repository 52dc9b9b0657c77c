//! `farmlokal-controller run`: waits for the lease, reconciles while it is held, and ends in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use farmlokal_telemetry::{Metrics, Service};
use kube::{Api, Client};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{ControllerArgs, RunArgs};
use crate::crd::ProductCatalog;
use crate::leader::{Candidate, Leadership, LeaseConfig, Lost};
use crate::management::{self, Readiness};
use crate::metrics;
use crate::reconcile::Context;
use crate::work::work;

const SERVICE: Service = Service { name: "farmlokal-controller", version: env!("CARGO_PKG_VERSION") };

/// How often histograms are folded into their buckets.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT, then finishes the flushes under way and gives the lease back.
///
/// # Errors
/// A setting that cannot work, a port that cannot be had, or a lease that was lost: whoever starts the process again makes
/// it a candidate.
pub async fn run(args: RunArgs) -> anyhow::Result<()> {
    let (metrics, traces) = farmlokal_telemetry::init_with_traces(&args.logs, &args.traces, SERVICE)?;
    metrics::describe();
    farmlokal_cache::describe_metrics();
    let stop = stop_on(signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // An error says that the program has already chosen one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::try_default().await.context("the API server's address")?;
    let settings = &args.controller;
    let lease = lease(settings, &client);
    let objects = objects(settings, &client, &lease.namespace);
    let identity = lease.identity.clone();
    // A bad address of Redis stops the start, not the first flush.
    let context = |held| Context::new(client.clone(), &args.redis.url(), &identity, held);
    context(crate::leader::Held::always())?;

    let readiness = Readiness::default();
    tokio::spawn({
        let (stop, readiness) = (stop.clone(), readiness.clone());
        async move {
            stop.cancelled().await;
            readiness.ending();
        }
    });
    serve(settings, readiness.clone(), metrics)?;
    let candidate = Candidate::new(client.clone(), lease);
    let mut lost = None;
    if let Some(mut leadership) = candidate.elected(&stop, || readiness.in_touch()).await {
        metrics::leader(true);
        let context = Arc::new(context(leadership.held())?);
        lost = lead(&mut leadership, work(objects, context, stop.clone()), settings, &stop).await;
        metrics::leader(false);
        if lost.is_none() {
            leadership.release().await;
        }
    }
    readiness.ending();
    traces.shutdown().await;
    if let Some(lost) = lost {
        bail!(lost);
    }
    info!("bye");
    Ok(())
}

/// Has `work` done until it ends by itself, `stop` and its time are over, or the lease is lost, which is returned. Whatever is
/// still under way then is cut off before this returns: nobody works without the lease.
async fn lead(
    leadership: &mut Leadership,
    work: impl Future<Output = ()>,
    settings: &ControllerArgs,
    stop: &CancellationToken,
) -> Option<Lost> {
    let time_is_over = async {
        stop.cancelled().await;
        info!("shutting down");
        tokio::time::sleep(settings.shutdown_timeout).await;
    };
    tokio::select! {
        () = work => None,
        () = time_is_over => {
            warn!("a flush did not finish in time: the next leader will");
            None
        }
        lost = leadership.renew_until_lost() => Some(lost),
    }
}

fn lease(settings: &ControllerArgs, client: &Client) -> LeaseConfig {
    let or = |value: &String, default: &dyn Fn() -> String| {
        if value.is_empty() { default() } else { value.clone() }
    };
    LeaseConfig {
        namespace: or(&settings.pod_namespace, &|| client.default_namespace().to_owned()),
        name: settings.lease_name.clone(),
        identity: or(&settings.pod_name, &|| format!("farmlokal-controller-{:08x}", rand::random::<u32>())),
        duration: settings.lease_duration,
    }
}

fn objects(settings: &ControllerArgs, client: &Client, own: &str) -> Api<ProductCatalog> {
    match settings.watch_namespace.as_str() {
        "*" => Api::all(client.clone()),
        "" => Api::namespaced(client.clone(), own),
        other => Api::namespaced(client.clone(), other),
    }
}

/// Serves the operators' routes for as long as the process lives.
fn serve(settings: &ControllerArgs, readiness: Readiness, metrics: Metrics) -> anyhow::Result<()> {
    let address = SocketAddr::new(settings.host, settings.management_port);
    let listener = farmlokal_http_server::bind(address).map_err(|error| {
        let setting = farmlokal_settings::setting_of_listener(&error, "MANAGEMENT_PORT");
        anyhow::Error::new(error).context(format!("{setting}: cannot listen on {address}"))
    })?;
    info!(address = %listener.local_addr()?, "listening");
    let router = management::router(readiness, metrics.clone());
    tokio::spawn(farmlokal_http_server::serve_operators(listener, router));
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(METRICS_UPKEEP);
        loop {
            ticks.tick().await;
            metrics.upkeep();
        }
    });
    Ok(())
}

fn stop_on(mut terminate: Signal, mut interrupt: Signal) -> CancellationToken {
    let stop = CancellationToken::new();
    let cancel = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        cancel.cancel();
    });
    stop
}
