//! GET /external/test-api-a

use farmlokal_devstack::Redis;
use farmlokal_sandbox::{Fault, Faults, Mode, Sandbox};

use super::fixture::{
    Replica, api_a_fault, assert_documented, error, eventually, retry_after, row, seen, token_fault,
};

/// A breaker that no test opens by accident.
const NO_BREAKER: (&str, &str) = ("API_A_BREAKER_FAILURES", "1000");

#[tokio::test]
async fn a_good_answer_is_fresh_and_comes_as_it_is() {
    let (redis, sandbox) = (Redis::start().unwrap(), Sandbox::start().await.unwrap());
    let replica = Replica::start(&redis, &sandbox, &[]).await;
    let answer = replica.api_a().await;
    assert_eq!(seen(&answer), (200, "fresh".to_owned()));
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    assert_eq!((&body["attempts"], &body["breaker"]), (&1.into(), &"closed".into()));
    assert_eq!((&body["data"]["service"], &body["data"]["sequence"]), (&"api-a".into(), &1.into()));
    assert!(body.get("reason").is_none() && body.get("ageSeconds").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_what_the_table_says_with_and_without_a_last_good_answer() {
    let (redis, sandbox) = (Redis::start().unwrap(), Sandbox::start().await.unwrap());
    let replica = Replica::start(&redis, &sandbox, &[NO_BREAKER, ("API_A_ATTEMPT_TIMEOUT", "1s")]).await;
    let rows: [(&str, Fault, u64, u16, &str); 10] = [
        ("answers 503", error(503), 3, 502, "partner_failed"),
        (
            "answers 429 with `Retry-After: 60`",
            Fault { status: 429, ..retry_after(60) },
            1,
            502,
            "partner_failed",
        ),
        ("answers 404", error(404), 1, 502, "partner_refused"),
        ("refuses every token (401)", Mode::Unauthorized.into(), 2, 502, "partner_refused"),
        ("answers HTML", Mode::Garbage.into(), 3, 502, "partner_invalid"),
        ("answers `{}`", Mode::Empty.into(), 3, 502, "partner_invalid"),
        ("breaks off within the answer", Mode::Truncated.into(), 3, 502, "partner_unreachable"),
        ("closes the connection", Mode::Down.into(), 3, 502, "partner_unreachable"),
        ("resets the connection", Mode::Reset.into(), 3, 502, "partner_unreachable"),
        ("never answers", Mode::Hang.into(), 3, 504, "partner_timed_out"),
    ];
    let played = rows.iter().map(|(fault, _, attempts, status, code)| row(fault, *attempts, *status, code));
    assert_documented("| API A |", &played.collect::<Vec<_>>());
    let call = async |fault: &Fault| {
        let before = sandbox.counters().api_a.requests;
        sandbox.set_faults(api_a_fault(fault.clone()));
        let answer = replica.api_a().await;
        (sandbox.counters().api_a.requests - before, answer)
    };
    for (name, fault, attempts, status, code) in &rows {
        let (requests, answer) = call(fault).await;
        assert_eq!(seen(&answer), (*status, (*code).to_owned()), "{name}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let body = answer.json();
        assert_eq!((&body["outcome"], &body["breaker"]), (&"failed".into(), &"closed".into()), "{name}");
        assert_eq!((body["attempts"].as_u64(), requests), (Some(*attempts), *attempts), "{name}");
        let waits = answer.headers.get("retry-after").map(|wait| wait.to_str().unwrap());
        assert_eq!(waits, name.contains("Retry-After").then_some("60"), "{name}");
    }

    let (_, good) = call(&Mode::Ok.into()).await;
    for (name, fault, attempts, _, code) in &rows {
        let (requests, answer) = call(fault).await;
        assert_eq!(seen(&answer), (200, "fallback".to_owned()), "{name}");
        let body = answer.json();
        assert_eq!((&body["reason"], &body["data"]), (&(*code).into(), &good.json()["data"]), "{name}");
        let age = body["ageSeconds"].as_f64().unwrap();
        assert!(age >= 0.0 && age.to_string().split('.').nth(1).unwrap_or_default().len() <= 3, "{age}");
        assert_eq!((body["attempts"].as_u64(), requests), (Some(*attempts), *attempts), "{name}");
    }
    assert_eq!(seen(&call(&Mode::Ok.into()).await.1), (200, "fresh".to_owned()));
}

#[tokio::test]
async fn a_fault_that_passes_costs_attempts_and_nothing_else() {
    let (redis, sandbox) = (Redis::start().unwrap(), Sandbox::start().await.unwrap());
    let settings = [("API_A_ATTEMPT_TIMEOUT", "1s")];
    let replica = Replica::start(&redis, &sandbox, &settings).await;
    for mode in
        [Mode::Error, Mode::RetryAfter, Mode::Garbage, Mode::Truncated, Mode::Down, Mode::Reset, Mode::Hang]
    {
        for failing in [1, 2] {
            sandbox.set_faults(api_a_fault(Fault { fail_next: failing, ..mode.into() }));
            let answer = replica.api_a().await;
            assert_eq!(seen(&answer), (200, "fresh".to_owned()), "{mode:?}");
            assert_eq!(answer.json()["attempts"], failing + 1, "{mode:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_replaced_once_by_all_who_meet_it() {
    let (redis, sandbox) = (Redis::start().unwrap(), Sandbox::start().await.unwrap());
    let one = Replica::start(&redis, &sandbox, &[]).await;
    let other = Replica::start(&redis, &sandbox, &[]).await;
    for replica in [&one, &other] {
        assert_eq!(replica.api_a().await.json()["attempts"], 1);
    }
    sandbox.revoke_tokens();
    let mut callers = one.burst("/external/test-api-a", 20);
    callers.extend(other.burst("/external/test-api-a", 20));
    for caller in callers {
        let answer = caller.await.unwrap();
        assert_eq!(seen(&answer), (200, "fresh".to_owned()));
        assert!(answer.json()["attempts"].as_u64().unwrap() <= 2);
    }
    assert_eq!(sandbox.counters().token.requests, 2);
}

#[tokio::test]
async fn without_a_token_api_a_is_not_asked_and_not_blamed() {
    let (redis, sandbox) = (Redis::start().unwrap(), Sandbox::start().await.unwrap());
    let replica = Replica::start(&redis, &sandbox, &[("API_A_BREAKER_FAILURES", "1")]).await;
    sandbox.set_faults(token_fault(Mode::Unauthorized));
    let answer = replica.api_a().await;
    assert_eq!(seen(&answer), (502, "partner_refused".to_owned()));
    let body = answer.json();
    assert_eq!((&body["attempts"], &body["breaker"]), (&0.into(), &"closed".into()));
    assert!(body["detail"].as_str().unwrap().starts_with("The token endpoint"));
    assert_eq!(sandbox.counters().api_a.requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_fail_open_the_breaker_one_probe_passes_and_its_success_closes_it() {
    let (redis, sandbox) = (Redis::start().unwrap(), Sandbox::start().await.unwrap());
    let settings =
        [("API_A_BREAKER_FAILURES", "2"), ("API_A_BREAKER_PAUSE", "1s"), ("API_A_ATTEMPT_TIMEOUT", "5s")];
    let replica = Replica::start(&redis, &sandbox, &settings).await;
    sandbox.set_faults(api_a_fault(Mode::Down));
    assert_eq!(replica.api_a().await.json()["breaker"], "closed");
    assert_eq!(replica.api_a().await.json()["breaker"], "open");
    let log = replica.process.log();
    let opened =
        log.iter().find(|line| line["message"] == "the breaker opens: the partner is not called").unwrap();
    assert!(opened["error"].as_str().unwrap().starts_with("API A "), "{opened}");
    // Attempts are not its business: two calls made six.
    let requests = sandbox.counters().api_a.requests;
    assert_eq!(requests, 6);
    let metrics = replica.get("/metrics").await;
    let gauge = "farmlokal_partner_breaker_state{partner=\"api_a\",state=\"open\"} 1";
    assert!(metrics.text().lines().any(|line| line == gauge), "{}", metrics.text());

    // The probe is held up at API A while others come.
    let slow = Fault { latency_ms: 3_000, ..Mode::Slow.into() };
    sandbox.set_faults(api_a_fault(slow));
    let probe = tokio::spawn({
        let (client, url) = (replica.client(), replica.url("/external/test-api-a"));
        async move {
            loop {
                let answer = crate::harness::fetch(&client, &url, &[]).await.unwrap();
                if answer.status == 200 {
                    return answer;
                }
                assert_eq!(seen(&answer), (503, "partner_suspended".to_owned()));
                assert_eq!(answer.json()["attempts"], 0);
                assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    });
    eventually("the probe is out", async || sandbox.counters().api_a.requests == requests + 1).await;
    for caller in replica.burst("/external/test-api-a", 50) {
        let answer = caller.await.unwrap();
        assert_eq!(seen(&answer), (503, "partner_suspended".to_owned()));
        assert_eq!(answer.json()["breaker"], "half_open");
    }
    assert_eq!(sandbox.counters().api_a.requests, requests + 1);
    let answer = probe.await.unwrap();
    assert_eq!((seen(&answer).1.as_str(), &answer.json()["breaker"]), ("fresh", &"closed".into()));

    // Open again, now with a last good answer.
    sandbox.set_faults(api_a_fault(error(404)));
    for _ in 0..2 {
        assert_eq!(replica.api_a().await.json()["reason"], "partner_refused");
    }
    let answer = replica.api_a().await;
    assert_eq!(seen(&answer), (200, "fallback".to_owned()));
    assert_eq!(answer.json()["reason"], "partner_suspended");
}

#[tokio::test]
async fn the_process_ends_in_time_while_a_call_goes_on_without_its_client() {
    let (redis, sandbox) = (Redis::start().unwrap(), Sandbox::start().await.unwrap());
    let settings = [("API_A_ATTEMPT_TIMEOUT", "20s"), ("SHUTDOWN_TIMEOUT", "0s")];
    let mut replica = Replica::start(&redis, &sandbox, &settings).await;
    sandbox.set_faults(api_a_fault(Fault { latency_ms: 20_000, ..Mode::Slow.into() }));
    let caller = replica.burst("/external/test-api-a", 1).remove(0);
    eventually("the call is out", async || sandbox.counters().api_a.requests == 1).await;
    caller.abort();
    let started = std::time::Instant::now();
    replica.process.signal("TERM");
    assert_eq!(replica.process.ended().await.code(), Some(0));
    assert!(started.elapsed() < std::time::Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn clients_that_go_away_do_not_open_the_breaker() {
    let (redis, sandbox) = (Redis::start().unwrap(), Sandbox::start().await.unwrap());
    let replica = Replica::start(&redis, &sandbox, &[("API_A_BREAKER_FAILURES", "1")]).await;
    assert_eq!(replica.token().await.status, 200);
    sandbox.set_faults(api_a_fault(Fault { latency_ms: 500, ..Mode::Slow.into() }));
    let impatient = replica.burst("/external/test-api-a", 1).remove(0);
    eventually("API A is asked", async || sandbox.counters().api_a.requests == 1).await;
    impatient.abort();
    eventually("API A has answered", async || sandbox.counters().api_a.succeeded == 1).await;
    sandbox.set_faults(Faults::default());
    assert_eq!(seen(&replica.api_a().await), (200, "fresh".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_beyond_the_bound_get_the_fallback_at_once() {
    let (redis, sandbox) = (Redis::start().unwrap(), Sandbox::start().await.unwrap());
    let settings = [("API_A_CONCURRENCY", "1"), ("API_A_ATTEMPT_TIMEOUT", "10s")];
    let replica = Replica::start(&redis, &sandbox, &settings).await;
    assert_eq!(replica.token().await.status, 200);
    sandbox.set_faults(api_a_fault(Fault { latency_ms: 2_000, ..Mode::Slow.into() }));
    let first = replica.burst("/external/test-api-a", 1).remove(0);
    eventually("API A is asked", async || sandbox.counters().api_a.requests == 1).await;
    for caller in replica.burst("/external/test-api-a", 20) {
        let answer = caller.await.unwrap();
        assert_eq!(seen(&answer), (503, "overloaded".to_owned()));
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert_eq!(seen(&first.await.unwrap()), (200, "fresh".to_owned()));
    assert_eq!(sandbox.counters().api_a.requests, 1);
}

#[tokio::test]
async fn the_last_good_answer_outlives_its_process_and_redis() {
    let (mut redis, sandbox) = (Redis::start().unwrap(), Sandbox::start().await.unwrap());
    let one = Replica::start(&redis, &sandbox, &[NO_BREAKER]).await;
    let good = one.api_a().await.json()["data"].clone();
    sandbox.set_faults(api_a_fault(Mode::Down));
    let other = Replica::start(&redis, &sandbox, &[NO_BREAKER]).await;
    let shared = async || {
        let answer = other.api_a().await;
        answer.status == 200 && answer.json()["data"] == good
    };
    eventually("another process finds it in Redis", shared).await;
    redis.stop().unwrap();
    let answer = one.api_a().await;
    assert_eq!(seen(&answer), (200, "fallback".to_owned()));
    assert_eq!(answer.json()["data"], good);
}

#[tokio::test]
async fn the_fallback_comes_within_the_deadline_of_the_call() {
    let (redis, sandbox) = (Redis::start().unwrap(), Sandbox::start().await.unwrap());
    // As in production: no attempt is cut short by the request's own deadline, which would answer `timed_out`.
    let settings = [("REQUEST_TIMEOUT", "5s"), ("API_A_TIMEOUT", "4500ms")];
    let replica = Replica::start(&redis, &sandbox, &settings).await;
    assert_eq!(replica.api_a().await.status, 200);
    sandbox.set_faults(api_a_fault(Mode::Hang));
    let answer = replica.api_a().await;
    assert_eq!((answer.status, &answer.json()["reason"]), (200, &"partner_timed_out".into()));
}
