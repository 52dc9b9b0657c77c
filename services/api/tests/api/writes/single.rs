//! POST /products; PUT, PATCH and DELETE /products/{id}

use serde_json::json;

use super::fixture::{Writer, cheese};

#[tokio::test]
async fn a_product_is_created_replaced_changed_and_deleted() {
    let writer = Writer::start().await;
    let created = writer.post(&cheese()).await;
    assert_eq!(created.status, 201, "{created:?}");
    let product = created.json();
    let (id, path) = (product["id"].as_u64().unwrap(), created.header("location").to_owned());
    assert_eq!((&product["name"], &product["price"]), (&json!("Alpine Cheese"), &json!(12.5)));
    assert_eq!(path, format!("/products/{id}"));
    let read = writer.api.get(&path).await;
    assert_eq!((read.json(), read.header("etag")), (product, created.header("etag")));

    let replaced = writer
        .put(id, &[], &json!({"name": "Goat", "description": "", "category": "dairy", "price": 1}))
        .await;
    assert_eq!((replaced.status, &replaced.json()["name"]), (200, &json!("Goat")), "{replaced:?}");
    let patched = writer.patch(id, &[], &json!({"price": 2.25})).await;
    assert_eq!((patched.status, &patched.json()["price"]), (200, &json!(2.25)), "{patched:?}");
    assert_eq!(patched.json()["name"], "Goat");
    assert_eq!(writer.api.get(&path).await.json(), patched.json());

    let put = writer.put(500, &[], &cheese()).await;
    assert_eq!((put.status, put.header("location")), (201, "/products/500"), "{put:?}");
    // A number that was given by hand is not given again.
    assert_eq!(writer.post(&cheese()).await.json()["id"], 501);

    assert_eq!(writer.delete(id, &[]).await.status, 204);
    assert_eq!(writer.api.get(&path).await.status, 404);
    assert_eq!(writer.delete(id, &[]).await.status, 404);
    assert_eq!(writer.patch(id, &[], &json!({"price": 1})).await.status, 404);
}
