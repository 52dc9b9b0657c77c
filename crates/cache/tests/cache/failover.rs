//! Redis behind Sentinels and as a cluster, while primaries are lost and slots move.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use farmlokal_cache::{FlushError, Flusher, RedisConfig, Source};
use farmlokal_devstack::{Redis, RedisCluster, RedisSentinels};
use tokio::{runtime::Handle, task::block_in_place, time::sleep};

use crate::{
    fixture::{Layer, answer, config, connected, eventually, get, start},
    shop::{Late, Shop, USUAL},
};

fn sentinels(options: &[&str]) -> RedisSentinels {
    block_in_place(|| RedisSentinels::start(options)).unwrap()
}

fn cluster() -> RedisCluster {
    block_in_place(RedisCluster::start).unwrap()
}

/// What is written from now on reaches no replica.
fn cut_replication(primary: &Redis) {
    assert!(primary.ask("ACL SETUSER default -psync -sync -replconf").unwrap().starts_with("+OK"));
    primary.ask("CLIENT KILL TYPE replica").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sentinels_a_primary_is_killed_under_load_after_changes_that_no_replica_has() {
    let mut redis = sentinels(&[]);
    let shop = Shop::open(&redis.url(), USUAL).await;
    cut_replication(&redis.servers[0]);
    shop.goes_on().await;
    shop.be_quiet().await;
    redis.servers[0].stop().unwrap();
    shop.recovers().await;
    shop.be_loud().await;
    let info = redis.servers[1].ask("INFO replication").unwrap();
    assert!(info.contains("role:master"), "{info}");
    shop.close().await;
}

/// Those changes that are answered while there is no primary, or just before, hold too.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sentinels_a_primary_is_killed_while_things_change() {
    let mut redis = sentinels(&[]);
    let shop = Shop::open(&redis.url(), USUAL).await;
    redis.servers[0].stop().unwrap();
    eventually("changes fail", async || shop.failed_writes.load(Ordering::Relaxed) > 0).await;
    shop.recovers().await;
    shop.close().await;
}

/// The Sentinels cannot tell the old primary, as if it were cut off from them: it takes writes on and on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sentinels_an_old_primary_that_lives_on_is_left() {
    let redis = sentinels(&["--rename-command", "REPLICAOF", "", "--rename-command", "SLAVEOF", ""]);
    let late = Late { validated: Duration::from_secs(2), in_process: Duration::from_millis(3500) };
    let shop = Shop::open(&redis.url(), late).await;
    let flusher = Flusher::new(&RedisConfig::new(redis.url())).unwrap();
    flusher.flush().await.unwrap();
    let before = clients(&redis.servers[0]);
    assert!(before > 3, "{before}");
    assert!(redis.sentinels[0].ask("SENTINEL FAILOVER shop").unwrap().starts_with("+OK"));
    let new = redis.servers[1].port().to_string();
    eventually("a Sentinel names the other one", async || {
        let name = |sentinel: &Redis| sentinel.ask("SENTINEL GET-MASTER-ADDR-BY-NAME shop").unwrap();
        redis.sentinels.iter().any(|sentinel| name(sentinel).contains(&new))
    })
    .await;
    // What was changed since the other one was promoted is lost on it.
    shop.be_quiet().await;
    assert!(redis.servers[0].ask("SET x 1").unwrap().starts_with("+OK"), "the old one takes writes");
    sleep(Duration::from_secs(2)).await;
    shop.recovers().await;
    shop.be_loud().await;
    // A process that watches no Sentinel, such as the seed Job, asks them.
    let told = "EXISTS farmlokal:changed:{0}:everything";
    assert!(redis.servers[0].ask(&format!("DEL {}", &told[7..])).is_ok());
    redis.servers[1].ask(&format!("DEL {}", &told[7..])).unwrap();
    flusher.flush().await.unwrap();
    assert!(redis.servers[1].ask(told).unwrap().starts_with(":1"));
    // Nobody writes to the old one any more.
    redis.servers[0].ask("CONFIG RESETSTAT").unwrap();
    shop.goes_on().await;
    let stats = redis.servers[0].ask("INFO commandstats").unwrap();
    assert!(!stats.contains("cmdstat_set:") && !stats.contains("cmdstat_mget:"), "{stats}");
    shop.close().await;
}

