//! What handlers share about queries and bodies.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use axum::http::Uri;
use chrono::{DateTime, SecondsFormat, Utc};
use farmlokal_catalog::{InvalidPrice, Price};
use percent_encoding::percent_decode_str;
use serde::{Serialize, Serializer};
use tracing::error;

use crate::problem::{Code, InvalidParam, Problem};

/// Bad parameters that are reported: a request of thousands is not worth more.
pub(crate) const MAX_REPORTED: usize = 32;

/// Why a value is refused: a stable code, and a text for people.
pub(crate) type Invalid = (&'static str, String);

/// # Errors
/// `invalid_parameter` where the URI has a query: this path takes none.
pub(crate) fn refuse_parameters(uri: &Uri) -> Result<(), Problem> {
    let params: Vec<_> = pairs(uri.query().unwrap_or_default())
        .take(MAX_REPORTED)
        .map(|(name, _)| InvalidParam::new(name, "unknown_parameter", "this path takes no parameters"))
        .collect();
    if params.is_empty() { Ok(()) } else { Err(Problem::naming(Code::InvalidParameter, params)) }
}

/// Reads the parameters of a query: `set` takes each, or says why not. Only `repeatable` may be given more than once.
/// What is wrong comes back, up to [`MAX_REPORTED`], each fault of a parameter once.
pub(crate) fn read_params(
    query: &str,
    repeatable: Option<&str>,
    mut set: impl FnMut(&str, &str) -> Result<(), Invalid>,
) -> Vec<InvalidParam> {
    let (mut seen, mut invalid) = (Vec::new(), Vec::<InvalidParam>::new());
    for (name, value) in pairs(query) {
        if invalid.len() == MAX_REPORTED {
            break;
        }
        let again = seen.contains(&name);
        let read = if again && repeatable != Some(&*name) {
            Err(("repeated_parameter", "must be given once".to_owned()))
        } else {
            value.and_then(|value| set(&name, &value))
        };
        if let Err((code, detail)) = read
            && !invalid.iter().any(|param| param.name == name && param.code == code)
        {
            invalid.push(InvalidParam::new(name.clone(), code, detail));
        }
        if !again {
            seen.push(name);
        }
    }
    invalid
}

/// A number written with digits only.
///
/// # Errors
/// `malformed`, or `out_of_range`.
pub(crate) fn whole_number(value: &str, range: &RangeInclusive<u32>) -> Result<u32, Invalid> {
    let wrong = |code| (code, format!("must be a whole number from {} to {}", range.start(), range.end()));
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong("malformed"));
    }
    value.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| wrong("out_of_range"))
}

/// A price in decimal digits; no float comes between.
///
/// # Errors
/// `malformed`, or `out_of_range`.
pub(crate) fn price(text: &str) -> Result<Price, Invalid> {
    text.parse().map_err(|error| match error {
        InvalidPrice::Malformed => ("malformed", error.to_string()),
        InvalidPrice::OutOfRange => ("out_of_range", error.to_string()),
    })
}

/// The parameters of a query, decoded. A value is malformed if its encoding, or that of its name, is no UTF-8.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Result<Cow<'_, str>, Invalid>)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let malformed = || ("malformed", "must be UTF-8, percent-encoded".to_owned());
        match decoded(name) {
            Some(name) => (name, decoded(value).ok_or_else(malformed)),
            None => (name.into(), Err(malformed())),
        }
    })
}

fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| matches!(byte, b'+' | b'%')) {
        return Some(text.into());
    }
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(|text| text.into_owned().into())
}

/// UTC, with milliseconds.
pub(crate) fn rfc3339<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// With at most three decimals.
pub(crate) fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// The bytes of a response body.
///
/// # Errors
/// `internal`, which no representation of ours can cause.
pub(crate) fn json(body: &impl Serialize) -> Result<Box<[u8]>, Problem> {
    // Boxed, since the spare capacity of a vector would stay in memory as long as the answer.
    serde_json::to_vec(body).map(Vec::into_boxed_slice).map_err(|error| {
        error!(%error, "a response cannot be serialised");
        Problem::new(Code::Internal, "The answer cannot be written.")
    })
}
