use std::time::Duration;

use super::*;
use crate::tests::catalog;

fn at(second: i64) -> Time {
    Time(Timestamp::from_second(second).unwrap())
}

fn done(keys: u64) -> Flushed {
    Flushed { keys, took: Duration::from_millis(7) }
}

/// `Type=Status(Reason)@since` of each condition.
fn conditions(status: &Status) -> Vec<String> {
    let short = |c: &Condition| {
        format!("{}={}({})@{}", c.type_, c.status, c.reason, c.last_transition_time.0.as_second())
    };
    status.conditions.iter().map(short).collect()
}

#[test]
fn a_condition_keeps_its_time_unless_it_flips() {
    let object = catalog(|_| {});
    let failure = FlushFailure::Unreachable("the connection is refused");
    let status = flushed(Status::default(), &object, Cause::Created, done(1), &at(10));
    assert_eq!(
        conditions(&status),
        ["Ready=True(UpToDate)@10", "Flushed=True(Created)@10", "Degraded=False(AsExpected)@10"]
    );
    let status = flushed(status, &object, Cause::Requested, done(2), &at(20));
    assert_eq!(
        conditions(&status),
        ["Ready=True(UpToDate)@10", "Flushed=True(FlushRequested)@10", "Degraded=False(AsExpected)@10"]
    );
    let status = degraded(status, &object, &failure, &at(30));
    assert_eq!(
        conditions(&status),
        [
            "Ready=False(RedisUnreachable)@30",
            "Flushed=False(RedisUnreachable)@30",
            "Degraded=True(RedisUnreachable)@30"
        ]
    );
    let status = degraded(status, &object, &FlushFailure::Refused("NOAUTH".to_owned()), &at(40));
    assert_eq!(
        conditions(&status),
        ["Ready=False(RedisRefused)@30", "Flushed=False(RedisRefused)@30", "Degraded=True(RedisRefused)@30"]
    );
    let status = flushed(status, &object, Cause::Requested, done(3), &at(50));
    assert_eq!(
        conditions(&status),
        ["Ready=True(UpToDate)@50", "Flushed=True(FlushRequested)@50", "Degraded=False(AsExpected)@50"]
    );
}

#[test]
fn a_flush_is_told_in_full() {
    let object = catalog(|o| {
        o["metadata"]["generation"] = 4.into();
        o["metadata"]["annotations"]["farmlokal.dev/flush-requested-at"] = "noon".into();
    });
    let status = flushed(Status::default(), &object, Cause::SpecChanged, done(12), &at(10));
    assert_eq!((status.observed_generation, status.flushed_generation), (Some(4), Some(4)));
    assert_eq!(status.last_handled_request.as_deref(), Some("noon"));
    assert_eq!(status.last_flush_time, Some(at(10)));
    assert_eq!((status.keys_flushed, status.last_flush_duration_milliseconds), (Some(12), Some(7)));
    assert!(status.conditions.iter().all(|condition| condition.observed_generation == Some(4)));
}

/// A status that changes with each retry would make the controller look again at once, for ever.
#[test]
fn the_same_failure_again_changes_nothing() {
    let object = catalog(|_| {});
    let before = Status::default();
    let first = degraded(before, &object, &FlushFailure::Unreachable("the connection is refused"), &at(10));
    let second =
        degraded(first.clone(), &object, &FlushFailure::Unreachable("it does not answer in time"), &at(20));
    assert_eq!(first, second);
    assert_eq!(degraded_reason(&second), Some("RedisUnreachable"));
    assert_eq!(second.flushed_generation, None, "the flush stays pending");
    assert_eq!((second.observed_generation, pending_since(&second)), (Some(1), Some(&at(10))));
    let changed = catalog(|o| o["metadata"]["generation"] = 2.into());
    let third = degraded(second, &changed, &FlushFailure::Unreachable("it does not answer in time"), &at(30));
    assert!(third.conditions.iter().all(|condition| condition.observed_generation == Some(2)));
}

#[test]
fn a_request_that_was_withdrawn_while_redis_was_gone_is_no_failure_any_more() {
    let object = catalog(|_| {});
    let status = flushed(Status::default(), &object, Cause::Created, done(1), &at(10));
    assert_eq!(up_to_date(status.clone(), &object, &at(20)), status);
    let status = degraded(status, &object, &FlushFailure::Unreachable("the connection is refused"), &at(30));
    let status = up_to_date(status, &object, &at(40));
    assert_eq!(
        conditions(&status),
        ["Ready=True(UpToDate)@40", "Flushed=True(Withdrawn)@40", "Degraded=False(Withdrawn)@40"]
    );
    assert_eq!(up_to_date(status.clone(), &object, &at(50)), status);
}

#[test]
fn a_suspended_one_is_ready_and_not_degraded() {
    let object = catalog(|o| o["spec"]["suspend"] = true.into());
    let status = suspended(Status::default(), &object, &at(10));
    assert_eq!(
        conditions(&status),
        ["Ready=True(Suspended)@10", "Flushed=False(Suspended)@10", "Degraded=False(Suspended)@10"]
    );
    assert!(is_suspended(&status) && degraded_reason(&status).is_none());
    assert_eq!(suspended(status.clone(), &object, &at(20)), status);
    assert_eq!((status.observed_generation, status.flushed_generation), (Some(1), None));
}

/// What is compared with the API server's answer has to survive the way there and back.
#[test]
fn a_status_is_the_same_as_json() {
    let object = catalog(|_| {});
    let status = flushed(Status::default(), &object, Cause::Created, done(1), &now());
    let json = serde_json::to_string(&status).unwrap();
    assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status);
}
