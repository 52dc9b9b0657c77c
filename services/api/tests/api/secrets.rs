//! Nothing that the service says of itself holds a secret, however much it is asked to say and whatever goes wrong.

use farmlokal_sandbox::{Faults, Mode, Sandbox};
use secrecy::ExposeSecret as _;

use crate::collector::Collector;
use crate::harness::{Answer, Api};
use crate::webhook::sender::{Event, NEXT_SECRET, SECRET, ago, post};

#[tokio::test]
async fn no_secret_is_in_answers_lines_metrics_or_spans() {
    let (collector, sandbox) = (Collector::grpc().await, Sandbox::start().await.unwrap());
    // Some partners want a key in the URL.
    let with_key = |url: String| format!("{url}?key=a-key-in-the-url");
    let (token_url, api_a_url) = (with_key(sandbox.token_url()), with_key(sandbox.api_a_url()));
    let with_password = sandbox.url().replace("http://", "http://us:a-password-at-b@") + "/api-b";
    let client_secret = sandbox.config().client_secret.expose_secret();
    let api = Api::with(&[
        ("LOG_LEVEL", "trace"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20the-collectors-token"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("OAUTH_TOKEN_URL", &token_url),
        ("OAUTH_CLIENT_ID", &sandbox.config().client_id),
        ("OAUTH_CLIENT_SECRET", client_secret),
        ("OAUTH_AUDIENCE", "https://partner.test"),
        ("API_A_URL", &api_a_url),
        ("API_A_ATTEMPT_TIMEOUT", "500ms"),
        ("API_B_URL", &with_password),
        ("WEBHOOK_CALLBACK_URL", "http://127.0.0.1:9/webhook?token=a-token-of-ours"),
        ("WEBHOOK_SECRETS", &format!("{SECRET},{NEXT_SECRET}")),
    ])
    .await;
    let mut answers = Vec::<Answer>::new();
    // Good, then bad in every way that the sandbox knows, the token gone each time.
    answers.extend([api.get("/auth/test-token").await, api.get("/external/test-api-a").await]);
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    for mode in [Mode::Unauthorized, Mode::Garbage, Mode::Truncated, Mode::Reset, Mode::Down, Mode::Hang] {
        sandbox.set_faults(Faults { api_a: mode.into(), token: mode.into(), ..Faults::default() });
        sandbox.revoke_tokens();
        answers.extend([api.get("/external/test-api-a").await, api.get("/auth/test-token").await]);
    }
    let event = Event::upsert(7, "Racket", 1.0, ago(1));
    let signed = event.headers(SECRET);
    answers.push(post(&api, &signed, event.body.to_string()).await);
    answers.push(post(&api, &signed, "no event".to_owned()).await);
    answers.push(post(&api, &event.headers("whsec_c29tZWJvZHkgZWxzZSdzIGtleSwgbm90IG91cnM="), "{}").await);
    let authorized = [("authorization", "Bearer what-a-client-has"), ("cookie", "session=what-a-client-has")];
    for path in ["/products", "/products?limit=0", "/nowhere", "/webhook", "/health", "/metrics"] {
        answers.push(api.get_with(path, &authorized).await);
    }
    assert_eq!(collector.header("authorization"), "Bearer the-collectors-token");

    let mut connection =
        redis::Client::open(api.redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("farmlokal:*").query_async(&mut connection).await.unwrap();
    let said = format!("{answers:?} {:?} {:?} {keys:?}", api.log(), collector.spans());
    // It did say something.
    for word in ["test-api-a", "hyper", "webhook", "farmlokal:"] {
        assert!(said.contains(word), "{word}");
    }
    let texts: Vec<_> = answers.iter().map(Answer::text).collect();
    let said = format!("{said} {texts:?}");
    for secret in [
        client_secret,
        "a-key-in-the-url",
        "a-password-at-b",
        "a-token-of-ours",
        "the-collectors-token",
        "what-a-client-has",
        SECRET.trim_start_matches("whsec_"),
        NEXT_SECRET.trim_start_matches("whsec_"),
        signed[2].1.as_str(),
        "farmlokal:farmlokal@",
    ] {
        let found = said.find(secret).map(|at| &said[at.saturating_sub(300)..(at + 100).min(said.len())]);
        assert_eq!(found, None, "{secret}");
    }
}
