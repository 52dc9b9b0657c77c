//! GET /products

use std::collections::HashSet;

use crate::harness::{Answer, Api};

/// Every page from this path on, by the cursors of the bodies.
async fn walk(api: &Api, path: &str) -> Vec<u64> {
    let (mut ids, mut next) = (Vec::new(), path.to_owned());
    loop {
        let answer = api.get(&next).await;
        ids.extend(answer.ids());
        let body = answer.json();
        assert_eq!(body["hasMore"], body["nextCursor"].is_string());
        let Some(cursor) = body["nextCursor"].as_str() else { return ids };
        next = format!("{path}&cursor={cursor}");
    }
}

#[tokio::test]
async fn the_urls_of_the_brief_work_as_written() {
    let api = Api::with_products(1_100).await;
    assert_eq!(api.get("/products?cursor=1000&limit=20").await.ids(), (1001..=1020).collect::<Vec<_>>());

    let by_price = api.get("/products?sort=price&order=ASC").await.json();
    let prices: Vec<f64> =
        by_price["data"].as_array().unwrap().iter().map(|p| p["price"].as_f64().unwrap()).collect();
    assert!(prices.len() == 20 && prices.is_sorted(), "{prices:?}");

    let sports = api.get("/products?category=sports&minPrice=100").await.json();
    let sports = sports["data"].as_array().unwrap();
    assert!(sports.iter().all(|p| p["category"] == "sports" && p["price"].as_f64().unwrap() >= 100.0));
    assert_eq!(sports.len(), 20);

    let balls = api.get("/products?search=ball").await.json();
    let balls = balls["data"].as_array().unwrap();
    assert!(balls.len() == 20 && balls.iter().all(|p| p["name"].as_str().unwrap().starts_with("Ball")));
}

#[tokio::test]
async fn a_page_has_the_documented_form() {
    let api = Api::with_products(3).await;
    let page = api.get("/products?limit=2").await;
    insta::assert_snapshot!(page.text());
    assert_eq!(page.header("content-type"), "application/json");
    assert_eq!(page.header("vary"), "accept-encoding");
    assert_eq!(page.header("cache-control"), "public, no-cache");
    assert_eq!(page.header("x-request-id").len(), 32);

    let link = page.header("link");
    let target = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
    let last = api.get(target).await;
    assert_eq!(last.ids(), [3]);
    assert!(!last.headers.contains_key("link"));
    assert_eq!(last.json()["nextCursor"], serde_json::Value::Null);
    assert_eq!(last.json()["hasMore"], false);
}

#[tokio::test]
async fn an_empty_page_is_a_page() {
    let api = Api::with_products(3).await;
    for path in [
        "/products?category=none",
        "/products?cursor=3",
        "/products?minPrice=9999",
        "/products?minPrice=9999&sort=price",
    ] {
        let answer = api.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.text(), r#"{"data":[],"count":0,"nextCursor":null,"hasMore":false}"#, "{path}");
    }
}

#[tokio::test]
async fn a_walk_gives_every_product_once_whatever_the_sort() {
    let api = Api::with_products(200).await;
    for sort in ["id", "price", "name", "createdAt"] {
        for order in ["asc", "DESC"] {
            let ids = walk(&api, &format!("/products?sort={sort}&order={order}&limit=7")).await;
            assert_eq!(ids.len(), 200, "{sort} {order}");
            assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 200, "{sort} {order}");
        }
    }
    let filtered =
        walk(&api, "/products?sort=name&category=fruit%20%26%20veg&minPrice=10&maxPrice=90.5&limit=3").await;
    let expected = (1..=200_u64).filter(|id| id % 7 != 0 && id % 3 == 2);
    let expected: HashSet<_> =
        expected.filter(|id| (10..=90).contains(id) && (*id < 90 || *id % 100 <= 50)).collect();
    assert_eq!(filtered.len(), expected.len());
    assert_eq!(filtered.into_iter().collect::<HashSet<_>>(), expected);
}

