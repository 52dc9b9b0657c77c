//! What holds for every input of the parsers that strangers reach. The fuzz targets of `fuzz/` and the tests on stable Rust
//! call the same functions; each panics where its property does not hold.

use crate::{
    ListQuery, Sort,
    cursor::{CursorError, Position, seal},
};

const SORTS: [Sort; 5] = [Sort::Id, Sort::Price, Sort::Name, Sort::CreatedAt, Sort::Relevance];

/// The codes of [`crate::InvalidParam`], which are promised to clients.
const CODES: [&str; 11] = [
    "unknown_parameter",
    "repeated_parameter",
    "malformed",
    "out_of_range",
    "min_above_max",
    "too_long",
    "too_many_words",
    "no_words",
    "requires_search",
    "cursor_malformed",
    "cursor_mismatch",
];

/// The query of a URI, as it was sent: it is refused for stated reasons, or its canonical form means the same and is its
/// own canonical form.
///
/// # Panics
/// Where that does not hold.
pub fn query(text: &[u8]) {
    match ListQuery::parse(form_urlencoded::parse(text)) {
        Ok(query) => {
            assert!((1..=100).contains(&query.limit()));
            assert!(query.words().len() <= 16 && query.words().is_sorted());
            let canonical = query.canonical("");
            let again = ListQuery::parse(form_urlencoded::parse(canonical.as_bytes()));
            let again = again.unwrap_or_else(|invalid| panic!("{canonical} is not valid: {invalid:?}"));
            assert_eq!(again, query, "{canonical}");
            assert_eq!(again.canonical(""), canonical);
            assert!(canonical.bytes().all(|byte| byte.is_ascii_graphic()), "{canonical:?} is no header");
        }
        Err(invalid) => {
            // The bound is on what the parameters cause; rules about several of them come on top.
            assert!((1..=35).contains(&invalid.params.len()), "{invalid:?}");
            assert!(invalid.params.iter().all(|param| CODES.contains(&param.code)), "{invalid:?}");
        }
    }
}

/// A token as it was sent: it is no cursor, or exactly the token that its position gives.
///
/// # Panics
/// Where that does not hold.
pub fn cursor(text: &[u8]) {
    let token = String::from_utf8_lossy(text);
    for sort in SORTS {
        if let Ok(position) = Position::from_token(&token, sort, 0) {
            assert_eq!(position.to_token(0), token);
        }
    }
}

/// As [`cursor`], for what has a sound checksum already, which random bytes never have.
///
/// # Panics
/// Where that does not hold.
pub fn sealed_cursor(body: &[u8]) {
    let token = seal(body.to_vec());
    cursor(token.as_bytes());
    for sort in SORTS {
        let fingerprint = body.get(1..9).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        match (Position::from_token(&token, sort, fingerprint.unwrap_or(0)), fingerprint) {
            (Ok(position), Some(fingerprint)) => assert_eq!(position.to_token(fingerprint), token),
            (Err(CursorError::Mismatch), Some(_)) => panic!("{token} is of this query"),
            (Ok(_), None) => panic!("{token} is too short"),
            _ => {}
        }
    }
}
