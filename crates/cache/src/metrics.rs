use metrics::{Counter, Unit, counter, describe_counter, describe_gauge, gauge};

const REQUESTS: &str = "farmlokal_cache_requests_total";
const FILLS: &str = "farmlokal_cache_fills_total";
const FLUSHES: &str = "farmlokal_cache_flushes_total";
const FLUSHED_KEYS: &str = "farmlokal_cache_flushed_keys_total";
const LOCAL_SUBSCRIBED: &str = "farmlokal_cache_local_subscribed";
const LOCAL_ENTRIES: &str = "farmlokal_cache_local_entries";
const LOCAL_BYTES: &str = "farmlokal_cache_local_bytes";

/// Gives the metrics recorder the help text of every metric of this crate. Call it once, at start.
pub fn describe_metrics() {
    describe_counter!(
        REQUESTS,
        "Cache look-ups by tier (local, redis) and result: hit; miss; stale, an expired entry served because \
         the fill failed; bypass, the tier was not usable or not wanted"
    );
    describe_counter!(
        FILLS,
        "Fills by result: stored in Redis; refused, a flush or a change came between; failed, the database gave no \
         answer; skipped, answered but not stored because Redis was down or slow"
    );
    describe_counter!(FLUSHES, "Flushes, of everything or of changed products, by result (ok, failed)");
    describe_counter!(FLUSHED_KEYS, "Keys that flushes removed from Redis");
    describe_gauge!(
        LOCAL_SUBSCRIBED,
        "1 if the in-process layer hears of flushes and changes, 0 if it is bypassed"
    );
    describe_gauge!(LOCAL_ENTRIES, "Entries in the in-process layer");
    describe_gauge!(LOCAL_BYTES, Unit::Bytes, "Size of the entries in the in-process layer");
}

/// Shows every counter from the start: a rate cannot see the first of what it has not seen at zero.
pub(crate) fn register() {
    for result in ["hit", "miss", "bypass"] {
        requests("local", result).increment(0);
        requests("redis", result).increment(0);
    }
    requests("redis", "stale").increment(0);
    for result in ["stored", "refused", "failed", "skipped"] {
        fills(result).increment(0);
    }
}

pub(crate) fn requests(tier: &'static str, result: &'static str) -> Counter {
    counter!(REQUESTS, "tier" => tier, "result" => result)
}

pub(crate) fn fills(result: &'static str) -> Counter {
    counter!(FILLS, "result" => result)
}

/// Shows the state of the in-process layer; while it is bypassed, it counts as empty.
pub(crate) fn show_in_process(subscribed: bool, entries: u64, bytes: u64) {
    let gauges = [(LOCAL_SUBSCRIBED, u64::from(subscribed)), (LOCAL_ENTRIES, entries), (LOCAL_BYTES, bytes)];
    for (name, value) in gauges {
        #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
        gauge!(name).set(value as f64);
    }
}

/// Adds flushes, and the keys that they removed; zeros register them.
pub(crate) fn count_flushes(ok: u64, failed: u64, keys: u64) {
    counter!(FLUSHES, "result" => "ok").increment(ok);
    counter!(FLUSHES, "result" => "failed").increment(failed);
    counter!(FLUSHED_KEYS).increment(keys);
}
