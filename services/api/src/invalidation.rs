//! Changes made visible after their commits: the search index is woken, and the cache made invalid, once for all changes
//! that commit together.
//!
//! Where Redis cannot be told, the senders are: an event or a write whose invalidation failed is answered with 503, and
//! sent again it asks for it again.

use std::time::Duration;

use farmlokal_cache::{Cache, Value};
use farmlokal_search::Search;
use metrics::{describe_gauge, gauge};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::{info, warn};

const FAILING: &str = "farmlokal_invalidation_failing";
/// Changes that may wait at the same time; further ones wait to wait.
const MAX_WAITING: usize = 1_024;
/// From the end of one to the start of the next: at most 40 a second, so that a flood of changes leaves some cache hits.
const PAUSE: Duration = Duration::from_millis(25);

/// The one task that makes the cache invalid for all changes of this process. A clone is the same.
#[derive(Clone)]
pub(crate) struct Invalidation {
    requests: mpsc::Sender<Request>,
}

/// Products, and where to say whether nothing from before is served any more.
type Request = (Vec<u64>, oneshot::Sender<bool>);

impl Invalidation {
    /// Starts the task. Call it after the metrics recorder was installed.
    pub(crate) fn start<V: Value>(cache: Cache<V>, search: Search, tasks: &mut JoinSet<()>) -> Self {
        let (sender, requests) = mpsc::channel(MAX_WAITING);
        describe_gauge!(FAILING, "1 while the cache could not be invalidated after a change");
        tasks.spawn(work(cache, search, requests));
        Self { requests: sender }
    }

    /// Makes invalid what was cached of these products before this call. False if Redis could not be told.
    pub(crate) async fn of_products(&self, ids: Vec<u64>) -> bool {
        let (sender, done) = oneshot::channel();
        self.requests.send((ids, sender)).await.is_ok() && done.await.unwrap_or(false)
    }
}

async fn work<V: Value>(cache: Cache<V>, search: Search, mut requests: mpsc::Receiver<Request>) {
    let failing = gauge!(FAILING);
    failing.set(0.0);
    let mut has_failed = false;
    let mut waiting = Vec::new();
    // All who wait by now are covered by what starts now.
    while requests.recv_many(&mut waiting, MAX_WAITING).await > 0 {
        let ids: Vec<u64> = waiting.iter().flat_map(|(ids, _)| ids).copied().collect();
        // While the cache is told: the next search need not wait for it. A wake for each change would keep the index committing.
        search.wake();
        let result = cache.invalidate_products(&ids).await;
        match &result {
            Err(error) if !has_failed => {
                warn!(%error, "the cache was not invalidated after a change: its sender has to send it again");
            }
            Ok(()) if has_failed => info!("the cache is invalidated after changes again"),
            _ => {}
        }
        has_failed = result.is_err();
        failing.set(f64::from(u8::from(has_failed)));
        for (_, sender) in waiting.drain(..) {
            // Its sender may have been dropped.
            let _ = sender.send(result.is_ok());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
