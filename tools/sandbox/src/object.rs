//! JSON objects, demanded where objects are meant: serde's derive takes arrays for structs.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::de::{DeserializeOwned, Error as _};

/// Reads a JSON object.
///
/// # Errors
/// Anything else.
pub(crate) fn object<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    if !text.trim_ascii_start().starts_with(b"{") {
        return Err(serde_json::Error::custom("must be a JSON object"));
    }
    serde_json::from_slice(text)
}

/// A request's body, an object; anything else is a 422.
pub(crate) struct Object<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Object<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let body = Bytes::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        let invalid =
            |error: serde_json::Error| (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response();
        object(&body).map(Object).map_err(invalid)
    }
}
