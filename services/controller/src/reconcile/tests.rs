//! Effects against an API server that can be made to fail, and a real Redis.

use std::time::Duration;

use farmlokal_cache::RedisConfig;
use farmlokal_devstack::Redis;
use serde_json::Value;

use super::*;
use crate::error::FlushFailure;
use crate::tests::{FakeApi, Look, RELEASE, catalog};

const REQUEST: &str = "farmlokal.dev/flush-requested-at";

/// A controller on a fake API server and a real Redis.
struct Rig {
    api: FakeApi,
    redis: Redis,
    look: Look,
    context: Arc<Context>,
}

impl Rig {
    fn new(object: &ProductCatalog) -> Self {
        let redis = Redis::start().unwrap();
        let api = FakeApi::default();
        api.put_catalog(object);
        let look = Look::into(&redis.url());
        let context = context(&api, &redis);
        Self { api, redis, look, context }
    }

    /// As another replica that takes over.
    fn fail_over(&mut self) {
        self.context = context(&self.api, &self.redis);
    }

    /// Looks at the object as the API server has it.
    async fn look_at_it(&self) -> Result<Action, Error> {
        self.look_at(self.api.catalog("main")).await
    }

    async fn look_at(&self, object: Arc<ProductCatalog>) -> Result<Action, Error> {
        reconcile(object, Arc::clone(&self.context)).await
    }

    fn status(&self) -> ProductCatalogStatus {
        self.api.catalog("main").status.clone().unwrap()
    }

    fn condition(&self, kind: &str) -> (String, String) {
        let status = self.status();
        let found = status.conditions.iter().find(|condition| condition.type_ == kind).unwrap();
        (found.status.clone(), found.reason.clone())
    }

    fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut object = serde_json::to_value(&*self.api.catalog("main")).unwrap();
        change(&mut object);
        self.api.put_catalog(&serde_json::from_value(object).unwrap());
    }

    /// Whether the cache was flushed since the last call.
    fn flushed(&mut self) -> bool {
        let flushed = !self.look.keys().contains(&"products:{0}:sentinel".to_owned());
        self.look.put("products:{0}:sentinel");
        flushed
    }
}

fn context(api: &FakeApi, redis: &Redis) -> Arc<Context> {
    let cache = Arc::new(CacheFlusher::new(&RedisConfig::new(redis.url())).unwrap());
    Arc::new(Context::new(api.client(), cache, RELEASE.to_owned(), "replica-1".to_owned()))
}

#[tokio::test]
async fn each_change_flushes_exactly_once() {
    let mut rig = Rig::new(&catalog(|_| {}));
    rig.flushed();
    rig.look_at_it().await.unwrap();
    assert!(rig.flushed(), "created");
    assert_eq!((rig.status().flushed_generation, rig.status().keys_flushed), (Some(1), Some(1)));
    assert_eq!(rig.condition("Ready"), ("True".to_owned(), "UpToDate".to_owned()));
    let (written, requests) = (rig.api.catalog("main"), rig.api.count(""));
    rig.look_at_it().await.unwrap();
    assert!(!rig.flushed(), "its own status is no change");
    assert_eq!(rig.api.count(""), requests, "nothing is written where nothing changes");
    assert_eq!(rig.api.catalog("main"), written);

    rig.change(|o| o["metadata"]["generation"] = 2.into());
    rig.look_at_it().await.unwrap();
    assert!(rig.flushed(), "the spec was changed");
    rig.change(|o| o["metadata"]["annotations"][REQUEST] = "noon".into());
    rig.look_at_it().await.unwrap();
    assert!(rig.flushed(), "a flush was requested");
    assert_eq!(rig.status().last_handled_request.as_deref(), Some("noon"));
    rig.change(|o| o["metadata"]["labels"]["team"] = "shop".into());
    rig.look_at_it().await.unwrap();
    rig.change(|o| o["metadata"]["annotations"] = Value::Null);
    rig.look_at_it().await.unwrap();
    assert!(!rig.flushed(), "neither a label nor a request that is withdrawn is a change");
    rig.fail_over();
    rig.look_at_it().await.unwrap();
    assert!(!rig.flushed(), "nor is another leader");
    assert_eq!(rig.api.events(), ["Flushed", "Flushed", "Flushed"]);
}

