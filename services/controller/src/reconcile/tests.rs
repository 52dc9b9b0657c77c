//! Effects against an API server that can be made to fail, and a real Redis.

use farmlokal_devstack::Redis;
use serde_json::Value;

use super::*;
use crate::error::Failure;
use crate::testing::{FakeApi, Look, NAMESPACE, catalog};

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
        let context = context(&api, &redis, Held::always());
        Self { api, redis, look, context }
    }

    /// As another replica that takes over.
    fn fail_over(&mut self) {
        self.context = context(&self.api, &self.redis, Held::always());
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

fn context(api: &FakeApi, redis: &Redis, held: Held) -> Arc<Context> {
    Arc::new(Context::new(api.client(), &redis.url(), "replica-1", held).unwrap())
}

#[tokio::test]
async fn each_change_flushes_exactly_once() {
    let mut rig = Rig::new(&catalog(|_| {}));
    rig.flushed();
    rig.look_at_it().await.unwrap();
    assert!(rig.flushed(), "created");
    assert_eq!((rig.status().observed_generation, rig.status().keys_flushed), (Some(1), Some(1)));
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
    rig.look_at(stale).await.unwrap();
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
        assert!(rig.api.events().is_empty(), "what is not written is not told");
        rig.flushed();
        rig.look_at_it().await.unwrap();
        assert!(!rig.flushed(), "{code}");
        assert_eq!(rig.status().observed_generation, Some(1));
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
    assert_eq!(rig.status().observed_generation, Some(1));
}

#[tokio::test]
async fn an_outage_of_redis_is_told_once_and_ends_with_the_flush() {
    let mut rig = Rig::new(&catalog(|_| {}));
    rig.look_at_it().await.unwrap();
    rig.change(|o| o["metadata"]["generation"] = 2.into());
    rig.redis.stop().unwrap();
    let error = rig.look_at_it().await.unwrap_err();
    assert!(matches!(error, Error::Degraded(Failure::Unreachable(_))), "{error:?}");
    assert_eq!(rig.condition("Degraded"), ("True".to_owned(), "RedisUnreachable".to_owned()));
    assert_eq!(rig.condition("Ready").0, "False");
    assert_eq!(rig.condition("Flushed").0, "False");
    assert_eq!(rig.status().observed_generation, Some(1), "owed");
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
    assert_eq!(rig.status().observed_generation, Some(2));
    assert_eq!(rig.api.events(), ["Flushed", "RedisUnreachable", "Flushed"]);
}

#[tokio::test]
async fn what_is_owed_while_suspended_is_done_once_on_resuming() {
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
    assert_eq!(rig.condition("Ready"), ("False".to_owned(), "Suspended".to_owned()));
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
async fn a_pattern_removes_its_keys_and_invalidates_all() {
    let mut rig = Rig::new(&catalog(|o| o["spec"]["keyPattern"] = "products:*:list:*".into()));
    rig.look.put("products:{0}:list:a");
    rig.look.put("products:{0}:item:1");
    let before = rig.look.generation();
    rig.look_at_it().await.unwrap();
    assert_eq!(rig.look.keys(), ["products:{0}:item:1"]);
    assert_eq!(rig.status().keys_flushed, Some(1));
    assert!(rig.look.generation() != before && rig.look.generation().is_some());
}

#[tokio::test]
async fn the_redis_of_a_secret_is_flushed_and_a_changed_secret_counts_at_the_next_try() {
    let mut rig = Rig::new(&catalog(|o| o["spec"]["redis"]["secretRef"]["name"] = "cache".into()));
    let other = Redis::start().unwrap();
    let mut secret_look = Look::into(&other.url());
    rig.flushed();
    let mut told = vec![];
    let mut fails = async |reason: &str, says: &str| {
        let error = rig.look_at_it().await.unwrap_err();
        assert!(matches!(&error, Error::Degraded(failure) if failure.reason() == reason), "{error:?}");
        assert!(error.to_string().contains(says) && !error.to_string().contains("hunter2"), "{error}");
        assert_eq!(rig.condition("Degraded"), ("True".to_owned(), reason.to_owned()));
        told.push(reason.to_owned());
        assert_eq!(rig.api.events(), told);
    };
    fails("SecretNotFound", "Secret cache is not in this namespace").await;
    rig.api.put_secret("cache", "ANOTHER", "x");
    fails("SecretKeyNotFound", "Secret cache has no key REDIS_URL").await;
    rig.api.put_secret("cache", "REDIS_URL", "http://:hunter2@host");
    fails("RedisUrlInvalid", "key REDIS_URL of Secret cache is not usable").await;
    rig.api.fail("GET", &[403]);
    fails("SecretForbidden", "may not read Secret cache").await;
    rig.api.put_secret("cache", "REDIS_URL", "redis://:hunter2@127.0.0.1:1");
    fails("RedisUnreachable", "refused").await;

    rig.api.put_secret("cache", "REDIS_URL", &format!("{}\n", other.url()));
    secret_look.put("products:{0}:a");
    rig.look_at_it().await.unwrap();
    assert!(secret_look.keys().is_empty() && !rig.flushed(), "this Redis, and not the other");
}

#[tokio::test]
async fn an_api_server_that_does_not_give_the_secret_is_not_the_objects_fault() {
    let rig = Rig::new(&catalog(|o| o["spec"]["redis"]["secretRef"]["name"] = "cache".into()));
    rig.api.fail("GET", &[500]);
    assert!(matches!(rig.look_at_it().await, Err(Error::Api(_))));
    assert_eq!(rig.api.catalog("main").status, None);
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
async fn without_the_lease_nothing_is_done() {
    let mut rig = Rig::new(&catalog(|_| {}));
    rig.context = context(&rig.api, &rig.redis, Held::never());
    rig.flushed();
    assert!(matches!(rig.look_at_it().await, Err(Error::NotLeader)));
    assert!(!rig.flushed() && rig.api.count("") == 0);
}

#[tokio::test]
async fn an_event_that_is_not_taken_is_no_error() {
    let rig = Rig::new(&catalog(|_| {}));
    rig.api.fail("POST", &[403]);
    rig.look_at_it().await.unwrap();
    rig.look_at_it().await.unwrap();
    assert!(rig.api.events().is_empty() && rig.status().observed_generation == Some(1));
}

#[tokio::test]
async fn what_is_kept_of_an_object_goes_with_it() {
    let rig = Rig::new(&catalog(|_| {}));
    rig.look_at_it().await.unwrap();
    let key = ObjectRef::from_obj(&catalog(|_| {}));
    assert_eq!(key.namespace.as_deref(), Some(NAMESPACE));
    let without_status = catalog(|_| {});
    assert_eq!(rig.context.known.status(&without_status), rig.status());
    rig.context.keep_only(|object| *object == key);
    assert_eq!(rig.context.known.status(&without_status), rig.status());
    rig.context.keep_only(|_| false);
    assert_eq!(rig.context.known.status(&without_status), ProductCatalogStatus::default());
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
