//! Checks of URLs that the client libraries do not make: they ignore unknown options. No error repeats a URL, since it may
//! hold a password.

use std::net::Ipv6Addr;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// Parses a URL of a server, and refuses what the libraries would silently leave out.
///
/// # Errors
/// What is wrong with it, and an example of a right one.
pub fn parse(text: &str, example: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{error}; write {example}"))?;
    if url.fragment().is_some() {
        return Err("it has a fragment; write # as %23".into());
    }
    for part in [url.username(), url.password().unwrap_or_default(), url.path()] {
        if percent_decode_str(part).decode_utf8().is_err() {
            return Err("a percent-encoded part is not UTF-8".into());
        }
    }
    Ok(url)
}

/// Checks the name and value of each of the URL's options.
pub(crate) fn check_options(
    url: &Url,
    check: impl Fn(&str, &str) -> Result<(), String>,
) -> Result<(), String> {
    url.query_pairs().try_for_each(|(name, value)| {
        // It may be the rest of a password with an unescaped ? in it.
        if name.len() > 32 || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            return Err("it has an option without a proper name; write ? as %3F".into());
        }
        check(&name, &value)
    })
}

/// A host name or an IP address as it stands in a URL, as clap's `value_parser`.
pub(crate) fn host(text: &str) -> Result<String, String> {
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Ok(format!("[{address}]"));
    }
    Host::parse(text).map(|host| host.to_string()).map_err(|_| "must be a host name or an IP address".into())
}