/// An event from before the status was written, still in the queue.
#[tokio::test]
async fn an_object_as_it_was_before_the_flush_is_not_flushed_again() {
    let mut rig = Rig::new(&catalog(|_| {}));
    let stale = rig.api.catalog("main");
    rig.look_at_it().await.unwrap();
    rig.flushed();
    rig.look_at(stale).await.unwrap_err();
    assert!(!rig.flushed());
    assert_eq!(rig.api.events(), ["Flushed"]);
}

#[tokio::test]
async fn a_status_that_is_not_taken_is_written_later_without_another_flush() {
    // A conflict, an outage, and a refusal.
    for code in [409, 503, 422] {
        let mut rig = Rig::new(&catalog(|_| {}));
        rig.api.fail("PATCH", &[code, code]);
        for _ in 0..2 {
            let error = rig.look_at_it().await.unwrap_err();
            assert!(matches!(&error, Error::Api(_)), "{error:?}");
        }
        assert_eq!(rig.api.events(), ["Flushed"]);
        rig.flushed();
        rig.look_at_it().await.unwrap();
        assert!(!rig.flushed(), "{code}");
        assert_eq!(rig.status().flushed_generation, Some(1));
        assert_eq!(rig.api.events(), ["Flushed"]);
    }
}

#[tokio::test]
async fn a_leader_that_dies_between_flush_and_status_is_followed_by_one_that_flushes() {
    let mut rig = Rig::new(&catalog(|_| {}));
    rig.api.fail("PATCH", &[503]);
    rig.look_at_it().await.unwrap_err();
    rig.flushed();
    rig.fail_over();
    rig.look_at_it().await.unwrap();
    assert!(rig.flushed());
    assert_eq!(rig.status().flushed_generation, Some(1));
}

#[tokio::test]
async fn an_outage_of_redis_is_told_once_and_ends_with_the_flush() {
    let mut rig = Rig::new(&catalog(|_| {}));
    rig.look_at_it().await.unwrap();
    rig.change(|o| o["metadata"]["generation"] = 2.into());
    rig.redis.stop().unwrap();
    let error = rig.look_at_it().await.unwrap_err();
    assert!(matches!(error, Error::Flush(FlushFailure::Unreachable(_))), "{error:?}");
    assert_eq!(rig.condition("Degraded"), ("True".to_owned(), "RedisUnreachable".to_owned()));
    assert_eq!(rig.condition("Ready").0, "False");
    assert_eq!(rig.condition("Flushed").0, "False");
    assert_eq!(rig.status().flushed_generation, Some(1), "pending");
    assert_eq!(rig.status().observed_generation, Some(2));
    let (requests, status) = (rig.api.count(""), rig.status());
    for _ in 0..3 {
        rig.look_at_it().await.unwrap_err();
    }
    assert_eq!((rig.api.count(""), rig.status()), (requests, status), "a retry is no news");
    rig.fail_over();
    rig.look_at_it().await.unwrap_err();
    assert_eq!(rig.api.events(), ["Flushed", "RedisUnreachable"], "nor is it for another leader");

    rig.redis.start_again().unwrap();
    rig.look = Look::into(&rig.redis.url());
    rig.flushed();
    rig.look_at_it().await.unwrap();
    assert!(rig.flushed());
    assert_eq!(rig.condition("Degraded"), ("False".to_owned(), "AsExpected".to_owned()));
    assert_eq!(rig.status().flushed_generation, Some(2));
    assert_eq!(rig.api.events(), ["Flushed", "RedisUnreachable", "Flushed"]);
}

#[tokio::test]
async fn what_is_pending_while_suspended_is_done_once_on_resuming() {
    let mut rig = Rig::new(&catalog(|_| {}));
    rig.look_at_it().await.unwrap();
    rig.flushed();
    rig.change(|o| {
        o["spec"]["suspend"] = true.into();
        o["metadata"]["generation"] = 2.into();
    });
    rig.look_at_it().await.unwrap();
    rig.change(|o| o["metadata"]["annotations"][REQUEST] = "noon".into());
    rig.look_at_it().await.unwrap();
    rig.fail_over();
    rig.look_at_it().await.unwrap();
    assert!(!rig.flushed());
    assert_eq!(rig.condition("Ready"), ("True".to_owned(), "Suspended".to_owned()));
    assert_eq!((rig.status().observed_generation, rig.status().flushed_generation), (Some(2), Some(1)));
    rig.change(|o| {
        o["spec"]["suspend"] = false.into();
        o["metadata"]["generation"] = 3.into();
    });
    rig.look_at_it().await.unwrap();
    assert!(rig.flushed());
    rig.look_at_it().await.unwrap();
    assert!(!rig.flushed());
    assert_eq!(rig.status().last_handled_request.as_deref(), Some("noon"));
    assert_eq!(rig.api.events(), ["Flushed", "Suspended", "Flushed"]);
}

