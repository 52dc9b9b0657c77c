//! The bodies of `/products`, `/products/suggest` and `/products/{id}`.

use chrono::{DateTime, Utc};
use farmlokal_catalog::{Level, ListQuery, Page, Price, PriceRange, Product};
use farmlokal_search::{Correction, Found, Piece, Suggestion};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::query::{json, rfc3339};

/// A product.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Product)]
pub(super) struct ProductResponse<'a> {
    /// Unique and never used again. At most 2^53 - 1, so that it is exact in JavaScript.
    #[schema(example = 1001, minimum = 1, maximum = 9_007_199_254_740_991_i64)]
    id: u64,
    #[schema(example = "Alpine Meadow Goat Cheese, 250 g")]
    name: &'a str,
    #[schema(example = "A mild cheese of goat's milk, ripened for three weeks.")]
    description: &'a str,
    #[schema(example = "dairy")]
    category: &'a str,
    /// Always with two decimals.
    #[serde(serialize_with = "exact")]
    #[schema(value_type = f64, example = 12.50, minimum = 0, maximum = 99_999_999.99)]
    price: Price,
    /// UTC, with milliseconds.
    #[serde(serialize_with = "rfc3339")]
    #[schema(example = "2025-03-01T09:30:00.000Z")]
    created_at: DateTime<Utc>,
    /// UTC, with milliseconds.
    #[serde(serialize_with = "rfc3339")]
    #[schema(example = "2025-03-01T09:30:00.000Z")]
    updated_at: DateTime<Utc>,
    /// What matches the search; there with `highlight=true` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    highlights: Option<HighlightsResponse>,
}

/// The texts of a product in pieces. All pieces of a text together are the text.
#[derive(Serialize, ToSchema)]
#[schema(as = Highlights)]
struct HighlightsResponse {
    name: Vec<PieceResponse>,
    description: Vec<PieceResponse>,
}

/// A piece of a text.
#[derive(Serialize, ToSchema)]
#[schema(as = Piece)]
struct PieceResponse {
    #[schema(example = "Cheese")]
    text: String,
    /// Whether it matches the search.
    #[schema(example = true)]
    matched: bool,
}

/// A page of products.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ProductPage)]
pub(super) struct PageResponse<'a> {
    data: Vec<ProductResponse<'a>>,
    /// How many products this page has.
    #[schema(example = 20)]
    count: usize,
    /// The `cursor` of the next page; null on the last one.
    next_cursor: Option<String>,
    /// Whether there is a next page.
    has_more: bool,
    /// How many products match, all pages together; there with `total=true` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1234)]
    total: Option<u64>,
    /// There with `facets` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    facets: Option<Facets<'a>>,
    /// There with `search` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    corrections: Option<CorrectionsResponse<'a>>,
}

/// How many products each choice would give. A count leaves the filter out that is of its own kind, so that several
/// categories can be offered while one is chosen.
#[derive(Serialize, ToSchema)]
struct Facets<'a> {
    /// The categories, those with the most products first; at most 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<Vec<CategoryCount<'a>>>,
    /// Ranges of prices that have products, the cheapest first. `minPrice` and `maxPrice` take their ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<Vec<PriceCount>>,
}

#[derive(Serialize, ToSchema)]
struct CategoryCount<'a> {
    #[schema(example = "dairy")]
    value: &'a str,
    #[schema(example = 123)]
    count: u64,
}

#[derive(Serialize, ToSchema)]
struct PriceCount {
    #[serde(serialize_with = "exact")]
    #[schema(value_type = f64, example = 10.00)]
    min: Price,
    #[serde(serialize_with = "exact")]
    #[schema(value_type = f64, example = 19.99)]
    max: Price,
    #[schema(example = 123)]
    count: u64,
}

/// How the search was read. It forgives only where the whole catalogue has nothing that matches as written.
#[derive(Serialize, ToSchema)]
#[schema(as = Corrections)]
struct CorrectionsResponse<'a> {
    /// How far it forgave: `asWritten`, not at all; `prefix`, the end of the last word may be missing; `typos`, words may be
    /// misspelt.
    #[schema(example = "typos", pattern = "^(asWritten|prefix|typos)$")]
    level: &'static str,
    /// The words that were not found as written.
    words: Vec<CorrectionResponse<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Correction)]
struct CorrectionResponse<'a> {
    /// As it was searched for.
    #[schema(example = "chedar")]
    word: &'a str,
    /// The most common words that were found instead; at most 5.
    #[schema(example = json!(["cheddar"]))]
    found: &'a [String],
}

/// Completions of what a user types, those of most products first.
#[derive(Serialize, ToSchema)]
#[schema(as = Suggestions)]
pub(super) struct SuggestionsResponse<'a> {
    data: Vec<SuggestionResponse<'a>>,
    /// How many there are.
    #[schema(example = 8)]
    count: usize,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Suggestion)]
