//! Checks of URLs that the client libraries do not make: they ignore what they do not know. No error repeats a URL, since
//! it may hold a password.

use std::net::Ipv6Addr;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// Parses a URL of a server, and refuses what the libraries would silently leave out.
pub(crate) fn parse(text: &str, example: &str) -> Result<Url, String> {
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

/// Checks the names and values of a URL's options. `instead` says what to write for an unknown one, whose name it gets in
/// small letters and digits only.
pub(crate) fn check_options(
    url: &Url,
    known: &[&str],
    instead: impl Fn(&str) -> Option<&'static str>,
    check: impl Fn(&str, &str) -> Result<(), String>,
) -> Result<(), String> {
    for (name, value) in url.query_pairs() {
        if known.contains(&&*name) {
            check(&name, &value).map_err(|reason| format!("the option {name}: {reason}"))?;
            continue;
        }
        // It may be the rest of a password with an unescaped ? in it.
        if name.len() > 32 || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            return Err("it has options after ?, one of them without a name; write ? as %3F".into());
        }
        let plain = plain(&name);
        let same = known.iter().find(|known| self::plain(known) == plain).copied();
        return Err(match same.or_else(|| instead(&plain)) {
            Some(instead) => format!("unknown option {name}; write {instead}"),
            None => format!("unknown option {name}; there are {}", known.join(", ")),
        });
    }
    Ok(())
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// A host name or an IP address as it stands in a URL, as clap's `value_parser`.
pub(crate) fn host(text: &str) -> Result<String, String> {
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Ok(format!("[{address}]"));
    }
    Host::parse(text).map(|host| host.to_string()).map_err(|_| "must be a host name or an IP address".into())
}
