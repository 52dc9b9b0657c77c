//! The parameters of `GET /products`: one struct reads, checks and documents them.

use std::fmt::{Display, Write as _};

use axum::http::Uri;
use farmlokal_catalog::{
    Categories, Category, Cursor, CursorMismatch, Filter, Include, InvalidSearch, InvalidText, Limit,
    ListQuery, Order, Price, PriceRange, SearchText, Sort,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, RefOr, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::problem::{Code, InvalidParam, Problem};
use crate::query::{Invalid, price, read_params, whole_number};

const SORTS: [(&str, Sort); 5] = [
    ("id", Sort::Id),
    ("price", Sort::Price),
    ("name", Sort::Name),
    ("createdAt", Sort::CreatedAt),
    ("relevance", Sort::Relevance),
];

const ORDERS: [(&str, Order); 2] = [("ASC", Order::Asc), ("DESC", Order::Desc)];

const FACETS: [&str; 2] = ["category", "price"];

/// The only parameter that may be given more than once.
const CATEGORY: &str = "category";

/// What RFC 3986 calls unreserved stays as it is.
pub(super) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

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
    /// Only this category, spelled exactly. It may be given up to 20 times: any of them.
    #[param(value_type = Option<Vec<String>>, max_items = 20)]
    category: Vec<Category>,
    /// Only products that cost at least this much; at most two decimals.
    #[param(value_type = Option<f64>, minimum = 0, maximum = 99_999_999.99)]
    min_price: Option<Price>,
    /// Only products that cost at most this much; at most two decimals.
    #[param(value_type = Option<f64>, minimum = 0, maximum = 99_999_999.99)]
    max_price: Option<Price>,
    /// Only products with all of these words in name or description, such as `cheese` or `oil 2L`. Where nothing matches
    /// as written, the last word may be the beginning of one, and then words may be misspelt.
    #[param(value_type = Option<String>, min_length = 1, max_length = 255, example = "chedar")]
    search: Option<SearchText>,
    /// Whether the answer has `total`: how many products match, all pages together.
    #[param(value_type = Option<bool>, default = false, example = true)]
    total: bool,
    /// Counts in the answer, with a comma between them: how many products each category, or each range of prices, would
    /// give. Each leaves its own filter out.
    #[param(inline, value_type = Option<FacetNames>, explode = false, example = json!(FACETS))]
    facets: [bool; FACETS.len()],
    /// Whether each product has `highlights`: what matches in its name and description. It needs `search`.
    #[param(value_type = Option<bool>, default = false, example = true)]
    highlight: bool,
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
        let invalid = read_params(query, Some(CATEGORY), |name, value| params.set(name, value));
        params.into_query(invalid)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Invalid> {
        match name {
            "cursor" => self.cursor = Some(value.parse().map_err(|error| wrong("cursor_malformed", error))?),
            "limit" => {
                self.limit = Limit::new(whole_number(value, &(Limit::MIN.get()..=Limit::MAX.get()))?);
            }
            "sort" => self.sort = Some(sort(value)?),
            "order" => self.order = Some(order(value)?),
            CATEGORY => self.category.push(category(value)?),
            "minPrice" => self.min_price = Some(price(value)?),
            "maxPrice" => self.max_price = Some(price(value)?),
            "search" => self.search = Some(search_text(value)?),
            "total" => self.total = flag(value)?,
            "facets" => self.facets = facets(value)?,
            "highlight" => self.highlight = flag(value)?,
            _ => return Err(wrong("unknown_parameter", "is not a parameter of this resource")),
        }
        Ok(())
    }

    /// Checks what is between parameters. A cursor is bound to the others: with one of them invalid it is not judged.
    fn into_query(self, mut invalid: Vec<InvalidParam>) -> Result<ListQuery, Vec<InvalidParam>> {
        let searches = self.search.is_some() || invalid.iter().any(|param| param.name == "search");
        let prices = PriceRange::new(self.min_price, self.max_price);
        if prices.is_err() {
            invalid.push(InvalidParam::new("minPrice", "min_above_max", "must not be above maxPrice"));
        }
        let categories = Categories::new(self.category);
        if let Err(error) = &categories {
            invalid.push(InvalidParam::new(CATEGORY, "too_many", error.to_string()));
        }
        if self.highlight && !searches {
            invalid.push(InvalidParam::new("highlight", "requires_search", "needs a search"));
        }
        let [category_facet, price_facet] = self.facets;
        let include = Include { total: self.total, category_facet, price_facet, highlights: self.highlight };
        let filter = Filter {
            categories: categories.unwrap_or_default(),
            prices: prices.unwrap_or_default(),
            search: self.search,
        };
        let query = ListQuery::new(filter, self.sort, self.order);
        if let Err(error) = &query
            && !searches
        {
            invalid.push(InvalidParam::new("sort", "requires_search", error.to_string()));
        }
        let query = match query {
            Ok(query) if invalid.is_empty() => query.with_limit(self.limit.unwrap_or_default()).with(include),
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
        InvalidText::TooLong(_) => wrong("too_long", error),
        _ => wrong("malformed", error),
    })
}

pub(super) fn search_text(value: &str) -> Result<SearchText, Invalid> {
    SearchText::new(value).map_err(|error| match error {
        InvalidSearch::TooLong => wrong("too_long", error),
        InvalidSearch::NoWords => wrong("no_words", error),
    })
}

fn flag(value: &str) -> Result<bool, Invalid> {
    value.parse().map_err(|_| wrong("malformed", "must be true or false"))
}

/// Which of [`FACETS`] a list of them names, each once.
fn facets(value: &str) -> Result<[bool; FACETS.len()], Invalid> {
    let mut asked = [false; FACETS.len()];
    for name in value.split(',') {
        let nth = FACETS.iter().position(|facet| *facet == name);
        let nth = nth.filter(|nth| !asked[*nth]).ok_or_else(|| {
            let what = format_args!("must be category, price, or both with a comma between; not {name:?}");
            wrong("malformed", what)
        })?;
        asked[nth] = true;
    }
    Ok(asked)
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

/// The value of `facets` in the OpenAPI document.
struct FacetNames;

impl PartialSchema for FacetNames {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new().items(one_of(FACETS)).min_items(Some(1)).unique_items(true).into()
    }
}

impl ToSchema for FacetNames {}

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
    for category in filter.categories.as_slice() {
        // Writing to a string cannot fail.
        let _ = write!(text, "&category={}", utf8_percent_encode(category.as_str(), RESERVED));
    }
    if filter.prices.lowest() > Price::MIN {
        let _ = write!(text, "&minPrice={}", filter.prices.lowest());
    }
    if filter.prices.highest() < Price::MAX {
        let _ = write!(text, "&maxPrice={}", filter.prices.highest());
    }
    if let Some(search) = &filter.search {
        let _ = write!(text, "&search={}", utf8_percent_encode(search.as_str(), RESERVED));
    }
    let include = query.include();
    if include.total {
        text.push_str("&total=true");
    }
    text.push_str(match (include.category_facet, include.price_facet) {
        (true, true) => "&facets=category,price",
        (true, false) => "&facets=category",
        (false, true) => "&facets=price",
        (false, false) => "",
    });
    if include.highlights {
        text.push_str("&highlight=true");
    }
    if let Some(cursor) = cursor {
        let _ = write!(text, "&cursor={cursor}");
    }
    text
}

#[cfg(test)]
mod tests;
