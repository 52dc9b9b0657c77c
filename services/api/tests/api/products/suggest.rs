//! GET /products/suggest

use serde_json::json;

use crate::harness::Api;

#[tokio::test]
async fn the_last_word_is_completed_most_common_first() {
    let api = Api::with_products(77).await;
    let texts = async |query: &str| {
        let answer = api.get(&format!("/products/suggest?{query}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = answer.json();
        let data = body["data"].as_array().unwrap().clone();
        assert_eq!(body["count"], data.len());
        assert!(data.windows(2).all(|pair| pair[0]["products"].as_u64() >= pair[1]["products"].as_u64()));
        data
    };
    assert_eq!(texts("q=bal").await, [json!({"text": "ball", "products": 11})]);
    assert_eq!(texts("q=BALL%20x").await, [json!({"text": "ball xl", "products": 1})]);
    assert_eq!(texts("q=zzz").await, [json!(null); 0]);
    let all = texts("q=n&limit=20").await;
    assert_eq!(texts("q=n&limit=1").await, all[..1]);
    // What is suggested finds as many.
    for suggestion in &all {
        let text = suggestion["text"].as_str().unwrap().replace(' ', "%20");
        let found = api.get(&format!("/products?search={text}&total=true")).await.json();
        assert_eq!(
            (&found["total"], &found["corrections"]["level"]),
            (&suggestion["products"], &json!("asWritten"))
        );
    }
}

#[tokio::test]
async fn suggestions_are_cached_like_lists() {
    let api = Api::with_products(20).await;
    let first = api.get("/products/suggest?q=bal").await;
    assert_eq!(first.header("cache-status"), "FarmLokal; fwd=miss");
    let second = api.get("/products/suggest?limit=8&q=BAL").await;
    assert_eq!(second.header("cache-status"), "FarmLokal; hit; detail=memory");
    assert_eq!(second.body, first.body);
    let same = api.get_with("/products/suggest?q=bal", &[("if-none-match", first.header("etag"))]).await;
    assert_eq!(same.status, 304);
    assert!(first.header("ratelimit-policy").contains("default"));
}

#[tokio::test]
async fn every_bad_parameter_is_named() {
    let api = Api::empty().await;
    let long = format!("q={}", "a".repeat(256));
    for (query, name, code) in [
        ("", "q", "missing"),
        ("limit=3", "q", "missing"),
        ("q=", "q", "no_words"),
        ("q=%2D", "q", "no_words"),
        ("q=%FF", "q", "malformed"),
        (&long, "q", "too_long"),
        ("q=a&q=b", "q", "repeated_parameter"),
        ("q=a&limit=0", "limit", "out_of_range"),
        ("q=a&limit=21", "limit", "out_of_range"),
        ("q=a&limit=x", "limit", "malformed"),
        ("q=a&search=a", "search", "unknown_parameter"),
    ] {
        let answer = api.get(&format!("/products/suggest?{query}")).await;
        let params = answer.json()["params"].clone();
        assert_eq!((answer.status, params.as_array().unwrap().len()), (400, 1), "{query}");
        assert_eq!(
            (params[0]["name"].as_str(), params[0]["code"].as_str()),
            (Some(name), Some(code)),
            "{query}"
        );
    }
    let both = api.get("/products/suggest?limit=0&x=1").await.json();
    assert_eq!(both["params"].as_array().unwrap().len(), 3);
    assert_eq!(api.send("POST", "/products/suggest?q=a").await.status, 405);
}
