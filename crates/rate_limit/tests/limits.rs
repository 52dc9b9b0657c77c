//! Several replicas on one real Redis.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use farmlokal_devstack::{Redis, RedisCluster};
use farmlokal_rate_limit::{Client, Limiter, Policy};
use farmlokal_redis::{Connection, RedisConfig};

/// Longer than anything here should take; only a test that fails anyway waits this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A limiter as each replica has one, with a connection of its own.
async fn replica(url: &str, rate: &str, ahead_percent: u8) -> (Arc<Limiter>, Arc<Connection>) {
    let config = RedisConfig { timeout: PATIENCE, ..RedisConfig::new(url) };
    let connection = Connection::new(&config, "test").unwrap();
    tokio::spawn(Arc::clone(&connection).supervise());
    wait(&connection, true).await;
    (limiter(&connection, rate, ahead_percent), connection)
}

fn limiter(connection: &Arc<Connection>, rate: &str, ahead_percent: u8) -> Arc<Limiter> {
    let policy = Policy::new("test", rate.parse().unwrap(), ahead_percent);
    Limiter::new(Arc::clone(connection), &[policy], 1_000)
}

async fn wait(connection: &Connection, up: bool) {
    let deadline = Instant::now() + PATIENCE;
    while connection.is_up() != up {
        assert!(Instant::now() < deadline, "Redis is not {up}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn client(number: u32) -> Client {
    Client::new(std::net::Ipv4Addr::from_bits(number).into(), 64)
}

async fn ask(limiter: &Arc<Limiter>, client: Client) -> bool {
    limiter.check(0, client).await.retry_after.is_none()
}

/// Clients' keys lie on all of its nodes.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_counts_over_replicas() {
    let redis = tokio::task::block_in_place(RedisCluster::start).unwrap();
    let replicas = [replica(&redis.url(), "10/3600", 2).await, replica(&redis.url(), "10/3600", 2).await];
    for number in 0..30 {
        let mut admitted = 0;
        for n in 0..40 {
            admitted += usize::from(ask(&replicas[n % 2].0, client(number)).await);
        }
        assert!((10..=12).contains(&admitted), "{admitted} of client {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sum_over_replicas_overshoots_by_what_they_run_ahead_at_the_most() {
    let redis = Redis::start().unwrap();
    for (rate, quota, ahead_percent, ahead) in
        [("300/3600", 300, 2, 6), ("300/3600", 300, 20, 60), ("7/3600", 7, 2, 1)]
    {
        let mut tasks = Vec::new();
        for _ in 0..4 {
            let (limiter, _) = replica(&redis.url(), rate, ahead_percent).await;
            for _ in 0..8 {
                let limiter = limiter.clone();
                tasks.push(tokio::spawn(async move {
                    let mut count = 0;
                    for _ in 0..100 {
                        count += usize::from(ask(&limiter, client(quota * ahead)).await);
                    }
                    count
                }));
            }
        }
        let mut total = 0;
        for task in tasks {
            total += task.await.unwrap();
        }
        let (quota, ahead) = (quota as usize, ahead as usize);
        // One comes back every 12 s, should this take so long.
        assert!((quota..=quota + 4 * ahead + 2).contains(&total), "{total} of {quota} with {ahead} ahead");
    }
}

#[tokio::test]
async fn clients_are_told_apart_and_one_that_asks_little_costs_redis_nothing() {
    let redis = Redis::start().unwrap();
    let (limiter, connection) = replica(&redis.url(), "100/60", 20).await;
    for number in 0..500 {
        assert!(ask(&limiter, client(number)).await);
    }
    let keys: u64 = connection
        .run(|mut connection| async move { redis::cmd("DBSIZE").query_async(&mut connection).await })
        .await
        .unwrap();
    assert_eq!(keys, 0);
}

#[tokio::test]
async fn another_replica_hears_of_it_and_the_key_expires() {
    let redis = Redis::start().unwrap();
    let ((one, connection), (other, _)) =
        (replica(&redis.url(), "10/60", 10).await, replica(&redis.url(), "10/60", 10).await);
    for _ in 0..10 {
        assert!(ask(&one, client(1)).await);
    }
    assert!(!ask(&one, client(1)).await);
    // It may run one ahead before it hears.
    let admitted = usize::from(ask(&other, client(1)).await) + usize::from(ask(&other, client(1)).await);
    assert!(admitted <= 1, "{admitted}");
    let expiry: i64 = connection
        .run(|mut connection| async move {
            redis::cmd("PTTL").arg("farmlokal:limit:test:10/60:0.0.0.1/32").query_async(&mut connection).await
        })
        .await
        .unwrap();
    assert!((1..=66_000).contains(&expiry), "{expiry}");
}

#[tokio::test]
async fn a_new_rate_starts_with_a_clean_slate() {
    let redis = Redis::start().unwrap();
    let (before, _) = replica(&redis.url(), "10/3600", 10).await;
    while ask(&before, client(1)).await {}
    for rate in ["20/3600", "10/60"] {
        let (after, _) = replica(&redis.url(), rate, 10).await;
        let quota: usize = rate.split('/').next().unwrap().parse().unwrap();
        let mut count = 0;
        for _ in 0..quota {
            count += usize::from(ask(&after, client(1)).await);
        }
        assert_eq!(count, quota, "{rate}");
    }
    // Under the old one the debt is still there, for every replica.
    let (again, _) = replica(&redis.url(), "10/3600", 10).await;
    assert!(!(ask(&again, client(1)).await && ask(&again, client(1)).await));
}

#[tokio::test]
async fn a_redis_that_goes_away_lets_nobody_wait_and_nobody_go_beyond_the_quota() {
    let mut redis = Redis::start().unwrap();
    let (limiter, connection) = replica(&redis.url(), "50/3600", 2).await;
    redis.stop().unwrap();
    wait(&connection, false).await;
    let mut count = 0;
    for _ in 0..200 {
        count += usize::from(ask(&limiter, client(1)).await);
    }
    assert_eq!(count, 50);
    redis.start_again().unwrap();
    wait(&connection, true).await;
    assert!(ask(&limiter, client(2)).await);
    assert!(!ask(&limiter, client(1)).await);
}

/// Nobody supervises the connection any more, so it never counts as lost: requests would wait for one report after the other.
#[tokio::test]
async fn a_redis_that_hangs_makes_a_client_wait_for_one_report_and_not_one_for_each_request() {
    let redis = Redis::start().unwrap();
    let config = RedisConfig { timeout: Duration::from_secs(1), ..RedisConfig::new(redis.url()) };
    let connection = Connection::new(&config, "test").unwrap();
    let supervisor = tokio::spawn(Arc::clone(&connection).supervise());
    wait(&connection, true).await;
    supervisor.abort();
    assert!(supervisor.await.unwrap_err().is_cancelled());
    let limiter = limiter(&connection, "99/3600", 2);

    redis.pause().unwrap();
    let flood = async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..60 {
            let limiter = limiter.clone();
            tasks.spawn(async move { ask(&limiter, client(1)).await });
        }
        let mut count = tasks.join_all().await.into_iter().filter(|admitted| *admitted).count();
        for _ in 0..60 {
            count += usize::from(ask(&limiter, client(1)).await);
        }
        count
    };
    let count = tokio::time::timeout(PATIENCE, flood).await.expect("it does not wait for every report");
    assert_eq!(count, 99);

    redis.resume().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut raw = redis::Client::open(redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let key = "farmlokal:limit:test:99/3600:0.0.0.2/32";
    while !redis::cmd("EXISTS").arg(key).query_async::<bool>(&mut raw).await.unwrap() {
        assert!(Instant::now() < deadline, "it does not report any more");
        ask(&limiter, client(2)).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
