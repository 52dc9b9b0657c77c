//! One reconcile of a `ProductCatalog`: what is to be done is [decided](crate::decision) first, effects follow.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use backon::BackoffBuilder as _;
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, Resource as _, ResourceExt as _};
use serde_json::json;
use tracing::{Span, info, instrument, warn};

use crate::crd::{ProductCatalog, ProductCatalogStatus};
use crate::decision::{Decision, decide};
use crate::error::{API_TIMEOUT, Error, answer_within};
use crate::failure_log::FailureLog;
use crate::flush::{CacheFlusher, pauses};
use crate::observed_status::ObservedStatus;
use crate::{metrics, status};

/// Who owns the status in the eyes of the API server.
const FIELD_MANAGER: &str = "farmlokal-controller";

/// What reconciles work with.
pub(crate) struct Context {
    client: Client,
    cache: Arc<CacheFlusher>,
    /// The release whose objects are served.
    release: String,
    /// This replica, in Events.
    reporter: Reporter,
    observed: ObservedStatus,
    /// Of each object that failed, what is left of its pauses.
    retries: Mutex<HashMap<ObjectRef<ProductCatalog>, backon::ExponentialBackoff>>,
    api_failures: FailureLog,
}

impl Context {
    pub(crate) fn new(client: Client, cache: Arc<CacheFlusher>, release: String, identity: String) -> Self {
        let reporter = Reporter { controller: "farmlokal-controller".to_owned(), instance: Some(identity) };
        let (observed, retries) = (ObservedStatus::default(), Mutex::default());
        Self { client, cache, release, reporter, observed, retries, api_failures: FailureLog::default() }
    }

    /// Drops what is kept of an object that is gone.
    pub(crate) fn forget(&self, object: &ObjectRef<ProductCatalog>) {
        self.observed.forget(object);
        self.retries().remove(object);
    }

    /// Creates an Event: what `kubectl describe` and `kubectl events` tell people. A failure is only logged: what counts is
    /// in the status.
    async fn publish(&self, object: &ProductCatalog, type_: EventType, reason: &str, note: String) {
        let (reason, action) = (reason.to_owned(), "Flush".to_owned());
        let event = Event { type_, reason, note: Some(note), action, secondary: None };
        // A recorder that has seen an earlier Event would count that one up and keep its text.
        let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        let published = answer_within(API_TIMEOUT, recorder.publish(&event, &object.object_ref(&()))).await;
        if let Err(error) = published {
            warn!(%error, event.reason, "an Event was not published");
        }
    }

    fn retries(&self) -> MutexGuard<'_, HashMap<ObjectRef<ProductCatalog>, backon::ExponentialBackoff>> {
        self.retries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does the flush of `object` if one is pending, and writes its status. Leaves another release's object to that.
///
/// # Errors
/// It has to be reconciled again, after the pause of [`retry`].
pub(crate) async fn reconcile(object: Arc<ProductCatalog>, context: Arc<Context>) -> Result<Action, Error> {
    if object.spec.release == context.release {
        return reconcile_own(&object, &context).await;
    }
    // It may have been ours.
    context.forget(&ObjectRef::from_obj(&*object));
    Ok(Action::await_change())
}

#[instrument(skip_all, fields(
    k8s.namespace.name = object.namespace(), farmlokal.catalog.name = object.name_any(),
    farmlokal.catalog.generation = object.metadata.generation, farmlokal.result, otel.status_code, error.type,
))]
async fn reconcile_own(object: &ProductCatalog, context: &Context) -> Result<Action, Error> {
    let (started, span) = (Instant::now(), Span::current());
    let done = decide_and_act(object, context).await;
    let (result, error) = match &done {
        Ok(result) => (*result, None),
        Err(Error::Flush(failure)) => ("degraded", Some(failure.reason())),
        Err(Error::Api(_)) => ("failed", Some("api")),
    };
    if let Some(kind) = error {
        span.record("otel.status_code", "ERROR").record("error.type", kind);
    } else {
        context.retries().remove(&ObjectRef::from_obj(object));
    }
    span.record("farmlokal.result", result);
    metrics::reconciled(result, started.elapsed());
    done.map(|_| Action::await_change())
}