struct SuggestionResponse<'a> {
    /// The text with its last word completed: what to search for.
    #[schema(example = "cheddar")]
    text: &'a str,
    /// How many products have it.
    #[schema(example = 123)]
    products: u64,
}

impl<'a> From<&'a Product> for ProductResponse<'a> {
    fn from(product: &'a Product) -> Self {
        Self {
            id: product.id,
            name: &product.name,
            description: &product.description,
            category: &product.category,
            price: product.price,
            created_at: product.created_at,
            updated_at: product.updated_at,
            highlights: None,
        }
    }
}

/// A product alone, as a GET of it has it.
///
/// # Errors
/// As [`json`].
pub(super) fn product_json(product: &Product) -> Result<Box<[u8]>, Problem> {
    json(&ProductResponse::from(product))
}

impl<'a> From<&'a Page> for PageResponse<'a> {
    fn from(page: &'a Page) -> Self {
        Self {
            data: page.products.iter().map(ProductResponse::from).collect(),
            count: page.products.len(),
            next_cursor: page.next_cursor.as_ref().map(ToString::to_string),
            has_more: page.next_cursor.is_some(),
            total: None,
            facets: None,
            corrections: None,
        }
    }
}

impl<'a> PageResponse<'a> {
    /// A page that the search index found, and what else its query asks for.
    pub(super) fn of_search(query: &ListQuery, page: &'a Page, found: &'a Found) -> Self {
        let mut response = PageResponse::from(page);
        if let Some(highlighter) = &found.highlighter {
            let pieces = |text| highlighter.pieces(text).into_iter().map(Into::into).collect();
            for product in &mut response.data {
                let (name, description) = (pieces(product.name), pieces(product.description));
                product.highlights = Some(HighlightsResponse { name, description });
            }
        }
        let category = found.category_facet.as_ref().map(|counts| {
            counts.iter().map(|(value, count)| CategoryCount { value, count: *count }).collect()
        });
        let price = found.price_facet.as_ref().map(|counts| {
            let count = |(range, count): &(PriceRange, u64)| PriceCount {
                min: range.lowest(),
                max: range.highest(),
                count: *count,
            };
            counts.iter().map(count).collect()
        });
        let facets = (category.is_some() || price.is_some()).then_some(Facets { category, price });
        let corrections = query.filter().search.as_ref().map(|_| found.into());
        Self { total: found.total, facets, corrections, ..response }
    }
}

impl From<Piece> for PieceResponse {
    fn from(Piece { text, matched }: Piece) -> Self {
        Self { text, matched }
    }
}

impl<'a> From<&'a Found> for CorrectionsResponse<'a> {
    fn from(found: &'a Found) -> Self {
        let level = match found.level {
            Level::AsWritten => "asWritten",
            Level::Prefix => "prefix",
            Level::Typos => "typos",
        };
        let word = |Correction { word, found }: &'a Correction| CorrectionResponse { word, found };
        Self { level, words: found.corrections.iter().map(word).collect() }
    }
}

impl<'a> From<&'a [Suggestion]> for SuggestionsResponse<'a> {
    fn from(suggestions: &'a [Suggestion]) -> Self {
        let data = suggestions
            .iter()
            .map(|Suggestion { text, products }| SuggestionResponse { text, products: *products });
        Self { data: data.collect(), count: suggestions.len() }
    }
}

/// A price as a JSON number with two decimals, never by way of a float.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn exact<S: Serializer>(price: &Price, serializer: S) -> Result<S::Ok, S::Error> {
    RawValue::from_string(price.to_string()).map_err(serde::ser::Error::custom)?.serialize(serializer)
}

#[cfg(test)]
mod tests {
    use farmlokal_catalog::MAX_PRODUCT_ID;

    use super::*;

    #[test]
    fn prices_and_times_are_written_exactly() {
        let time = "2025-03-01T09:30:00.120Z".parse().unwrap();
        let product = Product {
            id: MAX_PRODUCT_ID,
            name: "Käse \"alt\"".into(),
            description: String::new(),
            category: "dairy".into(),
            price: Price::MAX,
            created_at: time,
            updated_at: time,
        };
        let json = serde_json::to_string(&ProductResponse::from(&product)).unwrap();
        assert_eq!(
            json,
            "{\"id\":9007199254740991,\"name\":\"Käse \\\"alt\\\"\",\"description\":\"\",\"category\":\"dairy\",\
             \"price\":99999999.99,\"createdAt\":\"2025-03-01T09:30:00.120Z\",\
             \"updatedAt\":\"2025-03-01T09:30:00.120Z\"}"
        );
        let cheap = Product { price: "0.1".parse().unwrap(), ..product };
        assert!(serde_json::to_string(&ProductResponse::from(&cheap)).unwrap().contains("\"price\":0.10,"));
    }
}
