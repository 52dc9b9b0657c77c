//! One look at a `ProductCatalog`: what is to be done is [decided](crate::decision) first; effects follow.

use std::sync::Arc;
use std::time::Instant;

use farmlokal_cache::ConfigError;
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, Resource as _, ResourceExt as _};
use serde_json::json;
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info, info_span, warn};

use crate::crd::{ProductCatalog, ProductCatalogStatus};
use crate::decision::{Decision, decide};
use crate::error::Error;
use crate::events::{Events, Notice};
use crate::flush::Flushers;
use crate::known::Known;
use crate::leader::Held;
use crate::{metrics, status};

/// Who owns the status in the eyes of the API server.
const FIELD_MANAGER: &str = "farmlokal-controller";

/// What a reconcile works with.
pub(crate) struct Context {
    client: Client,
    flushers: Flushers,
    events: Events,
    known: Known,
    held: Held,
}

impl Context {
    /// `identity` is the replica's name in Events, `held` its right to act.
    ///
    /// # Errors
    /// A URL that is none of Redis's.
    pub(crate) fn new(
        client: Client,
        redis_url: &str,
        identity: &str,
        held: Held,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            flushers: Flushers::new(client.clone(), redis_url)?,
            events: Events::new(client.clone(), identity),
            client,
            known: Known::default(),
            held,
        })
    }

    /// Of objects that are gone nothing is owed, and nothing is kept.
    pub(crate) fn keep_only(&self, is_there: impl Fn(&ObjectRef<ProductCatalog>) -> bool) {
        self.known.keep_only(&is_there);
        self.flushers.keep_only(&is_there);
    }
}

/// Looks at `object` and does what it owes.
///
/// # Errors
/// It has to be looked at again, after the pause of [`retry`].
pub(crate) async fn reconcile(object: Arc<ProductCatalog>, context: Arc<Context>) -> Result<Action, Error> {
    let started = Instant::now();
    let span = info_span!(
        "reconcile",
        k8s.namespace.name = object.namespace(),
        farmlokal.catalog.name = object.name_any(),
        farmlokal.catalog.generation = object.metadata.generation,
        farmlokal.result = Empty,
        otel.status_code = Empty,
        "error.type" = Empty,
    );
    let done = work(&object, &context).instrument(span.clone()).await;
    let key = ObjectRef::from_obj(&*object);
    let result = match &done {
        Ok(result) => {
            context.known.succeeded(&key);
            result
        }
        Err(error) => {
            mark_failed(&span, error);
            if let Error::Degraded(_) = error { "degraded" } else { "failed" }
        }
    };
    span.in_scope(|| tell_of_api(&context, &key, done.as_ref().err()));
    span.record("farmlokal.result", result);
    metrics::reconciled(result, started.elapsed());
    done.map(|_| Action::await_change())
}

/// When to look again after an error.
#[expect(clippy::needless_pass_by_value, reason = "kube calls it so")]
pub(crate) fn retry(object: Arc<ProductCatalog>, _: &Error, context: Arc<Context>) -> Action {
    Action::requeue(context.known.failed(&ObjectRef::from_obj(&*object)))
}

async fn work(object: &ProductCatalog, context: &Context) -> Result<&'static str, Error> {
    if !context.held.now() {
        return Err(Error::NotLeader);
    }
    let before = context.known.status(object);
    let decision = decide(object, &before);
    let flushed = match decision {
        Decision::LeaveAlone => return Ok("gone"),
        Decision::Flush(_) => Some(context.flushers.flush(object).await),
        Decision::UpToDate | Decision::HoldBack => None,
    };
    let now = status::now();
    let (after, notice, failure) = match (decision, flushed) {
        (Decision::Flush(cause), Some(Ok(flushed))) => {
            let ms = flushed.took.as_millis();
            let note = format!("{} {} keys were removed in {ms} ms.", cause.text(), flushed.keys);
            let after = status::flushed(before, object, cause, flushed, now);
            (after, Some(Notice { warning: false, reason: "Flushed", note }), None)
        }
        (_, Some(Err(Error::Degraded(failure)))) => {
            let news = status::degraded_reason(&before) != Some(failure.reason());
            let note = format!("{failure}. It is tried until it succeeds.");
            let notice = news.then(|| Notice { warning: true, reason: failure.reason(), note });
            (status::degraded(before, object, &failure, now), notice, Some(Error::Degraded(failure)))
        }
        (_, Some(Err(error))) => return Err(error),
        (Decision::HoldBack, _) => {
            let news = !status::is_suspended(&before);
            let note = "A flush is owed and held back by spec.suspend.".to_owned();
            let notice = news.then_some(Notice { warning: false, reason: "Suspended", note });
            (status::suspended(before, object, now), notice, None)
        }
        _ => (status::up_to_date(before, object, now), None, None),
    };
    if let Some(notice) = &notice {
        log(object, notice);
    }
    context.known.set(object, after.clone(), notice);
    let found = save(object, after, context).await?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    Ok(match decision {
        _ if !found => "gone",
        Decision::Flush(_) => "flushed",
        Decision::HoldBack => "suspended",
        Decision::LeaveAlone | Decision::UpToDate => "unchanged",
    })
}

/// Writes the status if it is another one, then tells what happened. False if the object is gone.
async fn save(
    object: &ProductCatalog,
    status: ProductCatalogStatus,
    context: &Context,
) -> Result<bool, Error> {
    if object.status.as_ref() != Some(&status) {
        // A flush may have taken so long that another replica leads.
        if !context.held.now() {
            return Err(Error::NotLeader);
        }
        let api: Api<ProductCatalog> =
            Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
        let patch = json!({
            "apiVersion": ProductCatalog::api_version(&()),
            "kind": ProductCatalog::kind(&()),
            // With the uid the API server refuses it for another object of the same name.
            "metadata": { "name": object.name_any(), "uid": object.uid() },
            "status": status,
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        match Error::within(api.patch_status(&object.name_any(), &params, &Patch::Apply(patch))).await {
            Ok(_) => {}
            Err(error) if error.is_not_found() => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    for notice in context.known.take_notices(&ObjectRef::from_obj(object)) {
        // Events are for people; what counts is in the status.
        if let Err(error) = context.events.publish(object, &notice).await {
            warn!(%error, reason = notice.reason, "an Event was not published");
        }
    }
    Ok(true)
}

fn log(object: &ProductCatalog, notice: &Notice) {
    let (namespace, catalog) = (object.namespace(), object.name_any());
    let Notice { reason, note, .. } = notice;
    if notice.warning {
        warn!(namespace, catalog, reason, "the cache is not flushed: {note}");
    } else {
        info!(namespace, catalog, reason, "{note}");
    }
}

/// One line when the API server fails for an object, and one when it works again. Of a lost lease the process itself tells.
fn tell_of_api(context: &Context, key: &ObjectRef<ProductCatalog>, error: Option<&Error>) {
    if matches!(error, Some(Error::NotLeader)) {
        return;
    }
    let error = error.filter(|error| !matches!(error, Error::Degraded(_)));
    if context.known.api_is_news(key, error.is_some()) {
        if let Some(error) = error {
            warn!(catalog = %key, %error, "the API server failed: trying again");
        } else {
            info!(catalog = %key, "the API server works again");
        }
    }
}

fn mark_failed(span: &Span, error: &Error) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", error.kind());
}

#[cfg(test)]
mod tests;
