//! What a query may say, and how it is told what is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use farmlokal_catalog::{ListQuery, Order, Sort, testing::page_after};

fn parse(text: &str) -> Result<ListQuery, Vec<(String, &'static str)>> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap());
    ListQuery::parse(pairs.map(|(name, value)| (name.into(), value.into())))
        .map_err(|error| error.params.into_iter().map(|param| (param.name, param.code)).collect())
}

fn code(text: &str) -> &'static str {
    match parse(text) {
        Err(params) if params.len() == 1 => params[0].1,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn has_defaults() {
    let query = parse("").unwrap();
    assert_eq!((query.sort(), query.order(), query.limit()), (Sort::Id, Order::Asc, 20));
    let query = parse("search=ball").unwrap();
    assert_eq!((query.sort(), query.order()), (Sort::Relevance, Order::Desc));
    assert_eq!(parse("order=dEsC").unwrap().order(), Order::Desc);
}

#[test]
fn every_bad_parameter_is_named_once() {
    let bad = "limit=0&sort=size&order=up&category=&minPrice=x&maxPrice=1e9&search=%2B&cursor=!&page=2&page=3&page=4";
    let expected = [
        ("limit", "out_of_range"),
        ("sort", "malformed"),
        ("order", "malformed"),
        ("category", "malformed"),
        ("minPrice", "malformed"),
        ("maxPrice", "malformed"),
        ("page", "unknown_parameter"),
        ("page", "repeated_parameter"),
        ("cursor", "cursor_malformed"),
    ];
    let expected: Vec<_> = expected.iter().map(|(name, code)| ((*name).to_owned(), *code)).collect();
    assert_eq!(parse(bad).unwrap_err(), expected);
}

#[test]
fn each_rule_has_its_code() {
    for (text, expected) in [
        ("limit=101", "out_of_range"),
        ("limit=99999999999999999999", "out_of_range"),
        ("limit=+5", "malformed"),
        ("limit=", "malformed"),
        ("limit=5&limit=5", "repeated_parameter"),
        ("Limit=5", "unknown_parameter"),
        ("minPrice=100000000", "out_of_range"),
        ("minPrice=1.001", "malformed"),
        ("minPrice=5&maxPrice=4", "min_above_max"),
        ("sort=relevance", "requires_search"),
        ("search=+-*", "no_words"),
        ("search=", "no_words"),
        ("search=a b c d e f g h i j k l m n o p q", "too_many_words"),
        ("cursor=abc", "cursor_malformed"),
        ("cursor=", "cursor_malformed"),
        ("cursor=99999999999999999999", "cursor_malformed"),
        ("sort=price&cursor=1000", "cursor_mismatch"),
    ] {
        assert_eq!(code(text), expected, "{text}");
    }
    assert_eq!(code(&format!("search={}", "a".repeat(201))), "too_long");
    assert_eq!(code(&format!("category={}", "é".repeat(65))), "too_long");
    assert!(parse(&format!("category={}", "é".repeat(64))).is_ok());
}

#[test]
fn queries_with_one_answer_have_one_canonical_text() {
    for (one, other) in [
        ("", "sort=id&order=asc&limit=20&minPrice=0&maxPrice=99999999.99"),
        ("minPrice=1", "minPrice=1.00"),
        ("search=XL ball", "search=BALL  xl, ball"),
        ("category=a", "category=a  "),
        ("search=x&sort=relevance", "search=X&order=desc"),
    ] {
        assert_eq!(parse(one).unwrap().canonical(""), parse(other).unwrap().canonical(""));
    }
    assert_eq!(parse("").unwrap().canonical(""), "sort=id&order=ASC&limit=20");
    let odd = parse("category=a%26search=b&search=b").unwrap().canonical("");
    assert_eq!(odd, "sort=relevance&order=DESC&limit=20&category=a%2526search%3Db&search=b");
}

#[test]
fn a_plain_cursor_is_the_token_of_that_id() {
    let plain = parse("cursor=1000&limit=5").unwrap();
    let canonical = plain.canonical("");
    let token = canonical.split_once("&cursor=").unwrap().1;
    assert_eq!(parse(&format!("cursor={token}&limit=5")).unwrap(), plain);
    assert_eq!(parse(&format!("cursor={token}&limit=7")).unwrap().limit(), 7);
    for other in ["order=desc", "category=a", "minPrice=1", "maxPrice=1", "sort=price", "search=a&sort=id"] {
        assert_eq!(code(&format!("cursor={token}&{other}")), "cursor_mismatch", "{other}");
    }
}

#[test]
fn a_cursor_belongs_to_every_part_of_its_query() {
    let product = farmlokal_catalog::Product {
        id: 7,
        name: "Apple".to_owned(),
        description: String::new(),
        category: "fruit".to_owned(),
        price: "1.50".parse().unwrap(),
        created_at: chrono::DateTime::UNIX_EPOCH,
        updated_at: chrono::DateTime::UNIX_EPOCH,
    };
    let queries =
        ["", "order=desc", "sort=name", "sort=price", "sort=createdAt", "search=a", "search=b", "category=a"];
    for one in queries {
        let canonical = page_after(&parse(one).unwrap(), &product).canonical("");
        let token = canonical.split_once("&cursor=").unwrap().1;
        for other in queries {
            let joined =
                if other.is_empty() { format!("cursor={token}") } else { format!("{other}&cursor={token}") };
            if one == other {
                assert!(parse(&joined).is_ok(), "{joined}");
            } else {
                assert_eq!(code(&joined), "cursor_mismatch", "{one} -> {other}");
            }
        }
    }
}
