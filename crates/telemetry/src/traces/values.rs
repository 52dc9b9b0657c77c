//! The forms that OpenTelemetry gives the values of its variables. An empty value is one that is not set, by its
//! [specification](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).

use std::fmt;

use percent_encoding::percent_decode_str;
use url::Url;

/// Where a collector listens.
#[derive(Clone, Default)]
pub(super) struct Endpoint(pub(super) Option<Url>);

/// The origin only: the rest may hold credentials.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.0.as_ref().map(|url| url.origin().ascii_serialization());
        f.debug_tuple("Endpoint").field(&origin).finish()
    }
}

/// Names with values, such as headers.
#[derive(Clone, Default)]
pub(super) struct Pairs(pub(super) Vec<(String, String)>);

/// The names only: a header may be a token.
impl fmt::Debug for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// An `http` or `https` URL, as clap's `value_parser`. The error does not repeat it.
pub(super) fn endpoint(text: &str) -> Result<Endpoint, String> {
    if text.is_empty() {
        return Ok(Endpoint(None));
    }
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(Endpoint(Some(url))),
        _ => Err("must be a URL such as http://collector:4318".into()),
    }
}

/// `name=value,name=value`, the values percent-encoded, as clap's `value_parser`. The error does not repeat them.
pub(super) fn pairs(text: &str) -> Result<Pairs, String> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items
        .map(|item| {
            let (name, value) = item.split_once('=')?;
            let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
            (!name.trim().is_empty()).then(|| (name.trim().to_owned(), value.into_owned()))
        })
        .collect::<Option<Vec<_>>>()
        .map(Pairs)
        .ok_or_else(|| "must be name=value,name=value".into())
}

/// As [`pairs`], where the names and values can stand in a request.
pub(super) fn headers(text: &str) -> Result<Pairs, String> {
    let headers = pairs(text)?;
    let sound = headers.0.iter().all(|(name, value)| {
        name.parse::<http::HeaderName>().is_ok() && value.parse::<http::HeaderValue>().is_ok()
    });
    if sound { Ok(headers) } else { Err("must be names and values of HTTP headers".into()) }
}

/// A share from 0 to 1, as clap's `value_parser`.
pub(super) fn ratio(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err("must be a number from 0 to 1".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_http_url_and_empty_is_none() {
        assert!(endpoint("").unwrap().0.is_none());
        assert_eq!(endpoint("http://c:4318/x").unwrap().0.unwrap().as_str(), "http://c:4318/x");
        for bad in ["collector:4317", "grpc://c:1", "http://", "unix:/secret"] {
            assert_eq!(endpoint(bad).unwrap_err(), "must be a URL such as http://collector:4318");
        }
    }

    #[test]
    fn pairs_are_decoded_and_what_is_none_is_refused_without_repeating_it() {
        let found = pairs(" a=1, b = two%20words ,,c=x=y").unwrap().0;
        let expected = [("a", "1"), ("b", "two words"), ("c", "x=y")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(pairs("").unwrap().0.is_empty());
        for bad in ["secret", "=secret", "a=%FF%FE"] {
            assert!(!pairs(bad).unwrap_err().contains("secret"));
        }
        assert!(headers("authorization=Bearer%20abc").is_ok());
        assert!(headers("two words=1").is_err() && headers("a=line%0Abreak").is_err());
    }

    #[test]
    fn a_ratio_is_from_0_to_1() {
        assert_eq!((ratio("0"), ratio("0.25"), ratio("1")), (Ok(0.0), Ok(0.25), Ok(1.0)));
        for bad in ["", "-0.1", "1.1", "NaN", "half"] {
            assert!(ratio(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn neither_credentials_nor_headers_are_in_debug_output() {
        let endpoint = endpoint("http://user:secret@c:1/secret?secret").unwrap();
        let headers = headers("authorization=secret").unwrap();
        let debug = format!("{endpoint:?} {headers:?}");
        assert_eq!(debug, "Endpoint(Some(\"http://c:1\")) {\"authorization\"}");
    }
}
