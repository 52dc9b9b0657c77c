//! The bodies of `/products` and `/products/{id}`.

use chrono::{DateTime, SecondsFormat, Utc};
use farmlokal_catalog::{Page, Price, Product};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

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
        }
    }
}

impl<'a> From<&'a Page> for PageResponse<'a> {
    fn from(page: &'a Page) -> Self {
        Self {
            data: page.products.iter().map(ProductResponse::from).collect(),
            count: page.products.len(),
            next_cursor: page.next_cursor.as_ref().map(ToString::to_string),
            has_more: page.next_cursor.is_some(),
        }
    }
}

/// A price as a JSON number with two decimals, never by way of a float.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn exact<S: Serializer>(price: &Price, serializer: S) -> Result<S::Ok, S::Error> {
    RawValue::from_string(price.to_string()).map_err(serde::ser::Error::custom)?.serialize(serializer)
}

fn rfc3339<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
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
