//! `/products`, `/products/suggest`, `/products/batch` and `/products/{id}`

pub(super) mod batch;
mod conditions;
mod list_params;
mod response;
pub(super) mod suggest;
pub(super) mod write;

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::HeaderValue;
use axum::response::Response;
use farmlokal_cache::Key;
use farmlokal_catalog::{Catalog, Cursor, ListQuery, MAX_PRODUCT_ID};
use farmlokal_search::Search;

use self::list_params::{ListParams, canonical};
use self::response::{PageResponse, ProductResponse, product_json};
use crate::answer::Answer;
use crate::app::App;
use crate::problem::{Code, InvalidParam, Problem, ProblemBody};
use crate::query;

/// List products
///
/// A page of products in the order of `sort`, of those that match all filters. Follow `nextCursor`, or the
/// `Link: rel="next"` header, to walk the whole list: every product comes once, at the same speed at any depth.
///
/// All parameters combine freely. Examples:
/// [the cheapest first](/products?sort=price&order=ASC),
/// [a search that forgives](/products?search=chedar&total=true&highlight=true),
/// [two categories](/products?category=dairy&category=bakery&maxPrice=10&sort=name),
/// [what to offer as filters](/products?search=oil&facets=category,price&limit=5).
#[utoipa::path(
    get,
    path = "/products",
    tag = "catalogue",
    params(ListParams),
    responses(
        (status = 200, description = "A page of products", body = PageResponse),
        (status = 304, description = "The client's copy, named in If-None-Match, is still right"),
        (status = 400, description = "One or more parameters are wrong; each is named", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The catalogue cannot be reached, there is no search index yet, or the service is overloaded", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_products(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let (request, _) = request.into_parts();
    let list = ListParams::read(&request.uri)?;
    let key = Key::List(canonical("", &list, list.cursor().as_ref()).into());
    app.answer(&request, &key, async move |catalog, search| page(&list, &catalog, &search).await).await
}

/// SQL answers what one index of the database serves, the search index everything else.
async fn page(list: &ListQuery, catalog: &Catalog, search: &Search) -> Result<Answer, Problem> {
    if list.is_served_by_one_index() {
        let page = catalog.list(list).await?;
        return page_answer(list, page.next_cursor.as_ref(), &PageResponse::from(&page), false);
    }
    let (page, found) = search.list(list).await?;
    let response = PageResponse::of_search(list, &page, &found);
    page_answer(list, page.next_cursor.as_ref(), &response, found.is_stale)
}

/// Get a product
#[utoipa::path(
    get,
    path = "/products/{id}",
    tag = "catalogue",
    params(("id" = u64, Path, description = "The product's id", minimum = 1, maximum = 9_007_199_254_740_991_i64, example = 1001)),
    responses(
        (status = 200, description = "The product", body = ProductResponse),
        (status = 304, description = "The client's copy, named in If-None-Match, is still right"),
        (status = 400, description = "The id is not a whole number, or there is a query", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No product has this id", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The catalogue cannot be reached, or the service is overloaded", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_product(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let (request, _) = request.into_parts();
    query::refuse_parameters(&request.uri)?;
    // Rejected where its percent-encoding is no UTF-8.
    let id = id.ok().and_then(|Path(id)| product_id(&id)).ok_or_else(invalid_id)?;
    app.answer(&request, &Key::Item(id), async move |catalog, _| match catalog.product(id).await? {
        Some(product) => Ok(Answer::document(product_json(&product)?, None)),
        None => Ok(Answer::MISSING),
    })
    .await
}

/// Digits only, from 1 to the highest id, without zeros ahead: each product has one path.
fn product_id(text: &str) -> Option<u64> {
    let is_number = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| is_number && (1..=MAX_PRODUCT_ID).contains(id))
}

fn invalid_id() -> Problem {
    let detail = format!("must be a whole number from 1 to {MAX_PRODUCT_ID}");
    Problem::naming(Code::InvalidParameter, vec![InvalidParam::new("id", "malformed", detail)])
}

fn page_answer(
    list: &ListQuery,
    next: Option<&Cursor>,
    page: &PageResponse<'_>,
    is_stale: bool,
) -> Result<Answer, Problem> {
    let link = next.map(|next| canonical("</products?", list, Some(next)));
    // The canonical query is percent-encoded, so it is a valid header.
    let link = link.and_then(|link| HeaderValue::try_from(link + ">; rel=\"next\"").ok());
    Ok(Answer::of_search(query::json(page)?, link, is_stale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_digits_only_and_exact_in_json() {
        assert_eq!(product_id("9007199254740991"), Some(MAX_PRODUCT_ID));
        for bad in ["0", "01", "", "-1", "+1", "1.0", "abc", "9007199254740992", "18446744073709551616", "1 "]
        {
            assert_eq!(product_id(bad), None, "{bad:?}");
        }
    }
}
