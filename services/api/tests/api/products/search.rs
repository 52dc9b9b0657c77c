//! GET /products?search=, and what else the search index answers.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use crate::harness::{Answer, Api};

/// The ids from 1 to 77 that are multiples of this.
fn every(step: u64) -> HashSet<u64> {
    (1..=77).filter(|id| id % step == 0).collect()
}

fn set(answer: &Answer) -> HashSet<u64> {
    let ids = answer.ids();
    let set: HashSet<u64> = ids.iter().copied().collect();
    assert_eq!(set.len(), ids.len(), "{ids:?}");
    set
}

/// Every page from this path on, by the `Link` headers.
async fn walk(api: &Api, path: &str) -> Vec<Answer> {
    let (mut pages, mut next) = (Vec::new(), path.to_owned());
    loop {
        let answer = api.get(&next).await;
        assert_eq!(answer.status, 200, "{next}: {answer:?}");
        let link = answer.headers.get("link").map(|link| link.to_str().unwrap().to_owned());
        assert_eq!(answer.json()["hasMore"], link.is_some());
        pages.push(answer);
        let Some(link) = link else { return pages };
        next = link.replace('<', "").replace(">; rel=\"next\"", "");
    }
}

#[tokio::test]
async fn words_are_found_in_names_and_descriptions_short_ones_and_plurals_too() {
    let api = Api::with_products(77).await;
    for (search, expected) in [
        ("ball", every(7)),
        ("BALL", every(7)),
        ("balls", every(7)),
        ("xl", every(11)),
        ("ball%20XL", every(77)),
        ("kase%20xl", &every(11) - &every(7)),
        ("K%C3%84SE%20XL", &every(11) - &every(7)),
        ("number%2042", HashSet::from([42])),
        ("product%20no", &every(1) - &every(7)),
        ("balloon", HashSet::new()),
    ] {
        let answer = api.get(&format!("/products?search={search}&limit=100")).await;
        assert_eq!(set(&answer), expected, "{search}");
    }
}

#[tokio::test]
async fn an_answer_says_how_far_it_forgave() {
    let api = Api::with_products(77).await;
    for (search, level, words, expected) in [
        ("ball", "asWritten", json!([]), every(7)),
        ("ba", "prefix", json!([{"word": "ba", "found": ["ball"]}]), every(7)),
        ("prodct", "typos", json!([{"word": "prodct", "found": ["product"]}]), every(1)),
        ("prodct%20xl", "typos", json!([{"word": "prodct", "found": ["product"]}]), every(11)),
    ] {
        let answer = api.get(&format!("/products?search={search}&limit=100")).await;
        assert_eq!(set(&answer), expected, "{search}");
        assert_eq!(answer.json()["corrections"], json!({"level": level, "words": words}), "{search}");
        // Filters change nothing about it.
        let none = api.get(&format!("/products?search={search}&category=none")).await.json();
        assert_eq!((&none["count"], &none["corrections"]["level"]), (&json!(0), &json!(level)), "{search}");
    }
    assert!(!api.get("/products?total=true").await.text().contains("corrections"));
}

#[tokio::test]
async fn there_is_only_what_was_asked_for() {
    let api = Api::with_products(20).await;
    let members = async |query: &str| {
        let body = api.get(&format!("/products?search=ball&{query}")).await.json();
        let members: Vec<_> = body.as_object().unwrap().keys().cloned().collect();
        (members.join(" "), body["facets"].clone())
    };
    let usual = "corrections count data hasMore nextCursor";
    assert_eq!(members("total=false&highlight=false").await.0, usual);
    assert_eq!(members("total=true").await.0, format!("{usual} total"));
    let (both, facets) = members("facets=price,category").await;
    assert_eq!(both, "corrections count data facets hasMore nextCursor");
    assert_eq!(facets.as_object().unwrap().keys().collect::<Vec<_>>(), ["category", "price"]);
    assert_eq!(members("facets=price").await.1.as_object().unwrap().keys().collect::<Vec<_>>(), ["price"]);
    let plain = api.get("/products?search=ball").await.json();
    assert_eq!(plain["data"][0].get("highlights"), None);
}

