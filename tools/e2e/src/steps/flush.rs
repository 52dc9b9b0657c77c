//! An edit of a ProductCatalog by `kubectl apply` flushes exactly once; a product that was changed in the database shows in
//! every API pod soon after, and never the old one again.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio_util::sync::CancellationToken;

use crate::kubectl;
use farmlokal_testing::http::{Client, Target};
use crate::suite::{CATALOG, Suite};
use crate::report::{self, say};
use crate::{PATIENCE, cluster, wait};

/// The product that changes.
const ID: u64 = 1234;
const ROUNDS: usize = 10;
const GOAL: Duration = Duration::from_millis(100);
/// Pods are asked this often, and go on being asked for so long after the flush is reported.
const PERIOD: Duration = Duration::from_millis(1);
const AFTERWARDS: Duration = Duration::from_secs(2);
/// A pod that has not heard of the flush may serve what it has for so long: see the bounds in docs/caching.md.
const BOUND: Duration = Duration::from_millis(1500);

pub(super) async fn run(suite: &Suite<'_>) -> Result<()> {
    let pods: Vec<Target> = suite.api_pods().await?.iter().map(|pod| cluster::pod(pod, 5000)).collect();
    suite.until_flushed().await?;
    let before = flushes(suite).await?;
    let mut stale_for = Vec::new();
    for round in 1..=ROUNDS {
        stale_for.push(change_and_flush(suite, &pods, round).await?);
    }
    stale_for.sort_unstable();
    let (median, slowest) = (stale_for[ROUNDS / 2], stale_for[ROUNDS - 1]);
    let what = format!("from the return of kubectl apply to the last stale answer, {ROUNDS} times");
    let shown = format!("median {}, longest {}", report::time(median), report::time(slowest));
    report::figure(&what, &shown, "100 ms", slowest <= GOAL);
    let edits = before + f64::from(u32::try_from(ROUNDS)?);
    ensure_flushes(suite, edits, "every edit flushes once").await?;

    suite.edit_catalog(&format!("round {ROUNDS}")).await?;
    kubectl::run(&["label", CATALOG, "e2e=touched", "--overwrite"]).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    ensure_flushes(suite, edits, "nothing flushes without a change").await?;
    let request = format!("run {}", std::process::id());
    let annotation = format!("farmlokal.dev/flush-requested-at={request}");
    kubectl::run(&["annotate", CATALOG, &annotation, "--overwrite"]).await?;
    wait::until("the requested flush", PATIENCE, async || {
        let handled = kubectl::field(CATALOG, ".status.lastHandledRequest").await?;
        Ok((handled == request).then_some(()))
    })
    .await?;
    ensure_flushes(suite, edits + 1.0, "a request flushes once").await?;
    say!("{ROUNDS} edits and a request made a flush each; an unchanged apply and a label made none");
    Ok(())
}

/// Successful flushes, of all replicas of the controller.
async fn flushes(suite: &Suite<'_>) -> Result<f64> {
    suite
        .metric(&kubectl::ready_pods("controller").await?, "farmlokal_controller_flushes_total", r#"result="ok""#)
        .await
}

async fn ensure_flushes(suite: &Suite<'_>, expected: f64, what: &str) -> Result<()> {
    let counted = flushes(suite).await?;
    ensure!((counted - expected).abs() < 0.5, "{what}: {counted} flushes instead of {expected}");
    Ok(())
}

/// Changes the product behind the cache's back, then flushes by kubectl. Returns how long after kubectl's return the last old
/// answer came.
async fn change_and_flush(suite: &Suite<'_>, pods: &[Target], round: usize) -> Result<Duration> {
    let path = format!("/products/{ID}");
    let mut clients: Vec<Client> = pods.iter().map(|pod| Client::new(pod.clone())).collect();
    let new = format!("Flushed {round} {}", std::process::id());
    for client in &mut clients {
        ensure!(client.get(&path).await?.status == 200, "no product {ID}");
    }
    suite.sql(&format!("UPDATE products SET name = '{new}' WHERE id = {ID}")).await?;
    for client in &mut clients {
        ensure!(!client.get(&path).await?.text().contains(&new), "nothing was cached: {new} is there already");
    }
    let stop = CancellationToken::new();
    let watch = |client| tokio::spawn(last_old_answer(client, path.clone(), new.clone(), stop.clone()));
    let watched: Vec<_> = clients.into_iter().map(watch).collect();
    suite.edit_catalog(&format!("round {round}")).await?;
    let asked = Instant::now();
    suite.until_flushed().await?;
    let flushed = asked.elapsed();
    tokio::time::sleep(AFTERWARDS).await;
    stop.cancel();
    let mut longest = Duration::ZERO;
    for last_old in watched {
        longest = longest.max(last_old.await??.saturating_duration_since(asked));
    }
    ensure!(longest < flushed + BOUND, "a pod still serves what was flushed {BOUND:?} ago");
    Ok(longest)
}

/// Asks until `stop`; returns when the last answer without `new` came.
async fn last_old_answer(
    mut client: Client,
    path: String,
    new: String,
    stop: CancellationToken,
) -> Result<Instant> {
    let mut last_old = Instant::now();
    while !stop.is_cancelled() {
        let answer = client.get(&path).await?;
        ensure!(answer.status == 200, "{path}: {}", answer.text());
        if !answer.text().contains(&new) {
            last_old = Instant::now();
        }
        tokio::time::sleep(PERIOD).await;
    }
    Ok(last_old)
}
