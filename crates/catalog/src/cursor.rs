//! Cursors: the position after which a page starts, as an opaque token.
//!
//! A token is base64url without padding over: version (1 byte), sort (1), level of the search (1), fingerprint of the query that
//! it belongs to (8), id (8), the sort value (what is left), checksum (4); integers big-endian. It holds nothing secret, and whoever wants to
//! can make one: the checksum only tells edited tokens from those of other queries.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Datelike as _, Utc};
use xxhash_rust::xxh3::xxh3_64;

use crate::{MAX_PRODUCT_ID, Price, Product, Sort};

const VERSION: u8 = 3;

/// Longer than any token that we give out: a name of 255 characters makes 1,392.
const MAX_TOKEN: usize = 2048;

/// Where a page of a list starts. As a text it is an opaque token, or the id of a product, after which a list in the order of
/// ids goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Of the query that it belongs to. A plain id belongs to every list by id.
    pub(crate) fingerprint: Option<u64>,
    pub(crate) position: Position,
}

/// The text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a cursor")]
pub struct InvalidCursor;

/// A product's place in a list: its sort value, and its id among equals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// By what the list is sorted first.
    pub value: SortValue,
    /// By what it is sorted then.
    pub id: u64,
    /// How the search was read. [`Level::AsWritten`] without a search.
    pub level: Level,
}

/// What a product is sorted by, ties by id left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SortValue {
    /// The id alone.
    Id,
    /// Its price.
    Price(Price),
    /// Its name.
    Name(String),
    /// When it was first stored.
    CreatedAt(DateTime<Utc>),
    /// How well it matches the search.
    Relevance(u32),
}

/// How far a search forgives: each level only where the whole catalogue has nothing on the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The words as they are written, their stems and synonyms.
    AsWritten,
    /// The last word may be the beginning of one.
    Prefix,
    /// Words may be misspelt.
    Typos,
}

impl Level {
    /// In the order of their numbers in cursors.
    pub const ALL: [Level; 3] = [Level::AsWritten, Level::Prefix, Level::Typos];
}

impl SortValue {
    pub(crate) fn of(product: &Product, relevance: u32, sort: Sort) -> SortValue {
        match sort {
            Sort::Id => SortValue::Id,
            Sort::Price => SortValue::Price(product.price),
            Sort::Name => SortValue::Name(product.name.clone()),
            Sort::CreatedAt => SortValue::CreatedAt(product.created_at),
            Sort::Relevance => SortValue::Relevance(relevance),
        }
    }

    pub(crate) fn sort(&self) -> Sort {
        match self {
            SortValue::Id => Sort::Id,
            SortValue::Price(_) => Sort::Price,
            SortValue::Name(_) => Sort::Name,
            SortValue::CreatedAt(_) => Sort::CreatedAt,
            SortValue::Relevance(_) => Sort::Relevance,
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        match self {
            SortValue::Id => Vec::new(),
            SortValue::Price(price) => price.cents().to_be_bytes().to_vec(),
            SortValue::Name(name) => name.clone().into_bytes(),
            SortValue::CreatedAt(time) => time.timestamp_millis().to_be_bytes().to_vec(),
            SortValue::Relevance(relevance) => relevance.to_be_bytes().to_vec(),
        }
    }

    fn from_bytes(sort: Sort, bytes: &[u8]) -> Option<SortValue> {
        Some(match sort {
            Sort::Id => bytes.is_empty().then_some(SortValue::Id)?,
            Sort::Price => SortValue::Price(Price::from_cents(u64::from_be_bytes(bytes.try_into().ok()?))?),
            Sort::Name => SortValue::Name(std::str::from_utf8(bytes).ok()?.to_owned()),
            Sort::CreatedAt => {
                let time = DateTime::from_timestamp_millis(i64::from_be_bytes(bytes.try_into().ok()?))?;
                // What the column can hold.
                (1000..=9999).contains(&time.year()).then_some(SortValue::CreatedAt(time))?
            }
            Sort::Relevance => SortValue::Relevance(u32::from_be_bytes(bytes.try_into().ok()?)),
        })
    }
}

fn of_token(token: &str) -> Option<Cursor> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (body, check) = bytes.split_last_chunk::<4>()?;
    if *check != checksum(body) {
        return None;
    }
    let (&[VERSION, sort, level], body) = body.split_first_chunk::<3>()? else { return None };
    let (fingerprint, body) = body.split_first_chunk::<8>()?;
    let (id, value) = body.split_first_chunk::<8>()?;
    let value = SortValue::from_bytes(*Sort::ALL.get(usize::from(sort))?, value)?;
    let level = *Level::ALL.get(usize::from(level))?;
    let position = Position { value, id: u64::from_be_bytes(*id), level };
    Some(Cursor { fingerprint: Some(u64::from_be_bytes(*fingerprint)), position })
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Cursor, InvalidCursor> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let cursor = match text.parse() {
            Ok(id) if is_plain => {
                let position = Position { value: SortValue::Id, id, level: Level::AsWritten };
                Some(Cursor { fingerprint: None, position })
            }
            _ => of_token(text),
        };
        cursor.filter(|cursor| cursor.position.id <= MAX_PRODUCT_ID).ok_or(InvalidCursor)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { value, id, level } = &self.position;
        let Some(fingerprint) = self.fingerprint else { return write!(f, "{id}") };
        let mut bytes = vec![VERSION, value.sort() as u8, *level as u8];
        bytes.extend(fingerprint.to_be_bytes());
        bytes.extend(id.to_be_bytes());
        bytes.extend(value.to_bytes());
        f.write_str(&seal(bytes))
    }
}

