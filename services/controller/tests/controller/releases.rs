//! Two releases in one namespace: two controllers see the same objects, and each has a Redis of its own.

use std::time::Duration;

use farmlokal_devstack::Redis;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams};

use crate::cluster::Cluster;
use crate::process::{Controller, eventually};

/// Puts an entry into a cache.
fn fill(redis: &mut redis::Connection) {
    redis::cmd("SET").arg("products:{0}:a").arg("entry").exec(redis).unwrap();
}

/// Whether the cache has been flushed since it was filled.
fn is_flushed(redis: &mut redis::Connection) -> bool {
    !redis::cmd("EXISTS").arg("products:{0}:a").query::<bool>(redis).unwrap()
}

fn look(redis: &Redis) -> redis::Connection {
    redis::Client::open(redis.url()).unwrap().get_connection().unwrap()
}

#[tokio::test]
async fn each_flushes_its_own_redis_for_its_own_objects_and_writes_come_to_rest() {
    Cluster::run(async |cluster| {
        let other = Redis::start().unwrap();
        let (mut ours, mut theirs) = (look(&cluster.redis), look(&other));
        let url = other.url();
        let one = cluster.controller("one");
        let settings =
            [("RELEASE", "other"), ("LEASE_NAME", "other-controller"), ("REDIS_URL", url.as_str())];
        let two = cluster.controller_with("two", &settings);
        for controller in [&one, &two] {
            eventually("both lead", async || controller.leads()).await;
        }

        fill(&mut ours);
        fill(&mut theirs);
        cluster.apply("main", |_| {}).await.unwrap();
        cluster.flushed("main").await;
        assert!(is_flushed(&mut ours) && !is_flushed(&mut theirs), "the first release's alone");
        fill(&mut ours);
        cluster.apply("others", |o| o["spec"]["release"] = "other".into()).await.unwrap();
        cluster.flushed("others").await;
        assert!(!is_flushed(&mut ours) && is_flushed(&mut theirs), "the second release's alone");
        cluster.apply("nobodys", |o| o["spec"]["release"] = "nobody".into()).await.unwrap();

        // Long enough for thousands of writes, were they to fight.
        let versions = async || {
            let objects = cluster.catalogs().list(&ListParams::default()).await.unwrap();
            objects.iter().map(|object| object.resource_version().unwrap()).collect::<Vec<_>>()
        };
        let before = versions().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(versions().await, before);
        assert!(cluster.catalogs().get("nobodys").await.unwrap().status.is_none());
        assert_eq!(cluster.events("Flushed").await, 2);

        // Each shows its own, and no other's.
        let shown = async |controller: &Controller, name: &str| {
            controller.get("/metrics").await.contains(&format!("name=\"{name}\"}} 1"))
        };
        eventually("each shows its own", async || shown(&one, "main").await && shown(&two, "others").await)
            .await;
        assert!(!one.get("/metrics").await.contains("others") && !two.get("/metrics").await.contains("main"));

        // Given to the other release in the middle of a flush, whose status comes too late.
        let reconciles = async || {
            let page = one.get("/metrics").await;
            let series =
                page.lines().filter(|line| line.starts_with("farmlokal_controller_reconciles_total{"));
            series.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum::<u64>()
        };
        let before = reconciles().await;
        redis::cmd("CLIENT").arg(&["PAUSE", "60000", "WRITE"]).exec(&mut ours).unwrap();
        cluster.apply("main", |o| o["spec"]["displayName"] = "Changed".into()).await.unwrap();
        eventually("a flush waits", async || {
            let clients: String = redis::cmd("INFO").arg("clients").query(&mut ours).unwrap();
            clients.contains("blocked_clients:1")
        })
        .await;
        fill(&mut theirs);
        let handed_over = cluster.apply("main", |o| o["spec"]["release"] = "other".into()).await.unwrap();
        cluster.flushed("main").await;
        assert!(is_flushed(&mut theirs));
        let written = cluster.catalogs().get("main").await.unwrap();
        assert_eq!(written.metadata.generation, handed_over.metadata.generation);
        redis::cmd("CLIENT").arg("UNPAUSE").exec(&mut ours).unwrap();
        eventually("the flush ends", async || reconciles().await > before).await;
        assert_eq!(cluster.catalogs().get("main").await.unwrap(), written);
        eventually("the other shows it", async || {
            shown(&two, "main").await && !one.get("/metrics").await.contains("name=\"main\"")
        })
        .await;
        cluster.catalogs().delete("main", &DeleteParams::default()).await.unwrap();
        eventually("nobody shows it", async || !two.get("/metrics").await.contains("name=\"main\"")).await;
    })
    .await;
}