/// What a facet counts is the total of the list that a client gets who chooses it.
#[tokio::test]
async fn a_facets_count_is_the_total_of_what_it_offers() {
    let api = Api::with_products(200).await;
    let total = async |query: &str| {
        let body = api.get(&format!("/products?{query}&total=true&limit=1")).await.json();
        body["total"].as_u64().unwrap()
    };
    assert_eq!(total("sort=id").await, 200);
    for (filter, other_category, other_price) in [
        ("search=product", "", ""),
        ("search=ball%20xl", "", ""),
        ("search=product&category=dairy", "&category=dairy", ""),
        (
            "search=product&category=dairy&category=sports&minPrice=30.01",
            "&category=dairy&category=sports",
            "&minPrice=30.01",
        ),
        ("sort=name&minPrice=10&maxPrice=99.99", "", "&minPrice=10&maxPrice=99.99"),
    ] {
        let path = format!("/products?{filter}&facets=category,price&total=true&limit=1");
        let answer = api.get(&path).await;
        let facets = &answer.json()["facets"];
        let search = filter.split('&').next().unwrap();
        let categories = facets["category"].as_array().unwrap();
        for choice in categories {
            let value = choice["value"].as_str().unwrap().replace(' ', "%20").replace('&', "%26");
            let clicked = total(&format!("{search}{other_price}&category={value}")).await;
            assert_eq!(choice["count"], clicked, "{filter}: {choice}");
        }
        // Each product has one category and one price.
        let sum =
            |choices: &[Value]| choices.iter().map(|choice| choice["count"].as_u64().unwrap()).sum::<u64>();
        assert_eq!(sum(categories), total(&format!("{search}{other_price}")).await, "{filter}");
        assert!(categories.windows(2).all(|pair| pair[0]["count"].as_u64() >= pair[1]["count"].as_u64()));
        let prices = facets["price"].as_array().unwrap();
        for range in prices {
            let clicked =
                format!("{search}{other_category}&minPrice={}&maxPrice={}", range["min"], range["max"]);
            assert_eq!(range["count"], total(&clicked).await, "{filter}: {range}");
        }
        assert_eq!(sum(prices), total(&format!("{search}{other_category}")).await, "{filter}");
        assert!(
            prices.len() > 1
                && prices.windows(2).all(|pair| pair[0]["max"].as_f64() < pair[1]["min"].as_f64())
        );
    }
    // Money has two decimals here too.
    let text = api.get("/products?facets=price").await.text().to_owned();
    let min = text.split("\"min\":").nth(1).unwrap().split(',').next().unwrap();
    assert_eq!(min.split_once('.').unwrap().1.len(), 2, "{text}");
}

#[tokio::test]
async fn highlights_are_the_text_in_pieces() {
    let api = Api::with_products(77).await;
    let piece = |text: &str, matched: bool| json!({"text": text, "matched": matched});
    let body = api.get("/products?search=ball%20number&highlight=true&sort=id&limit=1").await.json();
    assert_eq!(
        body["data"][0]["highlights"],
        json!({
            "name": [piece("Ball", true)],
            "description": [piece("Product ", false), piece("number", true), piece(" 7.", false)],
        })
    );
    // What was found in its place is what matches.
    let body = api.get("/products?search=prodct&highlight=true&limit=100").await.json();
    let products = body["data"].as_array().unwrap();
    assert_eq!(products.len(), 77);
    for product in products {
        assert_eq!(product["highlights"]["description"][0], piece("Product", true), "{product}");
        for member in ["name", "description"] {
            let pieces = product["highlights"][member].as_array().unwrap();
            let whole: String = pieces.iter().map(|piece| piece["text"].as_str().unwrap()).collect();
            assert_eq!(product[member], whole);
        }
    }
}

