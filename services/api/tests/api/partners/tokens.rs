//! GET /auth/test-token

use std::collections::HashMap;

use farmlokal_devstack::{Redis, RedisCluster, RedisSentinels};
use farmlokal_sandbox::{Config, Fault, Mode, Sandbox};
use secrecy::ExposeSecret as _;
use sha2::Digest as _;

use super::fixture::{Replica, assert_documented, error, eventually, retry_after, row, seen, token_fault};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shared_in_a_cluster_and_behind_sentinels() {
    let cluster = tokio::task::block_in_place(RedisCluster::start).unwrap();
    let sentinels = tokio::task::block_in_place(|| RedisSentinels::start(&[])).unwrap();
    for url in [cluster.url(), sentinels.url()] {
        let (unused, sandbox) = (&cluster.nodes[0], Sandbox::start().await.unwrap());
        for from in ["provider", "redis"] {
            let replica = Replica::start(unused, &sandbox, &[("REDIS_URL", &url)]).await;
            assert_eq!(seen(&replica.token().await), (200, from.to_owned()));
            let page = replica.get("/metrics").await;
            let has_quorum = page.text().lines().any(|line| line == "farmlokal_redis_sentinel_quorum 1");
            assert_eq!(has_quorum, url == sentinels.url());
        }
    }
}

#[tokio::test]
async fn a_token_comes_from_the_provider_then_from_memory_and_for_another_process_from_redis() {
    let (redis, sandbox) = (Redis::start().unwrap(), Sandbox::start().await.unwrap());
    let one = Replica::start(&redis, &sandbox, &[]).await;
    let first = one.token().await;
    assert_eq!(seen(&first), (200, "provider".to_owned()));
    assert_eq!(first.header("cache-control"), "no-store");
    let body = first.json();
    assert_eq!(body["audience"], "https://partner.test");
    let expires_in = body["expiresIn"].as_u64().unwrap();
    assert!((3_500..=3_600).contains(&expires_in), "{expires_in}");
    let expires_at = body["expiresAt"].as_str().unwrap();
    assert!(
        expires_at.ends_with('Z') && expires_at.len() == "2025-03-01T09:30:00.000Z".len(),
        "{expires_at}"
    );
    let fingerprint = body["fingerprint"].as_str().unwrap();
    assert!(fingerprint.len() == 16 && fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit()));

    let second = one.token().await;
    assert_eq!(seen(&second), (200, "memory".to_owned()));
    let other = Replica::start(&redis, &sandbox, &[]).await.token().await;
    assert_eq!(seen(&other), (200, "redis".to_owned()));
    for answer in [second, other] {
        assert_eq!(answer.json()["fingerprint"], fingerprint);
    }
    assert_eq!(sandbox.counters().token.requests, 1);
}

