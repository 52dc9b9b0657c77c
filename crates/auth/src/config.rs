//! The settings of who may write.

#![allow(clippy::doc_markdown, rustdoc::bare_urls, reason = "the help texts are for terminals")]

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use farmlokal_settings::duration;
use url::{Host, Url};

/// Whose tokens are taken.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Write API")]
pub struct AuthConfig {
    /// Issuer of the tokens that writes need, such as https://tenant.eu.auth0.com/, exactly as its tokens have it; without
    /// it nothing can be written
    #[arg(long = "auth-issuer", env = "AUTH_ISSUER", value_name = "URL", requires = "audience")]
    pub(crate) issuer: Option<Issuer>,
    /// Audience that the tokens must be for: the name that the issuer knows this API by
    #[arg(long = "auth-audience", env = "AUTH_AUDIENCE", value_parser = NonEmptyStringValueParser::new(), requires = "issuer")]
    pub(crate) audience: Option<String>,
    /// Where the issuer has its keys (JWKS), if not where its discovery document says; https, or http on this machine and for
    /// names of the cluster
    #[arg(long = "auth-jwks-url", env = "AUTH_JWKS_URL", value_name = "URL", value_parser = key_url, requires = "issuer")]
    pub(crate) jwks_url: Option<Url>,
    /// Where /docs gets tokens by client credentials; without it a token is pasted there
    #[arg(long = "auth-token-url", env = "AUTH_TOKEN_URL", value_name = "URL", value_parser = key_url, requires = "issuer")]
    pub(crate) token_url: Option<Url>,
    /// How far the clocks of the issuer and of this machine may be apart
    #[arg(long = "auth-leeway", env = "AUTH_LEEWAY", default_value = "30s", value_parser = duration)]
    pub(crate) leeway: Duration,
    /// Scope that a token needs
    #[arg(long = "auth-scope", env = "AUTH_SCOPE", default_value = "products:write", value_parser = scope)]
    pub(crate) scope: String,
}

impl AuthConfig {
    /// The issuer, for documents that name it. `None`: nothing can be written.
    #[must_use]
    pub fn issuer(&self) -> Option<&Issuer> {
        self.issuer.as_ref()
    }

    /// The audience that tokens have to be for, for whoever asks the issuer for one.
    #[must_use]
    pub fn audience(&self) -> Option<&str> {
        self.audience.as_deref()
    }

    /// Where the issuer gives tokens, for documents.
    #[must_use]
    pub fn token_url(&self) -> Option<&Url> {
        self.token_url.as_ref()
    }

    /// The scope that a token needs, for documents and for the `WWW-Authenticate` header.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.scope
    }
}

/// An issuer's name, which is a URL.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// As it was given: tokens are compared with it letter by letter.
    pub(crate) text: String,
    pub(crate) url: Url,
}

impl Issuer {
    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where its discovery document may be, by OpenID Connect and by
    /// [RFC 8414, section 3.1](https://www.rfc-editor.org/rfc/rfc8414#section-3.1): behind the path and before it.
    pub(crate) fn discovery_urls(&self) -> [Url; 2] {
        let path = self.url.path().trim_end_matches('/');
        [
            format!("{path}/.well-known/openid-configuration"),
            format!("/.well-known/oauth-authorization-server{path}"),
        ]
        .map(|path| {
            let mut url = self.url.clone();
            url.set_path(&path);
            url
        })
    }
}

impl FromStr for Issuer {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Issuer, &'static str> {
        let url = key_url(text)?;
        if url.query().is_some() {
            return Err("an issuer has no query");
        }
        Ok(Issuer { text: text.to_owned(), url })
    }
}

/// A URL that keys may come from. Whoever can change them on their way can write tokens: it has to be https, except
/// on this machine and within a cluster. A name belongs to a cluster if it has no dot or ends with `.svc` or
/// `.cluster.local`.
pub(crate) fn key_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "write https://host/path")?;
    let is_near = match url.host() {
        Some(Host::Domain(name)) => {
            let ends = [".localhost", ".svc", ".cluster.local"];
            !name.contains('.') || ends.iter().any(|end| name.ends_with(end))
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => {}
        "http" if is_near => {}
        "http" => return Err("http is for this machine and names of the cluster only: write https"),
        _ => return Err("write https://host/path"),
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("a user, a password or a fragment has no place in it");
    }
    Ok(url)
}

/// A scope by [RFC 6749, section 3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3).
fn scope(text: &str) -> Result<String, &'static str> {
    let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    let is_scope = !text.is_empty() && text.bytes().all(fits);
    is_scope.then(|| text.to_owned()).ok_or("write one scope, such as products:write")
}
