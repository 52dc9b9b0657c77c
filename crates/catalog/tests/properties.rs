//! The properties of the parsers on generated inputs: what `fuzz/` runs for hours, for a second or so.

use farmlokal_catalog::properties;
use proptest::prelude::*;

/// A query that is almost right: the parameters there are, with values near their bounds.
fn almost() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        8 => prop::sample::select(vec![
            "cursor", "limit", "sort", "order", "category", "minPrice", "maxPrice", "search",
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
        "[a-zİẞ ]{180,210}",
    ];
    prop::collection::vec((name, value), 0..6).prop_map(|pairs| {
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    })
}

/// The bytes of a token before its checksum: of a version, a query, an id and a value.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![
        Just(Vec::new()),
        any::<u32>().prop_map(|value| value.to_be_bytes().to_vec()),
        any::<u64>().prop_map(|value| value.to_be_bytes().to_vec()),
        // Prices and times that are in range.
        (0..20_000_000_000_u64).prop_map(|value| value.to_be_bytes().to_vec()),
        "\\PC{0,300}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    (prop_oneof![4 => Just(1_u8), 1 => any::<u8>()], any::<[u8; 16]>(), value)
        .prop_map(|(version, position, value)| [&[version], &position[..], &value].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_query_of_any_bytes(text in prop::collection::vec(any::<u8>(), 0..200)) {
        properties::query(&text);
    }

    #[test]
    fn a_query_that_is_almost_right(text in almost()) {
        properties::query(text.as_bytes());
    }

    #[test]
    fn a_cursor_of_any_text(text in "[A-Za-z0-9_-]{0,80}|\\PC{0,40}") {
        properties::cursor(text.as_bytes());
    }

    #[test]
    fn a_cursor_with_a_sound_checksum(body in body()) {
        properties::sealed_cursor(&body);
    }
}

/// Random parameters hardly ever make a valid query with a cursor: this one is.
#[test]
fn a_page_that_follows_another() {
    properties::query(b"sort=id&order=ASC&limit=20&cursor=1000");
    // In lower case this search has 300 characters.
    properties::query(format!("search={}", "%C4%B0".repeat(150)).as_bytes());
    properties::query(b"cursor=18446744073709551615&category=a%20b%2Bc&minPrice=0.01&maxPrice=99999999.98");
}
