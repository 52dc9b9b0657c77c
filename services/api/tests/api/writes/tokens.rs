//! Who may write, and what those are told who may not.

use std::time::{Duration, Instant};

use farmlokal_sandbox::{Config, Faults, Mode, Rotation, Sandbox};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};

use super::fixture::{AUDIENCE, Client, Writer, cheese, send, token};
use super::issuer::{Issuer, Key, encode, now, unsigned, with};
use crate::harness::{Answer, Api, PATIENCE, client, read};
use crate::webhook::sender::problem;

/// All routes that write.
const ROUTES: [(&str, &str); 5] = [
    ("POST", "/products"),
    ("PUT", "/products/1"),
    ("PATCH", "/products/1"),
    ("DELETE", "/products/1"),
    ("POST", "/products/batch"),
];

/// An API that has the keys of the issuer, and a client of it with this token.
async fn api_of(issuer: &Issuer, settings: &[(&str, &str)]) -> (Api, Client) {
    let api = Api::with(&[&issuer.settings(), settings].concat()).await;
    let client = Client { http: client(), base: api.url(""), token: issuer.token(&json!({})) };
    let deadline = Instant::now() + PATIENCE;
    while client.send("DELETE", "/products/9", &[], "").await.unwrap().status == 503 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (api, client)
}