#[tokio::test]
async fn the_token_itself_never_leaves() {
    let (redis, sandbox) = (Redis::start().unwrap(), Sandbox::start().await.unwrap());
    let replica = Replica::start(&redis, &sandbox, &[("LOG_LEVEL", "trace")]).await;
    let answers = [replica.token().await, replica.api_a().await, replica.get("/metrics").await];
    let mut connection =
        redis::Client::open(redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> =
        redis::cmd("KEYS").arg("farmlokal:oauth:*").query_async(&mut connection).await.unwrap();
    assert_eq!(keys.len(), 1, "{keys:?}");
    let stored: HashMap<String, String> =
        redis::cmd("HGETALL").arg(&keys[0]).query_async(&mut connection).await.unwrap();
    let secrets = [stored["secret"].as_str(), sandbox.config().client_secret.expose_secret()];
    let log = replica.process.log();
    assert!(log.iter().any(|event| event["message"] == "a new access token"));
    for secret in secrets {
        for answer in &answers {
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(!answer.text().contains(secret) && !format!("{:?}", answer.headers).contains(secret));
        }
        for event in &log {
            assert!(!event.to_string().contains(secret), "{event}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_processes_and_three_hundred_callers_make_one_request() {
    let (redis, sandbox) = (Redis::start().unwrap(), Sandbox::start().await.unwrap());
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(Replica::start(&redis, &sandbox, &[("OAUTH_TIMEOUT", "20s")]).await);
    }
    // Somebody else holds the lock until all three hundred are waiting, and then nobody.
    let lock = lock_key(&sandbox);
    let mut connection =
        redis::Client::open(redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    redis::cmd("SET").arg(&lock).arg("nobody").exec_async(&mut connection).await.unwrap();
    let callers: Vec<_> =
        replicas.iter().flat_map(|replica| replica.burst("/auth/test-token", 100)).collect();
    for replica in &replicas {
        let waiting = async || {
            let page = replica.get("/metrics").await;
            page.text().lines().any(|line| line == "http_server_active_requests 100")
        };
        eventually("a hundred callers wait at each process", waiting).await;
    }
    assert_eq!(sandbox.counters().token.requests, 0);
    redis::cmd("DEL").arg(&lock).exec_async(&mut connection).await.unwrap();
    let mut fingerprints = HashMap::<String, u32>::new();
    let mut sources = HashMap::<String, u32>::new();
    for caller in callers {
        let answer = caller.await.unwrap();
        let (status, source) = seen(&answer);
        assert_eq!(status, 200, "{answer:?}");
        *sources.entry(source).or_default() += 1;
        *fingerprints.entry(answer.json()["fingerprint"].to_string()).or_default() += 1;
    }
    assert_eq!(sandbox.counters().token.requests, 1);
    assert_eq!(fingerprints.len(), 1, "{fingerprints:?}");
    assert_eq!((sources["provider"], sources["redis"], sources["memory"]), (1, 2, 297), "{sources:?}");
}

/// Of the lock that lets one of all replicas fetch a token, as docs/partners.md names it.
fn lock_key(sandbox: &Sandbox) -> String {
    let (url, client) = (sandbox.token_url(), &sandbox.config().client_id);
    let digest = sha2::Sha256::digest(format!("{url}\n{client}\nhttps://partner.test\n"));
    let fingerprint = digest.iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    format!("farmlokal:oauth:{{{fingerprint}}}:lock")
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_each_process_makes_one_request() {
    let (mut redis, sandbox) = (Redis::start().unwrap(), Sandbox::start().await.unwrap());
    redis.stop().unwrap();
    let replica = Replica::start_without_redis(&redis, &sandbox, &[]);
    for caller in replica.burst("/auth/test-token", 100) {
        assert_eq!(caller.await.unwrap().status, 200);
    }
    assert_eq!(sandbox.counters().token.requests, 1);
}

#[tokio::test]
async fn a_redis_that_goes_or_stands_still_takes_no_token_along() {
    let (mut redis, sandbox) = (Redis::start().unwrap(), Sandbox::start().await.unwrap());
    let settings = [("REDIS_TIMEOUT", "300ms")];
    let replica = Replica::start(&redis, &sandbox, &settings).await;
    assert_eq!(replica.token().await.status, 200);
    redis.pause().unwrap();
    assert_eq!(seen(&replica.token().await), (200, "memory".to_owned()));
    // A revoked token is replaced without Redis too.
    sandbox.revoke_tokens();
    assert_eq!(seen(&replica.api_a().await), (200, "fresh".to_owned()));
    redis.resume().unwrap();
    redis.stop().unwrap();
    sandbox.revoke_tokens();
    assert_eq!(seen(&replica.api_a().await), (200, "fresh".to_owned()));
    assert_eq!(seen(&replica.token().await), (200, "memory".to_owned()));
    assert_eq!(sandbox.counters().token.requests, 3);
}

#[tokio::test]
async fn a_token_is_replaced_before_it_ends_while_nobody_asks() {
    let (redis, sandbox) = (Redis::start().unwrap(), Sandbox::start().await.unwrap());
    sandbox.set_faults(token_fault(Fault { expires_in: Some(5), ..Mode::Ok.into() }));
    let replicas = [
        Replica::start(&redis, &sandbox, &[]).await,
        Replica::start(&redis, &sandbox, &[]).await,
        Replica::start(&redis, &sandbox, &[]).await,
    ];
    let first = replicas[0].token().await.json()["fingerprint"].clone();
    for replica in &replicas[1..] {
        assert_eq!(seen(&replica.token().await), (200, "redis".to_owned()));
    }
    sandbox.set_faults(token_fault(Mode::Ok));
    eventually("the token is replaced", async || sandbox.counters().token.requests == 2).await;
    for replica in &replicas {
        let replaced = async || {
            let answer = replica.token().await;
            assert_eq!(seen(&answer), (200, "memory".to_owned()));
            answer.json()["fingerprint"] != first
        };
        eventually("every replica has the new one", replaced).await;
    }
    assert_eq!(sandbox.counters().token.requests, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_the_provider_is_the_problem_that_the_table_says() {
    let redis = Redis::start().unwrap();
    let expired = Fault { expires_in: Some(0), ..Mode::Ok.into() };
    let rows = [
        ("answers 503", error(503), 3, 502, "partner_failed"),
        ("answers 503 with `Retry-After: 60`", retry_after(60), 1, 502, "partner_failed"),
        ("refuses the client (401)", Mode::Unauthorized.into(), 1, 502, "partner_refused"),
        ("answers HTML", Mode::Garbage.into(), 3, 502, "partner_invalid"),
        ("answers `{}`", Mode::Empty.into(), 3, 502, "partner_invalid"),
        ("issues tokens that have ended", expired, 3, 502, "partner_invalid"),
        ("breaks off within the answer", Mode::Truncated.into(), 3, 502, "partner_unreachable"),
        ("closes the connection", Mode::Down.into(), 3, 502, "partner_unreachable"),
        ("resets the connection", Mode::Reset.into(), 3, 502, "partner_unreachable"),
        ("never answers", Mode::Hang.into(), 2, 504, "partner_timed_out"),
    ];
    let mut played: Vec<_> =
        rows.iter().map(|(fault, _, requests, status, code)| row(fault, *requests, *status, code)).collect();
    played.push(row("is gone", 0, 502, "partner_unreachable"));
    assert_documented("| The token endpoint |", &played);
    for (fault, mode, requests, status, code) in rows {
        // Another sandbox is another provider, so nothing is left of the row before.
        let sandbox = Sandbox::start().await.unwrap();
        let replica = Replica::start(&redis, &sandbox, &[]).await;
        sandbox.set_faults(token_fault(mode));
        let answer = replica.token().await;
        assert_eq!(seen(&answer), (status, code.to_owned()), "{fault}");
        assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1, "{fault}");
        assert_eq!(sandbox.counters().token.requests, requests, "{fault}");
        let outcome = format!("outcome=\"{}\"", code.trim_start_matches("partner_"));
        let metrics = replica.get("/metrics").await;
        let counted = |line: &&str| {
            line.starts_with("farmlokal_partner_request_duration_seconds_count{partner=\"oauth\"")
                && line.contains(&outcome)
        };
        let counted = metrics.text().lines().find(counted).unwrap();
        assert!(counted.ends_with(&format!(" {requests}")), "{fault}: {counted}");
    }
}

#[tokio::test]
async fn a_provider_that_nobody_listens_at_is_a_problem_too() {
    let (redis, sandbox) = (Redis::start().unwrap(), Sandbox::start().await.unwrap());
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/oauth/token");
    let replica = Replica::start(&redis, &sandbox, &[("OAUTH_TOKEN_URL", &url)]).await;
    assert_eq!(seen(&replica.token().await), (502, "partner_unreachable".to_owned()));
    // Once, and with its cause.
    assert_eq!(replica.token().await.status, 502);
    assert_eq!(replica.api_a().await.status, 502);
    let warnings = warnings(&replica);
    assert!(warnings.len() == 1 && warnings[0].contains("Connection refused"), "{warnings:?}");
}

#[tokio::test]
async fn an_api_a_that_nobody_listens_at_is_a_warning_once() {
    let (redis, sandbox) = (Redis::start().unwrap(), Sandbox::start().await.unwrap());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/status");
    let replica = Replica::start(&redis, &sandbox, &[("API_A_URL", &url)]).await;
    for _ in 0..2 {
        assert_eq!(seen(&replica.api_a().await), (502, "partner_unreachable".to_owned()));
    }
    let warnings = warnings(&replica);
    assert!(warnings.len() == 1 && warnings[0].contains("Connection refused"), "{warnings:?}");
}

/// What was logged as a warning about a partner.
fn warnings(replica: &Replica) -> Vec<String> {
    let log = replica.process.log();
    let warnings = log.iter().filter(|event| event["level"] == "WARN").map(ToString::to_string);
    warnings.filter(|event| event.contains("partners")).collect()
}

#[tokio::test]
async fn a_token_without_a_lifetime_is_usable() {
    let (redis, sandbox) = (Redis::start().unwrap(), Sandbox::start().await.unwrap());
    sandbox.set_faults(token_fault(Fault { omit_expires_in: true, ..Mode::Ok.into() }));
    let replica = Replica::start(&redis, &sandbox, &[("OAUTH_DEFAULT_LIFETIME", "10m")]).await;
    let answer = replica.token().await;
    assert_eq!(seen(&answer), (200, "provider".to_owned()));
    let expires_in = answer.json()["expiresIn"].as_u64().unwrap();
    assert!((500..=600).contains(&expires_in), "{expires_in}");
    assert_eq!(seen(&replica.api_a().await), (200, "fresh".to_owned()));
}

#[tokio::test]
async fn scope_and_basic_are_settings_and_the_provider_s_error_is_in_the_log() {
    let redis = Redis::start().unwrap();
    let config = Config { scope: Some("read status".to_owned()), ..Config::default() };
    let sandbox = Sandbox::start_with(config).await.unwrap();
    let basic = [("OAUTH_SCOPE", "read status"), ("OAUTH_CLIENT_AUTH", "basic")];
    let replica = Replica::start(&redis, &sandbox, &basic).await;
    assert_eq!(seen(&replica.token().await), (200, "provider".to_owned()));

    let replica = Replica::start(&redis, &sandbox, &[("OAUTH_SCOPE", "other")]).await;
    assert_eq!(seen(&replica.token().await), (502, "partner_refused".to_owned()));
    // The line may come after the answer.
    eventually("it is logged", async || !warnings(&replica).is_empty()).await;
    let warnings = warnings(&replica);
    assert!(warnings.len() == 1 && warnings[0].contains("error invalid_scope"), "{warnings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_in_trouble_is_left_alone_by_each_replica_and_then_used_again() {
    let (redis, sandbox) = (Redis::start().unwrap(), Sandbox::start().await.unwrap());
    let one = Replica::start(&redis, &sandbox, &[]).await;
    let other = Replica::start(&redis, &sandbox, &[]).await;
    sandbox.set_faults(token_fault(retry_after(60)));
    for replica in [&one, &other] {
        for caller in replica.burst("/auth/test-token", 50) {
            let answer = caller.await.unwrap();
            assert_eq!(seen(&answer), (502, "partner_failed".to_owned()));
            assert!((1..=60).contains(&answer.header("retry-after").parse::<u32>().unwrap()));
        }
    }
    assert_eq!(sandbox.counters().token.requests, 2);

    let sandbox = Sandbox::start().await.unwrap();
    let replica = Replica::start(&redis, &sandbox, &[]).await;
    sandbox.set_faults(token_fault(Mode::Down));
    assert_eq!(replica.token().await.status, 502);
    sandbox.set_faults(token_fault(Mode::Ok));
    eventually("the provider is asked again", async || replica.token().await.status == 200).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_fetch_running() {
    let (redis, sandbox) = (Redis::start().unwrap(), Sandbox::start().await.unwrap());
    let replica = Replica::start(&redis, &sandbox, &[]).await;
    sandbox.set_faults(token_fault(Fault { latency_ms: 500, ..Mode::Slow.into() }));
    let impatient = replica.burst("/auth/test-token", 1).remove(0);
    eventually("it is asked for", async || sandbox.counters().token.requests == 1).await;
    impatient.abort();
    assert_eq!(replica.token().await.status, 200);
    assert_eq!(sandbox.counters().token.requests, 1);
}

#[tokio::test]
async fn a_dead_replica_s_lock_does_not_last() {
    let (redis, sandbox) = (Redis::start().unwrap(), Sandbox::start().await.unwrap());
    let short = [("OAUTH_TIMEOUT", "2s")];
    let doomed = Replica::start(&redis, &sandbox, &short).await;
    let heir = Replica::start(&redis, &sandbox, &short).await;
    sandbox.set_faults(token_fault(Mode::Hang));
    let caller = doomed.burst("/auth/test-token", 1).remove(0);
    eventually("it is asked for", async || sandbox.counters().token.requests == 1).await;
    caller.abort();
    doomed.process.signal("KILL");
    sandbox.set_faults(token_fault(Mode::Ok));
    eventually("the other takes over", async || heir.token().await.status == 200).await;
}
