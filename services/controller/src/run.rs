//! Runs the controller: waits for the lease, reconciles while it is held, and ends in order.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use kube::{Api, Client, Config};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::config::{ControllerArgs, RunArgs};
use crate::flush::CacheFlusher;
use crate::leader_election::Elector;
use crate::management::{self, Catalogs, Operators, Readiness};
use crate::metrics;
use crate::reconcile::Context;
use crate::watch::watch;

/// The tasks of the process. The first one that ends, ends the process.
type Tasks = JoinSet<anyhow::Result<()>>;

/// Runs until SIGTERM or SIGINT, then finishes the flushes under way and gives the lease back.
///
/// # Errors
/// A setting that cannot work, a port that cannot be had, a task that ended or panicked, or a lease that was lost: whoever
/// starts the process again makes it a candidate.
pub async fn run(args: RunArgs) -> anyhow::Result<()> {
    let release = args.controller.checked_release()?;
    let (metrics, traces) =
        farmlokal_telemetry::init_with_traces(&args.logs, &args.traces, "farmlokal-controller")?;
    metrics::describe();
    farmlokal_cache::describe_metrics();
    let (readiness, mut tasks) = (Readiness::default(), Tasks::new());
    let (stop, stopped) = (readiness.stop.clone(), farmlokal_http_server::stopped()?);
    tasks.spawn(async move {
        stopped.await;
        stop.cancel();
        pending().await
    });
    // An error says that the program has already chosen one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = Config::infer().await.context("the API server's address")?;
    if let Some(namespace) = &args.controller.pod_namespace {
        config.default_namespace.clone_from(namespace);
    }
    let client = Client::try_from(config.clone()).context("the API server's address")?;
    let cache = Arc::new(CacheFlusher::new(&args.redis.config()?)?);
    let operators = Operators { readiness, metrics, catalogs: Catalogs::default(), release };
    serve(&mut tasks, &args.controller, operators.clone())?;
    tasks.spawn(Arc::clone(&cache).reach());
    tasks.spawn(lead(args.controller, client, config, cache, operators));
    let ended = first_to_end(tasks).await;
    traces.shutdown().await;
    if ended.is_ok() {
        info!("bye");
    }
    ended
}

/// Waits for the first task to end; the others are cut off.
async fn first_to_end(mut tasks: Tasks) -> anyhow::Result<()> {
    match tasks.join_next().await {
        Some(ended) => ended.context("a task panicked")?,
        None => Ok(()),
    }
}

/// Has the lease, reconciles, and gives the lease back. Ends well only after `stop`.
async fn lead(
    settings: ControllerArgs,
    client: Client,
    config: Config,
    cache: Arc<CacheFlusher>,
    Operators { readiness, catalogs, release, .. }: Operators,
) -> anyhow::Result<()> {
    let random = || format!("farmlokal-controller-{:08x}", rand::random::<u32>());
    let (identity, stop) = (settings.pod_name.unwrap_or_else(random), &readiness.stop);
    let leases = Api::default_namespaced(client.clone());
    let (duration, retry_period) = (settings.lease_duration, settings.lease_retry_period);
    let mut elector = Elector::new(leases, settings.lease_name, identity.clone(), duration, retry_period);
    if !elector.acquire(&readiness).await {
        return Ok(());
    }
    metrics::leader(true);
    let context = Arc::new(Context::new(client, cache, release, identity));
    let time_is_over = async {
        stop.cancelled().await;
        info!("shutting down");
        tokio::time::sleep(settings.shutdown_timeout).await;
    };
    // Whatever is still under way when one of these ends is cut off: nobody works without the lease.
    tokio::select! {
        ended = watch(config, &catalogs, context, &readiness) => ended?,
        () = time_is_over => warn!("a flush did not finish in time: the next leader will"),
        lost = elector.renew_until_lost() => bail!(lost),
    }
    metrics::leader(false);
    elector.release().await;
    if !stop.is_cancelled() {
        bail!("the watch ended");
    }
    Ok(())
}

/// Serves the operators' routes for as long as the process lives.
fn serve(tasks: &mut Tasks, settings: &ControllerArgs, operators: Operators) -> anyhow::Result<()> {
    let address = SocketAddr::new(settings.host, settings.management_port);
    let listener = farmlokal_http_server::bind(address)
        .map_err(|error| farmlokal_settings::cannot_listen(&error, address, "MANAGEMENT_PORT"))?;
    info!(address = %listener.local_addr()?, "listening");
    let metrics = operators.metrics.clone();
    let router = management::router(operators);
    tasks.spawn(async move {
        farmlokal_http_server::serve_operators(listener, router).await;
        bail!("the management server ended")
    });
    tasks.spawn(async move { metrics.upkeep().await });
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_or_ends_ends_the_process_with_an_error() {
        for (task, expected) in [(0, "a task panicked"), (1, "the management server ended")] {
            let mut tasks = Tasks::new();
            tasks.spawn(pending());
            tasks.spawn(async move {
                assert!(task != 0, "on purpose");
                bail!("the management server ended")
            });
            let ended = tokio::time::timeout(Duration::from_secs(5), first_to_end(tasks)).await.unwrap();
            assert!(ended.unwrap_err().to_string().contains(expected));
        }
    }
}
