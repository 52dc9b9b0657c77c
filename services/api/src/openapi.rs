//! The OpenAPI 3.1 document, gathered from the handlers.

use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{Content, HeaderBuilder, ObjectBuilder, Ref, Response, ResponseBuilder, Type};
use utoipa_axum::router::OpenApiRouter;

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

/// The whole document: the API's operations and the operators'.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    let mut api = OpenApiRouter::with_openapi(Document::openapi()).merge(routes::api());
    for path in api.get_openapi_mut().paths.paths.values_mut() {
        operations_of(path).for_each(add_common_answers);
    }
    api.merge(routes::operations()).into_openapi()
}

fn operations_of(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut path.get, &mut path.put, &mut path.post, &mut path.delete, &mut path.patch].into_iter().flatten()
}

/// What the middleware answers in any operation's place, where the operation does not say it itself.
fn add_common_answers(operation: &mut Operation) {
    let mut add = |status: &str, answer: Response| {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| answer.into());
    };
    add("400", problem("A parameter that does not exist").build());
    add("429", rate_limited());
    add("503", problem("The service is overloaded").build());
    if operation.request_body.is_some() {
        add("408", problem("The body did not arrive in time").build());
        add("413", problem("The body is too large").build());
    }
}

fn problem(description: &str) -> ResponseBuilder {
    let body = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new().description(description).content("application/problem+json", body)
}

fn rate_limited() -> Response {
    let header = |description: &str, kind: Type| {
        let schema = ObjectBuilder::new().schema_type(kind).build();
        HeaderBuilder::new().description(Some(description)).schema(Some(schema)).build()
    };
    problem("The client has used up its quota")
        .header("Retry-After", header("Seconds until one more request is taken", Type::Integer))
        .header("RateLimit", header("What is left: r requests now, all of them in t seconds", Type::String))
        .header("RateLimit-Policy", header("What is allowed: q requests in w seconds", Type::String))
        .build()
}
