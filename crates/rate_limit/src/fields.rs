//! `RateLimit-Policy` and `RateLimit`, the header fields of
//! [draft-ietf-httpapi-ratelimit-headers-11](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/11/).

use axum::http::header::{Entry, HeaderName, HeaderValue};
use axum::response::Response;

use crate::{Policy, Verdict};

const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The fields of one policy.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    name: &'static str,
    policy: HeaderValue,
}

impl Fields {
    /// The fields of a policy, whose name has to be visible ASCII.
    pub(crate) fn new(policy: &Policy) -> Fields {
        let (name, rate) = (policy.name, policy.rate);
        let text = format!("\"{name}\";q={};w={}", rate.quota, rate.window.as_secs());
        Fields { name, policy: HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("")) }
    }

    /// The response with both fields, unless it has them.
    pub(crate) fn on(&self, mut response: Response, verdict: &Verdict) -> Response {
        let headers = response.headers_mut();
        if let Entry::Vacant(state) = headers.entry(RATELIMIT) {
            state.insert(self.state(verdict));
            headers.insert(RATELIMIT_POLICY, self.policy.clone());
        }
        response
    }

    fn state(&self, verdict: &Verdict) -> HeaderValue {
        let seconds = verdict.reset.as_secs().saturating_add(u64::from(verdict.reset.subsec_nanos() > 0));
        let text = format!("\"{}\";r={};t={seconds}", self.name, verdict.remaining);
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn both_fields_are_structured_and_seconds_are_rounded_up() {
        let fields = Fields::new(&Policy::new("default", "100/60".parse().unwrap(), 2));
        let left = |remaining, reset| Verdict { remaining, reset, retry_after: None };
        let response = fields.on(Response::default(), &left(50, Duration::from_millis(29_001)));
        assert_eq!(response.headers()["ratelimit-policy"], "\"default\";q=100;w=60");
        assert_eq!(response.headers()["ratelimit"], "\"default\";r=50;t=30");
        let response = fields.on(response, &left(1, Duration::ZERO));
        assert_eq!(response.headers()["ratelimit"], "\"default\";r=50;t=30");
        let longest = fields.state(&left(u32::MAX, Duration::MAX));
        assert!(longest.to_str().unwrap().starts_with("\"default\";r=4294967295;t=18446744073709551615"));
    }
}
