//! A list query: parsed and checked once, canonical from then on.

use std::{borrow::Cow, fmt::Write as _};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    Price, Product,
    cursor::{CursorError, Position, SortValue},
    price::InvalidPrice,
    words::words,
};

/// What a list is ordered by. Equal values are ordered by id, in the same direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sort {
    /// By id: the default without `search`.
    Id,
    /// By price.
    Price,
    /// By name, as the collation compares.
    Name,
    /// By time of creation.
    CreatedAt,
    /// By how many of the searched words are in the name: the default with `search`, and only there.
    Relevance,
}

impl Sort {
    /// The parameter's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Sort::Id => "id",
            Sort::Price => "price",
            Sort::Name => "name",
            Sort::CreatedAt => "createdAt",
            Sort::Relevance => "relevance",
        }
    }
}

/// The direction of a sort: ascending by default, descending for relevance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Smallest first.
    Asc,
    /// Greatest first.
    Desc,
}

impl Order {
    /// The parameter's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Order::Asc => "ASC",
            Order::Desc => "DESC",
        }
    }

    pub(crate) fn reversed(self) -> Order {
        match self {
            Order::Asc => Order::Desc,
            Order::Desc => Order::Asc,
        }
    }

    /// How what comes later compares.
    pub(crate) fn beyond(self) -> &'static str {
        match self {
            Order::Asc => " > ",
            Order::Desc => " < ",
        }
    }
}

/// A valid list query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    sort: Sort,
    order: Order,
    limit: u32,
    category: Option<String>,
    min_price: Option<Price>,
    max_price: Option<Price>,
    /// In lower case, sorted, each once: neither order nor repetition changes the answer.
    words: Vec<String>,
    after: Option<Position>,
}

/// Every parameter that makes a query invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} invalid query parameter(s)", params.len())]
pub struct InvalidQuery {
    /// At least one, in the order of the request.
    pub params: Vec<InvalidParam>,
}

/// One invalid parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidParam {
    /// Its name, as sent.
    pub name: String,
    /// A stable code: `unknown_parameter`, `repeated_parameter`, `malformed`, `out_of_range`, `min_above_max`,
    /// `too_long`, `too_many_words`, `no_words`, `requires_search`, `cursor_malformed` or `cursor_mismatch`.
    pub code: &'static str,
    /// What is wrong, for a person.
    pub detail: String,
}

/// A page holds 1 to 100 products.
const LIMITS: std::ops::RangeInclusive<u32> = 1..=100;
const DEFAULT_LIMIT: u32 = 20;
/// The column's length in characters.
const MAX_CATEGORY: usize = 64;
/// A search's length in characters, and in words: each word costs the database a lookup of its own.
const MAX_SEARCH: usize = 200;
const MAX_WORDS: usize = 16;

/// Bad parameters that are reported: a request of thousands is not worth more.
const MAX_INVALID: usize = 32;

/// What RFC 3986 calls unreserved stays as it is.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Default for ListQuery {
    fn default() -> ListQuery {
        ListQuery {
            sort: Sort::Id,
            order: Order::Asc,
            limit: DEFAULT_LIMIT,
            category: None,
            min_price: None,
            max_price: None,
            words: Vec::new(),
            after: None,
        }
    }
}

