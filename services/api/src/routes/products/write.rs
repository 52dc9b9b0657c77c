//! Writes of single products.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_LOCATION, CONTENT_TYPE, ETAG, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use farmlokal_catalog::{Action, Done, Operation, Product};
use utoipa::{IntoParams, ToSchema};

use super::response::{ProductResponse, product_json};
use super::{conditions, invalid_id, product_id};
use crate::entity_tag::EntityTag;
use crate::fields::{self, Fields};
use crate::list_header;
use crate::object::Members;
use crate::problem::{Code, Problem, ProblemBody};
use crate::writes::{Kind, Writes};

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const RETURN_MINIMAL: HeaderValue = HeaderValue::from_static("return=minimal");

/// Headers, for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documentation")]
struct ConditionHeaders {
    /// Entity tags, one of which the product must have; `*`: it must be there
    #[param(rename = "If-Match", nullable = false)]
    if_match: Option<String>,
    /// Entity tags that the product must not have; `*`: it must not be there
    #[param(rename = "If-None-Match", nullable = false)]
    if_none_match: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documentation")]
pub(super) struct KeyHeader {
    /// 1 to 255 characters of ASCII in double quotes, such as a UUID: the write takes effect once in 24 hours
    #[param(rename = "Idempotency-Key", nullable = false)]
    idempotency_key: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documentation")]
struct PreferHeader {
    /// `return=minimal`: the answer has no body
    #[param(rename = "Prefer", nullable = false)]
    prefer: Option<String>,
}

/// A product as it is written, for the OpenAPI document.
#[derive(ToSchema)]
#[schema(as = ProductDraft)]
#[expect(dead_code, reason = "documentation")]
pub(super) struct DraftBody {
    /// Texts are stored in Unicode's form NFC, without white space around them. They have no control characters, and
    /// something to see.
    #[schema(min_length = 1, max_length = 255, example = "Alpine Meadow Goat Cheese, 250 g")]
    name: String,
    #[schema(max_length = 1000, example = "A mild cheese of goat's milk, ripened for three weeks.")]
    description: String,
    #[schema(min_length = 1, max_length = 64, example = "dairy")]
    category: String,
    /// At most two decimals.
    #[schema(minimum = 0, maximum = 99_999_999.99, example = 12.50)]
    price: f64,
}

/// What changes of a product, for the OpenAPI document. What is absent stays.
#[derive(ToSchema)]
#[schema(as = ProductPatch)]
#[expect(dead_code, reason = "documentation")]
pub(super) struct PatchBody {
    #[schema(min_length = 1, max_length = 255, nullable = false)]
    name: Option<String>,
    #[schema(max_length = 1000, nullable = false)]
    description: Option<String>,
    #[schema(min_length = 1, max_length = 64, nullable = false)]
    category: Option<String>,
    #[schema(minimum = 0, maximum = 99_999_999.99, example = 9.90, nullable = false)]
    price: Option<f64>,
}

/// Create a product
///
/// Its id is new. With an `Idempotency-Key` it is safe to send again: it takes effect once in 24 hours.
#[utoipa::path(
    post,
    path = "/products",
    tag = "writes",
    params(
        KeyHeader,
        PreferHeader,
    ),
    request_body(content = DraftBody, content_type = "application/json"),
    responses(
        (status = 201, description = "The product; `Location` has its path", body = ProductResponse),
        (status = 400, description = "The body is not valid; each bad field is named", body = ProblemBody, content_type = "application/problem+json"),
        (status = 507, description = "No id is left", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::routes) async fn create_product(
    State(writes): State<Arc<Writes>>,
    request: Request,
) -> Result<Response, Problem> {
    let is_minimal = prefers_minimal(request.headers());
    let done = writes.take(Kind::Create, request, |_, body| {
        let draft = product(body, None, Fields::draft)?;
        Ok(vec![Operation { action: Action::Create(draft), precondition: None }])
    });
    response(done.await?, is_minimal)
}

/// Create or replace a product
///
/// The product with this id is as the body says. `If-None-Match: *` creates only, `If-Match` replaces only what the client
/// has seen.
#[utoipa::path(
    put,
    path = "/products/{id}",
    tag = "writes",
    params(
        ("id" = u64, Path, description = "The product's id", minimum = 1, maximum = 9_007_199_254_740_991_i64, example = 1001),
        ConditionHeaders,
        KeyHeader,
        PreferHeader,
    ),
    request_body(content = DraftBody, content_type = "application/json"),
    responses(
        (status = 200, description = "The product, which was replaced", body = ProductResponse),
        (status = 201, description = "The product, which is new", body = ProductResponse),
        (status = 204, description = "It was replaced; with `Prefer: return=minimal`"),
        (status = 400, description = "The id or the body is not valid; each bad field is named", body = ProblemBody, content_type = "application/problem+json"),
        (status = 412, description = "The product is not as `If-Match` or `If-None-Match` wants it", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::routes) async fn put_product(
    State(writes): State<Arc<Writes>>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let is_minimal = prefers_minimal(request.headers());
    let put = |id, body: &[u8]| Ok(Action::Put(id, product(body, Some(id), Fields::draft)?));
    let mut response = response(change(&writes, Kind::Put, id, request, put).await?, is_minimal)?;
    if is_minimal {
        // It would say that the product is as it was sent, without what the service sets:
        // https://www.rfc-editor.org/rfc/rfc9110#section-9.3.4-8
        response.headers_mut().remove(ETAG);
    }
    Ok(response)
}

/// Change fields of a product
///
/// A merge patch ([RFC 7396](https://www.rfc-editor.org/rfc/rfc7396)). What is absent stays; no field can be removed, so null
/// is not valid.
#[utoipa::path(
    patch,
    path = "/products/{id}",
    tag = "writes",
    params(
        ("id" = u64, Path, description = "The product's id", minimum = 1, maximum = 9_007_199_254_740_991_i64, example = 1001),
        ConditionHeaders,
        KeyHeader,
        PreferHeader,
    ),
    request_body(content = PatchBody, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The product as it is now", body = ProductResponse),
        (status = 204, description = "It was changed; with `Prefer: return=minimal`"),
        (status = 400, description = "The id or the body is not valid; each bad field is named", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No product has this id", body = ProblemBody, content_type = "application/problem+json"),
        (status = 412, description = "The product is not as `If-Match` or `If-None-Match` wants it", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::routes) async fn patch_product(
    State(writes): State<Arc<Writes>>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let is_minimal = prefers_minimal(request.headers());
    let patch = |id, body: &[u8]| {
        let patch = product(body, Some(id), |fields, members, prefix| Some(fields.patch(members, prefix)))?;
        Ok(Action::Patch(id, patch))
    };
    response(change(&writes, Kind::Patch, id, request, patch).await?, is_minimal)
}

/// Delete a product
#[utoipa::path(
    delete,
    path = "/products/{id}",
    tag = "writes",
    params(
        ("id" = u64, Path, description = "The product's id", minimum = 1, maximum = 9_007_199_254_740_991_i64, example = 1001),
        ConditionHeaders,
        KeyHeader,
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = 400, description = "The id is not a whole number, or there is a query", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No product has this id", body = ProblemBody, content_type = "application/problem+json"),
        (status = 412, description = "The product is not as `If-Match` or `If-None-Match` wants it", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::routes) async fn delete_product(
    State(writes): State<Arc<Writes>>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let done = change(&writes, Kind::Delete, id, request, |id, _| Ok(Action::Delete(id)));
    response(done.await?, false)
}

/// Does what `action` makes of the product's id and the body, under the request's conditions. The path is rejected where its
/// percent-encoding is no UTF-8.
async fn change(
    writes: &Arc<Writes>,
    kind: Kind,
    id: Result<Path<String>, PathRejection>,
    request: Request,
    action: impl FnOnce(u64, &[u8]) -> Result<Action, Problem>,
) -> Result<Vec<Done>, Problem> {
    let read = |parts: &Parts, body: &[u8]| {
        let id = id.ok().and_then(|Path(id)| product_id(&id)).ok_or_else(invalid_id)?;
        let precondition = conditions::of_request(&parts.headers);
        Ok(vec![Operation { action: action(id, body)?, precondition }])
    };
    writes.take(kind, request, read).await
}

/// Reads a body that is a product or a part of one.
fn product<T>(
    body: &[u8],
    id: Option<u64>,
    read: impl FnOnce(&mut Fields, &Members<'_>, &str) -> Option<T>,
) -> Result<T, Problem> {
    let invalid = |params| Problem::naming(Code::InvalidBody, params);
    let members = fields::body(body).map_err(invalid)?;
    let mut fields = Fields::default();
    let product = product_fields(&mut fields, &members, "", id, read);
    fields.finish(product).map_err(invalid)
}

/// Reads a product, or a part of one. It may be one that a GET gave: what only the service sets is left alone.
pub(super) fn product_fields<T>(
    fields: &mut Fields,
    members: &Members<'_>,
    prefix: &str,
    id: Option<u64>,
    read: impl FnOnce(&mut Fields, &Members<'_>, &str) -> Option<T>,
) -> Option<T> {
    let known = ["name", "description", "category", "price", "id", "createdAt", "updatedAt"];
    fields.require_known(members, prefix, &known);
    fields.read_optional(members, prefix, "id", |raw| {
        let is_same = Some(fields::product_id(raw)?) == id;
        let detail = if id.is_some() {
            "must be absent, or that of the product"
        } else {
            "must be absent: it is given"
        };
        is_same.then_some(()).ok_or_else(|| ("read_only", detail.to_owned()))
    });
    read(fields, members, prefix)
}

/// `Prefer: return=minimal` of [RFC 7240](https://www.rfc-editor.org/rfc/rfc7240#section-4.2).
fn prefers_minimal(headers: &HeaderMap) -> bool {
    list_header::items(headers, PREFER).any(|preference| {
        let preference = preference.split(';').next().unwrap_or_default().replace([' ', '"'], "");
        preference.eq_ignore_ascii_case("return=minimal")
    })
}

/// The answer to a write of one product.
fn response(done: Vec<Done>, is_minimal: bool) -> Result<Response, Problem> {
    match done.into_iter().next() {
        Some(Done::Created(product)) => {
            let mut response = representation(&product, StatusCode::CREATED, is_minimal)?;
            let location = response.headers().get(CONTENT_LOCATION).cloned();
            response.headers_mut().extend(location.map(|location| (LOCATION, location)));
            Ok(response)
        }
        Some(Done::Replaced(product) | Done::Patched(product)) => {
            let status = if is_minimal { StatusCode::NO_CONTENT } else { StatusCode::OK };
            representation(&product, status, is_minimal)
        }
        Some(Done::Deleted(_)) => Ok(StatusCode::NO_CONTENT.into_response()),
        None => Err(Problem::new(Code::Internal, "The write did nothing.")),
    }
}

/// The product as it is now, with the tag for the next `If-Match`.
fn representation(product: &Product, status: StatusCode, is_minimal: bool) -> Result<Response, Problem> {
    let json = product_json(product)?;
    let tag = EntityTag::of(&json).header();
    let path = HeaderValue::try_from(format!("/products/{}", product.id));
    let mut response = if is_minimal {
        (status, [(PREFERENCE_APPLIED, RETURN_MINIMAL)]).into_response()
    } else {
        (status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], json).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, tag);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // So the tag is that of the product, and not of this answer: https://www.rfc-editor.org/rfc/rfc9110#section-8.7
    headers.extend(path.ok().map(|path| (CONTENT_LOCATION, path)));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preference_is_found_among_others() {
        for (value, is_minimal) in [
            ("return=minimal", true),
            ("respond-async, Return=\"minimal\"; x", true),
            ("return=representation", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(PREFER, HeaderValue::from_static(value))]);
            assert_eq!(prefers_minimal(&headers), is_minimal, "{value}");
        }
    }

    #[test]
    fn the_body_of_a_get_can_be_put_back_and_another_id_cannot() {
        let body = br#"{"id":7,"name":"a","description":"","category":"c","price":1.00,"createdAt":"x","updatedAt":"x"}"#;
        assert!(product(body, Some(7), Fields::draft).is_ok());
        for id in [Some(8), None] {
            assert_eq!(
                product(body, id, Fields::draft).map_err(|problem| problem.code()),
                Err(Code::InvalidBody)
            );
        }
    }
}
