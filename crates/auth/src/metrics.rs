use metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::Refused;
use crate::fetch::FetchError;

const REFUSED: &str = "farmlokal_auth_refused_total";
const FETCHED: &str = "farmlokal_auth_keys_fetched_total";
const KEYS: &str = "farmlokal_auth_keys";

/// Gives the metrics recorder the help text of every metric of this crate. Call it once, at start.
pub fn describe_metrics() {
    describe_counter!(
        REFUSED,
        "Requests refused for their token by reason: missing; malformed; algorithm; unknown_key; signature; issuer; \
         audience; expired; not_yet; type; too_large; scope; unavailable, the issuer's keys are not known yet"
    );
    describe_counter!(
        FETCHED,
        "Attempts to fetch the issuer's keys by outcome: ok; unreachable; refused, by a status that is no success; invalid"
    );
    describe_gauge!(KEYS, "Keys of the issuer that tokens may be signed with");
}

/// Shows every metric from the start: a rate cannot see the first of what it has not seen at zero.
pub(crate) fn register() {
    for refused in Refused::ALL {
        counter!(REFUSED, "reason" => refused.reason()).increment(0);
    }
    for outcome in ["ok", "unreachable", "refused", "invalid"] {
        counter!(FETCHED, "outcome" => outcome).increment(0);
    }
    gauge!(KEYS).set(0.0);
}

pub(crate) fn count_refused(refused: Refused) {
    counter!(REFUSED, "reason" => refused.reason()).increment(1);
}

pub(crate) fn count_fetched(error: Option<&FetchError>) {
    let outcome = match error {
        None => "ok",
        Some(FetchError::Unreachable(_)) => "unreachable",
        Some(FetchError::Status(..)) => "refused",
        Some(FetchError::Invalid(_)) => "invalid",
    };
    counter!(FETCHED, "outcome" => outcome).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
pub(crate) fn show_keys(count: usize) {
    gauge!(KEYS).set(count as f64);
}