#[tokio::test]
async fn several_categories_are_any_of_them() {
    let api = Api::with_products(77).await;
    let of = |id: &u64| {
        if id.is_multiple_of(7) { "sports" } else { ["bakery", "dairy", "other"][(id % 3) as usize] }
    };
    let expected: Vec<u64> = (1..=77).filter(|id| ["bakery", "sports"].contains(&of(id))).collect();
    let path = "/products?category=sports&category=bakery&limit=100";
    assert_eq!(api.get(path).await.ids(), expected);
    // Another order and one twice: the same question.
    let same = api.get("/products?limit=100&category=bakery&category=sports&category=bakery").await;
    assert_eq!(same.header("cache-status"), "FarmLokal; hit; detail=memory");
    let pages = walk(&api, "/products?category=sports&category=bakery&limit=10&order=desc&total=true").await;
    let walked: Vec<u64> = pages.iter().flat_map(Answer::ids).collect();
    assert_eq!(walked, expected.iter().rev().copied().collect::<Vec<_>>());
    assert!(pages.iter().all(|page| page.json()["total"] == expected.len()));
    let cursor =
        api.get("/products?category=sports&limit=2").await.json()["nextCursor"].as_str().unwrap().to_owned();
    let other = api.get(&format!("{path}&cursor={cursor}")).await;
    assert_eq!((other.status, other.json()["params"][0]["code"].as_str()), (400, Some("cursor_mismatch")));
}

#[tokio::test]
async fn a_search_goes_with_every_sort_filter_and_cursor() {
    let api = Api::with_products(200).await;
    let expected: HashSet<u64> = (1..=200).filter(|id| id % 7 == 0 && *id >= 50).collect();
    for sort in ["relevance", "id", "price", "name", "createdAt"] {
        for order in ["asc", "desc"] {
            let filter = format!("search=ball&category=sports&minPrice=50&sort={sort}&order={order}");
            let pages =
                walk(&api, &format!("/products?{filter}&limit=4&total=true&facets=price&highlight=true"))
                    .await;
            // The links ask for the same as the first page.
            for page in &pages {
                let body = page.json();
                assert_eq!(body["total"], expected.len(), "{filter}");
                assert!(body["facets"]["price"].is_array() && body["data"][0]["highlights"].is_object());
            }
            let ids: Vec<u64> = pages.iter().flat_map(Answer::ids).collect();
            assert_eq!(ids.len(), expected.len(), "{filter}");
            assert_eq!(ids.iter().copied().collect::<HashSet<_>>(), expected, "{filter}");
            let whole = api.get(&format!("/products?{filter}&limit=100")).await;
            assert_eq!(whole.ids(), ids, "{filter}");
            // A cursor is of the list, not of how it is shown.
            let cursor = pages[0].json()["nextCursor"].as_str().unwrap().to_owned();
            assert_eq!(
                api.get(&format!("/products?{filter}&limit=100&cursor={cursor}")).await.ids(),
                ids[4..]
            );
        }
    }
}

#[tokio::test]
async fn names_match_before_descriptions() {
    let api = Api::with_products(20).await;
    let mut connection = api.database.pool().acquire().await.unwrap();
    sqlx::query("UPDATE products SET description = 'Not a ball.' WHERE id = 1")
        .execute(&mut *connection)
        .await
        .unwrap();
    reindex(&api).await;
    let answer = api.until("/products?search=ball", |answer| answer.status == 200).await;
    assert_eq!(answer.ids(), [14, 7, 1]);
    assert_eq!(api.get("/products?search=ball&order=asc").await.ids(), [1, 7, 14]);
}

#[tokio::test]
async fn prices_in_another_order_are_those_of_the_whole_list() {
    let api = Api::with_products(200).await;
    for sort in ["id", "name", "createdAt"] {
        for order in ["asc", "desc"] {
            // SQL answers this one.
            let all = walk(&api, &format!("/products?sort={sort}&order={order}&limit=100")).await;
            let all: Vec<Value> =
                all.iter().flat_map(|page| page.json()["data"].as_array().unwrap().clone()).collect();
            for (low, high) in [(10.1, 90.5), (0.0, 1.01), (199.0, 250.0), (42.42, 42.42)] {
                let path =
                    format!("/products?sort={sort}&order={order}&minPrice={low}&maxPrice={high}&limit=9");
                let found: Vec<u64> = walk(&api, &path).await.iter().flat_map(Answer::ids).collect();
                let within = |product: &&Value| (low..=high).contains(&product["price"].as_f64().unwrap());
                let expected: Vec<u64> =
                    all.iter().filter(within).map(|product| product["id"].as_u64().unwrap()).collect();
                assert!(!expected.is_empty());
                assert_eq!(found, expected, "{path}");
            }
        }
    }
}