/// One process has long left the old primary, and what it has renewed is of no use for what another one still writes to that.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sentinels_a_process_that_hears_late_of_another_primary_makes_up_for_it() {
    let redis = sentinels(&["--rename-command", "REPLICAOF", "", "--rename-command", "SLAVEOF", ""]);
    // Two seconds after its Sentinel can hear of it again.
    let late = Late { validated: Duration::from_secs(6), in_process: Duration::from_secs(6) };
    let deaf = &redis.sentinels[2];
    let url = format!("redis+sentinel://127.0.0.1:{}/shop", deaf.port());
    let shop = Shop::open_with(&url, &redis.url(), late).await;
    let new = redis.servers[1].port().to_string();
    let name = |sentinel: &Redis| sentinel.ask("SENTINEL GET-MASTER-ADDR-BY-NAME shop").unwrap();
    deaf.pause().unwrap();
    assert!(redis.sentinels[0].ask("SENTINEL FAILOVER shop").unwrap().starts_with("+OK"));
    eventually("a Sentinel names the other one", async || name(&redis.sentinels[0]).contains(&new)).await;
    sleep(Duration::from_secs(1)).await;
    shop.be_quiet().await;
    deaf.resume().unwrap();
    eventually("all name it", async || name(deaf).contains(&new)).await;
    sleep(late.validated).await;
    shop.recovers().await;
    shop.be_loud().await;
    shop.close().await;
}

fn clients(redis: &Redis) -> usize {
    redis.ask("CLIENT LIST TYPE normal").unwrap().lines().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sentinels_that_are_all_gone_change_nothing() {
    let mut redis = sentinels(&[]);
    let shop = Shop::open(&redis.url(), USUAL).await;
    for sentinel in &mut redis.sentinels {
        sentinel.stop().unwrap();
    }
    for _ in 0..3 {
        sleep(Duration::from_millis(500)).await;
        shop.goes_on().await;
        assert!(shop.is_well());
    }
    shop.writer.flush().await.unwrap();
    assert_eq!(shop.failed_writes.load(Ordering::Relaxed), 0);
    // The primary is known still.
    redis.servers[0].ask("CLIENT KILL TYPE normal").unwrap();
    shop.recovers().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cluster_a_primary_is_killed_under_load_and_in_the_middle_of_a_flush() {
    let mut redis = cluster();
    let shop = Shop::open(&redis.url(), USUAL).await;
    // Enough for many steps, on each of the primaries.
    for (node, tag) in
        [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1), (0, 2), (1, 2), (2, 2), (0, 3), (1, 3)]
    {
        let fill = "for n = 1, 20000 do redis.call('SET', KEYS[1] .. n, 'entry') end";
        // A node that does not have the slot refuses.
        redis.nodes[node].ask(&format!("EVAL \"{fill}\" 1 products:{{{tag}}}:x:")).unwrap();
    }
    let victim = redis.primary_of("0").unwrap();
    cut_replication(&redis.nodes[victim]);
    shop.goes_on().await;
    shop.be_quiet().await;
    let keys = |node: &Redis| node.ask("DBSIZE").unwrap().trim()[1..].parse::<u32>().unwrap();
    let before = keys(&redis.nodes[victim]);
    let flusher = Flusher::new(&RedisConfig::new(redis.url())).unwrap();
    let flush = tokio::spawn(async move { (flusher.flush().await, flusher) });
    while keys(&redis.nodes[victim]) > before - 1500 {}
    redis.nodes[victim].stop().unwrap();
    let (first, flusher) = flush.await.unwrap();
    assert!(matches!(first, Err(FlushError::Remove(_))), "{first:?}");
    eventually("a flush succeeds", async || flusher.flush().await.is_ok()).await;
    shop.recovers().await;
    shop.be_loud().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cluster_a_slot_is_migrated_under_load_to_a_node_that_is_new() {
    let redis = cluster();
    let shop = Shop::open(&redis.url(), USUAL).await;
    let fill = "for n = 1, 300 do redis.call('SET', KEYS[1] .. n, 'entry') end";
    let (from, new) = (&redis.nodes[redis.primary_of("3").unwrap()], RedisCluster::node().unwrap());
    block_in_place(|| redis.meet(&new)).unwrap();
    shop.goes_on().await;
    from.ask(&format!("EVAL \"{fill}\" 1 products:{{3}}:x:")).unwrap();
    let (done, flusher) = (AtomicBool::new(false), Flusher::new(&RedisConfig::new(redis.url())).unwrap());
    let all = async {
        let mut count = 0;
        while !done.load(Ordering::Relaxed) {
            flusher.flush().await.unwrap();
            count += 1;
            sleep(Duration::from_millis(200)).await;
        }
        assert!(count > 5, "{count}");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let migrated = redis.migrate("3", from, &new);
            done.store(true, Ordering::Relaxed);
            migrated.unwrap();
        });
        block_in_place(|| Handle::current().block_on(all));
    });
    shop.recovers().await;
    assert_eq!(shop.failed_writes.load(Ordering::Relaxed), 0);
    shop.writer.flush().await.unwrap();
    // The slot's new node is heard.
    let tracking = new.ask("CLIENT LIST").unwrap().lines().filter(|line| line.contains("resp=3")).count();
    assert_eq!(tracking, 2);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cluster_a_replica_takes_over_from_a_primary_that_stands_still() {
    let redis = cluster();
    let shop = Shop::open(&redis.url(), USUAL).await;
    let primary = redis.primary_of("5").unwrap();
    cut_replication(&redis.nodes[primary]);
    shop.goes_on().await;
    shop.be_quiet().await;
    shop.writer.flush().await.unwrap();
    redis.nodes[primary].pause().unwrap();
    assert!(redis.nodes[primary + 3].ask("CLUSTER FAILOVER TAKEOVER").unwrap().starts_with("+OK"));
    shop.recovers().await;
    redis.nodes[primary].resume().unwrap();
    shop.goes_on().await;
    shop.recovers().await;
    shop.be_loud().await;
    shop.close().await;
}

