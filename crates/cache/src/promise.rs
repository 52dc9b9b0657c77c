//! Whether Redis is worth asking when nobody else can be asked: what it has lately had is what it is likely to have.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64;

/// Keys that are remembered: 512 KiB.
const KEYS: usize = 1 << 16;

/// The share of look-ups that had an answer is averaged over about so many.
const MEMORY: u32 = 64;
/// A share of one. Fine enough for an average that only falls to end far below the least share.
const ALL: u32 = 1 << 20;
/// Asking in vain costs about a tenth of what a query costs, so that one hit for so many look-ups is already as good a use of
/// the same time. With fewer hits, the share of requests that ask falls with theirs.
const WORTH: u32 = 10;
/// The least share that asks: enough to notice when it is worth it again, and little beside the price of refusing the others.
const LEAST: u32 = ALL / 256;

/// Knows which keys Redis has lately had, or was about to get, and how often it had what was asked for.
pub(crate) struct Promise {
    /// Each key's hash in its own place, where the next one with that place replaces it.
    keys: Box<[AtomicU64]>,
    /// A moving average.
    hits: AtomicU32,
}

impl Promise {
    pub(crate) fn new() -> Promise {
        Promise { keys: (0..KEYS).map(|_| AtomicU64::new(0)).collect(), hits: AtomicU32::new(ALL) }
    }

    /// Redis has the key, or a fill is under way.
    pub(crate) fn expect(&self, key: &str) {
        let (place, hash) = self.place(key);
        place.store(hash, Ordering::Relaxed);
    }

    fn expects(&self, key: &str) -> bool {
        let (place, hash) = self.place(key);
        place.load(Ordering::Relaxed) == hash
    }

    fn place(&self, key: &str) -> (&AtomicU64, u64) {
        let hash = xxh3_64(key.as_bytes());
        #[expect(clippy::cast_possible_truncation, reason = "the lowest bits are wanted")]
        let place = hash as usize % KEYS;
        (&self.keys[place], hash)
    }

    pub(crate) fn record(&self, hit: bool) {
        let average = self.hits.load(Ordering::Relaxed);
        let sample = if hit { ALL / MEMORY } else { 0 };
        // Of two at the same time one may be lost: it is an average.
        self.hits.store(average - average / MEMORY + sample, Ordering::Relaxed);
    }

    /// Whether to ask for this key. One that is not known is decided by chance.
    pub(crate) fn is_worth_asking(&self, key: &str) -> bool {
        self.expects(key) || rand::random_range(0..ALL) < self.share()
    }

    /// The share of requests for other keys that should ask.
    fn share(&self) -> u32 {
        (self.hits.load(Ordering::Relaxed) * WORTH).clamp(LEAST, ALL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_ask_as_it_is_worth() {
        let promise = Promise::new();
        assert_eq!(promise.share(), ALL, "nothing is known yet");
        (0..1_000).for_each(|_| promise.record(false));
        assert_eq!(promise.share(), LEAST);
        let asked = (0..256_000).filter(|_| promise.is_worth_asking("other")).count();
        assert!((700..1_300).contains(&asked), "{asked} of 256,000");
        // One in twenty: half of them.
        (0..2_000).for_each(|n| promise.record(n % 20 == 0));
        assert!((ALL / 4..ALL * 3 / 4).contains(&promise.share()), "{}", promise.share());
        (0..MEMORY / 4).for_each(|_| promise.record(true));
        assert_eq!(promise.share(), ALL);
        (0..10_000).for_each(|_| promise.record(true));
        assert!(promise.is_worth_asking("other"));
    }

    #[test]
    fn what_it_has_lately_had_is_asked_for_always() {
        let promise = Promise::new();
        (0..1_000).for_each(|_| promise.record(false));
        promise.expect("known");
        assert!((0..1_000).all(|_| promise.is_worth_asking("known")));
        assert!(!promise.expects("unknown"));
        // Others take its place after a while.
        (0..10 * KEYS).for_each(|n| promise.expect(&n.to_string()));
        assert!(!promise.expects("known"));
    }
}
