//! The OpenAPI 3.1 document, gathered from the handlers.

use farmlokal_auth::AuthConfig;
use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ClientCredentials, Flow, Http, HttpAuthScheme, OAuth2, Scopes, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{Content, HeaderBuilder, ObjectBuilder, Ref, Response, ResponseBuilder, Type};
use utoipa_axum::router::OpenApiRouter;

use crate::routes;

/// The names of the security schemes.
const TOKEN: &str = "token";
const CLIENT: &str = "clientCredentials";

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

/// The whole document: the API's operations and the operators', and where an issuer is set those of writes.
#[must_use]
pub fn document(auth: &AuthConfig) -> utoipa::openapi::OpenApi {
    let mut api = OpenApiRouter::with_openapi(Document::openapi()).merge(routes::api()).into_openapi();
    if auth.issuer().is_some() {
        api.merge(writes(auth));
    }
    api.paths.paths.values_mut().flat_map(operations_of).for_each(add_common_answers);
    api.merge(routes::operations().into_openapi());
    api
}

/// The part of writes: with tokens, and what any of them may be answered.
fn writes(auth: &AuthConfig) -> utoipa::openapi::OpenApi {
    let mut writes = routes::writes().into_openapi();
    let scope = auth.scope();
    let mut schemes = vec![(TOKEN, SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)))];
    if let Some(url) = auth.token_url() {
        let flow = ClientCredentials::new(url.as_str(), Scopes::one(scope, "Write products"));
        schemes.push((CLIENT, SecurityScheme::OAuth2(OAuth2::new([Flow::ClientCredentials(flow)]))));
    }
    let security: Vec<_> = schemes
        .iter()
        .map(|(name, _)| SecurityRequirement::new(*name, (*name == CLIENT).then_some(scope)))
        .collect();
    for operation in writes.paths.paths.values_mut().flat_map(operations_of) {
        operation.security = Some(security.clone());
        let mut add = |status: &str, description: &str| {
            let answer = problem(description).build();
            operation.responses.responses.entry(status.to_owned()).or_insert_with(|| answer.into());
        };
        add("401", "The bearer token is missing or not valid");
        add("403", "The token does not have the scope to write");
        add(
            "409",
            "Another request with this `Idempotency-Key` is under way, or operations of the batch cannot be done",
        );
        add("422", "Another request with this `Idempotency-Key` has taken effect");
        add(
            "503",
            "The database cannot be reached, the cache was not invalidated, or the service is overloaded",
        );
        if operation.request_body.is_some() {
            add("415", "The body is compressed, or is not JSON");
        }
    }
    let components = writes.components.get_or_insert_default();
    components
        .security_schemes
        .extend(schemes.into_iter().map(|(name, scheme)| (name.to_owned(), scheme.into())));
    let description = "Changes of products, by those whose token has the scope to write";
    writes.tags = Some(vec![TagBuilder::new().name("writes").description(Some(description)).build()]);
    writes
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
