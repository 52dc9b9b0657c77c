//! Replicas that come and go, and a Redis that does, on a real API server.

use std::time::Instant;

use crate::cluster::Cluster;
use crate::process::{Controller, eventually};

/// So many that a flush can be caught in the middle.
const KEYS: usize = 300_000;

const REQUEST: &str = "farmlokal.dev/flush-requested-at";

/// Looks into the Redis of the test.
fn look(cluster: &Cluster) -> redis::Connection {
    redis::Client::open(cluster.redis.url()).unwrap().get_connection().unwrap()
}

fn fill(redis: &mut redis::Connection) {
    for batch in 0..KEYS / 10_000 {
        let mut pipe = redis::pipe();
        for n in 0..10_000 {
            pipe.set(format!("products:{{0}}:{batch}:{n}"), "entry").ignore();
        }
        pipe.exec(redis).unwrap();
    }
}

fn size(redis: &mut redis::Connection) -> usize {
    redis::cmd("DBSIZE").query(redis).unwrap()
}

fn size_of_the_cache(redis: &mut redis::Connection) -> usize {
    redis::cmd("KEYS").arg("products:*").query::<Vec<String>>(redis).unwrap().len()
}

/// Returns while a flush is removing keys.
fn wait_for_the_middle_of_a_flush(redis: &mut redis::Connection) {
    let full = KEYS.min(size(redis));
    let since = Instant::now();
    while size(redis) >= full - 1000 {
        assert!(since.elapsed().as_secs() < 60, "no flush in 60 s");
    }
}

async fn leads(controller: &Controller) {
    eventually("it leads", async || controller.leads()).await;
}

#[tokio::test]
async fn one_of_two_acts_and_the_other_takes_over_at_once_when_it_ends_in_order() {
    Cluster::run(async |cluster| {
        let mut redis = look(cluster);
        let mut one = cluster.controller("one");
        leads(&one).await;
        let two = cluster.controller("two");
        eventually("it is ready", async || two.get("/readyz").await.starts_with("HTTP/1.1 200")).await;
        redis::cmd("SET").arg("products:{0}:a").arg("entry").exec(&mut redis).unwrap();
        cluster.apply("main", |_| {}).await.unwrap();
        let status = cluster.flushed("main").await;
        assert_eq!(status.keys_flushed, Some(1));
        assert!(!two.leads() && two.get("/metrics").await.contains("farmlokal_controller_leader 0"));
        assert!(one.get("/metrics").await.contains("farmlokal_controller_leader 1"));

        assert!(one.terminate().await.success());
        leads(&two).await;
        cluster.apply("main", |o| o["metadata"]["annotations"][REQUEST] = "noon".into()).await.unwrap();
        cluster.flushed("main").await;
        let metrics = two.get("/metrics").await;
        assert!(metrics.contains("farmlokal_controller_flushes_total{result=\"ok\"} 1"), "{metrics}");
        assert_eq!(cluster.events("Flushed").await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_leader_killed_in_the_middle_of_a_flush_leaves_a_flush_that_the_other_finishes() {
    Cluster::run(async |cluster| {
        let mut redis = look(cluster);
        let mut one = cluster.controller("one");
        leads(&one).await;
        let two = cluster.controller("two");
        fill(&mut redis);
        cluster.apply("main", |_| {}).await.unwrap();
        wait_for_the_middle_of_a_flush(&mut redis);
        one.kill9();
        assert!(size(&mut redis) > 1000, "it was killed too late to prove anything");
        assert_eq!(cluster.status("main").await.flushed_generation, None, "pending");
        leads(&two).await;
        let status = cluster.flushed("main").await;
        assert!(status.keys_flushed > Some(1000), "{status:?}");
        assert_eq!(size_of_the_cache(&mut redis), 0);
    })
    .await;
}

#[tokio::test]
async fn a_leader_that_has_to_end_before_its_flush_does_leaves_it_to_the_other() {
    Cluster::run(async |cluster| {
        let mut redis = look(cluster);
        let mut one = cluster.controller_with("one", &[("SHUTDOWN_TIMEOUT", "1ms")]);
        leads(&one).await;
        let two = cluster.controller("two");
        fill(&mut redis);
        cluster.apply("main", |_| {}).await.unwrap();
        wait_for_the_middle_of_a_flush(&mut redis);
        assert!(one.terminate().await.success());
        assert!(size(&mut redis) > 1000, "it ended too late to prove anything");
        leads(&two).await;
        let status = cluster.flushed("main").await;
        assert!(status.keys_flushed > Some(1000), "{status:?}");
        assert_eq!(size_of_the_cache(&mut redis), 0);
        assert!(!one.log().contains("keys were removed"), "{}", one.log());
        eventually("it is told", async || cluster.events("Flushed").await == 1).await;
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_is_started_again_in_the_middle_of_a_flush_is_flushed_after_all() {
    Cluster::run(async |cluster| {
        let mut redis = look(cluster);
        let one = cluster.controller("one");
        leads(&one).await;
        fill(&mut redis);
        cluster.apply("main", |_| {}).await.unwrap();
        wait_for_the_middle_of_a_flush(&mut redis);
        cluster.redis.stop().unwrap();
        let condition = |status: &farmlokal_controller::crd::ProductCatalogStatus, kind: &str| {
            let found = status.conditions.iter().find(|condition| condition.type_ == kind);
            found.map(|condition| (condition.status.clone(), condition.reason.clone()))
        };
        let degraded = Some(("True".to_owned(), "RedisUnreachable".to_owned()));
        eventually("it is degraded", async || {
            condition(&cluster.status("main").await, "Degraded") == degraded
        })
        .await;
        assert_eq!(cluster.status("main").await.flushed_generation, None, "pending");
        cluster.redis.start_again().unwrap();
        let status = cluster.flushed("main").await;
        assert_eq!(condition(&status, "Degraded"), Some(("False".to_owned(), "AsExpected".to_owned())));
        let log = one.log();
        assert_eq!(log.matches("trying again").count(), 1, "a line for the outage: {log}");
        eventually("both are told", async || cluster.events("Flushed").await == 1).await;
        assert_eq!(cluster.events("RedisUnreachable").await, 1);
    })
    .await;
}
