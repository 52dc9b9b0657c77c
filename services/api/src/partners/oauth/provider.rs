//! The token endpoint: the client credentials grant of
//! [RFC 6749, section 4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4), with the `audience` that Auth0 and others add.

use std::time::Duration;

use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderValue, Method};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use form_urlencoded::byte_serialize;
use reqwest::{Client, Request};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::time::Instant;

use super::OauthConfig;
use super::token::Issued;
use crate::object::object;
use crate::partners::config::ClientAuth;
use crate::partners::error::{CallError, Partner};
use crate::partners::http::exchange;
use crate::partners::retry::{Retries, RetryPolicy};

/// The longest that one request may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// Requests for one token at the most. A token that is issued twice does no harm.
const ATTEMPTS: u32 = 3;
/// A longer life is cut to this.
const LONGEST_LIFE: Duration = Duration::from_hours(30 * 24);

/// The provider of tokens.
pub(super) struct Provider {
    client: Client,
    config: OauthConfig,
}

impl Provider {
    pub(super) fn new(client: Client, config: OauthConfig) -> Self {
        Self { client, config }
    }

    /// A new token, and when it was asked for.
    ///
    /// # Errors
    /// What came of the last attempt before `ends`.
    pub(super) async fn issue(&self, ends: Instant) -> Result<(Issued, Instant), CallError> {
        let deadline = ends.saturating_duration_since(Instant::now());
        let mut retries =
            Retries::start(RetryPolicy { attempts: ATTEMPTS, attempt_timeout: ATTEMPT_TIMEOUT, deadline });
        loop {
            let (limit, asked) = (retries.next_attempt(), Instant::now());
            let parse = |body: &[u8]| parse(body, self.config.default_lifetime);
            let issued =
                exchange(&self.client, Partner::Oauth, self.request(), retries.attempts, limit, parse).await;
            let error = match issued {
                Ok(issued) => return Ok((issued, asked)),
                Err(error) => error,
            };
            if !retries.wait_after(&error).await {
                return Err(error);
            }
        }
    }

    fn request(&self) -> Request {
        let OauthConfig { token_url, client_id, client_secret, client_auth, audience, scope, .. } =
            &self.config;
        let (basic, secret) = (*client_auth == ClientAuth::Basic, client_secret.expose_secret());
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        for (name, value) in [
            ("client_id", (!basic).then_some(client_id.as_str())),
            ("client_secret", (!basic).then_some(secret)),
            ("audience", audience.as_deref()),
            ("scope", scope.as_deref()),
        ] {
            form.extend_pairs(value.map(|value| (name, value)));
        }
        let mut request = Request::new(Method::POST, token_url.clone());
        *request.body_mut() = Some(form.finish().into());
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if basic {
            // Each half form-encoded: https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
            let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let pair = STANDARD.encode(format!("{}:{}", encoded(client_id), encoded(secret)));
            if let Ok(mut basic) = HeaderValue::try_from(format!("Basic {pair}")) {
                basic.set_sensitive(true);
                headers.insert(AUTHORIZATION, basic);
            }
        }
        request
    }
}

/// A token from a provider's answer, if it is one that can be used. It lives for `default` where the answer does not say:
/// [RFC 6749, section 5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1).
fn parse(body: &[u8], default: Duration) -> Option<Issued> {
    #[derive(Deserialize)]
    struct TokenResponse {
        access_token: SecretString,
        token_type: String,
        /// Seconds; some providers write them as text or with a fraction.
        #[serde(default, deserialize_with = "seconds")]
        expires_in: Option<f64>,
    }
    let TokenResponse { access_token, token_type, expires_in } = object(body).ok()?;
    // It goes into a header as it is: https://www.rfc-editor.org/rfc/rfc6750#section-2.1
    let secret = access_token.expose_secret();
    let is_token = !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_token || !token_type.eq_ignore_ascii_case("bearer") || expires_in.is_some_and(|life| life < 1.0) {
        return None;
    }
    let lifetime = expires_in.map_or(Ok(default), Duration::try_from_secs_f64).ok()?.min(LONGEST_LIFE);
    Some(Issued { secret: access_token, lifetime })
}

fn seconds<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<f64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(f64),
        Text(String),
    }
    match Option::deserialize(value)? {
        None => Ok(None),
        Some(Seconds::Number(seconds)) => Ok(Some(seconds)),
        Some(Seconds::Text(text)) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const DEFAULT: Duration = Duration::from_mins(5);

    pub(in crate::partners::oauth) fn config() -> OauthConfig {
        OauthConfig {
            token_url: "https://provider.test/token".parse().unwrap(),
            client_id: "a b:c".to_owned(),
            client_secret: "s%&+é".into(),
            client_auth: ClientAuth::Body,
            audience: None,
            scope: None,
            default_lifetime: DEFAULT,
            expiry_buffer: Duration::from_secs(60),
            refresh_ahead: Duration::from_secs(300),
            timeout: Duration::from_secs(4),
        }
    }

    /// The form, and the header.
    fn request(config: OauthConfig) -> (String, Option<String>) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let request = Provider::new(Client::new(), config).request();
        let body = String::from_utf8(request.body().unwrap().as_bytes().unwrap().to_vec()).unwrap();
        let header = request.headers().get(AUTHORIZATION);
        assert!(header.is_none_or(HeaderValue::is_sensitive));
        (body, header.map(|header| header.to_str().unwrap().to_owned()))
    }

    #[test]
    fn the_client_says_who_it_is_in_the_form_or_by_basic() {
        let (form, header) = request(config());
        assert_eq!(form, "grant_type=client_credentials&client_id=a+b%3Ac&client_secret=s%25%26%2B%C3%A9");
        assert_eq!(header, None);
        let (audience, scope) = (Some("https://a/".to_owned()), Some("one two".to_owned()));
        let (form, header) =
            request(OauthConfig { client_auth: ClientAuth::Basic, audience, scope, ..config() });
        assert_eq!(form, "grant_type=client_credentials&audience=https%3A%2F%2Fa%2F&scope=one+two");
        let pair = STANDARD.decode(header.unwrap().strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(pair, b"a+b%3Ac:s%25%26%2B%C3%A9");
    }

    #[test]
    fn a_usable_answer_gives_a_token() {
        for (body, lifetime) in [
            (r#"{"access_token":"t","token_type":"Bearer","expires_in":3600,"scope":"x"}"#, 3600),
            (r#"{"access_token":"t","token_type":"bearer","expires_in":"60"}"#, 60),
            (r#"{"access_token":"t","token_type":"bearer","expires_in":1e12}"#, 30 * 24 * 3600),
            (r#"{"access_token":"t","token_type":"bearer"}"#, 300),
            (r#"{"access_token":"t","token_type":"bearer","expires_in":null}"#, 300),
        ] {
            let issued = parse(body.as_bytes(), DEFAULT).unwrap();
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
            r#"["t","Bearer",60]"#,
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
            assert!(parse(body.as_bytes(), DEFAULT).is_none(), "{body}");
        }
    }
}
