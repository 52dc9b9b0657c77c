//! Cursors: the position after which a page starts, as an opaque token.
//!
//! A token is base64url without padding over: version (1 byte), fingerprint of the query that it belongs to (8), id (8),
//! the sort value (what is left), checksum (4); integers big-endian. It holds nothing secret, and trusts nobody: an
//! edited token is malformed, and a token of another query is a mismatch.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Datelike as _, Utc};
use xxhash_rust::xxh3::xxh3_64;

use crate::{Price, Product, Sort};

const VERSION: u8 = 1;

/// Longer than any token that we give out: a name of 255 characters makes 1,388.
const MAX_TOKEN: usize = 2048;

/// A row's place in a sort: its sort value, and its id among equals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) value: SortValue,
    pub(crate) id: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SortValue {
    Id,
    Price(Price),
    Name(String),
    CreatedAt(DateTime<Utc>),
    Relevance(u32),
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CursorError {
    Malformed,
    Mismatch,
}

impl Position {
    pub(crate) fn to_token(&self, fingerprint: u64) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(fingerprint.to_be_bytes());
        bytes.extend(self.id.to_be_bytes());
        bytes.extend(self.value.to_bytes());
        seal(bytes)
    }

    pub(crate) fn from_token(token: &str, sort: Sort, fingerprint: u64) -> Result<Position, CursorError> {
        if token.len() > MAX_TOKEN {
            return Err(CursorError::Malformed);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| CursorError::Malformed)?;
        let (body, check) = bytes.split_last_chunk::<4>().ok_or(CursorError::Malformed)?;
        if *check != checksum(body) {
            return Err(CursorError::Malformed);
        }
        let Some((&VERSION, body)) = body.split_first() else { return Err(CursorError::Malformed) };
        let (of_query, body) = body.split_first_chunk::<8>().ok_or(CursorError::Malformed)?;
        if u64::from_be_bytes(*of_query) != fingerprint {
            return Err(CursorError::Mismatch);
        }
        let (id, value) = body.split_first_chunk::<8>().ok_or(CursorError::Malformed)?;
        let value = SortValue::from_bytes(sort, value).ok_or(CursorError::Malformed)?;
        Ok(Position { value, id: u64::from_be_bytes(*id) })
    }
}

/// A token of these bytes: with their checksum, in base64.
pub(crate) fn seal(mut bytes: Vec<u8>) -> String {
    bytes.extend(checksum(&bytes));
    URL_SAFE_NO_PAD.encode(bytes)
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = xxh3_64(bytes).to_be_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions() -> Vec<(Sort, Position)> {
        let time = DateTime::from_timestamp_millis(1_700_000_000_123).unwrap();
        vec![
            (Sort::Id, Position { value: SortValue::Id, id: u64::MAX }),
            (Sort::Price, Position { value: SortValue::Price(Price::MAX), id: 7 }),
            (Sort::Name, Position { value: SortValue::Name("Crème 🍏 ".into()), id: 1 }),
            (Sort::CreatedAt, Position { value: SortValue::CreatedAt(time), id: 2 }),
            (Sort::Relevance, Position { value: SortValue::Relevance(3), id: 4 }),
        ]
    }

    #[test]
    fn comes_back_as_it_went() {
        for (sort, position) in positions() {
            assert_eq!(Position::from_token(&position.to_token(99), sort, 99), Ok(position));
        }
    }

    #[test]
    fn belongs_to_one_query() {
        for (sort, position) in positions() {
            assert_eq!(Position::from_token(&position.to_token(99), sort, 98), Err(CursorError::Mismatch));
        }
    }

    #[test]
    fn a_time_that_the_column_cannot_hold_is_malformed() {
        for millis in [-40_000_000_000_000, 253_402_300_800_000] {
            let value = SortValue::CreatedAt(DateTime::from_timestamp_millis(millis).unwrap());
            let token = Position { value, id: 1 }.to_token(9);
            assert_eq!(Position::from_token(&token, Sort::CreatedAt, 9), Err(CursorError::Malformed));
        }
    }

    #[test]
    fn any_edit_is_noticed() {
        for (sort, position) in positions() {
            let token = position.to_token(99);
            for at in 0..token.len() {
                let mut edited = token.clone().into_bytes();
                edited[at] = if edited[at] == b'A' { b'B' } else { b'A' };
                let edited = String::from_utf8(edited).unwrap();
                assert_eq!(Position::from_token(&edited, sort, 99), Err(CursorError::Malformed), "{edited}");
            }
            assert_eq!(Position::from_token(&token[1..], sort, 99), Err(CursorError::Malformed));
        }
        for token in ["", "!", "AAAA", &"A".repeat(5000), "é"] {
            assert_eq!(Position::from_token(token, Sort::Id, 99), Err(CursorError::Malformed));
        }
    }
}