/// A token of these bytes: with their checksum, in base64.
fn seal(mut bytes: Vec<u8>) -> String {
    bytes.extend(checksum(&bytes));
    URL_SAFE_NO_PAD.encode(bytes)
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = xxh3_64(bytes).to_be_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cursors() -> Vec<Cursor> {
        let time = DateTime::from_timestamp_millis(1_700_000_000_123).unwrap();
        let positions = [
            (SortValue::Id, MAX_PRODUCT_ID),
            (SortValue::Price(Price::MAX), 7),
            (SortValue::Name("Crème 🍏 ".into()), 1),
            (SortValue::CreatedAt(time), 2),
            (SortValue::Relevance(3), 4),
        ];
        positions
            .map(|(value, id)| Cursor {
                fingerprint: Some(99),
                position: Position { value, id, level: Level::AsWritten },
            })
            .into()
    }

    #[test]
    fn comes_back_as_it_went() {
        for cursor in cursors() {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        let plain: Cursor = "1000".parse().unwrap();
        assert_eq!((plain.to_string().as_str(), plain.fingerprint), ("1000", None));
    }

    #[test]
    fn an_id_beyond_the_highest_is_refused() {
        assert!(MAX_PRODUCT_ID.to_string().parse::<Cursor>().is_ok());
        for id in [MAX_PRODUCT_ID + 1, u64::MAX] {
            assert_eq!(id.to_string().parse::<Cursor>(), Err(InvalidCursor));
            let position = Position { value: SortValue::Id, id, level: Level::AsWritten };
            let token = Cursor { fingerprint: Some(9), position }.to_string();
            assert_eq!(token.parse::<Cursor>(), Err(InvalidCursor));
        }
    }

    #[test]
    fn a_time_that_the_column_cannot_hold_is_refused() {
        for millis in [-40_000_000_000_000, 253_402_300_800_000] {
            let value = SortValue::CreatedAt(DateTime::from_timestamp_millis(millis).unwrap());
            let token =
                Cursor { fingerprint: Some(9), position: Position { value, id: 1, level: Level::AsWritten } }
                    .to_string();
            assert_eq!(token.parse::<Cursor>(), Err(InvalidCursor));
        }
    }

    #[test]
    fn any_edit_is_noticed() {
        for cursor in cursors() {
            let token = cursor.to_string();
            for at in 0..token.len() {
                let mut edited = token.clone().into_bytes();
                edited[at] = if edited[at] == b'A' { b'B' } else { b'A' };
                let edited = String::from_utf8(edited).unwrap();
                assert_eq!(edited.parse::<Cursor>(), Err(InvalidCursor), "{edited}");
            }
            assert_eq!(token[1..].parse::<Cursor>(), Err(InvalidCursor));
        }
        for token in ["", "!", "AAAA", &"A".repeat(5000), "é", "-1", "+1", "1e3", "99999999999999999999"] {
            assert_eq!(token.parse::<Cursor>(), Err(InvalidCursor));
        }
    }

    /// The bytes of a token before its checksum: of a version, a sort, a query, an id and a value.
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
        let version = prop_oneof![4 => Just(VERSION), 1 => any::<u8>()];
        let id = prop_oneof![4 => 0..=MAX_PRODUCT_ID, 1 => any::<u64>()];
        (version, 0..6_u8, 0..4_u8, any::<[u8; 8]>(), id, value).prop_map(
            |(version, sort, level, query, id, value)| {
                [&[version, sort, level], &query[..], &id.to_be_bytes(), &value].concat()
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn any_text_is_no_cursor_or_the_one_that_it_shows_as(text in "[A-Za-z0-9_-]{0,80}|[0-9]{1,21}|\\PC{0,40}") {
            if let Ok(cursor) = text.parse::<Cursor>() {
                // Zeros before a plain id say nothing.
                let (shown, text) = (cursor.to_string(), text.trim_start_matches('0').to_owned());
                prop_assert_eq!(shown.trim_start_matches('0'), text);
            }
        }

        /// Which random text never has.
        #[test]
        fn a_text_with_a_sound_checksum_is_no_cursor_or_the_one_that_it_shows_as(body in body()) {
            let token = seal(body);
            if let Ok(cursor) = token.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string(), token);
            }
        }
    }
}
