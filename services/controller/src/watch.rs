//! The leader's work: each `ProductCatalog` is reconciled whenever it changes.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::http::Response;
use futures::StreamExt as _;
use kube::client::ClientBuilder;
use kube::runtime::controller::{self, Controller, Error};
use kube::runtime::watcher::{self, ExponentialBackoff};
use kube::{Api, Client, Config};
use tower::util::MapResultLayer;
use tracing::info;

use crate::crd::ProductCatalog;
use crate::failure_log::FailureLog;
use crate::flush::pauses;
use crate::management::{Catalogs, Readiness};
use crate::metrics;
use crate::reconcile::{Context, reconcile, retry};

/// The API server ends a watch after so many seconds, and it is begun anew where it ended. One whose connection has died
/// without a word is given up little later: until then changes go unseen.
const WATCH_SECONDS: u32 = 60;

/// As many as a flusher has connections: it takes a long wait for one of them for a Redis that does not answer.
const CONCURRENT_RECONCILES: u16 = 2;

/// A client for nothing but the watch, so that each answer tells whether that works. The stream of its events does not: it
/// is silent while nothing changes, after an outage too.
fn client(config: Config, readiness: Readiness, failures: FailureLog) -> kube::Result<Client> {
    let observe = MapResultLayer::new(move |answer| observe(answer, &readiness, &failures));
    Ok(ClientBuilder::try_from(config)?.with_layer(&observe).build())
}

fn observe<B, E>(
    answer: Result<Response<B>, E>,
    readiness: &Readiness,
    failures: &FailureLog,
) -> Result<Response<B>, E> {
    let is_up = answer.as_ref().is_ok_and(|answer| answer.status().is_success());
    set_up(is_up, readiness);
    if is_up && failures.is_over() {
        info!("ProductCatalogs are watched again");
    }
    answer
}

fn set_up(is_up: bool, readiness: &Readiness) {
    readiness.watch_fails.store(!is_up, Relaxed);
    metrics::watch_up(is_up);
}

/// Reconciles until the process is to end, then ends when the reconciles under way have ended. Dropped, it cuts those off.
/// `catalogs` gets what the watch shows.
pub(crate) async fn watch(
    config: Config,
    catalogs: &Catalogs,
    context: Arc<Context>,
    readiness: &Readiness,
) -> kube::Result<()> {
    let failures = FailureLog::default();
    let client = client(config, readiness.clone(), failures.clone())?;
    let objects = Api::<ProductCatalog>::default_namespaced(client);
    let controller = Controller::new(objects, watcher::Config::default().timeout(WATCH_SECONDS))
        .with_config(controller::Config::default().concurrency(CONCURRENT_RECONCILES))
        .trigger_backoff(ExponentialBackoff::from(pauses()))
        .graceful_shutdown_on(readiness.stop.clone().cancelled_owned());
    catalogs.get_or_init(|| controller.store());
    let mut reconciles = pin!(controller.run(reconcile, retry, Arc::clone(&context)));
    while let Some(reconciled) = reconciles.next().await {
        match reconciled {
            Err(Error::QueueError(error)) => {
                // An answer may be good and hold what cannot be read.
                set_up(false, readiness);
                failures.api_failed("ProductCatalogs cannot be watched", &error);
            }
            // It was to be reconciled again, and is gone.
            Err(Error::ObjectNotFound(object)) => {
                context.forget(&object.into_kind_unchecked(()));
            }
            // Reconciles log their own errors.
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_without_an_error_says_that_the_watch_works() {
        let (readiness, failures) = (Readiness::default(), FailureLog::default());
        let answer = |code: u16| Ok::<_, &str>(Response::builder().status(code).body(()).unwrap());
        for (answer, fails) in [
            (answer(200), false),
            // No definition, no rights, no API server.
            (answer(404), true),
            (answer(403), true),
            (Err("connection refused"), true),
            (answer(200), false),
        ] {
            let _ = failures.is_new("logged");
            let _ = observe(answer, &readiness, &failures);
            assert_eq!(readiness.watch_fails.load(Relaxed), fails);
            assert_eq!(failures.is_over(), fails, "an outage is over with the first answer that is none");
        }
    }
}
