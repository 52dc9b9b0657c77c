use std::error::Error;
use std::iter::successors;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{ACCEPT, CACHE_CONTROL};
use reqwest::{Client, Response};
use serde::Deserialize;
use tokio::time::timeout;
use url::Url;

use crate::config::{AuthConfig, Issuer, key_url};
use crate::json::object;
use crate::key::KeySet;

/// The longest that making a connection may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest that one attempt may take, discovery included.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of an answer at the most.
const MAX_BODY: usize = 1024 * 1024;

/// Why there are no new keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    #[error("{0} answers with status {1}")]
    Status(Url, u16),
    #[error("{0}")]
    Invalid(&'static str),
}

/// What an attempt brought.
pub(crate) struct Fetched {
    /// One key at least.
    pub(crate) keys: KeySet,
    /// How long the issuer says that they may be kept.
    pub(crate) max_age: Option<Duration>,
}

/// Where the keys come from.
pub(crate) struct Source {
    client: Client,
    issuer: Issuer,
    jwks_url: Option<Url>,
}

impl Source {
    /// # Errors
    /// A machine without any trusted certificate.
    pub(crate) fn new(config: &AuthConfig, issuer: Issuer) -> reqwest::Result<Source> {
        // An error says that the program has already chosen one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .no_proxy()
            // A redirect could lead to where `key_url` does not allow.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("farmlokal/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Source { client, issuer, jwks_url: config.jwks_url.clone() })
    }

    /// Fetches the keys.
    ///
    /// # Errors
    /// The issuer does not answer in time, or not with keys.
    pub(crate) async fn fetch(&self) -> Result<Fetched, FetchError> {
        let attempt = async {
            let url = match &self.jwks_url {
                Some(url) => url.clone(),
                None => self.discover().await?,
            };
            let (headers, body) = self.get(url).await?;
            let keys = KeySet::read(&body).ok_or(FetchError::Invalid("its keys are no JWK set"))?;
            if keys.len() == 0 {
                // The last ones go on: a set without keys is an accident.
                return Err(FetchError::Invalid("none of its keys is for RS256, ES256 or EdDSA"));
            }
            Ok(Fetched { keys, max_age: max_age(&headers) })
        };
        let late = FetchError::Unreachable(format!("no answer within {TIMEOUT:?}"));
        timeout(TIMEOUT, attempt).await.unwrap_or(Err(late))
    }

    /// Where the keys are, by the issuer's discovery document.
    async fn discover(&self) -> Result<Url, FetchError> {
        #[derive(Deserialize)]
        struct Metadata {
            issuer: String,
            jwks_uri: String,
        }
        let [openid, oauth] = self.issuer.discovery_urls();
        let (_, body) = match self.get(openid).await {
            Err(FetchError::Status(..)) => self.get(oauth).await?,
            other => other?,
        };
        let metadata: Metadata =
            object(&body).ok_or(FetchError::Invalid("its discovery document has no issuer and jwks_uri"))?;
        // https://www.rfc-editor.org/rfc/rfc8414#section-3.3
        if metadata.issuer != self.issuer.text {
            return Err(FetchError::Invalid(
                "its discovery document is of another issuer: compare AUTH_ISSUER",
            ));
        }
        key_url(&metadata.jwks_uri)
            .map_err(|_| FetchError::Invalid("the jwks_uri of its discovery document is not https"))
    }

    async fn get(&self, url: Url) -> Result<(HeaderMap, Bytes), FetchError> {
        let unreachable = |error: reqwest::Error| FetchError::Unreachable(causes(&error));
        let request = self.client.get(url.clone()).header(ACCEPT, "application/json");
        let mut response = request.send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            return Err(FetchError::Status(url, response.status().as_u16()));
        }
        let headers = std::mem::take(response.headers_mut());
        let body = read(&mut response).await.map_err(unreachable)?;
        Ok((headers, body.ok_or(FetchError::Invalid("its answer is longer than 1 MiB"))?))
    }
}

/// The whole body; `None` if it is too long.
async fn read(response: &mut Response) -> reqwest::Result<Option<Bytes>> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body.freeze()))
}

fn causes(error: &(dyn Error + 'static)) -> String {
    let causes = successors(Some(error), |error| (**error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// `max-age` by [RFC 9111, 5.2.2.1](https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.1).
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let seconds = values.flat_map(|value| value.split(',')).find_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        name.trim().eq_ignore_ascii_case("max-age").then(|| value.trim().trim_matches('"').parse().ok())?
    });
    seconds.map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_is_read_among_other_directives() {
        for (value, seconds) in [
            ("public, max-age=900, must-revalidate", Some(900)),
            ("Max-Age=\"5\"", Some(5)),
            ("s-maxage=60", None),
            ("max-age=-1", None),
            ("no-store", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(CACHE_CONTROL, value.parse().unwrap())]);
            assert_eq!(max_age(&headers), seconds.map(Duration::from_secs), "{value}");
        }
    }
}
