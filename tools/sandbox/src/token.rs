//! The OAuth token endpoint: client credentials, [RFC 6749, 4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4).
//! Credentials come in a form, in a JSON body as Auth0 takes it, or as HTTP Basic. The audience may be in the query, where
//! Swagger UI has it. As at Auth0, a token for an audience is a JWT, and any other says nothing.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Extension, RawQuery, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Map, json};

use crate::config::Config;
use crate::faults::Fault;
use crate::journal::Endpoint;
use crate::sandbox::Partners;

/// Seconds for which a token is valid, unless a fault has it otherwise.
const LIFETIME: i64 = 3600;

pub(crate) fn routes() -> Router<Arc<Partners>> {
    Router::new().route("/oauth/token", post(issue))
}

/// What a client may send; what it need not know is ignored.
#[derive(Deserialize)]
struct TokenRequest {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    audience: Option<String>,
    scope: Option<String>,
}

async fn issue(
    State(partners): State<Arc<Partners>>,
    Extension(fault): Extension<Fault>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(request) = TokenRequest::read(&headers, query.as_deref().unwrap_or_default(), &body) else {
        return refuse(StatusCode::BAD_REQUEST, "invalid_request");
    };
    match request.grant_type.as_deref() {
        Some("client_credentials") => {}
        Some(_) => return refuse(StatusCode::BAD_REQUEST, "unsupported_grant_type"),
        None => return refuse(StatusCode::BAD_REQUEST, "invalid_request"),
    }
    if !request.is_from_our_client(&partners.config) {
        return Endpoint::Token.refusal();
    }
    let Config { audience, scope, .. } = &partners.config;
    if audience.is_some() && *audience != request.audience {
        // As Auth0 answers for an audience that it does not know.
        return refuse(StatusCode::FORBIDDEN, "access_denied");
    }
    if scope.is_some() && *scope != request.scope {
        return refuse(StatusCode::BAD_REQUEST, "invalid_scope");
    }
    let seconds = fault.expires_in.unwrap_or(LIFETIME);
    let lifetime = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let token = match &request.audience {
        Some(audience) => {
            let scope = request.scope.as_deref().unwrap_or_default();
            let Ok(token) = partners.sign_token(audience, scope, seconds) else {
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            };
            partners.tokens.remember(token.clone(), lifetime);
            token
        }
        None => partners.tokens.issue(lifetime),
    };
    let mut answer = json!({ "access_token": token, "token_type": "Bearer" });
    if !fault.omit_expires_in {
        answer["expires_in"] = seconds.into();
    }
    ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

impl TokenRequest {
    fn read(headers: &HeaderMap, query: &str, body: &[u8]) -> Option<TokenRequest> {
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut request: TokenRequest = if kind.starts_with("application/json") {
            serde_json::from_slice(body).ok()?
        } else {
            let pairs = form_urlencoded::parse(body);
            let members: Map<_, _> = pairs.map(|(name, value)| (name.into_owned(), value.into())).collect();
            serde_json::from_value(members.into()).ok()?
        };
        if request.audience.is_none() {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            request.audience =
                pairs.find(|(name, _)| name == "audience").map(|(_, value)| value.into_owned());
        }
        match headers.get(AUTHORIZATION) {
            Some(basic) => {
                let (id, secret) = credentials(basic.to_str().ok()?)?;
                Some(TokenRequest { client_id: Some(id), client_secret: Some(secret), ..request })
            }
            None => Some(request),
        }
    }

    fn is_from_our_client(&self, config: &Config) -> bool {
        self.client_id.as_ref() == Some(&config.client_id)
            && self.client_secret.as_deref() == Some(config.client_secret.expose_secret())
    }
}

/// The client of an `Authorization: Basic` header; both halves are form-encoded (RFC 6749, 2.3.1).
fn credentials(header: &str) -> Option<(String, String)> {
    let decoded = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((form_decoded(id), form_decoded(secret)))
}

fn form_decoded(text: &str) -> String {
    // A name without a value: all of it is decoded as one.
    form_urlencoded::parse(text.as_bytes()).map(|(name, _)| name.into_owned()).collect()
}

fn refuse(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}
