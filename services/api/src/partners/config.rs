//! The settings of what calls partners.

#![allow(clippy::doc_markdown, reason = "the help texts are for terminals")]

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use farmlokal_settings::{duration, nonzero_duration};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// How the client says at the token endpoint who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClientAuth {
    /// Id and secret in the form
    Body,
    /// HTTP Basic
    Basic,
}

/// Tokens for partners, and API A.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Partners")]
pub(crate) struct PartnersArgs {
    /// OAuth2 token endpoint, for the client credentials grant; without it no partner is called
    #[arg(long, env = "OAUTH_TOKEN_URL", hide_env_values = true, value_parser = secret)]
    pub(super) oauth_token_url: Option<SecretString>,
    /// Client id at the token endpoint
    #[arg(long, env = "OAUTH_CLIENT_ID")]
    pub(super) oauth_client_id: Option<String>,
    /// Client secret at the token endpoint
    #[arg(long, env = "OAUTH_CLIENT_SECRET", hide_env_values = true, value_parser = secret)]
    pub(super) oauth_client_secret: Option<SecretString>,
    /// Audience that the tokens are for, where the provider wants one
    #[arg(long, env = "OAUTH_AUDIENCE")]
    pub(super) oauth_audience: Option<String>,
    /// Scope that tokens are asked for, where the provider wants one
    #[arg(long, env = "OAUTH_SCOPE")]
    pub(super) oauth_scope: Option<String>,
    /// Where the token endpoint wants client id and secret
    #[arg(long, env = "OAUTH_CLIENT_AUTH", default_value = "body")]
    pub(super) oauth_client_auth: ClientAuth,
    /// How long a token is taken to live whose provider does not say
    #[arg(long, env = "OAUTH_DEFAULT_LIFETIME", default_value = "5m", value_parser = nonzero_duration)]
    pub(super) oauth_default_lifetime: Duration,
    /// A token is not used any more this long before it ends, at the most a fifth of its life
    #[arg(long, env = "OAUTH_EXPIRY_BUFFER", default_value = "60s", value_parser = duration)]
    pub(super) oauth_expiry_buffer: Duration,
    /// A new token is fetched this long before that, at the most a fifth of its life
    #[arg(long, env = "OAUTH_REFRESH_AHEAD", default_value = "5m", value_parser = duration)]
    pub(super) oauth_refresh_ahead: Duration,
    /// Getting a token takes this long at the most, retries included; below REQUEST_TIMEOUT
    #[arg(long, env = "OAUTH_TIMEOUT", default_value = "4s", value_parser = nonzero_duration)]
    pub(super) oauth_timeout: Duration,
    /// API A: the URL that is asked for its status; needs the token endpoint
    #[arg(long, env = "API_A_URL", hide_env_values = true, value_parser = secret)]
    pub(super) api_a_url: Option<SecretString>,
    /// One attempt at API A takes this long at the most
    #[arg(long, env = "API_A_ATTEMPT_TIMEOUT", default_value = "2s", value_parser = nonzero_duration)]
    pub(super) api_a_attempt_timeout: Duration,
    /// All attempts take this long together at the most; below REQUEST_TIMEOUT, so that the fallback comes in time
    #[arg(long, env = "API_A_TIMEOUT", default_value = "4500ms", value_parser = nonzero_duration)]
    pub(super) api_a_timeout: Duration,
    /// Attempts at the most
    #[arg(long, env = "API_A_ATTEMPTS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10))]
    pub(super) api_a_attempts: u32,
    /// Calls in flight at the most; further ones get the fallback at once
    #[arg(long, env = "API_A_CONCURRENCY", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) api_a_concurrency: u32,
    /// Calls that fail in a row, each with all its attempts, until API A is left alone
    #[arg(long, env = "API_A_BREAKER_FAILURES", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) api_a_breaker_failures: u32,
    /// How long it is left alone at first; that doubles up to a minute while it goes on failing
    #[arg(long, env = "API_A_BREAKER_PAUSE", default_value = "5s", value_parser = nonzero_duration)]
    pub(super) api_a_breaker_pause: Duration,
    /// How old the last good answer may be that stands in for a failed call
    #[arg(long, env = "API_A_FALLBACK_TTL", default_value = "24h", value_parser = nonzero_duration)]
    pub(super) api_a_fallback_ttl: Duration,
}

impl PartnersArgs {
    /// Checks the settings: the token endpoint and API A, or `None` where no token endpoint is set.
    ///
    /// # Errors
    /// A token endpoint or API A without the rest, or with a timeout that requests do not have.
    pub(super) fn check(&self, request_timeout: Duration) -> anyhow::Result<Option<(Url, Option<Url>)>> {
        let Some(token_url) = &self.oauth_token_url else {
            if self.api_a_url.is_some() {
                bail!("API_A_URL is set and OAUTH_TOKEN_URL is not: API A is called with a token");
            }
            return Ok(None);
        };
        below("OAUTH_TIMEOUT", self.oauth_timeout, request_timeout)?;
        let token = partner_url("OAUTH_TOKEN_URL", token_url)?;
        self.oauth_client_id.as_ref().context("OAUTH_TOKEN_URL needs OAUTH_CLIENT_ID")?;
        self.oauth_client_secret.as_ref().context("OAUTH_TOKEN_URL needs OAUTH_CLIENT_SECRET")?;
        if self.api_a_url.is_some() {
            below("API_A_TIMEOUT", self.api_a_timeout, request_timeout)?;
        }
        let api_a = self.api_a_url.as_ref().map(|url| partner_url("API_A_URL", url)).transpose()?;
        Ok(Some((token, api_a)))
    }
}

/// Requests end at their own deadline: a later outcome would not be seen.
fn below(name: &str, timeout: Duration, request_timeout: Duration) -> anyhow::Result<()> {
    if timeout >= request_timeout {
        bail!("{name}: {timeout:?} is not below REQUEST_TIMEOUT, which is {request_timeout:?}");
    }
    Ok(())
}

/// Parses the URL of a partner that is called with a token or a form.
fn partner_url(name: &str, text: &SecretString) -> anyhow::Result<Url> {
    let url = http_url(name, text)?;
    // It would not be sent as one, and libraries log what they take for the host.
    if !url.username().is_empty() || url.password().is_some() {
        bail!("{name}: partners get no user and password from the URL");
    }
    Ok(url)
}

/// Parses a URL that can be called; the error does not repeat it, since it may hold a password.
pub(crate) fn http_url(name: &str, text: &SecretString) -> anyhow::Result<Url> {
    let url =
        Url::parse(text.expose_secret()).with_context(|| format!("{name} (write https://host/path)"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => bail!("{name}: the scheme is {other}, not https or http"),
    }
}

/// Reads what must not be shown, as it is: clap's errors repeat what they cannot read, so it is checked later.
#[expect(clippy::unnecessary_wraps, reason = "the shape of a value parser")]
pub(crate) fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(text.into())
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser;

    use super::PartnersArgs;

    /// The settings with these flags.
    pub(in crate::partners) fn args(flags: &[&str]) -> PartnersArgs {
        #[derive(Debug, Parser)]
        struct Cli {
            #[command(flatten)]
            partners: PartnersArgs,
        }
        Cli::parse_from([&["test"], flags].concat()).partners
    }
}
