//! The cache made invalid after commits, once for all that commit together.

use std::time::Duration;

use farmlokal_cache::{Cache, Value};
use farmlokal_redis::Backoff;
use metrics::{Gauge, gauge};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

/// From the end of one to the start of the next: at most 40 a second, so that a flood of events leaves the cache some use.
const PAUSE: Duration = Duration::from_millis(25);

/// The one task that makes the cache invalid for all events of this process.
pub(super) struct Invalidation {
    wanted: watch::Sender<u64>,
    ended: watch::Receiver<Ended>,
    _worker: AbortOnDropHandle<()>,
}

/// The highest number that an attempt has covered, and that a successful one has.
#[derive(Clone, Copy, Debug, Default)]
struct Ended {
    tried: u64,
    done: u64,
}

impl Invalidation {
    /// Starts the task; it ends with this value.
    pub(super) fn start<V: Value>(cache: Cache<V>) -> Self {
        let (wanted, requests) = watch::channel(0);
        let (results, ended) = watch::channel(Ended::default());
        let worker = AbortOnDropHandle::new(tokio::spawn(work(cache, requests, results)));
        Self { wanted, ended, _worker: worker }
    }

    /// Makes invalid what was cached before this call, by an attempt that starts after it. False if that failed: then the
    /// task goes on trying until it succeeds.
    pub(super) async fn run(&self) -> bool {
        let mut number = 0;
        self.wanted.send_modify(|wanted| {
            *wanted += 1;
            number = *wanted;
        });
        let mut ended = self.ended.clone();
        ended.wait_for(|ended| ended.tried >= number).await.is_ok_and(|ended| ended.done >= number)
    }
}

async fn work<V: Value>(cache: Cache<V>, mut requests: watch::Receiver<u64>, results: watch::Sender<Ended>) {
    let owed: Gauge = gauge!("farmlokal_webhook_flush_owed");
    owed.set(0.0);
    let mut failing: Option<Backoff> = None;
    loop {
        if failing.is_none() && requests.changed().await.is_err() {
            return;
        }
        // All who have asked by now are covered by what starts now.
        let number = *requests.borrow_and_update();
        match cache.invalidate().await {
            Ok(()) => {
                results.send_replace(Ended { tried: number, done: number });
                if failing.take().is_some() {
                    owed.set(0.0);
                    info!("the cache was flushed after all");
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                results.send_modify(|ended| ended.tried = number);
                if failing.is_none() {
                    owed.set(1.0);
                    warn!(%error, "the cache was not flushed after an event: trying again until it is");
                }
                failing.get_or_insert_default().wait(None).await;
            }
        }
    }
}
