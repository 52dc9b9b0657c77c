//! The OpenAPI 3.1 document, gathered from the handlers.

use std::sync::Arc;

use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::routes;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "FarmLokal",
        description = "A catalogue of farm produce and household goods. Lists are walked by cursors, at \
                       any depth. Errors are `application/problem+json`; [/problems](/problems) explains each of them.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/", description = "This server")),
    tags(
        (name = "catalogue", description = "Products and categories"),
        (name = "partners", description = "Services of others: that this one calls, or that call it"),
        (name = "operations", description = "For orchestrators and operators; on the management port where one is set"),
    )
)]
struct Document;

/// A router whose document has its head only.
pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Document::openapi())
}

/// The whole document: the API's operations and the operators'.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    routes::api().merge(routes::operations()).into_openapi()
}
