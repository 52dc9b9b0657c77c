//! Servers that take nothing but TLS of a private CA, and want a client's certificate.

use farmlokal_cache::{Flusher, RedisConfig};
use farmlokal_devstack::{Authority, Database, Redis};
use farmlokal_redis::{ClientTlsConfig, TlsCertificates};
use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlSslMode};

use crate::harness::{PATIENCE, Process, command};

type Settings = Vec<(String, String)>;

/// Where a server is.
fn address(prefix: &str, port: u16) -> Settings {
    let mut address = vec![(format!("{prefix}_PORT"), port.to_string())];
    if prefix == "DB" {
        address.push(("DB_PASS".into(), "farmlokal".into()));
    }
    address
}

/// The exit code of `farmlokal-api` with this command, and what it says of an error.
fn run(subcommand: &str, settings: &Settings) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().unwrap();
    let mut command = command(directory.path());
    let output = command.arg(subcommand).envs(settings.iter().cloned()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn migrate(settings: &Settings) -> (Option<i32>, String) {
    run("migrate", settings)
}

/// A certificate of one, and the key of the other.
fn mismatch(one: &Authority, other: &Authority, prefix: &str) -> Settings {
    let cert = one.client().some_settings(prefix, &["CA", "CERT"]);
    [cert, other.client().some_settings(prefix, &["KEY"])].concat()
}

fn start(settings: &Settings) -> Process {
    let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Process::start(&settings)
}

/// TLS settings hold with a URL, too.
#[tokio::test]
async fn all_that_the_api_does_works() {
    let authority = Authority::create().unwrap();
    let client = authority.client();
    let database = Database::start_with_tls(authority.server()).unwrap();
    let redis = Redis::start_with_tls(authority.server()).unwrap();
    let db = [address("DB", database.port()), client.settings("DB_TLS")].concat();
    assert_eq!(migrate(&db), (Some(0), String::new()));
    let url = [vec![("DATABASE_URL".to_owned(), database.url())], client.settings("DB_TLS")].concat();
    assert_eq!(migrate(&url), (Some(0), String::new()));

    let options = MySqlConnectOptions::new().host("127.0.0.1").port(database.port());
    let options = options.username("farmlokal").password("farmlokal").database("farmlokal");
    let options = options.ssl_mode(MySqlSslMode::VerifyIdentity).ssl_ca(&client.ca);
    let pool =
        MySqlPool::connect_lazy_with(options.ssl_client_cert(&client.cert).ssl_client_key(&client.key));
    let socket: String = sqlx::query_scalar("SELECT @@socket").fetch_one(&pool).await.unwrap();
    let url = format!("mysql://root@localhost/farmlokal?socket={socket}");
    assert_eq!(migrate(&vec![("DATABASE_URL".into(), url)]), (Some(0), String::new()), "without TLS");
    let insert = "INSERT INTO products (id, name, description, category, price, created_at, updated_at) \
                  VALUES (?, 'Ball', '', 'sports', 1, NOW(), NOW())";
    sqlx::query(insert).bind(1).execute(&pool).await.unwrap();

    let cache = [address("REDIS", redis.port()), client.settings("REDIS_TLS")].concat();
    let api = start(&[db, cache].concat());
    // Redis and the connection on which flushes are heard of, too.
    api.until("/health", |answer| answer.json()["status"] == "ok").await;
    let health = api.get("/health").await.json();
    assert_eq!(health["dependencies"]["redis"]["inProcessLayer"], true, "{health}");
    let metrics =
        api.until("/metrics", |answer| answer.text().contains("redis_up{connection=\"shared\"} 1")).await;
    assert!(metrics.text().contains("redis_up{connection=\"cache\"} 1"), "{}", metrics.text());
    assert_eq!(api.get("/products").await.ids(), [1]);
    assert_eq!(api.get("/products").await.header("cache-status"), "FarmLokal; hit; detail=memory");

    sqlx::query(insert).bind(2).execute(&pool).await.unwrap();
    assert_eq!(api.get("/products").await.ids(), [1]);
    let read = |path| std::fs::read(path).unwrap();
    let client_tls = ClientTlsConfig { client_cert: read(&client.cert), client_key: read(&client.key) };
    let tls = TlsCertificates { client_tls: Some(client_tls), root_cert: Some(read(&client.ca)) };
    let config = RedisConfig { tls: Some(tls), timeout: PATIENCE, ..RedisConfig::new(redis.url()) };
    Flusher::new(&config).unwrap().flush().await.unwrap();
    api.until("/products", |answer| answer.ids() == [1, 2]).await;
}

#[test]
fn a_database_that_is_not_trusted_or_does_not_trust_us_is_one_line_that_names_the_setting() {
    let (authority, other) = (Authority::create().unwrap(), Authority::create().unwrap());
    let database = Database::start_with_tls(authority.server()).unwrap();
    let (address, client) = (address("DB", database.port()), authority.client());
    let some = |names: &[&str]| client.some_settings("DB_TLS", names);
    let mode = |mode: &str| vec![("DB_TLS".to_owned(), mode.to_owned())];
    let wrong_ca = [some(&["CERT", "KEY"]), other.client().some_settings("DB_TLS", &["CA"])].concat();
    for (settings, names) in [
        (mode("VERIFY_IDENTITY"), "see DB_HOST, DB_TLS_CA"),
        (some(&["CERT", "KEY"]), "see DB_HOST, DB_TLS_CA"),
        (wrong_ca, "see DB_HOST, DB_TLS_CA"),
        (some(&["CA"]), "see DB_USER, DB_PASS or DB_TLS_CERT"),
        (mode("REQUIRED"), "see DB_USER, DB_PASS or DB_TLS_CERT"),
        (mode("DISABLED"), "see DB_USER, DB_PASS or DB_TLS_CERT"),
        (mismatch(&authority, &other, "DB_TLS"), "DB_TLS_KEY is not the key of DB_TLS_CERT"),
    ] {
        let (code, error) = migrate(&[address.clone(), settings.clone()].concat());
        assert_eq!((code, error.trim_end().lines().count()), (Some(1), 1), "{settings:?}: {error}");
        assert!(error.contains(names) && !error.contains("BEGIN"), "{settings:?}: {error}");
    }
}

/// For each of its connections.
#[tokio::test]
async fn a_redis_that_is_not_trusted_or_does_not_trust_us_is_a_warning_that_names_the_setting() {
    let (authority, other) = (Authority::create().unwrap(), Authority::create().unwrap());
    let redis = Redis::start_with_tls(authority.server()).unwrap();
    let plain = Redis::start().unwrap();
    let client = authority.client();
    let some = |names: &[&str]| client.some_settings("REDIS_TLS", names);
    let tls = || vec![("REDIS_TLS".to_owned(), "true".to_owned())];
    let wrong_ca = [some(&["CERT", "KEY"]), other.client().some_settings("REDIS_TLS", &["CA"])].concat();
    for (settings, redis, names) in [
        (tls(), &redis, "see REDIS_TLS_CA"),
        (some(&["CERT", "KEY"]), &redis, "see REDIS_TLS_CA"),
        (wrong_ca, &redis, "see REDIS_TLS_CA"),
        (some(&["CA"]), &redis, "see REDIS_TLS_CERT"),
        (vec![], &redis, "see REDIS_HOST or REDIS_TLS"),
        (tls(), &plain, "see REDIS_HOST or REDIS_TLS"),
    ] {
        let nowhere = vec![("DB_PORT".to_owned(), "1".to_owned())];
        let api = start(&[nowhere, address("REDIS", redis.port()), settings.clone()].concat());
        let deadline = std::time::Instant::now() + PATIENCE;
        for connection in ["cache", "shared", "invalidations"] {
            loop {
                let log = api.log();
                if let Some(line) = log.iter().find(|line| line["connection"] == connection) {
                    let error = line["error"].as_str().unwrap();
                    assert_eq!(line["level"], "WARN");
                    assert!(error.contains(names) && !error.contains("BEGIN"), "{settings:?}: {line}");
                    break;
                }
                assert!(std::time::Instant::now() < deadline, "{connection}: {log:?}");
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    }
}

#[test]
fn a_key_of_another_certificate_stops_the_start() {
    let (authority, other) = (Authority::create().unwrap(), Authority::create().unwrap());
    for (subcommand, prefix) in
        [("serve", "DB_TLS"), ("serve", "REDIS_TLS"), ("migrate", "DB_TLS"), ("reindex", "DB_TLS")]
    {
        let (code, error) = run(subcommand, &mismatch(&authority, &other, prefix));
        assert_eq!((code, error.trim_end().lines().count()), (Some(1), 1), "{subcommand}: {error}");
        assert!(error.contains(&format!("{prefix}_KEY is not the key of {prefix}_CERT")), "{error}");
    }
}
