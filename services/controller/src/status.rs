//! What the status says: a value in, a value out.

use farmlokal_cache::Flushed;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use crate::crd::{ProductCatalog, ProductCatalogStatus as Status};
use crate::decision::Cause;
use crate::error::FlushFailure;

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
    before: Status,
    object: &ProductCatalog,
    cause: Cause,
    flushed: Flushed,
    now: &Time,
) -> Status {
    let status = Status {
        flushed_generation: object.metadata.generation,
        // A request that was withdrawn stays handled.
        last_handled_request: object.flush_request().map(str::to_owned).or(before.last_handled_request),
        last_flush_time: Some(now.clone()),
        keys_flushed: Some(i64::try_from(flushed.keys).unwrap_or(i64::MAX)),
        last_flush_duration_milliseconds: Some(i64::try_from(flushed.took.as_millis()).unwrap_or(i64::MAX)),
        ..before
    };
    let (reason, text) = cause.reason_and_text();
    let conditions = [
        (READY, true, "UpToDate", "No flush is pending."),
        (FLUSHED, true, reason, text),
        (DEGRADED, false, "AsExpected", "The last flush succeeded."),
    ];
    with_conditions(status, object, now, conditions)
}

/// While `spec.suspend` holds a pending flush back. That is as the operator wants it, so nobody is to wait for more.
pub(crate) fn suspended(before: Status, object: &ProductCatalog, now: &Time) -> Status {
    let conditions = [
        (READY, true, "Suspended", "spec.suspend holds flushes back."),
        (FLUSHED, false, "Suspended", "A flush is pending: it is done when spec.suspend is false again."),
        (DEGRADED, false, "Suspended", "Redis is not asked while spec.suspend is true."),
    ];
    with_conditions(before, object, now, conditions)
}

/// After a flush that failed. Another failure of the same category changes nothing: a changed status would be an event of
/// the watch, and the object reconciled again at once.
pub(crate) fn degraded(
    before: Status,
    object: &ProductCatalog,
    failure: &FlushFailure,
    now: &Time,
) -> Status {
    let is_same = |condition: &Condition| condition.observed_generation == object.metadata.generation;
    if degraded_reason(&before) == Some(failure.reason()) && condition(&before, DEGRADED).is_some_and(is_same)
    {
        return before;
    }
    let (reason, message) = (failure.reason(), failure.to_string());
    let conditions = [
        (READY, false, reason, &*message),
        (FLUSHED, false, reason, "A flush is pending: it is tried until it succeeds."),
        (DEGRADED, true, reason, &*message),
    ];
    with_conditions(before, object, now, conditions)
}

/// While no flush is pending.
pub(crate) fn up_to_date(before: Status, object: &ProductCatalog, now: &Time) -> Status {
    if condition(&before, FLUSHED).is_some_and(is_true) {
        return Status { observed_generation: object.metadata.generation, ..before };
    }
    let conditions = [
        (READY, true, "UpToDate", "No flush is pending."),
        (FLUSHED, true, "Withdrawn", "The flush that was pending is no longer asked for."),
        (DEGRADED, false, "Withdrawn", "No flush is pending."),
    ];
    with_conditions(before, object, now, conditions)
}

/// The reason for which the status says that flushing fails.
pub(crate) fn degraded_reason(status: &Status) -> Option<&str> {
    condition(status, DEGRADED).filter(|condition| is_true(condition)).map(|condition| &*condition.reason)
}

/// Whether the status says that nothing is wrong.
pub(crate) fn is_ready(status: &Status) -> bool {
    condition(status, READY).is_some_and(is_true)
}

/// Since when the status has said that a flush is pending.
pub(crate) fn pending_since(status: &Status) -> Option<&Time> {
    let pending = condition(status, FLUSHED).filter(|condition| !is_true(condition));
    pending.map(|condition| &condition.last_transition_time)
}

/// Whether the status says that flushes are held back.
pub(crate) fn is_suspended(status: &Status) -> bool {
    condition(status, FLUSHED).is_some_and(|condition| condition.reason == "Suspended")
}

fn condition<'a>(status: &'a Status, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}

fn is_true(condition: &Condition) -> bool {
    condition.status == "True"
}

/// Sets the generation that was looked at and all conditions: type, whether it holds, reason and message. A condition keeps
/// its transition time unless it flips.
fn with_conditions(
    mut status: Status,
    object: &ProductCatalog,
    now: &Time,
    conditions: [(&str, bool, &str, &str); 3],
) -> Status {
    let conditions = conditions.map(|(kind, holds, reason, message)| {
        let before = condition(&status, kind).filter(|before| is_true(before) == holds);
        Condition {
            type_: kind.to_owned(),
            status: if holds { "True" } else { "False" }.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            observed_generation: object.metadata.generation,
            last_transition_time: before.map_or(now, |before| &before.last_transition_time).clone(),
        }
    });
    status.conditions = conditions.into();
    status.observed_generation = object.metadata.generation;
    status
}

#[cfg(test)]
mod tests;
