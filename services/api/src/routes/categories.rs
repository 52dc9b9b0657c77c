//! `/categories`

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use farmlokal_cache::Key;
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::Answer;
use crate::app::App;
use crate::problem::{Problem, ProblemBody};
use crate::query;

/// The categories that have products.
#[derive(Serialize, ToSchema)]
struct CategoriesResponse {
    /// Their names, in alphabetical order.
    #[schema(example = json!(["bakery", "dairy", "sports"]))]
    data: Vec<String>,
    /// How many there are.
    #[schema(example = 3)]
    count: usize,
}

/// List the categories
///
/// Every category that has at least one product.
#[utoipa::path(
    get,
    path = "/categories",
    tag = "catalogue",
    responses(
        (status = 200, description = "The categories", body = CategoriesResponse),
        (status = 304, description = "The client's copy, named in If-None-Match, is still right"),
        (status = 503, description = "The catalogue cannot be reached, or the service is overloaded", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_categories(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let (request, _) = request.into_parts();
    query::refuse_parameters(&request.uri)?;
    app.answer(&request, &Key::List("categories".into()), async |catalog, _| {
        let data = catalog.categories().await?;
        let count = data.len();
        Ok(Answer::document(query::json(&CategoriesResponse { data, count })?, None))
    })
    .await
}