#[tokio::test]
async fn an_object_of_another_release_is_left_alone_until_it_is_given_to_this_one() {
    let mut rig = Rig::new(&catalog(|o| o["spec"]["release"] = "another".into()));
    rig.flushed();
    rig.look_at_it().await.unwrap();
    assert!(!rig.flushed() && rig.api.count("") == 0);
    rig.change(|o| {
        o["spec"]["release"] = RELEASE.into();
        o["metadata"]["generation"] = 2.into();
    });
    rig.look_at_it().await.unwrap();
    assert!(rig.flushed());
    assert_eq!(rig.status().flushed_generation, Some(2));

    // Taken away while a flush was owed: what it was to be tried again for is the other's.
    rig.change(|o| o["metadata"]["annotations"][REQUEST] = "noon".into());
    rig.redis.stop().unwrap();
    let error = rig.look_at_it().await.unwrap_err();
    retry(rig.api.catalog("main"), &error, Arc::clone(&rig.context));
    rig.change(|o| o["spec"]["release"] = "another".into());
    let requests = rig.api.count("");
    rig.look_at_it().await.unwrap();
    assert_eq!(rig.api.count(""), requests);
    assert!(rig.context.retries().is_empty());
}

/// The rules of kstatus for kinds that it does not know, which Helm 4, Flux and Argo CD's hooks wait by:
/// <https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus>.
fn kstatus(object: &ProductCatalog) -> &'static str {
    let status = object.status.clone().unwrap_or_default();
    let is = |kind: &str, value: &str| status.conditions.iter().any(|c| c.type_ == kind && c.status == value);
    let observed = status.observed_generation;
    if observed.is_some() && observed != object.metadata.generation || is("Reconciling", "True") {
        return "InProgress";
    }
    if is("Stalled", "True") {
        return "Failed";
    }
    if is("Ready", "False") || is("Ready", "Unknown") { "InProgress" } else { "Current" }
}

#[tokio::test]
async fn what_waits_by_kstatus_waits_for_a_flush_but_not_for_one_that_is_held_back() {
    let mut rig = Rig::new(&catalog(|_| {}));
    rig.look_at_it().await.unwrap();
    assert_eq!(kstatus(&rig.api.catalog("main")), "Current");
    rig.change(|o| o["metadata"]["generation"] = 2.into());
    assert_eq!(kstatus(&rig.api.catalog("main")), "InProgress", "not looked at yet");
    rig.redis.stop().unwrap();
    rig.look_at_it().await.unwrap_err();
    assert_eq!(kstatus(&rig.api.catalog("main")), "InProgress");
    rig.change(|o| {
        o["spec"]["suspend"] = true.into();
        o["metadata"]["generation"] = 3.into();
    });
    rig.look_at_it().await.unwrap();
    assert_eq!(kstatus(&rig.api.catalog("main")), "Current");
}

#[tokio::test]
async fn an_object_that_is_deleted_needs_nothing() {
    let mut rig = Rig::new(&catalog(|o| o["metadata"]["deletionTimestamp"] = "2026-11-22T00:00:00Z".into()));
    rig.flushed();
    rig.look_at_it().await.unwrap();
    assert!(!rig.flushed() && rig.api.count("") == 0);

    // Deleted while it was flushed.
    let gone = Arc::new(catalog(|_| {}));
    rig.api.remove_catalog("main");
    rig.look_at(gone).await.unwrap();
    assert!(rig.api.events().is_empty());
}

