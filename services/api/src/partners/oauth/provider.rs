//! The token endpoint: the client credentials grant of
//! [RFC 6749, section 4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4), with the `audience` that Auth0 and others add.

use std::time::Duration;

use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderValue, Method};
use reqwest::{Client, Request};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::token::{Issued, fingerprint};
use crate::partners::failure::{Failure, FailureKind, Partner};
use crate::partners::http::exchange;
use crate::partners::metrics::RequestMetrics;
use crate::partners::retry::{Retries, RetryPolicy};

/// The longest that one request may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// Requests for one token at the most. A token that is issued twice does no harm.
const ATTEMPTS: u32 = 3;
/// A longer life is cut to this.
const LONGEST_LIFE: Duration = Duration::from_hours(30 * 24);

/// Who asks, whom, and for what.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) token_url: Url,
    pub(crate) client_id: String,
    pub(crate) client_secret: SecretString,
    pub(crate) audience: Option<String>,
}

impl Credentials {
    /// What tells these tokens from others: the secret may be rotated without making them others.
    pub(super) fn fingerprint(&self) -> String {
        let audience = self.audience.as_deref().unwrap_or_default();
        fingerprint(&format!("{}\n{}\n{audience}", self.token_url, self.client_id))
    }
}

/// The provider of tokens.
pub(super) struct Provider {
    client: Client,
    credentials: Credentials,
    metrics: RequestMetrics,
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: SecretString,
    token_type: String,
    /// Seconds; some providers write them as text or with a fraction.
    #[serde(deserialize_with = "seconds")]
    expires_in: f64,
}

impl Provider {
    pub(super) fn new(client: Client, credentials: Credentials) -> Self {
        Self { client, credentials, metrics: RequestMetrics::new(Partner::Oauth) }
    }

    /// A new token, and when it was asked for.
    ///
    /// # Errors
    /// What came of the last attempt before `ends`.
    pub(super) async fn issue(&self, ends: Instant) -> Result<(Issued, Instant), Failure> {
        let deadline = ends.saturating_duration_since(Instant::now());
        let mut retries =
            Retries::start(RetryPolicy { attempts: ATTEMPTS, attempt_timeout: ATTEMPT_TIMEOUT, deadline });
        loop {
            let (limit, asked) = (retries.next_attempt(), Instant::now());
            let failure = match self.metrics.observe(self.ask(retries.attempts(), limit)).await {
                Ok(issued) => return Ok((issued, asked)),
                Err(failure) => failure,
            };
            if !retries.wait_after(&failure).await {
                return Err(failure);
            }
        }
    }

    async fn ask(&self, attempt: u32, limit: Duration) -> Result<Issued, Failure> {
        let body = exchange(&self.client, Partner::Oauth, self.request(), attempt, limit).await?;
        parse(&body).ok_or(Failure::new(Partner::Oauth, FailureKind::Invalid))
    }

    fn request(&self) -> Request {
        let Credentials { token_url, client_id, client_secret, audience } = &self.credentials;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        form.append_pair("client_id", client_id);
        form.append_pair("client_secret", client_secret.expose_secret());
        if let Some(audience) = audience {
            form.append_pair("audience", audience);
        }
        let mut request = Request::new(Method::POST, token_url.clone());
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(form.finish().into());
        request
    }
}

/// A token from a provider's answer, if it is one that can be used.
fn parse(body: &[u8]) -> Option<Issued> {
    let TokenResponse { access_token, token_type, expires_in } = serde_json::from_slice(body).ok()?;
    // It goes into a header as it is: https://www.rfc-editor.org/rfc/rfc6750#section-2.1
    let secret = access_token.expose_secret();
    let is_token = !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_token || !token_type.eq_ignore_ascii_case("bearer") || expires_in < 1.0 {
        return None;
    }
    let lifetime = Duration::try_from_secs_f64(expires_in).ok()?.min(LONGEST_LIFE);
    Some(Issued { secret: access_token, lifetime })
}

fn seconds<'de, D: serde::Deserializer<'de>>(value: D) -> Result<f64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(f64),
        Text(String),
    }
    match Seconds::deserialize(value)? {
        Seconds::Number(seconds) => Ok(seconds),
        Seconds::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usable_answer_gives_a_token() {
        for (body, lifetime) in [
            (r#"{"access_token":"t","token_type":"Bearer","expires_in":3600,"scope":"x"}"#, 3600),
            (r#"{"access_token":"t","token_type":"bearer","expires_in":"60"}"#, 60),
            (r#"{"access_token":"t","token_type":"bearer","expires_in":1e12}"#, 30 * 24 * 3600),
        ] {
            let issued = parse(body.as_bytes()).unwrap();
            assert_eq!((issued.secret.expose_secret(), issued.lifetime.as_secs()), ("t", lifetime));
        }
    }

    #[test]
    fn nonsense_gives_none() {
        for body in [
            "",
            "<html>",
            "null",
            "{}",
            r#"{"access_token":"t"}"#,
            r#"{"access_token":"","token_type":"Bearer","expires_in":60}"#,
            r#"{"access_token":"two words","token_type":"Bearer","expires_in":60}"#,
            r#"{"access_token":"a\r\nb","token_type":"Bearer","expires_in":60}"#,
            r#"{"access_token":5,"token_type":"Bearer","expires_in":60}"#,
            r#"{"access_token":"t","token_type":"mac","expires_in":60}"#,
            r#"{"access_token":"t","token_type":"Bearer","expires_in":0}"#,
            r#"{"access_token":"t","token_type":"Bearer","expires_in":-5}"#,
            r#"{"access_token":"t","token_type":"Bearer","expires_in":"NaN"}"#,
            r#"{"access_token":"t","token_type":"Bearer","expires_in":"inf"}"#,
        ] {
            assert!(parse(body.as_bytes()).is_none(), "{body}");
        }
    }
}
