use std::{fs::read, time::Duration};

use farmlokal_cache::{Cache, RedisConfig, RedisState};
use farmlokal_devstack::{Authority, Redis, RedisCluster, RedisSentinels};
use farmlokal_redis::{ClientTlsConfig, Servers, TlsCertificates};
use tokio::{io::AsyncReadExt, net::TcpListener, task::JoinSet, time::sleep};

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

/// With certificates on both sides, a login for the servers, and another one for the Sentinels.
#[tokio::test]
async fn tls_and_logins_hold_for_sentinels_and_a_cluster() {
    let authority = Authority::create().unwrap();
    let client = authority.client();
    let read = |path| read(path).unwrap();
    let client_tls = ClientTlsConfig { client_cert: read(&client.cert), client_key: read(&client.key) };
    let tls = TlsCertificates { client_tls: Some(client_tls), root_cert: Some(read(&client.ca)) };
    let sentinels = RedisSentinels::start_with(Some(&authority.server()), &[]).unwrap();
    let cluster = RedisCluster::start_with(Some(&authority.server())).unwrap();
    let grant = |servers: &[Redis], user: &str, others: &str| {
        for command in [format!("ACL SETUSER {user} ~* &* +@all"), format!("ACL SETUSER default {others}")] {
            assert!(servers.iter().all(|server| server.ask(&command).unwrap().starts_with("+OK")));
        }
    };
    grant(&sentinels.servers, "shop on >secret", "-get -client");
    grant(&cluster.nodes, "shop on >secret", "-get -client");
    grant(&sentinels.sentinels, "guest on >other", "-sentinel|get-master-addr-by-name");
    let login = |url: String| url.replacen("redis+", "rediss+", 1).replace("://", "://shop:secret@");
    for url in [login(sentinels.url()) + "?sentinel_login=guest:other", login(cluster.url())] {
        let redis = RedisConfig { tls: Some(tls.clone()), ..RedisConfig::new(url) };
        let mut tasks = JoinSet::new();
        let cache = Cache::new(Servers::new(&redis).unwrap(), &config(Layer::On), &mut tasks);
        eventually("it connects", async || cache.state() == RedisState { up: true, subscribed: true }).await;
        eventually("what is stored is flushed", async || {
            get(&cache, "key", "a").await;
            sleep(Duration::from_millis(50)).await;
            cache.flush().await.unwrap().keys == 1
        })
        .await;
    }
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