/// No connection breaks, and redis-rs follows the slots.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cluster_a_replica_takes_over_unnoticed() {
    let redis = cluster();
    let late = Late { validated: Duration::from_secs(1), in_process: Duration::from_millis(2500) };
    let shop = Shop::open(&redis.url(), late).await;
    let primary = redis.primary_of("5").unwrap();
    cut_replication(&redis.nodes[primary]);
    shop.goes_on().await;
    shop.be_quiet().await;
    assert!(redis.nodes[primary + 3].ask("CLUSTER FAILOVER TAKEOVER").unwrap().starts_with("+OK"));
    sleep(Duration::from_secs(2)).await;
    shop.recovers().await;
    shop.be_loud().await;
    shop.close().await;
}

/// Without INFO a server that changed would go unnoticed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cluster_that_does_not_tell_who_it_is_is_not_used() {
    let node = RedisCluster::node().unwrap();
    node.ask("CLUSTER ADDSLOTSRANGE 0 16383").unwrap();
    node.ask("ACL SETUSER shop on >secret ~* &* +@all -info").unwrap();
    eventually("it is complete", async || node.ask("CLUSTER INFO").unwrap().contains("state:ok")).await;
    let cache =
        start(format!("redis+cluster://shop:secret@127.0.0.1:{}", node.port()), &config(Layer::On)).unwrap();
    // A cluster of one node, which does not know its own address.
    eventually("it is subscribed", async || cache.state().subscribed).await;
    sleep(Duration::from_secs(1)).await;
    assert!(!cache.state().up);
    node.ask("ACL SETUSER shop +info").unwrap();
    eventually("it is used", async || cache.state().up).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cluster_an_entry_is_shared_and_a_flush_reaches_every_primary() {
    let redis = cluster();
    let off = config(Layer::Off);
    // One node is enough to find the others.
    let url = format!("redis+cluster://127.0.0.1:{}", redis.nodes[5].port());
    let (one, other) = (connected(url, &off).await, connected(redis.url(), &off).await);
    let keys: Vec<_> = (0..16).map(|n| format!("item:{n}")).collect();
    for key in &keys {
        get(&one, key, "a").await;
        eventually("the entry is shared", async || get(&other, key, "a").await == answer("a", Source::Redis))
            .await;
    }
    assert_eq!(one.flush().await.unwrap().keys, 16);
    for key in &keys {
        assert_eq!(get(&other, key, "b").await, answer("b", Source::Miss));
    }
}
