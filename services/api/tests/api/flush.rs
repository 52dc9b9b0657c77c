//! A flush leaves nothing stale behind.

use farmlokal_cache::{Flusher, RedisConfig};

use crate::harness::Api;

#[tokio::test]
async fn after_a_flush_every_answer_is_new() {
    let api = Api::with_products(30).await;
    let paths =
        ["/products/7", "/products", "/products?category=sports", "/products?search=ball", "/categories"];
    for path in paths {
        api.get(path).await;
        assert_eq!(api.get(path).await.header("cache-status"), "FarmLokal; hit; detail=memory", "{path}");
    }
    sqlx::query("UPDATE products SET name = 'Ball, new', category = 'games' WHERE id = 7")
        .execute(&api.database.pool())
        .await
        .unwrap();
    let flushed = Flusher::new(&RedisConfig::new(api.redis.url())).unwrap().flush().await.unwrap();
    // Redis gets an answer after the client does, or not at all where a flush comes between.
    assert!(flushed.keys <= paths.len() as u64, "{flushed:?}");

    // The push that empties the process's own layer is on its way.
    api.until("/products/7", |answer| answer.json()["name"] == "Ball, new").await;
    assert_eq!(api.get("/products").await.json()["data"][6]["category"], "games");
    assert_eq!(api.get("/products?category=sports").await.ids(), [14, 21, 28]);
    assert!(api.get("/products?search=ball").await.text().contains("Ball, new"));
    assert!(api.get("/categories").await.text().contains("games"));
}
