use farmlokal_sandbox::{Config, Fault, Faults, Mode, Sandbox};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::json;

use crate::client::{ask_api_a, ask_for_token, client, read, send, token};

#[tokio::test]
async fn credentials_come_as_json_as_a_form_or_as_basic() {
    let sandbox = Sandbox::start().await.unwrap();
    let answer = ask_for_token(&sandbox).await.unwrap();
    assert_eq!(answer.json()["token_type"], "Bearer");
    assert_eq!(answer.json()["expires_in"], 3600);

    let post =
        || client().post(sandbox.token_url()).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let form = "grant_type=client_credentials&client_id=farmlokal&client_secret=sandbox%2Dsecret";
    assert_eq!(read(post().body(form)).await.unwrap().status, 200);
    // farmlokal:sandbox-secret
    let basic = "Basic ZmFybWxva2FsOnNhbmRib3gtc2VjcmV0";
    let basic = post().header(AUTHORIZATION, basic).body("grant_type=client_credentials");
    assert_eq!(read(basic).await.unwrap().status, 200);

    let counters = sandbox.counters().token;
    assert_eq!((counters.requests, counters.succeeded, counters.refused), (3, 3, 0));
}

#[tokio::test]
async fn a_scope_can_be_wanted_and_a_lifetime_left_out() {
    let config = Config { scope: Some("read status".into()), ..Config::default() };
    let sandbox = Sandbox::start_with(config).await.unwrap();
    let post = async |scope: &str| {
        let form =
            format!("grant_type=client_credentials&client_id=farmlokal&client_secret=sandbox-secret{scope}");
        let request =
            client().post(sandbox.token_url()).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        read(request.body(form)).await.unwrap()
    };
    for wrong in ["", "&scope=read"] {
        let answer = post(wrong).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_scope")));
    }
    sandbox.set_faults(Faults {
        token: Fault { omit_expires_in: true, ..Fault::default() },
        ..Faults::default()
    });
    let answer = post("&scope=read+status").await;
    assert_eq!((answer.status, answer.json().get("expires_in")), (200, None));
}

#[tokio::test]
async fn what_is_wrong_is_refused_as_the_rfc_has_it() {
    let config = Config { audience: Some("https://api-a.example".into()), ..Config::default() };
    let sandbox = Sandbox::start_with(config).await.unwrap();
    let right = json!({
        "grant_type": "client_credentials",
        "client_id": "farmlokal",
        "client_secret": "sandbox-secret",
        "audience": "https://api-a.example",
    });
    let ask = async |member: &str, value: &str| {
        let mut body = right.clone();
        body[member] = value.into();
        let answer = send("POST", &sandbox.token_url(), &body).await.unwrap();
        (answer.status, answer.json()["error"].as_str().map(str::to_owned))
    };
    assert_eq!(ask("scope", "ignored").await, (200, None));
    assert_eq!(ask("client_secret", "wrong").await, (401, Some("invalid_client".into())));
    assert_eq!(ask("client_id", "nobody").await, (401, Some("invalid_client".into())));
    assert_eq!(ask("audience", "https://other.example").await, (403, Some("access_denied".into())));
    assert_eq!(ask("grant_type", "password").await, (400, Some("unsupported_grant_type".into())));
    let nonsense = client().post(sandbox.token_url()).header(CONTENT_TYPE, "application/json").body("{");
    assert_eq!(read(nonsense).await.unwrap().status, 400);
    assert_eq!(sandbox.counters().token.refused, 5);
}

#[tokio::test]
async fn a_token_expires_when_it_says_and_can_be_revoked_before() {
    let sandbox = Sandbox::start().await.unwrap();
    let first = token(&sandbox).await;
    assert_eq!(ask_api_a(&sandbox, &first).await.unwrap().status, 200);
    sandbox.revoke_tokens();
    assert_eq!(ask_api_a(&sandbox, &first).await.unwrap().status, 401);

    let expires_in = |seconds| Faults {
        token: Fault { expires_in: Some(seconds), ..Fault::default() },
        ..Faults::default()
    };
    for nonsense in [0, -1, i64::MIN] {
        sandbox.set_faults(expires_in(nonsense));
        let answer = ask_for_token(&sandbox).await.unwrap().json();
        assert_eq!(answer["expires_in"], nonsense);
        let expired = answer["access_token"].as_str().unwrap();
        assert_eq!(ask_api_a(&sandbox, expired).await.unwrap().status, 401);
    }
    sandbox.set_faults(expires_in(i64::MAX));
    let token = token(&sandbox).await;
    assert_eq!(ask_api_a(&sandbox, &token).await.unwrap().status, 200);
}

#[tokio::test]
async fn every_fault_looks_as_its_name_says() {
    let sandbox = Sandbox::start().await.unwrap();
    let fail = |fault: Fault| sandbox.set_faults(Faults { token: fault, ..Faults::default() });

    fail(Fault { status: 500, ..Mode::Error.into() });
    assert_eq!(ask_for_token(&sandbox).await.unwrap().status, 500);
    fail(Fault { status: 429, retry_after: 7, ..Mode::RetryAfter.into() });
    let answer = ask_for_token(&sandbox).await.unwrap();
    assert_eq!((answer.status, answer.headers[RETRY_AFTER].to_str().unwrap()), (429, "7"));
    fail(Mode::Unauthorized.into());
    let answer = ask_for_token(&sandbox).await.unwrap();
    assert_eq!((answer.status, answer.headers.contains_key(WWW_AUTHENTICATE)), (401, true));
    fail(Mode::Garbage.into());
    assert!(ask_for_token(&sandbox).await.unwrap().body.starts_with("<html>"));
    fail(Mode::Empty.into());
    assert_eq!(ask_for_token(&sandbox).await.unwrap().json(), json!({}));
    assert_eq!(sandbox.counters().token.failed, 5);
    assert_eq!(sandbox.counters().token.succeeded, 0);
}
