//! `RateLimit-Policy` and `RateLimit`, the header fields of
//! [draft-ietf-httpapi-ratelimit-headers-11](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/11/).

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use farmlokal_rate_limit::{Policy, Quota};

use crate::problem::{Code, Problem};

const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The fields of one policy.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    name: &'static str,
    window: Duration,
    policy: HeaderValue,
}

impl Fields {
    /// The fields of a policy, whose name has to be visible ASCII. Their memory is never given back: a reference count would be
    /// every core's at once, with each request.
    pub(crate) fn new(policy: &Policy) -> Fields {
        let (name, rate) = (policy.name, policy.rate);
        let text = format!("\"{name}\";q={};w={}", rate.quota, rate.window.as_secs());
        Fields { name, window: rate.window, policy: HeaderValue::from_static(text.leak()) }
    }

    pub(crate) fn window(&self) -> Duration {
        self.window
    }

    /// Adds both fields, unless they are there.
    pub(crate) fn add(&self, headers: &mut HeaderMap, quota: Quota) {
        if headers.contains_key(RATELIMIT) {
            return;
        }
        headers.insert(RATELIMIT, self.state(quota));
        headers.insert(RATELIMIT_POLICY, self.policy.clone());
    }

    /// 429, with all that a client needs to know.
    pub(crate) fn refusal(&self, quota: Quota, retry_after: Duration) -> Response {
        let problem = Problem::new(Code::RateLimited, "This client has used up its quota of requests.");
        let mut response = problem.retry_after(retry_after).into_response();
        self.add(response.headers_mut(), quota);
        response
    }

    fn state(&self, quota: Quota) -> HeaderValue {
        let seconds = quota.reset.as_secs().saturating_add(u64::from(quota.reset.subsec_nanos() > 0));
        let (mut remaining, mut reset) = (itoa::Buffer::new(), itoa::Buffer::new());
        let parts =
            ["\"", self.name, "\";r=", remaining.format(quota.remaining), ";t=", reset.format(seconds)];
        // As long as it has to be at once: the only allocation.
        HeaderValue::try_from(parts.concat()).unwrap_or(HeaderValue::from_static(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_fields_are_structured_and_seconds_are_rounded_up() {
        let fields = Fields::new(&Policy::new("default", "100/60".parse().unwrap(), 2));
        let mut headers = HeaderMap::new();
        fields.add(&mut headers, Quota { remaining: 50, reset: Duration::from_millis(29_001) });
        assert_eq!(headers["ratelimit-policy"], "\"default\";q=100;w=60");
        assert_eq!(headers["ratelimit"], "\"default\";r=50;t=30");
        fields.add(&mut headers, Quota { remaining: 1, reset: Duration::ZERO });
        assert_eq!(headers["ratelimit"], "\"default\";r=50;t=30");
        let longest = fields.state(Quota { remaining: u32::MAX, reset: Duration::MAX });
        assert!(longest.to_str().unwrap().starts_with("\"default\";r=4294967295;t=18446744073709551615"));
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        let fields = Fields::new(&Policy::new("search", "10/60".parse().unwrap(), 2));
        let quota = Quota { remaining: 0, reset: Duration::from_secs(60) };
        let response = fields.refusal(quota, Duration::from_millis(5_500));
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "6");
        assert_eq!(response.headers()["ratelimit"], "\"search\";r=0;t=60");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
}
