//! An edit of a ProductCatalog by `kubectl apply` flushes exactly once; a product that was changed in the database shows in
//! every API pod soon after, and never the old one again.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio_util::sync::CancellationToken;

use crate::cluster::Reached;
use crate::http::Client;
use crate::suite::{CATALOG, Suite, catalog};
use crate::{PATIENCE, report, wait};

/// The product that changes.
const ID: u64 = 1234;
const ROUNDS: usize = 10;
const GOAL: Duration = Duration::from_millis(100);
/// Pods are asked this often, and go on being asked for so long after the flush is reported.
const PERIOD: Duration = Duration::from_millis(1);
const AFTERWARDS: Duration = Duration::from_millis(300);

pub(super) async fn run(suite: &Suite<'_>) -> Result<()> {
    let mut pods = Vec::new();
    for pod in suite.api_pods().await? {
        pods.push(Arc::new(suite.cluster.pod(&suite.kubectl, &pod, 5000).await?));
    }
    suite.until_flushed().await?;
    let before = flushes(suite).await?;
    let mut stale_for = Vec::new();
    for round in 1..=ROUNDS {
        stale_for.push(change_and_flush(suite, &pods, round).await?);
    }
    stale_for.sort_unstable();
    let (median, slowest) = (stale_for[ROUNDS / 2], stale_for[ROUNDS - 1]);
    report::figure(
        &format!(
            "from kubectl apply's request to the last stale answer of {} pods, {ROUNDS} times",
            pods.len()
        ),
        &format!("median {}, longest {}", report::time(median), report::time(slowest)),
        "100 ms",
        slowest <= GOAL,
    );
    let rounds = u32::try_from(ROUNDS)?;
    ensure_flushes(suite, before + f64::from(rounds), "every edit flushes once").await?;

    let unchanged = catalog(&format!("round {ROUNDS}"));
    suite.kubectl.apply(&unchanged).await?;
    suite.kubectl.run(&["label", CATALOG, "e2e=touched", "--overwrite"]).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    ensure_flushes(suite, before + f64::from(rounds), "nothing flushes without a change").await?;
    suite.kubectl.run(&["annotate", CATALOG, "farmlokal.dev/flush-requested-at=now", "--overwrite"]).await?;
    wait::until("the requested flush", PATIENCE, async || {
        let handled = suite.kubectl.field(CATALOG, ".status.lastHandledRequest").await?;
        Ok((handled == "now").then_some(()))
    })
    .await?;
    ensure_flushes(suite, before + f64::from(rounds + 1), "a request flushes once").await?;
    report::say(format!(
        "{ROUNDS} edits and a request by annotation made {} flushes; an unchanged apply and a label made none",
        ROUNDS + 1
    ));
    Ok(())
}

/// Successful flushes, of all replicas of the controller.
async fn flushes(suite: &Suite<'_>) -> Result<f64> {
    suite.metric("controller", "farmlokal_controller_flushes_total", &["result=\"ok\""]).await
}

async fn ensure_flushes(suite: &Suite<'_>, expected: f64, what: &str) -> Result<()> {
    let counted = flushes(suite).await?;
    ensure!((counted - expected).abs() < 0.5, "{what}: {counted} flushes instead of {expected}");
    Ok(())
}

/// Changes the product behind the cache's back, then flushes by kubectl. Returns how long after kubectl's request the last
/// old answer came.
async fn change_and_flush(suite: &Suite<'_>, pods: &[Arc<Reached>], round: usize) -> Result<Duration> {
    let path = format!("/products/{ID}");
    let mut clients: Vec<Client> = pods.iter().map(|pod| Client::new(pod.target.clone())).collect();
    let new = format!("Flushed {round} {}", std::process::id());
    for client in &mut clients {
        ensure!(client.get(&path).await?.status == 200, "no product {ID}");
    }
    suite.sql(&format!("UPDATE products SET name = '{new}' WHERE id = {ID}")).await?;
    for client in &mut clients {
        let answer = client.get(&path).await?;
        ensure!(
            !answer.text().contains(&new),
            "a pod has the new product before the flush: nothing was cached"
        );
    }

    let stop = CancellationToken::new();
    let watched: Vec<_> = clients
        .into_iter()
        .map(|client| tokio::spawn(watch(client, path.clone(), new.clone(), stop.clone())))
        .collect();
    let asked = apply(suite, &catalog(&format!("round {round}"))).await?;
    suite.until_flushed().await?;
    tokio::time::sleep(AFTERWARDS).await;
    stop.cancel();
    let mut longest = Duration::ZERO;
    for watched in watched {
        let seen = watched.await??;
        ensure!(
            seen.new > 0,
            "a pod still serves what was flushed, {AFTERWARDS:?} after the flush was reported"
        );
        longest = longest.max(seen.last_old.saturating_duration_since(asked));
    }
    Ok(longest)
}

struct Seen {
    /// When the last old answer came.
    last_old: Instant,
    /// New answers since.
    new: u64,
}

async fn watch(mut client: Client, path: String, new: String, stop: CancellationToken) -> Result<Seen> {
    let mut seen = Seen { last_old: Instant::now(), new: 0 };
    while !stop.is_cancelled() {
        let answer = client.get(&path).await?;
        ensure!(answer.status == 200, "{path}: {}", answer.text());
        if answer.text().contains(&new) {
            seen.new += 1;
        } else {
            seen = Seen { last_old: Instant::now(), new: 0 };
        }
        tokio::time::sleep(PERIOD).await;
    }
    Ok(seen)
}

/// `kubectl apply`; returns when it sent the request that changes the object. The program's own start, some tenths of a
/// second, is left out: that is told from its log, which has each answer and the time that it took.
async fn apply(suite: &Suite<'_>, manifest: &str) -> Result<Instant> {
    let mut kubectl = suite.kubectl.command(&["apply", "--filename", "-", "-v=6"]);
    kubectl.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = kubectl.spawn()?;
    let mut input = child.stdin.take().context("no standard input")?;
    input.write_all(manifest.as_bytes()).await?;
    drop(input);
    let mut lines = BufReader::new(child.stderr.take().context("no standard error")?).lines();
    let (mut asked, mut said) = (None, String::new());
    while let Some(line) = lines.next_line().await? {
        if line.contains("PATCH") && line.contains("/productcatalogs/") {
            asked = Instant::now().checked_sub(milliseconds(&line));
        }
        said = said + &line + "\n";
    }
    if !child.wait().await?.success() {
        bail!("kubectl apply failed:\n{said}");
    }
    asked.with_context(|| format!("kubectl apply changed nothing:\n{said}"))
}

/// `... "Response" verb="PATCH" url="..." status="200 OK" milliseconds=7`, in older ones `PATCH https://... 200 OK in 7
/// milliseconds`.
fn milliseconds(line: &str) -> Duration {
    let after = |mark: &str| {
        let (_, rest) = line.rsplit_once(mark)?;
        rest.split(|other: char| !other.is_ascii_digit()).next()?.parse().ok()
    };
    Duration::from_millis(after("milliseconds=").or_else(|| after(" in ")).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_log_are_read() {
        let new = r#"I1122 22:28:23.123456 7 round_trippers.go:632] "Response" verb="PATCH" url="https://h/x" status="200 OK" milliseconds=7"#;
        let old =
            "I1122 22:28:23.123456 7 round_trippers.go:553] PATCH https://h/x 200 OK in 12 milliseconds";
        assert_eq!(milliseconds(new), Duration::from_millis(7));
        assert_eq!(milliseconds(old), Duration::from_millis(12));
        assert_eq!(milliseconds("something else"), Duration::ZERO);
    }
}
