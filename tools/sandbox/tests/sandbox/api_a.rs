use std::error::Error as _;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use farmlokal_sandbox::{Fault, Faults, Mode, Sandbox};
use reqwest::header::WWW_AUTHENTICATE;

use crate::client::{ask_api_a, client, read, token};

fn fail(sandbox: &Sandbox, fault: impl Into<Fault>) {
    sandbox.set_faults(Faults { api_a: fault.into(), ..Faults::default() });
}

/// The operating system's error beneath reqwest's.
fn cause(error: &reqwest::Error) -> Option<ErrorKind> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return Some(error.kind());
        }
        source = error.source();
    }
    None
}

#[tokio::test]
async fn a_valid_token_gets_the_next_answer_and_none_gets_a_challenge() {
    let sandbox = Sandbox::start().await.unwrap();
    let token = token(&sandbox).await;
    for sequence in 1..=2 {
        let answer = ask_api_a(&sandbox, &token).await.unwrap();
        assert_eq!((answer.status, &answer.json()["sequence"]), (200, &sequence.into()));
        assert_eq!(answer.json()["service"], "api-a");
    }
    for answer in [
        ask_api_a(&sandbox, "stranger").await.unwrap(),
        read(client().get(sandbox.api_a_url())).await.unwrap(),
    ] {
        assert_eq!(answer.status, 401);
        assert!(answer.headers[WWW_AUTHENTICATE].to_str().unwrap().starts_with("Bearer "));
    }
    let counters = sandbox.counters().api_a;
    assert_eq!((counters.requests, counters.succeeded, counters.refused), (4, 2, 2));
}

#[tokio::test]
async fn a_reset_is_an_rst_and_down_is_a_closed_connection() {
    let sandbox = Sandbox::start().await.unwrap();
    let token = token(&sandbox).await;
    fail(&sandbox, Mode::Reset);
    let reset = ask_api_a(&sandbox, &token).await.unwrap_err();
    assert_eq!(cause(&reset), Some(ErrorKind::ConnectionReset), "{reset:?}");
    fail(&sandbox, Mode::Down);
    let closed = ask_api_a(&sandbox, &token).await.unwrap_err();
    assert_eq!(cause(&closed), None, "{closed:?}");
    assert!(closed.is_request(), "{closed:?}");
    fail(&sandbox, Mode::Truncated);
    let broken = ask_api_a(&sandbox, &token).await.unwrap_err();
    assert!(broken.is_body() || broken.is_decode(), "{broken:?}");
    fail(&sandbox, Mode::Ok);
    assert_eq!(ask_api_a(&sandbox, &token).await.unwrap().status, 200);
    assert_eq!(sandbox.counters().api_a.failed, 3);
}

#[tokio::test]
async fn a_fault_for_the_next_requests_only_ends_by_itself() {
    let sandbox = Sandbox::start().await.unwrap();
    let token = token(&sandbox).await;
    fail(&sandbox, Fault { fail_next: 2, status: 502, ..Mode::Error.into() });
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(ask_api_a(&sandbox, &token).await.unwrap().status);
    }
    assert_eq!(statuses, [502, 502, 200, 200]);
    assert_eq!(sandbox.faults(), Faults::default());
}

#[tokio::test]
async fn slow_answers_come_late_and_hanging_ones_never() {
    let sandbox = Sandbox::start().await.unwrap();
    let token = token(&sandbox).await;
    fail(&sandbox, Fault { latency_ms: 50, ..Mode::Ok.into() });
    let start = Instant::now();
    assert_eq!(ask_api_a(&sandbox, &token).await.unwrap().status, 200);
    assert!(start.elapsed() >= Duration::from_millis(50));

    fail(&sandbox, Mode::Hang);
    let hanging = tokio::spawn({
        let (url, client) = (sandbox.api_a_url(), client());
        async move { read(client.get(url)).await }
    });
    while sandbox.counters().api_a.requests < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!hanging.is_finished());
    // A request that hangs does not hold up the end.
    sandbox.stop().await;
    assert_eq!(hanging.await.unwrap().unwrap().status, 503);
}
