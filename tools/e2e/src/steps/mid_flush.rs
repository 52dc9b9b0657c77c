//! Strikes while a flush is under way, under load, and sees the flush finished all the same.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::kubectl;
use crate::redis::{add_keys, keys};
use crate::report::{self, say};
use crate::suite::Suite;
use crate::{PATIENCE, cluster};
use farmlokal_testing::http::Client;

/// Keys that the flush has to remove: it takes a second or more.
const KEYS: u64 = 300_000;
const ATTEMPTS: u32 = 3;
/// The product that changes, so that the flush has something to show.
const ID: u64 = 4321;

/// Starts a flush and calls `strike` once its first keys are gone, with what `aim` found before: a blow must not be late.
///
/// # Errors
/// It was not, a request failed, or no attempt struck in time.
pub(super) async fn strike<T>(
    suite: &Suite<'_>,
    what: &str,
    aim: impl AsyncFn() -> Result<T>,
    strike: impl AsyncFn(&T) -> Result<()>,
) -> Result<()> {
    suite.until_flushed().await?;
    suite
        .under_load(async {
            for attempt in 1..=ATTEMPTS {
                // The blow before may have left another target.
                let target = aim().await?;
                if attempt_to_strike(suite, &format!("{what} {attempt}"), || strike(&target)).await? {
                    return Ok(());
                }
            }
            anyhow::bail!("in {ATTEMPTS} attempts the flush was over before the blow")
        })
        .await
}

/// False if the flush was over before the blow.
async fn attempt_to_strike(
    suite: &Suite<'_>,
    what: &str,
    strike: impl AsyncFnOnce() -> Result<()>,
) -> Result<bool> {
    let new = format!("Struck {what} {}", std::process::id());
    suite.sql(&format!("UPDATE products SET name = '{new}' WHERE id = {ID}")).await?;
    let mut redis = suite.redis().await?;
    add_keys(&mut redis, KEYS).await?;
    let full = keys(&mut redis).await?;
    // Not awaited: the blow is to fall as soon as Redis shows that the flush has begun.
    let manifest = crate::suite::catalog(what);
    let editing = tokio::spawn(async move { kubectl::apply(&manifest).await });
    let (begun, mut left) = (Instant::now(), full);
    while left + 1000 > full {
        ensure!(begun.elapsed() < PATIENCE, "the flush does not begin");
        tokio::time::sleep(Duration::from_millis(1)).await;
        left = keys(&mut redis).await?;
    }
    strike().await?;
    let struck = Instant::now();
    // Where Redis itself was struck, the connection is gone, and with it all keys.
    let after = keys(&mut redis).await.ok();
    // kubectl may have lost its API server; the object was changed, or nothing would have been flushed.
    let _ = editing.await?;
    let catalog = suite.until_flushed().await?;
    if after.is_some_and(|after| after < 10_000) {
        return Ok(false);
    }
    say!("the blow came with {left} of {full} keys left, {after:?} after it");
    report::done("the flush was finished", struck);
    for pod in suite.api_pods().await? {
        let answer = Client::new(cluster::pod(&pod, 5000)).get(&format!("/products/{ID}")).await?;
        ensure!(answer.text().contains(&new), "{} serves what was flushed", pod.name);
    }
    let left = keys(&mut suite.redis().await?).await?;
    ensure!(left < 100_000, "{left} keys left after the flush");
    let status = &catalog["status"];
    ensure!(status["lastFlushTime"].is_string(), "no time of the last flush: {status}");
    Ok(true)
}
