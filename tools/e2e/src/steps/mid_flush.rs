//! Strikes while a flush is under way, under load, and sees the flush finished all the same.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::http::Client;
use crate::redis::Redis;
use crate::report;
use crate::suite::Suite;

/// Keys that the flush has to remove: it takes a second or more.
const KEYS: u64 = 300_000;
const ATTEMPTS: u32 = 3;
/// The product that changes, so that the flush has something to show.
const ID: u64 = 4321;

/// What becomes of Redis's keys by the blow itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// Something else was struck: what is left is the flush's.
    Stay,
    /// Redis was struck: all are lost, there is nothing left to count.
    Lost,
}

/// Starts a flush and calls `strike` once its first keys are gone, with what `aim` found before: a blow must not be late.
///
/// # Errors
/// It was not, a request failed, or no attempt struck in time.
pub(super) async fn strike<T>(
    suite: &Suite<'_>,
    what: &str,
    keys: Keys,
    aim: impl AsyncFn() -> Result<T>,
    strike: impl AsyncFn(&T) -> Result<()>,
) -> Result<()> {
    suite.until_flushed().await?;
    suite
        .under_load(async {
            for attempt in 1..=ATTEMPTS {
                // The blow before may have left another target.
                let target = aim().await?;
                let blow = async || strike(&target).await;
                let what = format!("{what} {attempt}");
                if let Some(took) = attempt_to_strike(suite, &what, keys, blow).await? {
                    report::say(format!("the flush was finished {} later", report::time(took)));
                    return Ok(());
                }
            }
            anyhow::bail!("in {ATTEMPTS} attempts the flush was over before the blow")
        })
        .await
}

async fn attempt_to_strike(
    suite: &Suite<'_>,
    what: &str,
    keys: Keys,
    strike: impl AsyncFn() -> Result<()>,
) -> Result<Option<Duration>> {
    let new = format!("Struck {what} {}", std::process::id());
    suite.sql(&format!("UPDATE products SET name = '{new}' WHERE id = {ID}")).await?;
    let mut redis = suite.redis().await?;
    redis.add_keys(KEYS).await?;
    let full = redis.keys().await?;
    // Not awaited: the blow is to fall as soon as Redis shows that the flush has begun.
    let editing = {
        let (kubectl, description) = (suite.kubectl.clone(), crate::suite::catalog(what));
        tokio::spawn(async move { kubectl.apply(&description).await })
    };
    let begun = Instant::now();
    let mut left = full;
    while left + 1000 > full {
        ensure!(begun.elapsed() < crate::PATIENCE, "the flush does not begin");
        tokio::time::sleep(Duration::from_millis(1)).await;
        left = redis.keys().await?;
    }
    strike().await?;
    let struck = Instant::now();
    let after = match keys {
        Keys::Stay => count(suite, redis).await,
        Keys::Lost => None,
    };
    // kubectl may have lost its API server; the object was changed, or nothing would have been flushed.
    let _ = editing.await?;
    let catalog = suite.until_flushed().await?;
    let took = struck.elapsed();
    if after.is_some_and(|after| after < 10_000) {
        return Ok(None);
    }
    let rest = match after {
        Some(after) => format!("{} when it had fallen", report::count(after)),
        None if keys == Keys::Lost => "all were lost".to_owned(),
        None => "which could not be counted after it".to_owned(),
    };
    report::say(format!(
        "the blow came with {} of {} keys left, {rest}",
        report::count(left),
        report::count(full)
    ));
    for pod in suite.api_pods().await? {
        let reached = suite.cluster.pod(&suite.kubectl, &pod, 5000).await?;
        let answer = Client::new(reached.target.clone()).get(&format!("/products/{ID}")).await?;
        ensure!(answer.text().contains(&new), "{} serves what was flushed", pod.name);
    }
    let left = suite.redis().await?.keys().await?;
    ensure!(left < 100_000, "{left} keys left after the flush");
    ensure!(
        catalog["status"]["lastFlushTime"].is_string(),
        "no time of the last flush: {}",
        catalog["status"]
    );
    Ok(Some(took))
}

/// The keys that are left. Over a new connection where the blow broke this one, as kind's goes through the API server; nothing
/// where that is not to be had either.
async fn count(suite: &Suite<'_>, mut redis: Redis) -> Option<u64> {
    if let Ok(keys) = redis.keys().await {
        return Some(keys);
    }
    suite.redis().await.ok()?.keys().await.ok()
}
