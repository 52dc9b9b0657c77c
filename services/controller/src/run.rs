//! `farmlokal-controller run`: waits for the lease, reconciles while it is held, and ends in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use farmlokal_telemetry::{Metrics, Service};
use futures::StreamExt as _;
use kube::runtime::controller::{Config, Controller, Error as ControllerError};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{utils::Backoff, watcher};
use kube::{Api, Client};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{ControllerArgs, RunArgs};
use crate::crd::ProductCatalog;
use crate::leader::{Candidate, LeaseConfig};
use crate::management::{self, Readiness};
use crate::outage::Outage;
use crate::reconcile::{Context, reconcile, retry};
use crate::{known, metrics};

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
    serve(settings, readiness.clone(), metrics).await?;
    let candidate = Candidate::new(client.clone(), lease);
    let mut leadership = tokio::select! {
        leadership = candidate.elected(|| readiness.in_touch()) => leadership,
        () = stop.cancelled() => {
            readiness.ending();
            traces.shutdown().await;
            return Ok(());
        }
    };
    metrics::leader(true);
    let mut working = std::pin::pin!(work(objects, Arc::new(context(leadership.held())?), stop.clone()));
    let ended = async {
        stop.cancelled().await;
        info!("shutting down");
        readiness.ending();
        tokio::time::sleep(settings.shutdown_timeout).await;
    };
    let lost = tokio::select! {
        () = &mut working => None,
        () = ended => {
            warn!("a flush did not finish in time: the next leader will");
            None
        }
        lost = leadership.renew_until_lost() => Some(lost),
    };
    metrics::leader(false);
    readiness.ending();
    if lost.is_none() {
        leadership.release().await;
    }
    traces.shutdown().await;
    if let Some(lost) = lost {
        bail!(lost);
    }
    info!("bye");
    Ok(())
}

/// Reconciles until `stop`, then ends when what is under way has ended.
async fn work(objects: Api<ProductCatalog>, context: Arc<Context>, stop: CancellationToken) {
    let controller = Controller::new(objects, watcher::Config::default())
        .with_config(Config::default())
        .trigger_backoff(Pauses::default())
        .graceful_shutdown_on(stop.cancelled_owned());
    let mut outage = Outage::default();
    let mut looks = std::pin::pin!(controller.run(reconcile, retry, Arc::clone(&context)));
    while let Some(look) = looks.next().await {
        match look {
            Err(ControllerError::ObjectNotFound(gone)) => {
                let mut key = ObjectRef::new(&gone.name);
                key.namespace = gone.namespace;
                context.forget(&key);
            }
            Err(ControllerError::QueueError(error)) => {
                if outage.begins() {
                    warn!(%error, "ProductCatalogs cannot be watched: trying again");
                }
            }
            // Reconciles tell of their errors themselves.
            Ok(_) | Err(_) => {
                if outage.ends() {
                    info!("ProductCatalogs are watched again");
                }
            }
        }
    }
}

/// Between attempts to watch; as short as those between flushes, since changes go unseen meanwhile.
#[derive(Default)]
struct Pauses(u32);

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = known::pause(self.0);
        self.0 = self.0.saturating_add(1);
        Some(pause.mul_f64(rand::random_range(0.5..=1.0)))
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.0 = 0;
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
async fn serve(settings: &ControllerArgs, readiness: Readiness, metrics: Metrics) -> anyhow::Result<()> {
    let address = SocketAddr::new(settings.host, settings.management_port);
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("MANAGEMENT_PORT: cannot listen on {address}"))?;
    info!(address = %listener.local_addr()?, "listening");
    let router = management::router(readiness, metrics.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
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
