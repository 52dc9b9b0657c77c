//! GET /products/{id}

use crate::harness::Api;

#[tokio::test]
async fn gives_the_product() {
    let api = Api::with_products(7).await;
    let answer = api.get("/products/7").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.text(),
        r#"{"id":7,"name":"Ball","description":"Product number 7.","category":"sports","price":7.07,"#
            .to_owned()
            + r#""createdAt":"2025-03-08T09:30:00.120Z","updatedAt":"2025-06-01T00:00:00.000Z"}"#
    );
    assert!(!answer.headers.contains_key("link"));
}

#[tokio::test]
async fn a_missing_product_is_a_404_that_is_cached_like_any_answer() {
    let api = Api::empty().await;
    for _ in 0..3 {
        let answer = api.get("/products/1").await;
        assert_eq!(answer.status, 404);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.json()["code"], "not_found");
    }
    assert!(api.metric("farmlokal_cache_fills_total", &["stored"]).await <= 1.0);
}

#[tokio::test]
async fn an_id_that_is_no_number_is_a_400_that_names_it() {
    let api = Api::empty().await;
    for id in
        ["abc", "0", "-1", "1.5", "9007199254740992", "18446744073709551616", "%00", "1%20", "%FF", "1%C3%28"]
    {
        let answer = api.get(&format!("/products/{id}")).await;
        assert_eq!(answer.status, 400, "{id}");
        assert_eq!(answer.json()["params"][0]["name"], "id");
    }
    assert_eq!(api.get("/products/9007199254740991").await.status, 404);
}