impl ListQuery {
    /// Reads decoded name and value pairs, and reports everything that is wrong with them, up to 32 parameters.
    pub fn parse<'a>(
        pairs: impl IntoIterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
    ) -> Result<ListQuery, InvalidQuery> {
        let mut query = ListQuery::default();
        let mut sort = None;
        let mut order = None;
        let mut cursor = None;
        let mut seen: Vec<Cow<'a, str>> = Vec::new();
        let mut invalid: Vec<InvalidParam> = Vec::new();

        for (name, value) in pairs {
            if invalid.len() == MAX_INVALID {
                break;
            }
            if seen.contains(&name) {
                if !invalid.iter().any(|param| param.name == name && param.code == "repeated_parameter") {
                    invalid.push(param(&name, "repeated_parameter", "must be given once"));
                }
                continue;
            }
            let parsed = match name.as_ref() {
                "limit" => parse_limit(&value).map(|limit| query.limit = limit),
                "sort" => parse_sort(&value).map(|value| sort = Some(value)),
                "order" => parse_order(&value).map(|value| order = Some(value)),
                "category" => parse_category(&value).map(|category| query.category = Some(category)),
                "minPrice" => parse_price(&value).map(|price| query.min_price = Some(price)),
                "maxPrice" => parse_price(&value).map(|price| query.max_price = Some(price)),
                "search" => parse_search(&value).map(|words| query.words = words),
                "cursor" => {
                    cursor = Some(value);
                    Ok(())
                }
                _ => Err(("unknown_parameter", "is not a parameter of this resource".to_owned())),
            };
            if let Err((code, detail)) = parsed {
                invalid.push(InvalidParam { name: name.clone().into_owned(), code, detail });
            }
            seen.push(name);
        }

        if query.min_price.is_some() && query.max_price.is_some() && query.min_price > query.max_price {
            invalid.push(param("minPrice", "min_above_max", "must not be above maxPrice"));
        }
        let searches = seen.iter().any(|name| name == "search");
        if sort == Some(Sort::Relevance) && !searches {
            invalid.push(param("sort", "requires_search", "relevance needs a search"));
        }
        query.min_price = query.min_price.filter(|price| *price > Price::MIN);
        query.max_price = query.max_price.filter(|price| *price < Price::MAX);
        query.sort = sort.unwrap_or(if searches { Sort::Relevance } else { Sort::Id });
        query.order = order.unwrap_or(if query.sort == Sort::Relevance { Order::Desc } else { Order::Asc });

        // A cursor is bound to the other parameters: with one of them invalid, only its form can be judged.
        if let Some(cursor) = cursor {
            match query.parse_cursor(&cursor) {
                Ok(position) => query.after = Some(position),
                Err(CursorError::Malformed) => {
                    invalid.push(param("cursor", "cursor_malformed", "is not a cursor"));
                }
                Err(CursorError::Mismatch) if invalid.is_empty() => {
                    invalid.push(param(
                        "cursor",
                        "cursor_mismatch",
                        "belongs to another sort, order or filter",
                    ));
                }
                Err(CursorError::Mismatch) => {}
            }
        }
        if invalid.is_empty() { Ok(query) } else { Err(InvalidQuery { params: invalid }) }
    }

    fn parse_cursor(&self, cursor: &str) -> Result<Position, CursorError> {
        let plain =
            !cursor.is_empty() && cursor.bytes().all(|byte| byte.is_ascii_digit()) && cursor.len() <= 20;
        if !plain {
            return Position::from_token(cursor, self.sort, self.fingerprint());
        }
        let id = cursor.parse().map_err(|_| CursorError::Malformed)?;
        if self.sort == Sort::Id {
            Ok(Position { value: SortValue::Id, id })
        } else {
            Err(CursorError::Mismatch)
        }
    }

    /// The same text for every query with the same answer, and for no other, after a prefix: a cache's key.
    #[must_use]
    pub fn canonical(&self, prefix: &str) -> String {
        let text = self.canonical_start(prefix);
        match &self.after {
            Some(position) => text + "&cursor=" + &position.to_token(self.fingerprint()),
            None => text,
        }
    }

    /// The canonical query of the page that starts at this cursor, after a prefix: the target of a link to it.
    #[must_use]
    pub fn canonical_at(&self, prefix: &str, cursor: &str) -> String {
        self.canonical_start(prefix) + "&cursor=" + cursor
    }

    fn canonical_start(&self, prefix: &str) -> String {
        let mut text = String::with_capacity(prefix.len() + 120);
        text.push_str(prefix);
        text.push_str("sort=");
        text.push_str(self.sort.as_str());
        text.push_str("&order=");
        text.push_str(self.order.as_str());
        // Writing to a string cannot fail, here and below.
        let _ = write!(text, "&limit={}", self.limit);
        self.write_filters(&mut text);
        text
    }

    fn write_filters(&self, text: &mut String) {
        if let Some(category) = &self.category {
            let _ = write!(text, "&category={}", utf8_percent_encode(category, RESERVED));
        }
        if let Some(price) = self.min_price {
            let _ = write!(text, "&minPrice={price}");
        }
        if let Some(price) = self.max_price {
            let _ = write!(text, "&maxPrice={price}");
        }
        if !self.words.is_empty() {
            let _ = write!(text, "&search={}", utf8_percent_encode(&self.words.join(" "), RESERVED));
        }
    }

    /// What a cursor is bound to: everything that decides which rows come in which order, so not the limit.
    fn fingerprint(&self) -> u64 {
        let mut text = format!("sort={}&order={}", self.sort.as_str(), self.order.as_str());
        self.write_filters(&mut text);
        xxh3_64(text.as_bytes())
    }

    /// The cursor of the page that follows this row.
    pub(crate) fn cursor_after(&self, product: &Product, relevance: u32) -> String {
        let value = SortValue::of(product, relevance, self.sort);
        Position { value, id: product.id }.to_token(self.fingerprint())
    }

    /// What the list is ordered by.
    #[must_use]
    pub fn sort(&self) -> Sort {
        self.sort
    }

    /// In which direction.
    #[must_use]
    pub fn order(&self) -> Order {
        self.order
    }

    /// How many products a page holds at most, 1 to 100.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Only this category.
    #[must_use]
    pub fn category(&self) -> Option<&str> {
        self.category.as_deref()
    }

    /// Nothing cheaper. `None` where 0 was asked for.
    #[must_use]
    pub fn min_price(&self) -> Option<Price> {
        self.min_price
    }

    /// Nothing dearer. `None` where [`Price::MAX`] was asked for.
    #[must_use]
    pub fn max_price(&self) -> Option<Price> {
        self.max_price
    }

    /// Only products that have all these words; empty without `search`.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The ends of the price range, whether or not they were asked for.
    pub(crate) fn prices(&self) -> (Price, Price) {
        (self.min_price.unwrap_or(Price::MIN), self.max_price.unwrap_or(Price::MAX))
    }

    /// The rows to ask for: one more than the page shows whether there is another page.
    pub(crate) fn rows(&self) -> u64 {
        u64::from(self.limit) + 1
    }

    pub(crate) fn after(&self) -> Option<&Position> {
        self.after.as_ref()
    }

    #[cfg(feature = "testing")]
    pub(crate) fn with_position(mut self, position: Position) -> ListQuery {
        self.after = Some(position);
        self
    }
}

