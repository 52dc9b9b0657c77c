//! The cache made invalid after commits, once for all that commit together.
//!
//! Where Redis cannot be told, the database keeps a note of it: then the flush is owed by whichever process reaches Redis
//! first, and neither a killed process nor a sender that has had its 200 can make anybody forget it.

use std::time::Duration;

use farmlokal_cache::{Cache, Value};
use farmlokal_catalog::{Catalog, Error};
use metrics::{Gauge, gauge};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

/// From the end of one to the start of the next: at most 40 a second, so that a flood of events leaves the cache some use.
const PAUSE: Duration = Duration::from_millis(25);
/// From the end of an attempt that failed to the start of the next.
const RETRY_EVERY: Duration = Duration::from_millis(500);
/// How often a process looks whether a flush is owed, by others or by one that was killed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The one task that makes the cache invalid for all events of this process.
pub(super) struct Invalidation {
    wanted: watch::Sender<Wanted>,
    ended: watch::Receiver<Ended>,
    _worker: AbortOnDropHandle<()>,
}

/// What has been asked for: how many times, and the products that no attempt has taken up yet.
#[derive(Debug, Default)]
struct Wanted {
    number: u64,
    products: Vec<u64>,
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
        let wanted = watch::Sender::new(Wanted::default());
        let (results, ended) = watch::channel(Ended::default());
        let worker = AbortOnDropHandle::new(tokio::spawn(work(cache, catalog, wanted.clone(), results)));
        Self { wanted, ended, _worker: worker }
    }

    /// Makes invalid what was cached of this product before this call, and every list, by an attempt that starts after it. If that fails, the task goes
    /// on trying until it succeeds.
    pub(super) async fn run(&self, product: u64) -> Flush {
        let mut number = 0;
        self.wanted.send_modify(|wanted| {
            wanted.number += 1;
            wanted.products.push(product);
            number = wanted.number;
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
    wanted: watch::Sender<Wanted>,
    results: watch::Sender<Ended>,
) {
    let owed: Gauge = gauge!("farmlokal_webhook_flush_owed");
    owed.set(0.0);
    let mut failing = false;
    let mut requests = wanted.subscribe();
    let mut products = Vec::new();
    loop {
        if !failing && requests.changed().await.is_err() {
            return;
        }
        requests.mark_unchanged();
        // All who have asked by now are covered by what starts now.
        let mut number = 0;
        wanted.send_if_modified(|wanted| {
            number = wanted.number;
            products.append(&mut wanted.products);
            false
        });
        products.sort_unstable();
        products.dedup();
        match cache.invalidate_products(&products).await {
            Ok(()) => {
                products.clear();
                results.send_modify(|ended| (ended.tried, ended.done) = (number, number));
                if std::mem::take(&mut failing) {
                    owed.set(0.0);
                    info!("the cache was flushed after all");
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                if !failing {
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
                failing = true;
                tokio::time::sleep(RETRY_EVERY).await;
            }
        }
    }
}

/// Makes up for the flushes that any process owes, for ever: from the start on, since one that was killed may owe one.
pub(super) async fn pay<V: Value>(catalog: Catalog, cache: Cache<V>) {
    loop {
        if let Err(error) = pay_once(&catalog, &cache).await {
            debug!(%error, "whether a flush is owed is not known");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn pay_once<V: Value>(catalog: &Catalog, cache: &Cache<V>) -> Result<(), Error> {
    let Some(owed) = catalog.owed_flush().await? else { return Ok(()) };
    if cache.flush().await.is_ok() {
        catalog.forget_owed_flush(&owed).await?;
        info!("the cache was flushed for an event whose own flush was owed");
    }
    Ok(())
}