#[tokio::test]
async fn a_cursor_is_bound_to_its_query() {
    let api = Api::with_products(50).await;
    let path = "/products?sort=price&category=sports&limit=2";
    let cursor = api.get(path).await.json()["nextCursor"].as_str().unwrap().to_owned();
    assert_eq!(api.get(&format!("{path}&cursor={cursor}")).await.status, 200);
    assert_eq!(
        api.get(&format!("/products?sort=price&category=sports&limit=9&cursor={cursor}")).await.status,
        200
    );
    for other in [
        "sort=price&category=dairy",
        "sort=price",
        "sort=price&category=sports&order=DESC",
        "sort=name&category=sports",
        "sort=price&category=sports&minPrice=1",
        "sort=price&category=sports&search=ball",
        "sort=id&category=sports",
    ] {
        let answer = api.get(&format!("/products?{other}&cursor={cursor}")).await;
        assert_eq!(answer.status, 400, "{other}");
        assert_eq!(answer.json()["params"][0]["code"], "cursor_mismatch", "{other}");
    }
    let mut edited = cursor.clone();
    edited.pop();
    for bad in [edited.as_str(), "x", "", "%F0%9F%8C%BD", "-1", "1e3", "9007199254740992"] {
        let answer = api.get(&format!("{path}&cursor={bad}")).await;
        assert_eq!(answer.json()["params"][0]["code"], "cursor_malformed", "{bad}");
    }
}

#[tokio::test]
async fn every_bad_parameter_is_named() {
    let api = Api::empty().await;
    let everything = "/products?limit=101&limit=5&sort=size&order=up&category=&minPrice=1.234&maxPrice=-1&search=%21&cursor=%21&total=1&facets=size&highlight=&page=2";
    let answer = api.get(everything).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("cache-control"), "no-store");
    insta::assert_json_snapshot!(answer.json());
}

#[tokio::test]
async fn single_bad_parameters_are_refused() {
    let api = Api::empty().await;
    let long = format!("search={}", "a".repeat(256));
    let categories = (0..21).map(|n| format!("category=c{n}")).collect::<Vec<_>>().join("&");
    for (query, name, code) in [
        ("limit=0", "limit", "out_of_range"),
        ("limit=", "limit", "malformed"),
        ("limit=1e1", "limit", "malformed"),
        ("limit=%2B5", "limit", "malformed"),
        ("LIMIT=5", "LIMIT", "unknown_parameter"),
        ("sort=relevance", "sort", "requires_search"),
        ("sort=PRICE", "sort", "malformed"),
        ("minPrice=NaN", "minPrice", "malformed"),
        ("minPrice=1e2", "minPrice", "malformed"),
        ("minPrice=100000000", "minPrice", "out_of_range"),
        ("minPrice=5&maxPrice=4", "minPrice", "min_above_max"),
        ("sort=price&cursor=1000", "cursor", "cursor_mismatch"),
        ("search=%2D%2A", "search", "no_words"),
        (&long, "search", "too_long"),
        (&categories, "category", "too_many"),
        ("total=yes", "total", "malformed"),
        ("total=true&total=true", "total", "repeated_parameter"),
        ("facets=", "facets", "malformed"),
        ("facets=price,size", "facets", "malformed"),
        ("facets=price,price", "facets", "malformed"),
        ("facets=price&facets=category", "facets", "repeated_parameter"),
        ("highlight=true", "highlight", "requires_search"),
        ("offset=10", "offset", "unknown_parameter"),
        ("search=ball%FF", "search", "malformed"),
        ("category=%C3%28", "category", "malformed"),
        ("cursor=%FF", "cursor", "malformed"),
        ("limit%FF=5", "limit%FF", "malformed"),
        ("cursor=9007199254740992", "cursor", "cursor_malformed"),
    ] {
        let answer = api.get(&format!("/products?{query}")).await;
        let body = answer.json();
        let found = (answer.status, body["params"][0]["name"].as_str(), body["params"][0]["code"].as_str());
        assert_eq!(found, (400, Some(name), Some(code)), "{query}: {body}");
    }
}

#[tokio::test]
async fn other_methods_and_paths_are_problems_too() {
    let api = Api::empty().await;
    let answer = api.send("POST", "/products").await;
    assert_eq!((answer.status, answer.header("allow")), (405, "GET,HEAD"));
    assert_eq!(answer.json()["code"], "method_not_allowed");
    let answer: Answer = api.get("/product").await;
    assert_eq!((answer.status, answer.json()["code"].as_str()), (404, Some("not_found")));
}