/// When to reconcile again after an error: exponential backoff, for each object by itself.
#[expect(clippy::needless_pass_by_value, reason = "kube calls it so")]
pub(crate) fn retry(object: Arc<ProductCatalog>, _: &Error, context: Arc<Context>) -> Action {
    let mut retries = context.retries();
    let pauses = retries.entry(ObjectRef::from_obj(&*object)).or_insert_with(|| pauses().build());
    pauses.next().map_or_else(Action::await_change, Action::requeue)
}

async fn decide_and_act(object: &ProductCatalog, context: &Context) -> Result<&'static str, Error> {
    let before = context.observed.of(object);
    let (after, event, result) = match decide(object, &before) {
        Decision::Ignore => return Ok("gone"),
        Decision::UpToDate => (status::up_to_date(before, object, &status::now()), None, Ok("unchanged")),
        Decision::Suspended => {
            let note = "A flush is pending and held back by spec.suspend.".to_owned();
            let event = (!status::is_suspended(&before)).then_some((EventType::Normal, "Suspended", note));
            (status::suspended(before, object, &status::now()), event, Ok("suspended"))
        }
        Decision::Flush(cause) => match context.cache.flush().await {
            Ok(flushed) => {
                let ms = flushed.took.as_millis();
                let (_, text) = cause.reason_and_text();
                let note = format!("{text} {} keys were removed in {ms} ms.", flushed.keys);
                info!(namespace = object.namespace(), catalog = object.name_any(), "{note}");
                let after = status::flushed(before, object, cause, flushed, &status::now());
                (after, Some((EventType::Normal, "Flushed", note)), Ok("flushed"))
            }
            Err(failure) => {
                let is_new = status::degraded_reason(&before) != Some(failure.reason());
                let note = format!("{failure}. It is tried until it succeeds.");
                let event = is_new.then_some((EventType::Warning, failure.reason(), note));
                let after = status::degraded(before, object, &failure, &status::now());
                (after, event, Err(Error::Flush(failure)))
            }
        },
    };
    let saved = save(object, after, context).await;
    if matches!(saved, Ok(false)) {
        return Ok("gone");
    }
    if let Some((type_, reason, note)) = event {
        context.publish(object, type_, reason, note).await;
    }
    saved?;
    result
}

/// Writes the status if it is another one than the object's. False if the object is gone; an error if it has changed meanwhile.
async fn save(
    object: &ProductCatalog,
    status: ProductCatalogStatus,
    context: &Context,
) -> Result<bool, Error> {
    if object.status.as_ref() == Some(&status) {
        context.observed.forget(&ObjectRef::from_obj(object));
        return Ok(true);
    }
    context.observed.set(object, status.clone());
    let namespace = object.namespace().unwrap_or_default();
    let api: Api<ProductCatalog> = Api::namespaced(context.client.clone(), &namespace);
    let patch = json!({
        "apiVersion": ProductCatalog::api_version(&()),
        "kind": ProductCatalog::kind(&()),
        // With the version the API server refuses it for an object that was given to another release meanwhile.
        "metadata": { "name": object.name_any(), "resourceVersion": object.resource_version() },
        "status": status,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let (name, patch) = (object.name_any(), Patch::Apply(patch));
    match answer_within(API_TIMEOUT, api.patch_status(&name, &params, &patch)).await {
        Ok(taken) => {
            context.observed.taken(&taken);
            if context.api_failures.is_over() {
                info!("statuses can be written again");
            }
            Ok(true)
        }
        Err(kube::Error::Api(status)) if status.code == 404 => {
            context.forget(&ObjectRef::from_obj(object));
            Ok(false)
        }
        Err(error) => {
            context.api_failures.api_failed("a status cannot be written", &error);
            Err(error.into())
        }
    }
}

#[cfg(test)]
mod tests;
