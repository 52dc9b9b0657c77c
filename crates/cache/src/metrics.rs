use metrics::{Counter, Gauge, Unit, counter, describe_counter, describe_gauge, gauge};

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
         the fill failed; bypass, the tier was not usable"
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

/// Look-ups in one tier.
pub(crate) struct TierMetrics {
    pub(crate) hit: Counter,
    pub(crate) miss: Counter,
    pub(crate) bypass: Counter,
}

impl TierMetrics {
    fn new(tier: &'static str) -> Self {
        let result = |result: &'static str| counter!(REQUESTS, "tier" => tier, "result" => result);
        Self { hit: result("hit"), miss: result("miss"), bypass: result("bypass") }
    }
}

/// The handles of the request path: looking a metric up by its labels costs more than a local hit.
pub(crate) struct CacheMetrics {
    pub(crate) in_process: TierMetrics,
    pub(crate) redis: TierMetrics,
    pub(crate) redis_stale: Counter,
    pub(crate) stored: Counter,
    pub(crate) refused: Counter,
    pub(crate) failed: Counter,
    pub(crate) skipped: Counter,
}

impl CacheMetrics {
    pub(crate) fn new() -> Self {
        let fills = |result: &'static str| counter!(FILLS, "result" => result);
        Self {
            in_process: TierMetrics::new("local"),
            redis: TierMetrics::new("redis"),
            redis_stale: counter!(REQUESTS, "tier" => "redis", "result" => "stale"),
            stored: fills("stored"),
            refused: fills("refused"),
            failed: fills("failed"),
            skipped: fills("skipped"),
        }
    }
}

pub(crate) struct InProcessMetrics {
    pub(crate) subscribed: Gauge,
    pub(crate) entries: Gauge,
    pub(crate) bytes: Gauge,
}

impl InProcessMetrics {
    pub(crate) fn new() -> Self {
        Self {
            subscribed: gauge!(LOCAL_SUBSCRIBED),
            entries: gauge!(LOCAL_ENTRIES),
            bytes: gauge!(LOCAL_BYTES),
        }
    }
}

pub(crate) struct FlushMetrics {
    pub(crate) ok: Counter,
    pub(crate) failed: Counter,
    pub(crate) keys: Counter,
}

impl FlushMetrics {
    pub(crate) fn new() -> Self {
        let flushes = |result: &'static str| counter!(FLUSHES, "result" => result);
        Self { ok: flushes("ok"), failed: flushes("failed"), keys: counter!(FLUSHED_KEYS) }
    }
}
