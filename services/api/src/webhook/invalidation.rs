//! The cache made invalid after commits, once for all that commit together.
//!
//! Where Redis cannot be told, the database keeps a note of it: then the flush is owed by whichever process reaches Redis
//! first, and neither a killed process nor a sender that has had its 200 can make anybody forget it.

use std::sync::Arc;
use std::time::Duration;

use farmlokal_cache::{Cache, Value};
use farmlokal_catalog::{Catalog, Error};
use farmlokal_redis::Backoff;
use metrics::{Gauge, gauge};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

/// From the end of one to the start of the next: at most 40 a second, so that a flood of events leaves the cache some use.
const PAUSE: Duration = Duration::from_millis(25);
/// How often a process looks whether a flush is owed, by others or by one that was killed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The one task that makes the cache invalid for all events of this process.
pub(super) struct Invalidation {
    wanted: watch::Sender<u64>,
    ended: watch::Receiver<Ended>,
    _worker: AbortOnDropHandle<()>,
}

/// What became of a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flush {
    /// Nothing from before is served any more.
    Done,
    /// Redis could not be told. It will be, whatever becomes of this process.
    Owed,
    /// Neither Redis nor the database could be told. This process tries on.
    Failed,
}

/// The highest number that an attempt has covered, that a successful one has, and that a note in the database has.
#[derive(Clone, Copy, Debug, Default)]
struct Ended {
    tried: u64,
    done: u64,
    noted: u64,
}

impl Invalidation {
    /// Starts the task; it ends with this value.
    pub(super) fn start<V: Value>(cache: Cache<V>, catalog: Catalog) -> Self {
        let (wanted, requests) = watch::channel(0);
        let (results, ended) = watch::channel(Ended::default());
        let worker = AbortOnDropHandle::new(tokio::spawn(work(cache, catalog, requests, results)));
        Self { wanted, ended, _worker: worker }
    }

    /// Makes invalid what was cached before this call, by an attempt that starts after it. If that fails, the task goes
    /// on trying until it succeeds.
    pub(super) async fn run(&self) -> Flush {
        let mut number = 0;
        self.wanted.send_modify(|wanted| {
            *wanted += 1;
            number = *wanted;
        });
        let mut ended = self.ended.clone();
        match ended.wait_for(|ended| ended.tried >= number).await.as_deref() {
            Ok(ended) if ended.done >= number => Flush::Done,
            Ok(ended) if ended.noted >= number => Flush::Owed,
            _ => Flush::Failed,
        }
    }
}

async fn work<V: Value>(
    cache: Cache<V>,
    catalog: Catalog,
    mut requests: watch::Receiver<u64>,
    results: watch::Sender<Ended>,
) {
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
                results.send_modify(|ended| (ended.tried, ended.done) = (number, number));
                if failing.take().is_some() {
                    owed.set(0.0);
                    info!("the cache was flushed after all");
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                if failing.is_none() {
                    owed.set(1.0);
                    warn!(%error, "the cache was not flushed after an event: trying again until it is");
                }
                let noted = if results.borrow().noted < number { catalog.owe_flush().await } else { Ok(()) };
                if let Err(error) = &noted {
                    debug!(%error, "nor was it noted that a flush is owed");
                }
                results.send_modify(|ended| {
                    ended.tried = number;
                    if noted.is_ok() {
                        ended.noted = number;
                    }
                });
                failing.get_or_insert_default().wait(None).await;
            }
        }
    }
}

/// Makes up for the flushes that any process owes, for ever: from the start on, since one that was killed may owe one.
pub(super) async fn pay(catalog: Catalog, invalidation: Arc<Invalidation>) {
    loop {
        if let Err(error) = pay_once(&catalog, &invalidation).await {
            debug!(%error, "whether a flush is owed is not known");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn pay_once(catalog: &Catalog, invalidation: &Invalidation) -> Result<(), Error> {
    let Some(owed) = catalog.owed_flush().await? else { return Ok(()) };
    if invalidation.run().await == Flush::Done {
        catalog.forget_owed_flush(&owed).await?;
        info!("the cache was flushed for an event whose own flush was owed");
    }
    Ok(())
}
