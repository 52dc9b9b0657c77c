//! GET /categories

use crate::harness::Api;

#[tokio::test]
async fn lists_the_categories_that_have_products() {
    let api = Api::with_products(40).await;
    let answer = api.get("/categories").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), r#"{"data":["bakery","dairy","fruit & veg","sports"],"count":4}"#);
    let again = api.get_with("/categories", &[("if-none-match", answer.header("etag"))]).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
}

#[tokio::test]
async fn an_empty_catalogue_has_none() {
    let api = Api::empty().await;
    assert_eq!(api.get("/categories").await.text(), r#"{"data":[],"count":0}"#);
}

#[tokio::test]
async fn takes_no_parameters() {
    let api = Api::empty().await;
    let answer = api.get("/categories?limit=5").await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["params"][0]["code"], "unknown_parameter");
}