fn param(name: &str, code: &'static str, detail: &str) -> InvalidParam {
    InvalidParam { name: name.to_owned(), code, detail: detail.to_owned() }
}

type Invalid = (&'static str, String);

fn parse_limit(value: &str) -> Result<u32, Invalid> {
    let (min, max) = (LIMITS.start(), LIMITS.end());
    let detail = format!("must be a whole number from {min} to {max}");
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(("malformed", detail));
    }
    value.parse().ok().filter(|limit| LIMITS.contains(limit)).ok_or(("out_of_range", detail))
}

fn parse_sort(value: &str) -> Result<Sort, Invalid> {
    [Sort::Id, Sort::Price, Sort::Name, Sort::CreatedAt, Sort::Relevance]
        .into_iter()
        .find(|sort| sort.as_str() == value)
        .ok_or_else(|| ("malformed", "must be id, price, name, createdAt or relevance".to_owned()))
}

fn parse_order(value: &str) -> Result<Order, Invalid> {
    [Order::Asc, Order::Desc]
        .into_iter()
        .find(|order| order.as_str().eq_ignore_ascii_case(value))
        .ok_or_else(|| ("malformed", "must be ASC or DESC".to_owned()))
}

/// Trailing spaces go: the column's comparison ignores them.
fn parse_category(value: &str) -> Result<String, Invalid> {
    let category = value.trim_end_matches(' ');
    match category.chars().count() {
        0 => Err(("malformed", "must not be empty".to_owned())),
        length if length > MAX_CATEGORY => {
            Err(("too_long", format!("must have at most {MAX_CATEGORY} characters")))
        }
        _ => Ok(category.to_owned()),
    }
}

fn parse_price(value: &str) -> Result<Price, Invalid> {
    value.parse().map_err(|error: InvalidPrice| match error {
        InvalidPrice::Malformed => ("malformed", error.to_string()),
        InvalidPrice::OutOfRange => ("out_of_range", error.to_string()),
    })
}

fn parse_search(value: &str) -> Result<Vec<String>, Invalid> {
    let too_long = || Err(("too_long", format!("must have at most {MAX_SEARCH} characters")));
    if value.chars().count() > MAX_SEARCH {
        return too_long();
    }
    let mut found: Vec<String> = words(value).collect();
    found.sort();
    found.dedup();
    // Lower case can be longer (İ becomes two characters), and the canonical form has to be valid as well.
    if found.join(" ").chars().count() > MAX_SEARCH {
        return too_long();
    }
    match found.len() {
        0 => Err(("no_words", "must have at least one letter or digit".to_owned())),
        count if count > MAX_WORDS => {
            Err(("too_many_words", format!("must have at most {MAX_WORDS} different words")))
        }
        _ => Ok(found),
    }
}
