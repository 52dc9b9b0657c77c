//! GET /products?search=

use std::collections::HashSet;

use crate::harness::Api;

#[tokio::test]
async fn words_are_found_in_names_and_descriptions_short_ones_too() {
    let api = Api::with_products(77).await;
    let every = |step: u64| (1..=77).filter(|id| id % step == 0).collect::<HashSet<_>>();
    for (search, expected) in [
        ("ball", every(7)),
        ("BALL", every(7)),
        ("xl", every(11)),
        ("XL", every(11)),
        ("ball%20XL", every(77)),
        ("kase%20xl", &every(11) - &every(7)),
        ("number%2042", HashSet::from([42])),
        ("product%20no", &(1..=77).collect() - &every(7)),
        ("balloon", HashSet::new()),
    ] {
        let answer = api.get(&format!("/products?search={search}&limit=100")).await;
        assert_eq!(answer.ids().into_iter().collect::<HashSet<_>>(), expected, "{search}");
    }
}

#[tokio::test]
async fn a_search_goes_with_every_sort_filter_and_cursor() {
    let api = Api::with_products(200).await;
    let expected: HashSet<u64> = (1..=200).filter(|id| id % 7 == 0 && *id >= 50).collect();
    for sort in ["relevance", "id", "price", "name", "createdAt"] {
        let path = format!("/products?search=ball&category=sports&minPrice=50&sort={sort}&limit=4");
        let (mut ids, mut next) = (Vec::new(), path.clone());
        loop {
            let answer = api.get(&next).await;
            ids.extend(answer.ids());
            let body = answer.json();
            let Some(cursor) = body["nextCursor"].as_str() else { break };
            next = format!("{path}&cursor={cursor}");
        }
        assert_eq!(ids.len(), expected.len(), "{sort}");
        assert_eq!(ids.into_iter().collect::<HashSet<_>>(), expected, "{sort}");
    }
}

#[tokio::test]
async fn whatever_is_typed_is_an_answer_or_a_400() {
    let api = Api::with_products(20).await;
    for typed in [
        "%22",
        "%22%22",
        "%22ball",
        "%2Bball",
        "-ball",
        "%2B%2B%2B",
        "ball*",
        "*",
        "%28ball",
        "ball%29",
        "~%3C%3E%40",
        "@1",
        "ball%27",
        "don%27t",
        "%27%20OR%201%3D1--",
        "%5C",
        "%00",
        "ball%00",
        "%F0%9F%8F%80",
        "%FF%FE",
        "ball%FF",
        "a",
        "the",
        "with",
        "%20%20",
        "_",
        "__",
        "1kg",
        "2L",
        "%E6%B1%A4",
        "%EF%BC%A1",
        "a%2Bb",
        "x%22y%22z",
    ] {
        let answer = api.get(&format!("/products?search={typed}")).await;
        assert!(matches!(answer.status, 200 | 400), "{typed}: {} {}", answer.status, answer.text());
    }
}
