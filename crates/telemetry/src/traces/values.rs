//! The forms that OpenTelemetry gives the values of its
//! [variables](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).

use std::collections::HashMap;
use std::fmt;

use http::HeaderMap;
use percent_encoding::percent_decode_str;
use url::Url;

/// A value that may hold credentials.
#[derive(Clone)]
pub(super) struct Hidden<T>(pub(super) T);

impl<T> fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

/// Names with values, such as headers.
pub(super) type Pairs = Hidden<HashMap<String, String>>;

/// An `http` or `https` URL, as clap's `value_parser`.
pub(super) fn endpoint(text: &str) -> Result<Hidden<Url>, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Hidden(url)),
        _ => Err("must be a URL such as http://collector:4318".into()),
    }
}

/// `name=value,name=value`, the values percent-encoded, as clap's `value_parser`.
pub(super) fn pairs(text: &str) -> Result<Pairs, String> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let pair = |item: &str| {
        let (name, value) = item.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        (!name.trim().is_empty()).then(|| (name.trim().to_owned(), value.into_owned()))
    };
    let pairs = items.map(pair).collect::<Option<_>>();
    pairs.map(Hidden).ok_or_else(|| "must be name=value,name=value".into())
}

/// As [`pairs`], where the names and values can stand in a request.
pub(super) fn headers(text: &str) -> Result<Pairs, String> {
    let headers = pairs(text)?;
    let checked = HeaderMap::<http::HeaderValue>::try_from(&headers.0);
    checked.map(|_| headers).map_err(|_| "must be names and values of HTTP headers".into())
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
    fn an_endpoint_is_an_http_url() {
        assert_eq!(endpoint("http://c:4318/x").unwrap().0.as_str(), "http://c:4318/x");
        for bad in ["", "collector:4317", "grpc://c:1", "http://", "unix:/secret"] {
            assert_eq!(endpoint(bad).unwrap_err(), "must be a URL such as http://collector:4318");
        }
    }

    #[test]
    fn pairs_are_decoded_and_what_is_none_is_refused_without_repeating_it() {
        let found = pairs(" a=1, b = two%20words ,,c=x=y").unwrap().0;
        let expected = [("a", "1"), ("b", "two words"), ("c", "x=y")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
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
        assert_eq!(format!("{endpoint:?} {headers:?}"), "[REDACTED] [REDACTED]");
    }
}
