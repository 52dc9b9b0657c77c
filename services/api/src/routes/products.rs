//! `/products` and `/products/{id}`

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::HeaderValue;
use axum::response::Response;
use chrono::{DateTime, SecondsFormat, Utc};
use farmlokal_cache::Key;
use farmlokal_catalog::{InvalidParam, InvalidQuery, ListQuery, Page, Price, Product};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::Answer;
use crate::app::App;
use crate::problem::{Problem, ProblemBody};
use crate::query;

/// A product.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Product)]
struct ProductResponse<'a> {
    /// Unique and never used again.
    #[schema(example = 1001)]
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
struct PageResponse<'a> {
    data: Vec<ProductResponse<'a>>,
    /// How many products this page has.
    #[schema(example = 20)]
    count: usize,
    /// The `cursor` of the next page; null on the last one.
    next_cursor: Option<&'a str>,
    /// Whether there is a next page.
    has_more: bool,
}

/// The parameters of a list, for the OpenAPI document; `ListQuery::parse` reads and checks them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "documentation")]
struct ListParams {
    /// Where the page starts: the `nextCursor` of the page before, with the same sort, order and filters. With
    /// `sort=id`, also a plain product id, after which the page starts.
    cursor: Option<String>,
    /// Products on a page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u8>,
    /// What the list is sorted by; ties are sorted by id. `relevance` needs `search` and is the default with it.
    #[param(inline)]
    sort: Option<SortParam>,
    /// The direction, in upper or lower case. Relevance is descending by default, all else ascending.
    #[param(inline)]
    order: Option<OrderParam>,
    /// Only this category, spelled exactly.
    category: Option<String>,
    /// Only products that cost at least this much; at most two decimals.
    #[param(minimum = 0, maximum = 99_999_999.99)]
    min_price: Option<f64>,
    /// Only products that cost at most this much; at most two decimals.
    #[param(minimum = 0, maximum = 99_999_999.99)]
    max_price: Option<f64>,
    /// Only products with all of these words in name or description, such as `ball` or `oil 2L`.
    #[param(max_length = 200)]
    search: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase", default = "id")]
#[expect(dead_code, reason = "documentation")]
enum SortParam {
    Id,
    Price,
    Name,
    CreatedAt,
    Relevance,
}

#[derive(ToSchema)]
#[schema(rename_all = "UPPERCASE")]
#[expect(dead_code, reason = "documentation")]
enum OrderParam {
    Asc,
    Desc,
}

/// List products
///
/// A page of products in the order of `sort`, of those that match all filters. Follow `nextCursor`, or the
/// `Link: rel="next"` header, to walk the whole list: every product comes once, at the same speed at any depth.
#[utoipa::path(
    get,
    path = "/products",
    tag = "catalogue",
    params(ListParams),
    responses(
        (status = 200, description = "A page of products", body = PageResponse),
        (status = 304, description = "The client's copy, named in If-None-Match, is still right"),
        (status = 400, description = "One or more parameters are wrong; each is named", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The search costs too much, the catalogue cannot be reached, or the service is overloaded", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
async fn list_products(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let (request, _) = request.into_parts();
    let list = query::list(&request.uri)?;
    let key = Key::List(list.canonical("").into());
    app.answer(&request, &key, async move |catalog| page_answer(&list, &catalog.list(&list).await?)).await
}

/// Get a product
#[utoipa::path(
    get,
    path = "/products/{id}",
    tag = "catalogue",
    params(("id" = u64, Path, description = "The product's id", minimum = 1, example = 1001)),
    responses(
        (status = 200, description = "The product", body = ProductResponse),
        (status = 304, description = "The client's copy, named in If-None-Match, is still right"),
        (status = 400, description = "The id is not a whole number, or there is a query", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No product has this id", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The catalogue cannot be reached, or the service is overloaded", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
async fn get_product(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (request, _) = request.into_parts();
    query::refuse_parameters(&request.uri)?;
    let id = product_id(&id)?;
    app.answer(&request, &Key::Item(id), async move |catalog| match catalog.product(id).await? {
        Some(product) => Ok(Answer::document(query::json(&representation(&product))?, None)),
        None => Ok(Answer::MISSING),
    })
    .await
}

/// A path's id: digits only, from 1 to the largest 64-bit number.
fn product_id(text: &str) -> Result<u64, Problem> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(id) if digits && id > 0 => Ok(id),
        _ => Err(InvalidQuery {
            params: vec![InvalidParam {
                name: "id".into(),
                code: "malformed",
                detail: format!("must be a whole number from 1 to {}", u64::MAX),
            }],
        }
        .into()),
    }
}

fn page_answer(list: &ListQuery, page: &Page) -> Result<Answer, Problem> {
    let next_cursor = page.next_cursor.as_deref();
    let body = PageResponse {
        data: page.products.iter().map(representation).collect(),
        count: page.products.len(),
        next_cursor,
        has_more: next_cursor.is_some(),
    };
    let link = next_cursor.map(|cursor| list.canonical_at("</products?", cursor) + ">; rel=\"next\"");
    // The canonical query is percent-encoded, so it is a valid header.
    let link = link.and_then(|link| HeaderValue::try_from(link).ok());
    Ok(Answer::document(query::json(&body)?, link))
}

fn representation(product: &Product) -> ProductResponse<'_> {
    ProductResponse {
        id: product.id,
        name: &product.name,
        description: &product.description,
        category: &product.category,
        price: product.price,
        created_at: product.created_at,
        updated_at: product.updated_at,
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

pub(super) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list_products)).routes(routes!(get_product))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_and_times_are_written_exactly() {
        let time = "2025-03-01T09:30:00.120Z".parse().unwrap();
        let product = Product {
            id: u64::MAX,
            name: "Käse \"alt\"".into(),
            description: String::new(),
            category: "dairy".into(),
            price: Price::MAX,
            created_at: time,
            updated_at: time,
        };
        let json = serde_json::to_string(&representation(&product)).unwrap();
        assert_eq!(
            json,
            "{\"id\":18446744073709551615,\"name\":\"Käse \\\"alt\\\"\",\"description\":\"\",\"category\":\"dairy\",\
             \"price\":99999999.99,\"createdAt\":\"2025-03-01T09:30:00.120Z\",\
             \"updatedAt\":\"2025-03-01T09:30:00.120Z\"}"
        );
        let cheap = Product { price: "0.1".parse().unwrap(), ..product };
        assert!(serde_json::to_string(&representation(&cheap)).unwrap().contains("\"price\":0.10,"));
    }

    #[test]
    fn an_id_is_digits_only() {
        assert_eq!(product_id("18446744073709551615").unwrap(), u64::MAX);
        for bad in ["0", "", "-1", "+1", "1.0", "abc", "18446744073709551616", "1 "] {
            assert!(product_id(bad).is_err(), "{bad:?}");
        }
    }
}
