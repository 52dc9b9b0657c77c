use farmlokal_sandbox::{Faults, Mode, Sandbox};
use serde_json::json;

use crate::client::{ask_api_a, ask_for_token, client, read, send, token};

#[tokio::test]
async fn faults_are_switched_over_http_one_endpoint_at_a_time() {
    let sandbox = Sandbox::start().await.unwrap();
    let url = format!("{}/control/faults", sandbox.url());
    let change = json!({ "apiA": { "mode": "retry_after", "status": 503, "retryAfter": 2 } });
    assert_eq!(send("PUT", &url, &change).await.unwrap().status, 200);
    let answer =
        send("PUT", &url, &json!({ "token": { "mode": "wrong_secret", "failNext": 1 } })).await.unwrap();
    assert_eq!(answer.json()["apiA"]["mode"], "retry_after");
    assert_eq!(answer.json()["token"]["mode"], "unauthorized");
    assert_eq!(ask_for_token(&sandbox).await.unwrap().status, 401);
    assert_eq!(ask_api_a(&sandbox, &token(&sandbox).await).await.unwrap().status, 503);
    assert_eq!(sandbox.faults().api_a.retry_after, 2);
    assert_eq!(read(client().get(&url)).await.unwrap().json()["token"]["mode"], "ok");
}

#[tokio::test]
async fn a_fault_that_is_none_changes_nothing() {
    let sandbox = Sandbox::start().await.unwrap();
    let url = format!("{}/control/faults", sandbox.url());
    for nonsense in [
        json!({ "apiC": {} }),
        json!({ "apiA": { "mode": "sulk" } }),
        json!({ "apiA": { "status": 200 } }),
        json!({ "apiA": { "latency": 5 } }),
        json!({ "apiA": { "latencyMs": -1 } }),
    ] {
        let answer = send("PUT", &url, &nonsense).await.unwrap();
        assert_eq!(answer.status, 422, "{nonsense}: {answer:?}");
    }
    assert_eq!(sandbox.faults(), Faults::default());
}

#[tokio::test]
async fn counters_and_requests_tell_what_came_until_a_reset() {
    let sandbox = Sandbox::start().await.unwrap();
    let url = |path: &str| format!("{}/control/{path}", sandbox.url());
    sandbox.set_faults(Faults { token: Mode::Empty.into(), ..Faults::default() });
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    read(client().get(sandbox.api_a_url()).header("traceparent", traceparent)).await.unwrap();
    for _ in 0..300 {
        ask_for_token(&sandbox).await.unwrap();
    }
    let counters = read(client().get(url("counters"))).await.unwrap().json();
    assert_eq!(counters["token"]["requests"], 300);
    assert_eq!(counters["apiA"]["refused"], 1);
    let requests = read(client().get(url("requests"))).await.unwrap().json();
    assert_eq!(requests.as_array().unwrap().len(), 256);

    assert_eq!(send("POST", &url("reset"), &json!({})).await.unwrap().status, 200);
    assert_eq!((sandbox.counters(), sandbox.faults()), Default::default());
    read(client().get(sandbox.api_a_url()).header("traceparent", traceparent)).await.unwrap();
    assert_eq!(sandbox.requests().len(), 1);
    assert_eq!(sandbox.requests()[0].traceparent.as_deref(), Some(traceparent));
}

#[tokio::test]
async fn tokens_are_revoked_over_http() {
    let sandbox = Sandbox::start().await.unwrap();
    let token = token(&sandbox).await;
    let url = format!("{}/control/tokens", sandbox.url());
    assert_eq!(read(client().delete(url)).await.unwrap().status, 200);
    assert_eq!(ask_api_a(&sandbox, &token).await.unwrap().status, 401);
}
