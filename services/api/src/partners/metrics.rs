//! What requests to partners come to, and how long they take.

use std::time::Instant;

use metrics::{Histogram, Unit, describe_counter, describe_gauge, describe_histogram, histogram};

use super::failure::{Failure, FailureKind, Partner};

/// The durations of one partner's requests, by outcome.
pub(super) struct RequestMetrics {
    ok: Histogram,
    failed: [Histogram; FailureKind::ALL.len()],
}

impl RequestMetrics {
    pub(super) fn new(partner: Partner) -> Self {
        let histogram = |outcome| histogram!("farmlokal_partner_request_duration_seconds", "partner" => partner.name(), "outcome" => outcome);
        Self { ok: histogram("ok"), failed: FailureKind::ALL.map(|kind| histogram(kind.name())) }
    }

    /// Times one request.
    pub(super) async fn observe<T>(
        &self,
        request: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let started = Instant::now();
        let result = request.await;
        let histogram = match &result {
            Ok(_) => &self.ok,
            Err(failure) => &self.failed[failure.kind as usize],
        };
        histogram.record(started.elapsed());
        result
    }
}

/// Says what the partners' metrics mean; needs the recorder to be installed.
pub(super) fn describe() {
    describe_histogram!(
        "farmlokal_partner_request_duration_seconds",
        Unit::Seconds,
        "Requests to partners, each attempt by itself"
    );
    describe_gauge!("farmlokal_partner_breaker_state", "1 for the state that the partner's breaker is in");
    describe_counter!("farmlokal_oauth_tokens_total", "Uses of an access token, by where it came from");
    describe_counter!("farmlokal_api_a_calls_total", "Calls of API A, retries included, by outcome");
}
