//! Scripts of other origins, in browsers.

use std::collections::BTreeSet;

use crate::harness::{Answer, Api, client, read};

const SHOP: &str = "https://shop.example";

fn origin(answer: &Answer) -> Option<&str> {
    answer.headers.get("access-control-allow-origin").map(|origin| origin.to_str().unwrap())
}

/// As a browser asks before a request that is more than a simple one.
async fn preflight(api: &Api, from: &str) -> Answer {
    let request = client().request(reqwest::Method::OPTIONS, api.url("/products/1"));
    let request = request.header("origin", from).header("access-control-request-method", "PATCH");
    let headers = "authorization,content-type,idempotency-key,if-match";
    read(request.header("access-control-request-headers", headers).send().await.unwrap()).await.unwrap()
}

#[tokio::test]
async fn without_the_setting_nothing_is_said_about_origins() {
    let api = Api::empty().await;
    let answer = api.get_with("/products", &[("origin", SHOP)]).await;
    assert_eq!((answer.status, origin(&answer), answer.header("vary")), (200, None, "accept-encoding"));
    assert_eq!(preflight(&api, SHOP).await.status, 405);
}

#[tokio::test]
async fn allowed_origins_may_read_answers_and_refusals() {
    let origins = format!("{SHOP},http://localhost:3000");
    let settings = [("CORS_ALLOWED_ORIGINS", origins.as_str()), ("RATE_LIMIT", "3/3600")];
    let api = Api::with(&settings).await;
    // Preflights are not charged.
    for _ in 0..5 {
        let answer = preflight(&api, SHOP).await;
        assert_eq!((answer.status, origin(&answer)), (200, Some(SHOP)));
        assert_eq!(answer.header("access-control-allow-methods"), "GET,HEAD,POST,PUT,PATCH,DELETE");
        let headers: BTreeSet<_> = answer.header("access-control-allow-headers").split(',').collect();
        for name in
            ["authorization", "content-type", "idempotency-key", "if-match", "if-none-match", "prefer"]
        {
            assert!(headers.contains(name), "{name}: {headers:?}");
        }
        assert_eq!(answer.header("access-control-max-age"), "7200");
    }
    assert_eq!(origin(&preflight(&api, "https://evil.example").await), None);
    for (from, status, allowed) in [
        (SHOP, 200, Some(SHOP)),
        ("http://localhost:3000", 200, Some("http://localhost:3000")),
        ("https://evil.example", 200, None),
        (SHOP, 429, Some(SHOP)),
    ] {
        let answer = api.get_with("/products", &[("origin", from)]).await;
        assert_eq!((answer.status, origin(&answer)), (status, allowed), "{from}");
        // A shared cache must not give one origin what was meant for another.
        let vary = answer.headers.get_all("vary").iter().any(|value| value == "origin");
        assert!(vary, "{answer:?}");
        let exposed: BTreeSet<_> = answer.header("access-control-expose-headers").split(',').collect();
        for name in [
            "link",
            "etag",
            "ratelimit",
            "ratelimit-policy",
            "retry-after",
            "x-request-id",
            "age",
            "cache-status",
        ] {
            assert!(exposed.contains(name), "{name}: {exposed:?}");
        }
    }
    // Operators' routes are none of theirs.
    assert_eq!(origin(&api.get_with("/health", &[("origin", SHOP)]).await), None);
}

#[tokio::test]
async fn a_star_allows_everybody() {
    let api = Api::with(&[("CORS_ALLOWED_ORIGINS", "*")]).await;
    let answer = api.get_with("/products", &[("origin", SHOP)]).await;
    assert_eq!((origin(&answer), answer.header("vary")), (Some("*"), "accept-encoding"));
    assert_eq!(origin(&preflight(&api, SHOP).await), Some("*"));
}
