//! The leader's work: each `ProductCatalog` is reconciled whenever it changes.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::Api;
use kube::runtime::controller::{Config, Controller, Error};
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, ExponentialBackoff};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::crd::ProductCatalog;
use crate::failure_log::FailureLog;
use crate::flush::pauses;
use crate::reconcile::{Context, reconcile, retry};

/// The API server ends a watch after so many seconds, and it is begun anew where it ended. One whose connection has died
/// without a word is given up little later: until then changes go unseen.
const WATCH_SECONDS: u32 = 60;

/// As many as a flusher has connections: it takes a long wait for one of them for a Redis that does not answer.
const CONCURRENT_RECONCILES: u16 = 2;

/// Reconciles until `stop`, then ends when the reconciles under way have ended. Dropped, it cuts those off.
pub(crate) async fn watch(objects: Api<ProductCatalog>, context: Arc<Context>, stop: CancellationToken) {
    let failures = FailureLog::default();
    let backoff = WatchBackoff { pauses: pauses().into(), failures: failures.clone() };
    let controller = Controller::new(objects, watcher::Config::default().timeout(WATCH_SECONDS))
        .with_config(Config::default().concurrency(CONCURRENT_RECONCILES))
        .trigger_backoff(backoff)
        .graceful_shutdown_on(stop.cancelled_owned());
    let mut reconciles = pin!(controller.run(reconcile, retry, Arc::clone(&context)));
    while let Some(reconciled) = reconciles.next().await {
        match reconciled {
            Err(Error::QueueError(error)) => failures.api_failed("ProductCatalogs cannot be watched", &error),
            // It was to be reconciled again, and is gone.
            Err(Error::ObjectNotFound(object)) => {
                context.forget(&object.into_kind_unchecked(()));
            }
            // Reconciles log their own errors.
            _ => {}
        }
    }
}

/// Pauses between attempts to watch; it learns when one succeeds.
struct WatchBackoff {
    pauses: ExponentialBackoff,
    failures: FailureLog,
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.pauses.next()
    }
}

impl Backoff for WatchBackoff {
    fn reset(&mut self) {
        self.pauses.reset();
        if self.failures.is_over() {
            info!("ProductCatalogs are watched again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_seen_ends_an_outage_and_makes_pauses_short_again() {
        let failures = FailureLog::default();
        let mut backoff = WatchBackoff { pauses: pauses().into(), failures: failures.clone() };
        assert!(failures.is_new("unreachable") && !failures.is_new("unreachable"));
        let pauses: Vec<_> = backoff.by_ref().take(10).collect();
        assert!(pauses[0] <= Duration::from_millis(100) && pauses[9] >= Duration::from_millis(2500));
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(5)));
        backoff.reset();
        assert!(backoff.next().unwrap() <= Duration::from_millis(100));
        assert!(failures.is_new("unreachable"), "another outage");
    }
}
