use proptest::prelude::*;

use super::*;

/// The codes that are stable.
const CODES: [&str; 11] = [
    "unknown_parameter",
    "repeated_parameter",
    "malformed",
    "out_of_range",
    "min_above_max",
    "too_long",
    "too_many",
    "no_words",
    "requires_search",
    "cursor_malformed",
    "cursor_mismatch",
];

/// The canonical text.
fn text(query: &str) -> String {
    let query = ListParams::parse(query).unwrap();
    canonical("", &query, query.cursor().as_ref())
}

/// The names and codes of what is wrong.
fn faults(query: &str) -> Vec<(String, &'static str)> {
    let invalid = ListParams::parse(query).unwrap_err();
    invalid.into_iter().map(|param| (param.name, param.code)).collect()
}

fn code(query: &str) -> &'static str {
    match faults(query).as_slice() {
        [(_, code)] => code,
        other => panic!("{query}: {other:?}"),
    }
}

#[test]
fn every_bad_parameter_is_named_once() {
    let bad = "limit=0&sort=size&order=up&category=&category=%20&minPrice=x&maxPrice=1e9&search=*&cursor=!\
               &total=1&facets=size&highlight=TRUE&page=2&page=3&page=4";
    let expected = [
        ("limit", "out_of_range"),
        ("sort", "malformed"),
        ("order", "malformed"),
        ("category", "malformed"),
        ("minPrice", "malformed"),
        ("maxPrice", "malformed"),
        ("search", "no_words"),
        ("cursor", "cursor_malformed"),
        ("total", "malformed"),
        ("facets", "malformed"),
        ("highlight", "malformed"),
        ("page", "unknown_parameter"),
        ("page", "repeated_parameter"),
    ];
    let expected: Vec<_> = expected.iter().map(|(name, code)| ((*name).to_owned(), *code)).collect();
    assert_eq!(faults(bad), expected);
}

#[test]
fn each_rule_has_its_code() {
    for (text, expected) in [
        ("limit=101", "out_of_range"),
        ("limit=99999999999999999999", "out_of_range"),
        ("limit=%2B5", "malformed"),
        ("limit=", "malformed"),
        ("limit=5&limit=5", "repeated_parameter"),
        ("Limit=5", "unknown_parameter"),
        ("minPrice=100000000", "out_of_range"),
        ("minPrice=1.001", "malformed"),
        ("minPrice=5&maxPrice=4", "min_above_max"),
        ("sort=relevance", "requires_search"),
        ("search=-*", "no_words"),
        ("highlight=true", "requires_search"),
        ("facets=price,", "malformed"),
        ("facets=category,category", "malformed"),
        ("total=true&total=true", "repeated_parameter"),
        ("search=", "no_words"),
        ("cursor=abc", "cursor_malformed"),
        ("cursor=", "cursor_malformed"),
        ("cursor=9007199254740992", "cursor_malformed"),
        ("cursor=99999999999999999999", "cursor_malformed"),
        ("sort=price&cursor=1000", "cursor_mismatch"),
        ("search=%FF", "malformed"),
        ("category=a%FF", "malformed"),
        ("category=a%00", "malformed"),
        ("category=%E2%80%8B", "malformed"),
        ("cursor=%FF%FE", "malformed"),
        ("%FF=5", "malformed"),
    ] {
        assert_eq!(code(text), expected, "{text}");
    }
    assert_eq!(code(&format!("search={}", "a".repeat(256))), "too_long");
    let categories = |count| (0..count).map(|n| format!("category={n}")).collect::<Vec<_>>().join("&");
    assert!(ListParams::parse(&categories(20)).is_ok());
    assert_eq!(code(&categories(21)), "too_many");
    assert_eq!(code(&format!("category={}", "é".repeat(65))), "too_long");
    assert!(ListParams::parse(&format!("category={}", "é".repeat(64))).is_ok());
}