#[tokio::test]
async fn a_status_for_an_object_as_it_was_is_not_written_but_counts() {
    let mut rig = Rig::new(&catalog(|_| {}));
    let old = rig.api.catalog("main");
    rig.change(|o| o["metadata"]["labels"]["team"] = "shop".into());
    rig.flushed();
    assert!(matches!(rig.look_at(old).await, Err(Error::Api(_))));
    assert!(rig.flushed() && rig.api.catalog("main").status.is_none());
    rig.look_at_it().await.unwrap();
    assert!(!rig.flushed() && rig.status().flushed_generation == Some(1));
    assert_eq!(rig.api.events(), ["Flushed"]);
}

#[tokio::test]
async fn another_object_of_the_same_name_is_another_object() {
    let mut rig = Rig::new(&catalog(|_| {}));
    let old = rig.api.catalog("main");
    rig.look_at_it().await.unwrap();
    rig.api.put_catalog(&catalog(|o| o["metadata"]["uid"] = "uid-2".into()));
    rig.flushed();
    rig.look_at_it().await.unwrap();
    assert!(rig.flushed());
    // The old one's status is not written to the new one.
    rig.fail_over();
    assert!(matches!(rig.look_at(old).await, Err(Error::Api(_))));
}

#[tokio::test]
async fn an_event_that_is_not_taken_is_no_error() {
    let rig = Rig::new(&catalog(|_| {}));
    rig.api.fail("POST", &[403]);
    rig.look_at_it().await.unwrap();
    rig.look_at_it().await.unwrap();
    assert!(rig.api.events().is_empty() && rig.status().flushed_generation == Some(1));
}

#[tokio::test]
async fn what_is_kept_of_an_object_goes_with_it() {
    let rig = Rig::new(&catalog(|_| {}));
    rig.api.fail("PATCH", &[503]);
    rig.look_at_it().await.unwrap_err();
    let (object, key) = (catalog(|_| {}), ObjectRef::from_obj(&catalog(|_| {})));
    assert_eq!(rig.context.observed.of(&object).flushed_generation, Some(1), "written, though not taken");
    retry(
        rig.api.catalog("main"),
        &Error::Api(kube::Error::Service("late".into())),
        Arc::clone(&rig.context),
    );
    rig.context.forget(&key);
    assert_eq!(rig.context.observed.of(&object), ProductCatalogStatus::default());
    assert!(rig.context.retries().is_empty());
}

/// Whoever edits the status by hand, or restores a backup, is heard at once.
#[tokio::test]
async fn a_status_that_is_newer_than_ours_counts() {
    let mut rig = Rig::new(&catalog(|_| {}));
    rig.look_at_it().await.unwrap();
    rig.flushed();
    rig.change(|o| o["status"] = Value::Null);
    rig.look_at_it().await.unwrap();
    assert!(rig.flushed());
}

#[tokio::test]
async fn pauses_grow_for_each_object_by_itself_and_a_success_makes_them_short_again() {
    let rig = Rig::new(&catalog(|_| {}));
    let pause = |object: &Arc<ProductCatalog>| {
        let action = retry(
            Arc::clone(object),
            &Error::Api(kube::Error::Service("late".into())),
            Arc::clone(&rig.context),
        );
        (0..5000).find(|ms| action == Action::requeue(Duration::from_millis(*ms)));
        format!("{action:?}")
    };
    let (one, other) =
        (rig.api.catalog("main"), Arc::new(catalog(|o| o["metadata"]["name"] = "other".into())));
    let pauses: Vec<_> = (0..10).map(|_| pause(&one)).collect();
    assert!(pauses[9].contains("requeue_after: Some(") && !pauses[9].contains("ms"), "{pauses:?}");
    assert!(pause(&other).contains("ms"));
    rig.look_at_it().await.unwrap();
    assert!(pause(&one).contains("ms"));
}

/// Each of them holds one of the few connections for as long as its flush lasts.
#[tokio::test]
async fn many_objects_of_one_redis_wait_for_each_other_and_none_is_degraded_for_that() {
    let mut rig = Rig::new(&catalog(|_| {}));
    rig.look.fill(200_000);
    let rig = &rig;
    let looks = (0..6).map(|number| {
        let object = catalog(|o| {
            o["metadata"]["name"] = format!("shop-{number}").into();
            o["metadata"]["uid"] = format!("uid-{number}").into();
        });
        rig.api.put_catalog(&object);
        rig.look_at(Arc::new(object))
    });
    for look in futures::future::join_all(looks).await {
        look.unwrap();
    }
    assert_eq!(rig.api.events(), ["Flushed"; 6]);
}
