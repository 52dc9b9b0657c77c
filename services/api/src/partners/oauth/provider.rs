//! The token endpoint: the client credentials grant of
//! [RFC 6749, section 4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4), with the `audience` that Auth0 and others add.

use std::time::Duration;

use axum::http::header::{ACCEPT, CONTENT_TYPE};
use form_urlencoded::byte_serialize;
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;
use url::Url;

use super::token::Token;
use crate::object::object;
use crate::partners::config::{ClientAuth, PartnersArgs};
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
    pub(super) client: Client,
    pub(super) url: Url,
    pub(super) args: PartnersArgs,
}

impl Provider {
    /// A new token.
    ///
    /// # Errors
    /// What came of the last attempt before `ends`.
    pub(super) async fn issue(&self, ends: Instant) -> Result<Token, CallError> {
        let deadline = ends.saturating_duration_since(Instant::now());
        let mut retries =
            Retries::start(RetryPolicy { attempts: ATTEMPTS, attempt_timeout: ATTEMPT_TIMEOUT, deadline });
        loop {
            let (limit, asked) = (retries.next_attempt(), Instant::now());
            let parse = |body: &[u8]| parse(body, self.args.oauth_default_lifetime);
            let issued = exchange(Partner::Oauth, self.request(), retries.attempts, limit, parse).await;
            let error = match issued {
                Ok((secret, lifetime)) => return Ok(Token::new(secret, lifetime, &self.args, asked)),
                Err(error) => error,
            };
            if !retries.wait_after(&error).await {
                return Err(error);
            }
        }
    }

    fn request(&self) -> RequestBuilder {
        let args = &self.args;
        let basic = args.oauth_client_auth == ClientAuth::Basic;
        let id = args.oauth_client_id.as_deref().unwrap_or_default();
        let secret = args.oauth_client_secret.as_ref().map_or("", |secret| secret.expose_secret());
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        for (name, value) in [
            ("client_id", (!basic).then_some(id)),
            ("client_secret", (!basic).then_some(secret)),
            ("audience", args.oauth_audience.as_deref()),
            ("scope", args.oauth_scope.as_deref()),
        ] {
            form.extend_pairs(value.map(|value| (name, value)));
        }
        let mut request = self.client.post(self.url.clone()).header(ACCEPT, "application/json");
        if basic {
            // Each half form-encoded: https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
            let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            request = request.basic_auth(encoded(id), Some(encoded(secret)));
        }
        request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.finish())
    }
}

/// A token from a provider's answer and its lifetime, if it is one that can be used. It lives for `default` where the answer does not say:
/// [RFC 6749, section 5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1).
fn parse(body: &[u8], default: Duration) -> Option<(SecretString, Duration)> {
    #[derive(Deserialize)]
    struct TokenResponse<'b> {
        access_token: SecretString,
        token_type: String,
        #[serde(borrow)]
        expires_in: Option<&'b RawValue>,
    }
    let TokenResponse { access_token, token_type, expires_in } = object(body).ok()?;
    // It goes into a header as it is: https://www.rfc-editor.org/rfc/rfc6750#section-2.1
    let secret = access_token.expose_secret();
    let is_token = !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic());
    // Some providers write the seconds as text or with a fraction.
    let seconds = expires_in.map(|raw| raw.get().trim_matches('"').parse::<f64>()).transpose().ok()?;
    let lifetime = seconds.map_or(Ok(default), Duration::try_from_secs_f64).ok()?.min(LONGEST_LIFE);
    let is_usable =
        is_token && token_type.eq_ignore_ascii_case("bearer") && seconds.is_none_or(|life| life >= 1.0);
    is_usable.then_some((access_token, lifetime))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use axum::http::header::AUTHORIZATION;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::partners::config::tests::args;

    const DEFAULT: Duration = Duration::from_mins(5);

    /// The form, and the header.
    fn request(flags: &[&str]) -> (String, Option<String>) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = ["--oauth-client-id", "a b:c", "--oauth-client-secret", "s%&+é"];
        let provider = Provider {
            client: Client::new(),
            url: "https://provider.test/token".parse().unwrap(),
            args: args(&[&client, flags].concat()),
        };
        let request = provider.request().build().unwrap();
        let body = String::from_utf8(request.body().unwrap().as_bytes().unwrap().to_vec()).unwrap();
        let header = request.headers().get(AUTHORIZATION);
        assert!(header.is_none_or(HeaderValue::is_sensitive));
        (body, header.map(|header| header.to_str().unwrap().to_owned()))
    }

    #[test]
    fn the_client_says_who_it_is_in_the_form_or_by_basic() {
        let (form, header) = request(&[]);
        assert_eq!(form, "grant_type=client_credentials&client_id=a+b%3Ac&client_secret=s%25%26%2B%C3%A9");
        assert_eq!(header, None);
        let flags =
            ["--oauth-client-auth", "basic", "--oauth-audience", "https://a/", "--oauth-scope", "one two"];
        let (form, header) = request(&flags);
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
            let (secret, lives) = parse(body.as_bytes(), DEFAULT).unwrap();
            assert_eq!((secret.expose_secret(), lives.as_secs()), ("t", lifetime));
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
