//! The parameters of `GET /products`: one struct reads, checks and documents them.

use std::fmt::{Display, Write as _};

use axum::http::Uri;
use farmlokal_catalog::{
    Category, Cursor, CursorMismatch, Filter, InvalidCategory, InvalidPrice, InvalidWords, Limit, ListQuery,
    Order, Price, PriceRange, Sort, Words,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::problem::{Code, InvalidParam, Problem};
use crate::query::{Invalid, MAX_REPORTED, pairs};

const SORTS: [(&str, Sort); 5] = [
    ("id", Sort::Id),
    ("price", Sort::Price),
    ("name", Sort::Name),
    ("createdAt", Sort::CreatedAt),
    ("relevance", Sort::Relevance),
];

const ORDERS: [(&str, Order); 2] = [("ASC", Order::Asc), ("DESC", Order::Desc)];

/// What RFC 3986 calls unreserved stays as it is.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The parameters, each within its own bounds.
#[derive(Default, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct ListParams {
    /// Where the page starts: the `nextCursor` of the page before, with the same sort, order and filters. With
    /// `sort=id`, also a plain product id, after which the page starts.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
    /// Products on a page.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100, default = 20)]
    limit: Option<Limit>,
    /// What the list is sorted by; ties are sorted by id. `relevance` needs `search` and is the default with it.
    #[param(inline, value_type = Option<SortName>)]
    sort: Option<Sort>,
    /// The direction, in upper or lower case. Relevance is descending by default, all else ascending.
    #[param(inline, value_type = Option<OrderName>)]
    order: Option<Order>,
    /// Only this category, spelled exactly.
    #[param(value_type = Option<String>)]
    category: Option<Category>,
    /// Only products that cost at least this much; at most two decimals.
    #[param(value_type = Option<f64>, minimum = 0, maximum = 99_999_999.99)]
    min_price: Option<Price>,
    /// Only products that cost at most this much; at most two decimals.
    #[param(value_type = Option<f64>, minimum = 0, maximum = 99_999_999.99)]
    max_price: Option<Price>,
    /// Only products with all of these words in name or description, such as `ball` or `oil 2L`.
    #[param(value_type = Option<String>, max_length = 200)]
    search: Option<Words>,
}

impl ListParams {
    /// The list that a URI asks for.
    ///
    /// # Errors
    /// `invalid_parameter`, with every parameter that is wrong, up to 32 and what is wrong between them.
    pub(super) fn read(uri: &Uri) -> Result<ListQuery, Problem> {
        let query = ListParams::parse(uri.query().unwrap_or_default());
        query.map_err(|params| Problem::naming(Code::InvalidParameter, params))
    }

    fn parse(query: &str) -> Result<ListQuery, Vec<InvalidParam>> {
        let mut params = ListParams::default();
        let (mut seen, mut invalid) = (Vec::new(), Vec::<InvalidParam>::new());
        for (name, value) in pairs(query) {
            if invalid.len() == MAX_REPORTED {
                break;
            }
            if seen.contains(&name) {
                let is_reported =
                    |param: &InvalidParam| param.name == name && param.code == "repeated_parameter";
                if !invalid.iter().any(is_reported) {
                    invalid.push(InvalidParam::new(name, "repeated_parameter", "must be given once"));
                }
                continue;
            }
            if let Err((code, detail)) = value.and_then(|value| params.set(&name, &value)) {
                invalid.push(InvalidParam::new(name.clone(), code, detail));
            }
            seen.push(name);
        }
        params.into_query(seen.iter().any(|name| name == "search"), invalid)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Invalid> {
        match name {
            "cursor" => self.cursor = Some(value.parse().map_err(|error| wrong("cursor_malformed", error))?),
            "limit" => self.limit = Some(limit(value)?),
            "sort" => self.sort = Some(sort(value)?),
            "order" => self.order = Some(order(value)?),
            "category" => self.category = Some(category(value)?),
            "minPrice" => self.min_price = Some(price(value)?),
            "maxPrice" => self.max_price = Some(price(value)?),
            "search" => self.search = Some(words(value)?),
            _ => return Err(wrong("unknown_parameter", "is not a parameter of this resource")),
        }
        Ok(())
    }

    /// Checks what is between parameters. A cursor is bound to the others: with one of them invalid it is not judged.
    fn into_query(
        self,
        searches: bool,
        mut invalid: Vec<InvalidParam>,
    ) -> Result<ListQuery, Vec<InvalidParam>> {
        let prices = PriceRange::new(self.min_price, self.max_price);
        if prices.is_err() {
            invalid.push(InvalidParam::new("minPrice", "min_above_max", "must not be above maxPrice"));
        }
        let filter = Filter {
            category: self.category,
            prices: prices.unwrap_or_default(),
            words: self.search.unwrap_or_default(),
        };
        let query = ListQuery::new(filter, self.sort, self.order);
        if let Err(error) = &query
            && !searches
        {
            invalid.push(InvalidParam::new("sort", "requires_search", error.to_string()));
        }
        let query = match query {
            Ok(query) if invalid.is_empty() => query.with_limit(self.limit.unwrap_or_default()),
            _ => return Err(invalid),
        };
        match self.cursor {
            Some(cursor) => query.at(&cursor).map_err(|error: CursorMismatch| {
                vec![InvalidParam::new("cursor", "cursor_mismatch", error.to_string())]
            }),
            None => Ok(query),
        }
    }
}

fn wrong(code: &'static str, detail: impl Display) -> Invalid {
    (code, detail.to_string())
}

fn limit(value: &str) -> Result<Limit, Invalid> {
    let wrong = |code| {
        wrong(code, format_args!("must be a whole number from {} to {}", Limit::MIN.get(), Limit::MAX.get()))
    };
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong("malformed"));
    }
    value.parse().ok().and_then(Limit::new).ok_or_else(|| wrong("out_of_range"))
}