#[test]
fn queries_with_one_answer_have_one_canonical_text() {
    for (one, other) in [
        ("", "sort=id&order=asc&limit=20&minPrice=0&maxPrice=99999999.99"),
        ("minPrice=1", "minPrice=1.00"),
        ("search=xl ball", "search=XL%20%20Ball"),
        ("category=b&category=a", "category=a&category=b&category=a"),
        ("total=false&highlight=false", ""),
        ("facets=price,category", "facets=category,price"),
        ("category=a", "category=%20a++"),
        ("category=caf%C3%A9", "category=cafe%CC%81"),
        ("search=x&sort=relevance", "search=X&order=desc"),
    ] {
        assert_eq!(text(one), text(other));
    }
    assert_eq!(text(""), "sort=id&order=ASC&limit=20");
    let odd = text("highlight=true&category=a%2526search%3Db&search=b&total=true&facets=price");
    assert_eq!(
        odd,
        "sort=relevance&order=DESC&limit=20&category=a%2526search%3Db&search=b&total=true&facets=price&highlight=true"
    );
}

#[test]
fn an_encoding_that_is_no_utf_8_is_refused_by_the_name_of_its_parameter() {
    let malformed = |name: &str| vec![(name.to_owned(), "malformed")];
    assert_eq!(faults("search=ball%FF"), malformed("search"));
    assert_eq!(faults("caf%E9=1"), malformed("caf%E9"));
    assert!(ListParams::parse("category=%F0%9F%8D%8F").is_ok());
}

/// A query is refused for stated reasons, or its canonical form means the same and is its own canonical form.
fn check(query: &str) {
    match ListParams::parse(query) {
        Ok(list) => {
            let canonical = text(query);
            assert_eq!(ListParams::parse(&canonical), Ok(list), "{canonical}");
            assert_eq!(text(&canonical), canonical);
            assert!(canonical.bytes().all(|byte| byte.is_ascii_graphic()), "{canonical:?} is no header");
        }
        Err(invalid) => {
            // The bound is on what the parameters cause; rules about several of them come on top.
            assert!((1..=36).contains(&invalid.len()), "{invalid:?}");
            assert!(invalid.iter().all(|param| CODES.contains(&param.code)), "{invalid:?}");
        }
    }
}

/// A query that is almost right: the parameters there are, with values near their bounds.
fn almost() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        8 => prop::sample::select(vec![
            "cursor",
            "limit",
            "sort",
            "order",
            "category",
            "minPrice",
            "maxPrice",
            "search",
            "total",
            "facets",
            "highlight",
        ])
        .prop_map(str::to_owned),
        1 => "[a-zA-Z%+]{0,8}",
    ];
    let value = prop_oneof![
        prop::sample::select(vec![
            "0",
            "1",
            "100",
            "101",
            "-1",
            "0.00",
            "0.005",
            "99999999.99",
            "100000000",
            "id",
            "price",
            "name",
            "createdAt",
            "relevance",
            "asc",
            "DESC",
            "ball",
            "2L XL",
            "true",
            "false",
            "category",
            "price,category",
            "18446744073709551615",
            "AQAAAAAAAAAA",
            "%00",
            "%FF",
            "%F0%9F%8D%8F",
            "%C4%B0%C4%B0",
            "a%20",
            "",
        ])
        .prop_map(str::to_owned),
        "[0-9]{1,21}(\\.[0-9]{0,3})?",
        "\\PC{0,24}",
        "[a-zİẞ ]{120,260}",
    ];
    prop::collection::vec((name, value), 0..6).prop_map(|pairs| {
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_query_of_any_text(text in "\\PC{0,200}") {
        check(&text);
    }

    #[test]
    fn a_query_that_is_almost_right(text in almost()) {
        check(&text);
    }
}

/// Random parameters hardly ever make a valid query with a cursor: these are.
#[test]
fn a_page_that_follows_another() {
    check("sort=id&order=ASC&limit=20&cursor=1000");
    check("cursor=9007199254740991&category=a%20b%2Bc&minPrice=0.01&maxPrice=99999999.98");
    let plain = text("cursor=1000&limit=5");
    let token = plain.split_once("&cursor=").unwrap().1;
    assert_eq!(text(&format!("cursor={token}&limit=5")), plain);
}
