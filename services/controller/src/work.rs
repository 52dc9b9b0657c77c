//! The leader's work: a look at each `ProductCatalog` whenever it changes.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use kube::Api;
use kube::runtime::controller::{Controller, Error};
use kube::runtime::{utils::Backoff, watcher};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::crd::ProductCatalog;
use crate::known;
use crate::outage::Outage;
use crate::reconcile::{Context, reconcile, retry};

/// The API server ends a watch after so many seconds, and it is begun anew where it ended. One whose connection has died
/// without a word is given up little later: until then changes go unseen.
const WATCH_SECONDS: u32 = 60;
/// How often what is kept of objects that are gone is dropped.
const TIDY_EVERY: Duration = Duration::from_mins(1);

/// Reconciles until `stop`, then ends when what is under way has ended. Dropped, it cuts that off.
pub(crate) async fn work(objects: Api<ProductCatalog>, context: Arc<Context>, stop: CancellationToken) {
    let watch = Watch::default();
    let controller = Controller::new(objects, watcher::Config::default().timeout(WATCH_SECONDS))
        .trigger_backoff(watch.clone())
        .graceful_shutdown_on(stop.cancelled_owned());
    let there = controller.store();
    let mut looks = pin!(controller.run(reconcile, retry, Arc::clone(&context)));
    let mut tidying = tokio::time::interval(TIDY_EVERY);
    loop {
        let look = tokio::select! {
            look = looks.next() => look,
            // Objects that are deleted cause no look.
            _ = tidying.tick() => {
                context.keep_only(|object| there.get(object).is_some());
                continue;
            }
        };
        match look {
            None => break,
            Some(Err(Error::QueueError(error))) if watch.fails() => {
                warn!(%error, "ProductCatalogs cannot be watched: trying again");
            }
            // Reconciles tell of their errors themselves.
            Some(_) => {}
        }
    }
}

/// Whether the watch works, and its pauses between attempts: as short as those between flushes, since changes go unseen
/// meanwhile.
#[derive(Clone, Default)]
struct Watch(Arc<Mutex<Attempts>>);

#[derive(Default)]
struct Attempts {
    failures: u32,
    outage: Outage,
}

impl Watch {
    /// True if that is news.
    fn fails(&self) -> bool {
        self.attempts().outage.begins()
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Iterator for Watch {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let mut attempts = self.attempts();
        let pause = known::pause(attempts.failures);
        attempts.failures = attempts.failures.saturating_add(1);
        Some(pause.mul_f64(rand::random_range(0.5..=1.0)))
    }
}

impl Backoff for Watch {
    /// Something was seen.
    fn reset(&mut self) {
        let mut attempts = self.attempts();
        attempts.failures = 0;
        if attempts.outage.ends() {
            info!("ProductCatalogs are watched again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_seen_ends_an_outage_and_makes_pauses_short_again() {
        let mut watch = Watch::default();
        let seen_by_the_stream = watch.clone();
        assert!(watch.fails() && !seen_by_the_stream.fails());
        let pauses: Vec<_> = watch.by_ref().take(10).collect();
        assert!(pauses[0] <= Duration::from_millis(100) && pauses[9] >= Duration::from_millis(2500));
        watch.reset();
        assert!(watch.next().unwrap() <= Duration::from_millis(100));
        assert!(watch.fails(), "another outage");
    }
}
