//! The cache made invalid after commits, once for all events that commit together.
//!
//! Where Redis cannot be told, the senders are: an event whose invalidation failed is answered with 503, and its next
//! delivery asks for it again.

use std::time::Duration;

use farmlokal_cache::{Cache, Value};
use metrics::gauge;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::MAX_DELIVERIES;

/// From the end of one to the start of the next: at most 40 a second, so that a flood of events leaves some cache hits.
const PAUSE: Duration = Duration::from_millis(25);

/// The one task that makes the cache invalid for all events of this process.
pub(super) struct Invalidation(mpsc::Sender<Request>);

/// A product, and where to say whether nothing from before is served any more.
type Request = (u64, oneshot::Sender<bool>);

impl Invalidation {
    /// Starts the task.
    pub(super) fn start<V: Value>(cache: Cache<V>, tasks: &mut JoinSet<()>) -> Self {
        let (sender, requests) = mpsc::channel(MAX_DELIVERIES);
        tasks.spawn(work(cache, requests));
        Self(sender)
    }

    /// Makes invalid what was cached of a product before this call. False if Redis could not be told.
    pub(super) async fn of_product(&self, id: u64) -> bool {
        let (sender, done) = oneshot::channel();
        self.0.send((id, sender)).await.is_ok() && done.await.unwrap_or(false)
    }
}

async fn work<V: Value>(cache: Cache<V>, mut requests: mpsc::Receiver<Request>) {
    let failing = gauge!("farmlokal_webhook_invalidation_failing");
    failing.set(0.0);
    let mut has_failed = false;
    let mut waiting = Vec::new();
    // All who wait by now are covered by what starts now.
    while requests.recv_many(&mut waiting, MAX_DELIVERIES).await > 0 {
        let ids: Vec<u64> = waiting.iter().map(|(id, _)| *id).collect();
        let result = cache.invalidate_products(&ids).await;
        match &result {
            Err(error) if !has_failed => {
                warn!(%error, "the cache was not invalidated after an event: its sender has to deliver it again");
            }
            Ok(()) if has_failed => info!("the cache is invalidated after events again"),
            _ => {}
        }
        has_failed = result.is_err();
        failing.set(f64::from(u8::from(has_failed)));
        for (_, sender) in waiting.drain(..) {
            // The delivery may have been dropped.
            let _ = sender.send(result.is_ok());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