/// Tokens that are as they should be in all but one respect, each with the reason that it is refused for.
fn forgeries(issuer: &Issuer) -> Vec<(&'static str, &'static str, String)> {
    let (key, claims) = (&issuer.key, issuer.claims());
    let header = |changes: &Value| with(key.header(), changes);
    let none = format!("{}.", unsigned(&header(&json!({"alg": "none"})), &claims));
    let hs256 = unsigned(&header(&json!({"alg": "HS256"})), &claims);
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key.jwk("sig").to_string().as_bytes()).unwrap();
    mac.update(hs256.as_bytes());
    let hs256 = format!("{hs256}.{}", encode(mac.finalize().into_bytes()));
    let good = issuer.token(&json!({}));
    let (head, rest) = good.split_once('.').unwrap();
    let (_, signature) = rest.split_once('.').unwrap();
    let changed = with(claims.clone(), &json!({"sub": "admin"})).to_string();
    let changed = format!("{head}.{}.{signature}", encode(changed));
    let nested = format!("{head}.{}.{signature}", encode(&good));
    let stranger = Key::generate("k");
    let own_key = header(&json!({"jwk": stranger.jwk("sig")}));
    vec![
        ("no algorithm", "algorithm", none),
        ("HS256 with the public key", "algorithm", hs256),
        ("another audience", "audience", issuer.token(&json!({"aud": "https://other.test"}))),
        ("another issuer", "issuer", issuer.token(&json!({"iss": "https://other.test"}))),
        ("expired", "expired", issuer.token(&json!({"exp": now() - 100}))),
        ("without an end", "expired", issuer.token(&json!({"exp": null}))),
        ("not valid yet", "not_yet", issuer.token(&json!({"nbf": now() + 100}))),
        ("of the future", "not_yet", issuer.token(&json!({"iat": now() + 100}))),
        ("the name of no key", "unknown_key", key.sign(&header(&json!({"kid": "x"})), &claims)),
        ("a key of another use", "unknown_key", issuer.other_use.sign(&issuer.other_use.header(), &claims)),
        ("the key of a stranger", "signature", stranger.sign(&key.header(), &claims)),
        ("a key in the token", "signature", stranger.sign(&own_key, &claims)),
        ("changed claims", "signature", changed),
        ("nested", "malformed", nested),
        ("said to be nested", "type", key.sign(&header(&json!({"cty": "JWT"})), &claims)),
        (
            "encrypted",
            "malformed",
            format!("{}.a.b.c.d", encode(header(&json!({"alg": "ES256"})).to_string())),
        ),
        ("a token of another type", "type", key.sign(&header(&json!({"typ": "logout+jwt"})), &claims)),
        ("nobody's", "malformed", issuer.token(&json!({"sub": null}))),
        ("nonsense", "malformed", "nonsense".to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_tokens_are_refused_alike_and_neither_they_nor_good_ones_are_logged() {
    let issuer = Issuer::start().await;
    let (api, good) = api_of(&issuer, &[("LOG_LEVEL", "trace")]).await;
    let forgeries = forgeries(&issuer);
    let mut answers: Vec<Answer> = Vec::new();
    for (name, _, token) in &forgeries {
        let forger = Client { token: token.clone(), ..good.clone() };
        let answer = forger.send("POST", "/products", &[], &cheese().to_string()).await.unwrap();
        assert_eq!(problem(&answer), (401, "invalid_token".into()), "{name}");
        assert_eq!(
            answer.header("www-authenticate"),
            "Bearer realm=\"FarmLokal\", error=\"invalid_token\"",
            "{name}"
        );
        // Nobody learns what was wrong with it.
        assert!(answers.iter().all(|other| other.body == answer.body), "{name}: {}", answer.text());
        answers.push(answer);
    }
    for (_, reason, _) in &forgeries {
        let expected = forgeries.iter().filter(|(_, other, _)| other == reason).count();
        let label = format!("reason=\"{reason}\"");
        let refused = api.metric("farmlokal_auth_refused_total", &[&label]).await;
        assert_eq!(refused, expected as f64, "{reason}");
    }
    assert_eq!(api.get("/products").await.ids(), [0; 0]);

    // Before anything else is looked at: bad requests are none of a stranger's business.
    let stranger = Client { token: forgeries[0].2.clone(), ..good.clone() };
    for (method, path) in ROUTES {
        let answer = stranger.send(method, &format!("{path}?x"), &[], "{").await.unwrap();
        assert_eq!(problem(&answer), (401, "invalid_token".into()), "{method} {path}");
    }
    assert_eq!(good.send("POST", "/products", &[], &cheese().to_string()).await.unwrap().status, 201);
    let reader = Client { token: issuer.token(&json!({"scope": "products:read"})), ..good.clone() };
    for (method, path) in ROUTES {
        let answer = reader.send(method, path, &[], "{").await.unwrap();
        assert_eq!(problem(&answer), (403, "insufficient_scope".into()), "{method} {path}");
        let challenge = "Bearer realm=\"FarmLokal\", error=\"insufficient_scope\"";
        assert_eq!(answer.header("www-authenticate"), challenge);
    }
    assert_eq!(api.metric("farmlokal_auth_refused_total", &["reason=\"scope\""]).await, 5.0);

    let log = api.log().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(log.contains("TRACE"), "the log has all that can be logged");
    let mut secrets: Vec<_> = forgeries.iter().map(|(_, _, token)| token.as_str()).collect();
    secrets.retain(|token| *token != "nonsense");
    for token in secrets.into_iter().chain([good.token.as_str(), &reader.token]) {
        // The head of a token is no secret; its claims, and its signature, are.
        for part in token.split('.').skip(1).filter(|part| part.len() > 10) {
            assert!(!log.contains(part), "a token is in the log");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_one_token_is_told_to_get_one() {
    let issuer = Issuer::start().await;
    let (api, good) = api_of(&issuer, &[]).await;
    let bearer = format!("Bearer {}", good.token);
    let missing = (401, "missing_token".to_owned(), "Bearer realm=\"FarmLokal\"");
    let invalid = (401, "invalid_token".to_owned(), "Bearer realm=\"FarmLokal\", error=\"invalid_token\"");
    let cases: [(&[&str], _); 6] = [
        (&[], &missing),
        (&["Bearer"], &missing),
        (&["Bearer "], &missing),
        (&["Basic YTpi"], &missing),
        (&[&good.token], &missing),
        (&[&bearer, &bearer], &invalid),
    ];
    for (values, expected) in cases {
        let mut request = client().post(api.url("/products")).body(cheese().to_string());
        for value in values {
            request = request.header("authorization", *value);
        }
        let answer = read(request.send().await.unwrap()).await.unwrap();
        let (status, code) = problem(&answer);
        assert_eq!(&(status, code, answer.header("www-authenticate")), expected, "{values:?}");
    }
    assert_eq!(api.metric("farmlokal_auth_refused_total", &["reason=\"missing\""]).await, 5.0);
    // The scheme's name is of any case.
    let request =
        client().delete(api.url("/products/1")).header("authorization", format!("bEARER {}", good.token));
    assert_eq!(read(request.send().await.unwrap()).await.unwrap().status, 404);
}

/// A token of up to 16 KiB is read. The head of a request has no room for a larger one.
#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_token_is_refused_before_it_is_read() {
    let issuer = Issuer::start().await;
    let (api, good) = api_of(&issuer, &[]).await;
    let sized =
        |length: usize| Client { token: issuer.token(&json!({"x": "x".repeat(length)})), ..good.clone() };
    let delete = async |client: Client| client.send("DELETE", "/products/1", &[], "").await.unwrap().status;
    assert_eq!(delete(sized(11_000)).await, 404);
    assert_eq!(delete(sized(20_000)).await, 431);
    assert_eq!(delete(good).await, 404);
    assert_eq!(api.metric("farmlokal_auth_refused_total", &[]).await, 0.0);
}

#[tokio::test]
async fn without_an_issuer_nothing_can_be_written_and_the_document_does_not_say_so() {
    let api = Api::with_products(1).await;
    for (method, path) in ROUTES {
        let url = api.url(path);
        let answer = send(&client(), method, &url, "a.b.c", &[], &cheese().to_string()).await.unwrap();
        assert_eq!(problem(&answer), (405, "method_not_allowed".into()), "{method} {path}");
        assert_eq!(answer.header("allow"), "GET,HEAD");
    }
    let document = api.get("/openapi.json").await;
    for word in ["writes", "securitySchemes", "/products/batch", "\"patch\"", "Idempotency-Key"] {
        assert!(!document.text().contains(word), "{word}");
    }
    assert!(!api.get("/metrics").await.text().contains("farmlokal_writes_total"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_down_at_the_start_is_waited_for() {
    let sandbox = Sandbox::start_with(Config::default()).await.unwrap();
    let down = Faults { discovery: Mode::Down.into(), keys: Mode::Down.into(), ..Faults::default() };
    sandbox.set_faults(down);
    let settings = [("AUTH_ISSUER", sandbox.issuer()), ("AUTH_AUDIENCE", AUDIENCE)];
    // It is ready: reads need no issuer.
    let api = Api::with(&settings).await;
    let client = Client { http: client(), base: api.url(""), token: token(&sandbox, "products:write").await };
    let body = cheese().to_string();
    let answer = client.send("POST", "/products", &[], &body).await.unwrap();
    assert_eq!(problem(&answer), (503, "issuer_unavailable".into()));
    assert_eq!(answer.header("retry-after"), "1");
    assert!(!answer.headers.contains_key("www-authenticate"));
    assert_eq!(api.get("/products").await.ids(), [0; 0]);
    sandbox.set_faults(Faults::default());
    let answer = client.send_until_done("POST", "/products", "k", &body).await;
    assert_eq!(answer.status, 201);
    // From then on it may go.
    sandbox.set_faults(Faults { discovery: Mode::Down.into(), keys: Mode::Down.into(), ..Faults::default() });
    assert_eq!(client.send("POST", "/products", &[], &body).await.unwrap().status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_without_a_refusal_and_withdrawn_ones_are_refused() {
    let writer = Writer::start().await;
    writer.sandbox.rotate_keys(Rotation { keep_old: false, ..Rotation::default() }).unwrap();
    let new = Client { token: token(&writer.sandbox, "products:write").await, ..writer.client() };
    assert_eq!(new.send("POST", "/products", &[], &cheese().to_string()).await.unwrap().status, 201);
    assert_eq!(problem(&writer.post(&cheese()).await), (401, "invalid_token".into()));
    assert_eq!(writer.api.metric("farmlokal_auth_keys", &[]).await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_a_line_for_whoever_has_written_what() {
    let issuer = Issuer::start().await;
    let (api, client) = api_of(&issuer, &[]).await;
    for _ in 0..2 {
        let headers = [("idempotency-key", "k"), ("x-request-id", "the-first")];
        assert_eq!(
            client.send("POST", "/products", &headers, &cheese().to_string()).await.unwrap().status,
            201
        );
    }
    let nobody = Client { token: issuer.token(&json!({"sub": "bob", "client_id": null})), ..client.clone() };
    let operations = json!({"operations": [
        {"action": "patch", "id": 1, "product": {"price": 2}},
        {"action": "put", "id": 8, "product": cheese()},
        {"action": "create", "product": cheese()},
    ]});
    let answer = nobody.send("POST", "/products/batch", &[], &operations.to_string()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(client.send("PUT", "/products/8", &[], &cheese().to_string()).await.unwrap().status, 200);
    assert_eq!(client.send("DELETE", "/products/8", &[], "").await.unwrap().status, 204);
    assert_eq!(client.send("DELETE", "/products/8", &[], "").await.unwrap().status, 404);
    let lines = || {
        let log = api.log().into_iter();
        log.filter(|event| event["target"] == "farmlokal_audit").collect::<Vec<_>>()
    };
    let deadline = Instant::now() + PATIENCE;
    while lines().len() < 5 {
        assert!(Instant::now() < deadline, "{:?}", lines());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let said: Vec<_> = lines()
        .iter()
        .map(|line| ["subject", "client", "operation", "outcome", "products"].map(|name| line[name].clone()))
        .collect();
    // What was refused has changed nothing.
    let expected = [
        [json!("ann"), json!("shop"), json!("create"), json!("applied"), json!("1 created")],
        [json!("ann"), json!("shop"), json!("create"), json!("repeated"), json!("1 created")],
        [
            json!("bob"),
            Value::Null,
            json!("batch"),
            json!("applied"),
            json!("1 patched, 8 created, 9 created"),
        ],
        [json!("ann"), json!("shop"), json!("put"), json!("applied"), json!("8 replaced")],
        [json!("ann"), json!("shop"), json!("delete"), json!("applied"), json!("8 deleted")],
    ];
    assert_eq!(said, expected);
    assert!(lines()[0].to_string().contains("the-first"), "{}", lines()[0]);
    for (operation, outcome, count) in [
        ("create", "applied", 1.0),
        ("create", "repeated", 1.0),
        ("batch", "applied", 1.0),
        ("put", "applied", 1.0),
        ("delete", "applied", 1.0),
        ("patch", "applied", 0.0),
    ] {
        let labels = [format!("operation=\"{operation}\""), format!("outcome=\"{outcome}\"")];
        let counted = api.metric("farmlokal_writes_total", &[&labels[0], &labels[1]]).await;
        assert_eq!(counted, count, "{operation} {outcome}");
    }
}
