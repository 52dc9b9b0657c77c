//! What the status says: a value in, a value out.

use farmlokal_cache::Flushed;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use crate::crd::{ProductCatalog, ProductCatalogStatus};
use crate::decision::Cause;
use crate::error::Failure;

const READY: &str = "Ready";
const FLUSHED: &str = "Flushed";
const DEGRADED: &str = "Degraded";

/// Now, in the whole seconds that an API server keeps.
pub(crate) fn now() -> Time {
    let now = Timestamp::now();
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

/// After a flush.
pub(crate) fn flushed(
    before: ProductCatalogStatus,
    object: &ProductCatalog,
    cause: Cause,
    flushed: Flushed,
    now: Time,
) -> ProductCatalogStatus {
    let mut status = ProductCatalogStatus {
        observed_generation: object.metadata.generation,
        // A request that was withdrawn stays handled.
        last_handled_request: object.flush_request().map(str::to_owned).or(before.last_handled_request),
        last_flush_time: Some(now.clone()),
        keys_flushed: Some(i64::try_from(flushed.keys).unwrap_or(i64::MAX)),
        last_flush_duration_milliseconds: Some(i64::try_from(flushed.took.as_millis()).unwrap_or(i64::MAX)),
        conditions: before.conditions,
    };
    let set = &mut Conditions { status: &mut status, object, now };
    set.to(READY, true, "UpToDate", "No flush is owed.");
    set.to(FLUSHED, true, cause.reason(), cause.text());
    set.to(DEGRADED, false, "AsExpected", "The last flush succeeded.");
    status
}

/// While flushes are held back.
pub(crate) fn suspended(
    mut before: ProductCatalogStatus,
    object: &ProductCatalog,
    now: Time,
) -> ProductCatalogStatus {
    let set = &mut Conditions { status: &mut before, object, now };
    set.to(READY, false, "Suspended", "spec.suspend holds flushes back.");
    set.to(FLUSHED, false, "Suspended", "A flush is owed: it is done when spec.suspend is false again.");
    set.to(DEGRADED, false, "Suspended", "Redis is not asked while spec.suspend is true.");
    before
}

/// After a flush that failed. Another failure of the same kind changes nothing: its time and details are no news, and news
/// would make the controller look at the object again at once.
pub(crate) fn degraded(
    mut before: ProductCatalogStatus,
    object: &ProductCatalog,
    failure: &Failure,
    now: Time,
) -> ProductCatalogStatus {
    let known = condition(&before, DEGRADED);
    let same = known.is_some_and(|known| {
        is_true(known)
            && known.reason == failure.reason()
            && known.observed_generation == object.metadata.generation
    });
    if !same {
        let message = failure.to_string();
        let set = &mut Conditions { status: &mut before, object, now };
        set.to(READY, false, failure.reason(), &message);
        set.to(FLUSHED, false, failure.reason(), "A flush is owed: it is tried until it succeeds.");
        set.to(DEGRADED, true, failure.reason(), &message);
    }
    before
}

/// While nothing is owed.
pub(crate) fn up_to_date(
    mut before: ProductCatalogStatus,
    object: &ProductCatalog,
    now: Time,
) -> ProductCatalogStatus {
    // Otherwise what was owed has been withdrawn.
    if !condition(&before, FLUSHED).is_some_and(is_true) {
        let set = &mut Conditions { status: &mut before, object, now };
        set.to(READY, true, "UpToDate", "No flush is owed.");
        set.to(FLUSHED, true, "Withdrawn", "The flush that was owed is no longer asked for.");
        set.to(DEGRADED, false, "Withdrawn", "No flush is owed.");
    }
    before
}

/// The reason for which the status says that flushing fails.
pub(crate) fn degraded_reason(status: &ProductCatalogStatus) -> Option<&str> {
    condition(status, DEGRADED).filter(|known| is_true(known)).map(|known| known.reason.as_str())
}

/// Whether the status says that flushes are held back.
pub(crate) fn is_suspended(status: &ProductCatalogStatus) -> bool {
    condition(status, FLUSHED).is_some_and(|known| known.reason == "Suspended")
}

fn condition<'a>(status: &'a ProductCatalogStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}

fn is_true(condition: &Condition) -> bool {
    condition.status == "True"
}

struct Conditions<'a> {
    status: &'a mut ProductCatalogStatus,
    object: &'a ProductCatalog,
    now: Time,
}

impl Conditions<'_> {
    /// A condition keeps its time unless it flips.
    fn to(&mut self, kind: &str, holds: bool, reason: &str, message: &str) {
        let status = if holds { "True" } else { "False" };
        let known = condition(self.status, kind).filter(|known| known.status == status);
        let since = known.map_or(&self.now, |known| &known.last_transition_time).clone();
        let condition = Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            observed_generation: self.object.metadata.generation,
            last_transition_time: since,
        };
        match self.status.conditions.iter_mut().find(|known| known.type_ == kind) {
            Some(known) => *known = condition,
            None => self.status.conditions.push(condition),
        }
    }
}

#[cfg(test)]
mod tests;