#[tokio::test]
async fn a_search_is_cached_and_revalidated_like_any_list() {
    let api = Api::with_products(20).await;
    let first = api.get("/products?search=Ball&total=true").await;
    assert_eq!(first.header("cache-status"), "FarmLokal; fwd=miss");
    let is_hit = |answer: &Answer| answer.header("cache-status") == "FarmLokal; hit; detail=memory";
    let second = api.until("/products?total=true&highlight=false&search=%20BALL", is_hit).await;
    assert_eq!(second.body, first.body);
    let etag = first.header("etag");
    let same = api.get_with("/products?search=ball&total=true", &[("if-none-match", etag)]).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    // What is in the answer is part of the question.
    for other in
        ["search=ball", "search=ball&total=true&facets=price", "search=ball&total=true&highlight=true"]
    {
        let other = api.get(&format!("/products?{other}")).await;
        assert_eq!(other.header("cache-status"), "FarmLokal; fwd=miss");
        assert_ne!(other.body, first.body);
    }
}

#[tokio::test]
async fn what_sql_can_answer_is_answered_without_the_index() {
    let api = Api::with_products(20).await;
    let queries = async || api.metric("farmlokal_search_query_duration_seconds_count", &[]).await;
    for (path, searches) in [
        ("/products?sort=name&order=desc", 0.0),
        ("/products?category=sports&sort=price&minPrice=1", 0.0),
        ("/products?minPrice=1&sort=price", 0.0),
        ("/products?minPrice=1", 1.0),
        ("/products?category=sports&category=dairy", 1.0),
        ("/products?total=true", 1.0),
        ("/products?facets=price", 1.0),
        ("/products?search=ball&sort=id", 1.0),
    ] {
        let before = queries().await;
        assert_eq!(api.get(path).await.status, 200, "{path}");
        assert_eq!(queries().await - before, searches, "{path}");
    }
}

async fn reindex(api: &Api) -> String {
    let url = api.database.url();
    let run = move || {
        let directory = tempfile::tempdir().unwrap();
        crate::harness::command(directory.path()).arg("reindex").env("DATABASE_URL", url).output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn after_a_reindex_no_replica_answers_from_before_it() {
    let api = Api::with_products(20).await;
    let replica = api.replica(&[]);
    replica.until("/readyz", |answer| answer.status == 200).await;
    for step in 0..5 {
        sqlx::query("UPDATE products SET name = ? WHERE id = 7")
            .bind(format!("Zeppelin S{step}"))
            .execute(&api.database.pool())
            .await
            .unwrap();
        assert_eq!(reindex(&api).await, "every search index will be rebuilt\n");
        // Each asks for something else: neither answers from the other's cache.
        let path = format!("/products?search=zeppelin%20s{step}");
        for answer in [
            api.until(&format!("{path}&total=true"), |answer| answer.status != 503).await,
            replica.until(&path, |answer| answer.status != 503).await,
        ] {
            assert_eq!(answer.ids(), [7], "{step}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn the_categories_of_a_facet_are_those_of_the_resource() {
    let api = Api::with_products(40).await;
    let counts: BTreeMap<String, u64> =
        api.get("/products?facets=category").await.json()["facets"]["category"]
            .as_array()
            .unwrap()
            .iter()
            .map(|choice| (choice["value"].as_str().unwrap().to_owned(), choice["count"].as_u64().unwrap()))
            .collect();
    let categories = api.get("/categories").await.json()["data"].clone();
    assert_eq!(json!(counts.keys().collect::<Vec<_>>()), categories);
    assert_eq!(counts["sports"], 5);
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