fn sort(value: &str) -> Result<Sort, Invalid> {
    let found = SORTS.iter().find(|(name, _)| *name == value);
    let detail = "must be id, price, name, createdAt or relevance";
    found.map(|(_, sort)| *sort).ok_or_else(|| wrong("malformed", detail))
}

fn order(value: &str) -> Result<Order, Invalid> {
    let found = ORDERS.iter().find(|(name, _)| name.eq_ignore_ascii_case(value));
    found.map(|(_, order)| *order).ok_or_else(|| wrong("malformed", "must be ASC or DESC"))
}

fn category(value: &str) -> Result<Category, Invalid> {
    Category::new(value).map_err(|error| match error {
        InvalidCategory::TooLong => wrong("too_long", error),
        InvalidCategory::Empty | InvalidCategory::NotStored(_) => wrong("malformed", error),
    })
}

fn price(value: &str) -> Result<Price, Invalid> {
    value.parse().map_err(|error: InvalidPrice| match error {
        InvalidPrice::Malformed => wrong("malformed", error),
        InvalidPrice::OutOfRange => wrong("out_of_range", error),
    })
}

fn words(value: &str) -> Result<Words, Invalid> {
    Words::new(value).map_err(|error| match error {
        InvalidWords::TooLong => wrong("too_long", error),
        InvalidWords::None => wrong("no_words", error),
        InvalidWords::TooMany => wrong("too_many_words", error),
    })
}

/// The values of `sort` in the OpenAPI document.
struct SortName;

impl PartialSchema for SortName {
    fn schema() -> RefOr<Schema> {
        one_of(SORTS.map(|(name, _)| name)).default(Some("id".into())).into()
    }
}

impl ToSchema for SortName {}

/// The values of `order` in the OpenAPI document.
struct OrderName;

impl PartialSchema for OrderName {
    fn schema() -> RefOr<Schema> {
        one_of(ORDERS.map(|(name, _)| name)).into()
    }
}

impl ToSchema for OrderName {}

fn one_of<const N: usize>(names: [&'static str; N]) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names))
}

/// The canonical query text of the page of this list that starts at the cursor, after a prefix. It is the same for all
/// queries that have the same answer, and for no other.
pub(super) fn canonical(prefix: &str, query: &ListQuery, cursor: Option<&Cursor>) -> String {
    let name_of_sort = SORTS.iter().find(|(_, sort)| *sort == query.sort()).map_or("", |(name, _)| name);
    let name_of_order = ORDERS.iter().find(|(_, order)| *order == query.order()).map_or("", |(name, _)| name);
    let mut limit = itoa::Buffer::new();
    let limit = limit.format(query.limit().get());
    let mut text = [prefix, "sort=", name_of_sort, "&order=", name_of_order, "&limit=", limit].concat();
    let filter = query.filter();
    if let Some(category) = &filter.category {
        // Writing to a string cannot fail.
        let _ = write!(text, "&category={}", utf8_percent_encode(category.as_str(), RESERVED));
    }
    if filter.prices.lowest() > Price::MIN {
        let _ = write!(text, "&minPrice={}", filter.prices.lowest());
    }
    if filter.prices.highest() < Price::MAX {
        let _ = write!(text, "&maxPrice={}", filter.prices.highest());
    }
    let words = filter.words.as_slice();
    if !words.is_empty() {
        let _ = write!(text, "&search={}", utf8_percent_encode(&words.join(" "), RESERVED));
    }
    if let Some(cursor) = cursor {
        let _ = write!(text, "&cursor={cursor}");
    }
    text
}

#[cfg(test)]
mod tests;
