//! Whether Redis is worth asking when nobody else can be asked: what it has lately had is what it is likely to have.

use std::sync::atomic::{AtomicU32, Ordering};

/// The share of look-ups that had an answer is averaged over about so many.
const MEMORY: u32 = 64;
/// A share of one.
const ALL: u32 = 1 << 16;
/// Asking in vain costs about a tenth of what a query costs, so that a tenth of hits is already as good a use of the same
/// time. Below, the share of requests that ask falls with the share of hits.
const WORTH_ALL: u32 = ALL / 10;
/// The least share that asks: enough to notice when it is worth it again.
const LEAST: u32 = ALL / 64;

/// Knows how often Redis has lately had an answer.
pub(crate) struct Promise {
    /// A moving average.
    hits: AtomicU32,
}

impl Promise {
    pub(crate) fn new() -> Promise {
        Promise { hits: AtomicU32::new(ALL) }
    }

    pub(crate) fn record(&self, hit: bool) {
        let average = self.hits.load(Ordering::Relaxed);
        let sample = if hit { ALL / MEMORY } else { 0 };
        // Of two at the same time one may be lost: it is an average.
        self.hits.store(average - average / MEMORY + sample, Ordering::Relaxed);
    }

    /// Decides for one request, by chance.
    pub(crate) fn is_worth_asking(&self) -> bool {
        rand::random_range(0..ALL) < self.share()
    }

    /// The share of requests that should ask.
    fn share(&self) -> u32 {
        (self.hits.load(Ordering::Relaxed).saturating_mul(ALL / WORTH_ALL)).clamp(LEAST, ALL)
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
        let asked = (0..64_000).filter(|_| promise.is_worth_asking()).count();
        assert!((700..1_300).contains(&asked), "{asked} of 64,000");
        // One in twenty: half of them.
        (0..2_000).for_each(|n| promise.record(n % 20 == 0));
        assert!((ALL / 4..ALL * 3 / 4).contains(&promise.share()), "{}", promise.share());
        (0..MEMORY / 4).for_each(|_| promise.record(true));
        assert_eq!(promise.share(), ALL);
        (0..10_000).for_each(|_| promise.record(true));
        assert!(promise.is_worth_asking());
    }
}
