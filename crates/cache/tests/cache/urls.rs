use farmlokal_cache::RedisConfig;
use farmlokal_devstack::Redis;
use tokio::{io::AsyncReadExt, net::TcpListener};

use crate::fixture::{Layer, config, connected, eventually, get, raw, start};

#[tokio::test]
async fn user_password_and_database_number_are_used() {
    let redis = Redis::start().unwrap();
    let mut raw = raw(&redis).await;
    let user = ["SETUSER", "shop", "on", ">secret", "~*", "+@all", "allchannels"];
    redis::cmd("ACL").arg(&user).exec_async(&mut raw).await.unwrap();
    let url = redis.url().replace("redis://", "redis://shop:secret@") + "/3";
    let cache = connected(url, &config(Layer::On)).await;
    get(&cache, "key", "a").await;
    redis::cmd("SELECT").arg(3).exec_async(&mut raw).await.unwrap();
    let keys = async |raw: &mut _| redis::cmd("DBSIZE").query_async::<i64>(raw).await.unwrap();
    // The entry, sixteen generations and, eight times, the server that they belong to.
    eventually("the entry is stored in that database", async || keys(&mut raw).await == 25).await;
    assert_eq!(cache.flush().await.unwrap().keys, 1);
    // Without the entry, and with what tells of the flush.
    assert_eq!(keys(&mut raw).await, 25);
}

/// No TLS server needed: a client that has no cryptography provider, or two, panics before its first byte.
#[tokio::test]
async fn rediss_opens_a_tls_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("rediss://{}/", listener.local_addr().unwrap());
    let _cache = start(url, &config(Layer::On)).unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut first = [0; 2];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(first, [22, 3], "a TLS handshake record");
}

#[tokio::test]
async fn a_bad_setting_is_refused_and_no_password_is_shown() {
    let refused = start("http://user:secret@redis/", &config(Layer::On)).err().unwrap();
    assert!(!format!("{refused} {refused:?}").contains("secret"));
    assert!(!format!("{:?}", RedisConfig::new("redis://user:secret@redis/")).contains("secret"));
}
