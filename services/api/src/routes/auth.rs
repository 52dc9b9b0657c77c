//! `/auth`

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::not_stored;
use crate::app::App;
use crate::partners::TokenSource;
use crate::problem::{Code, Problem, ProblemBody};
use crate::query;

/// An access token as far as it may be shown.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TestTokenResponse {
    /// The first 16 hexadecimal digits of the token's SHA-256.
    #[schema(example = "ba7816bf8f01cfea")]
    fingerprint: String,
    /// What the token is for, where that is set.
    #[schema(example = "https://api.partner.example")]
    audience: Option<String>,
    /// When the provider ends it: UTC, with milliseconds. It is replaced before.
    #[serde(serialize_with = "query::rfc3339")]
    expires_at: DateTime<Utc>,
    /// Seconds until then.
    #[schema(example = 3540)]
    expires_in: i64,
    /// Where the token came from.
    source: TokenSource,
}

/// Prove that partners' tokens can be had
///
/// Gets an access token as a call to a partner would, and shows what may be shown of it. The token itself never leaves.
#[utoipa::path(
    get,
    path = "/auth/test-token",
    tag = "partners",
    responses(
        (status = 200, description = "There is a token", body = TestTokenResponse),
        (status = 404, description = "No token endpoint is configured", body = ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "The token endpoint fails or refuses", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The token endpoint does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn test_token(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    query::refuse_parameters(request.uri())?;
    let Some(tokens) = &app.partners.tokens else {
        return Err(Problem::new(Code::NotConfigured, "No token endpoint is configured."));
    };
    let (token, source) = tokens.get().await?;
    let body = TestTokenResponse {
        fingerprint: token.fingerprint.clone(),
        audience: app.partners.audience.clone(),
        expires_at: token.expires_at,
        expires_in: (token.expires_at - Utc::now()).num_seconds().max(0),
        source,
    };
    Ok(not_stored(body))
}
