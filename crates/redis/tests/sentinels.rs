//! Sentinels that cannot be reached, know less than others, or tell only some things.
#![allow(clippy::unwrap_used, missing_docs)]

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use farmlokal_devstack::{Redis, RedisSentinels};
use farmlokal_redis::{RedisConfig, Servers};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::sleep;

fn servers(url: &str) -> Arc<Servers> {
    Servers::new(&RedisConfig::new(url)).unwrap()
}

async fn ask(servers: &Servers) -> bool {
    servers.watch(Duration::ZERO).await.unwrap()
}

async fn primary(servers: &Servers) -> String {
    servers.primaries().await.unwrap()[0].get_connection_info().addr().to_string()
}

/// A way to a port. What is on the way when `cut` tells its waiters gets nowhere any more, and nobody hears of that.
async fn way(port: u16, cut: Arc<Notify>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (mut server, cut) =
                (TcpStream::connect(("127.0.0.1", port)).await.unwrap(), Arc::clone(&cut));
            tokio::spawn(async move {
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut server) => {}
                    () = cut.notified() => pending().await,
                }
            });
        }
    });
    own
}

#[tokio::test]
async fn a_connection_that_is_dead_without_being_closed_is_left() {
    let redis = RedisSentinels::start(&[]).unwrap();
    let cut = Arc::new(Notify::new());
    let port = way(redis.sentinels[0].port(), Arc::clone(&cut)).await;
    let servers = servers(&format!("redis+sentinel://127.0.0.1:{port}/shop"));
    for _ in 0..3 {
        assert!(ask(&servers).await);
        cut.notify_waiters();
        assert!(!ask(&servers).await);
    }
}

#[tokio::test]
async fn a_sentinel_that_refused_the_password_for_a_while_is_asked_again() {
    let redis = RedisSentinels::start(&[]).unwrap();
    let sentinel = &redis.sentinels[0];
    // A quorum that it does not tell of is none that is missing.
    let user = "ACL SETUSER shop on resetpass >secret &* +@all -sentinel|ckquorum";
    assert!(sentinel.ask(user).unwrap().starts_with("+OK"));
    let url = format!("redis+sentinel://127.0.0.1:{}/shop?sentinel_login=shop:secret", sentinel.port());
    let servers = servers(&url);
    assert!(ask(&servers).await);
    sentinel.ask(&user.replace("secret", "other")).unwrap();
    sentinel.ask("CLIENT KILL USER shop").unwrap();
    for _ in 0..12 {
        assert!(!ask(&servers).await);
        sleep(Duration::from_millis(250)).await;
    }
    sentinel.ask(user).unwrap();
    assert!(ask(&servers).await);
}

#[tokio::test]
async fn an_older_answer_counts_only_if_all_sentinels_answer() {
    let redis =
        RedisSentinels::start(&["--rename-command", "REPLICAOF", "", "--rename-command", "SLAVEOF", ""])
            .unwrap();
    let servers = servers(&redis.url());
    assert!(ask(&servers).await);
    let [old, new] = [0, 1].map(|index: usize| format!("127.0.0.1:{}", redis.servers[index].port()));
    assert_eq!(primary(&servers).await, old);
    assert!(redis.sentinels[0].ask("SENTINEL FAILOVER shop").unwrap().starts_with("+OK"));
    while redis.sentinels.iter().any(|sentinel| !names(sentinel, &new)) {
        sleep(Duration::from_millis(50)).await;
    }
    ask(&servers).await;
    assert_eq!((primary(&servers).await, servers.switches()), (new.clone(), 1));
    // Two do not answer for a moment, and the third has forgotten all.
    let [one, two, late] = &redis.sentinels[..] else { unreachable!() };
    let forget = |sentinel: &Redis| assert!(sentinel.ask("SENTINEL REMOVE shop").unwrap().starts_with("+OK"));
    let learn = |sentinel: &Redis| {
        let monitor = format!("SENTINEL MONITOR shop 127.0.0.1 {} 2", redis.servers[0].port());
        assert!(sentinel.ask(&monitor).unwrap().starts_with("+OK"));
    };
    one.pause().unwrap();
    two.pause().unwrap();
    forget(late);
    learn(late);
    assert!(names(late, &old));
    ask(&servers).await;
    assert_eq!((primary(&servers).await, servers.switches()), (new, 1));
    // All are set up anew.
    one.resume().unwrap();
    two.resume().unwrap();
    redis.sentinels.iter().for_each(forget);
    redis.sentinels.iter().for_each(learn);
    ask(&servers).await;
    assert_eq!((primary(&servers).await, servers.switches()), (old, 2));
}

fn names(sentinel: &Redis, server: &str) -> bool {
    let port = server.rsplit(':').next().unwrap();
    sentinel.ask("SENTINEL GET-MASTER-ADDR-BY-NAME shop").unwrap().contains(port)
}
