//! Issuers that answer, and not as they should. None of their keys may be used.

use std::future::ready;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::Response;
use axum::routing::get;
use farmlokal_auth::Refused;
use farmlokal_sandbox::Faults;
use serde_json::json;

use crate::fixture::{Fixture, client, verifier};

/// A server with these routes; its address. It ends with the test.
async fn serve(routes: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, routes).into_future());
    format!("http://{address}")
}

/// What comes of the sandbox's token where its keys come from `jwks_url`.
async fn with_jwks_url(fixture: &Fixture, jwks_url: &str) -> Result<(), Refused> {
    let flags = ["--auth-issuer", fixture.sandbox.issuer(), "--auth-jwks-url", jwks_url];
    let (verifier, _tasks) = verifier(&flags);
    verifier.verify(&fixture.token().await).await.map(drop)
}

/// Answers with the keys of the sandbox in a body of `length` bytes.
async fn padded(fixture: &Fixture, length: usize) -> Router {
    let url = format!("{}/.well-known/jwks.json", fixture.sandbox.url());
    let jwks = client().get(url).send().await.unwrap().text().await.unwrap();
    let body = jwks.replacen('{', &format!("{{{}", " ".repeat(length - jwks.len())), 1);
    Router::new().fallback(get(move || async { body }))
}

#[tokio::test]
async fn keys_from_a_url_need_no_discovery() {
    let fixture = Fixture::start().await;
    let url = format!("{}/.well-known/jwks.json", fixture.sandbox.url());
    assert_eq!(with_jwks_url(&fixture, &url).await, Ok(()));
    assert_eq!(fixture.sandbox.counters().discovery.requests, 1);
}

#[tokio::test]
async fn a_body_of_more_than_1_mib() {
    let fixture = Fixture::start().await;
    let fits = serve(padded(&fixture, 1024 * 1024).await).await;
    assert_eq!(with_jwks_url(&fixture, &fits).await, Ok(()));
    let too_long = serve(padded(&fixture, 1024 * 1024 + 1).await).await;
    assert_eq!(with_jwks_url(&fixture, &too_long).await, Err(Refused::Unavailable));
}

/// It is given up: nobody can fill the memory.
#[tokio::test]
async fn a_body_without_an_end() {
    let fixture = Fixture::start_with(Faults::default()).await;
    let endless = || async {
        let chunks = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 65_536]));
        Response::new(Body::from_stream(chunks))
    };
    let url = serve(Router::new().fallback(get(endless))).await;
    assert_eq!(with_jwks_url(&fixture, &url).await, Err(Refused::Unavailable));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let fixture = Fixture::start().await;
    let url = format!("{}/.well-known/jwks.json", fixture.sandbox.url());
    let before = fixture.fetches();
    for status in [301, 302, 307, 308] {
        let status = StatusCode::from_u16(status).unwrap();
        let redirect = (status, [(LOCATION, url.clone())]);
        let redirect = move || ready(redirect.clone());
        let server = serve(Router::new().fallback(get(redirect))).await;
        assert_eq!(with_jwks_url(&fixture, &server).await, Err(Refused::Unavailable), "{status}");
    }
    assert_eq!(fixture.fetches(), before);
}

/// What comes of a token of an issuer with this discovery document, in which `ISSUER` stands for the issuer and `JWKS` for
/// the keys of the sandbox.
async fn with_metadata(metadata: &str) -> Result<(), Refused> {
    let fixture = Fixture::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let jwks = format!("{}/.well-known/jwks.json", fixture.sandbox.url());
    let document = metadata.replace("ISSUER", &issuer).replace("JWKS", &jwks);
    let routes =
        Router::new().route("/.well-known/oauth-authorization-server", get(move || async { document }));
    tokio::spawn(axum::serve(listener, routes).into_future());
    let (verifier, _tasks) = verifier(&["--auth-issuer", &issuer]);
    // Its key is looked for among those that were fetched.
    verifier.verify(&token_of(&issuer)).await.map(drop)
}

/// A token that nobody has signed.
fn token_of(issuer: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let parts = [json!({ "alg": "ES256", "kid": "unknown" }), json!({ "iss": issuer })];
    let [header, claims] = parts.map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    format!("{header}.{claims}.AAAA")
}

/// By RFC 8414 alone. Keys were found, and that of the token is not among them.
#[tokio::test]
async fn discovery_without_openid() {
    let good = r#"{"issuer":"ISSUER","jwks_uri":"JWKS"}"#;
    assert_eq!(with_metadata(good).await, Err(Refused::UnknownKey));
}

#[tokio::test]
async fn discovery_of_another_issuer() {
    let other = r#"{"issuer":"https://evil.test","jwks_uri":"JWKS"}"#;
    assert_eq!(with_metadata(other).await, Err(Refused::Unavailable));
}

#[tokio::test]
async fn discovery_without_keys_that_may_be_fetched() {
    for metadata in [
        r#"{"issuer":"ISSUER"}"#,
        r#"{"issuer":"ISSUER","jwks_uri":"http://evil.test/keys"}"#,
        r#"{"issuer":"ISSUER","jwks_uri":"file:///etc/passwd"}"#,
        r#"{"issuer":"ISSUER","jwks_uri":""}"#,
        r#"["ISSUER","JWKS"]"#,
        "<html>",
    ] {
        assert_eq!(with_metadata(metadata).await, Err(Refused::Unavailable), "{metadata}");
    }
}
