//! The in-process layer: entries that are one hash look-up away, and no staler than the subscription allows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use moka::sync::Cache;

use crate::{ConfigError, LocalConfig, Lookup, Source, Value, metrics::LocalMetrics};

#[derive(Clone)]
struct LocalEntry<V> {
    value: V,
    /// The epoch before the value was read from Redis or the database.
    epoch: u64,
    read_at: Instant,
    good_until: Instant,
}

/// Entries tagged with the epoch that was current before they were read. Every flush that is heard of, and every
/// loss of the subscription, starts a new epoch, and entries of an older one are misses.
///
/// The layer is in use only while its lease lasts. Each answered PING on the subscribed connection extends the
/// lease; the answer comes after every invalidation that was sent before it, so a lease is also proof that no
/// flush from before the PING was missed.
pub(crate) struct Local<V> {
    entries: Cache<Arc<str>, LocalEntry<V>>,
    ttl: Duration,
    epoch: AtomicU64,
    /// Nanoseconds after `started`; zero while there is no subscription.
    lease: AtomicU64,
    started: Instant,
    metrics: LocalMetrics,
}

impl<V: Value> Local<V> {
    pub(crate) fn new(config: &LocalConfig) -> Result<Self, ConfigError> {
        if config.ttl.is_zero() {
            return Err(ConfigError::Zero("the in-process time to live"));
        }
        let entries = Cache::builder()
            .max_capacity(config.capacity)
            .weigher(|key: &Arc<str>, entry: &LocalEntry<V>| {
                entry.value.weight().saturating_add(u32::try_from(key.len()).unwrap_or(u32::MAX))
            })
            .time_to_live(config.ttl)
            .build();
        Ok(Self {
            entries,
            ttl: config.ttl,
            epoch: AtomicU64::new(0),
            lease: AtomicU64::new(0),
            started: Instant::now(),
            metrics: LocalMetrics::new(),
        })
    }

    /// The current epoch. To be taken before Redis and the database are read.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    pub(crate) fn is_subscribed(&self) -> bool {
        self.holds_at(Instant::now())
    }

    pub(crate) fn get(&self, key: &str) -> Option<Lookup<V>> {
        let now = Instant::now();
        if !self.holds_at(now) {
            return None;
        }
        let entry = self.entries.get(key)?;
        (entry.epoch == self.epoch() && now < entry.good_until).then(|| Lookup {
            value: entry.value,
            source: Source::Local,
            age: now.saturating_duration_since(entry.read_at),
        })
    }

    /// Keeps `value`, which was read `age` ago under `epoch` and stays fresh for `remaining`.
    pub(crate) fn insert(&self, key: &str, epoch: u64, value: V, age: Duration, remaining: Duration) {
        // Saves the memory only: an entry of an older epoch would never be served.
        if epoch != self.epoch() || !self.is_subscribed() {
            return;
        }
        let now = Instant::now();
        let entry = LocalEntry {
            value,
            epoch,
            read_at: now.checked_sub(age).unwrap_or(now),
            good_until: now + remaining.min(self.ttl),
        };
        self.entries.insert(key.into(), entry);
    }

    /// A flush was heard of: nothing read before this moment counts any more.
    pub(crate) fn invalidate(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.entries.invalidate_all();
    }

    /// The subscription is proven until `until`.
    pub(crate) fn extend_lease(&self, until: Instant) {
        let lease = until.saturating_duration_since(self.started).as_nanos();
        self.lease.store(u64::try_from(lease).unwrap_or(u64::MAX), Ordering::SeqCst);
        self.metrics.subscribed.set(1.0);
        #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
        {
            self.metrics.entries.set(self.entries.entry_count() as f64);
            self.metrics.bytes.set(self.entries.weighted_size() as f64);
        }
    }

    /// The subscription is lost, and flushes may be missed from now on.
    pub(crate) fn end_lease(&self) {
        self.lease.store(0, Ordering::SeqCst);
        self.invalidate();
        self.metrics.subscribed.set(0.0);
        self.metrics.entries.set(0.0);
        self.metrics.bytes.set(0.0);
    }

    fn holds_at(&self, now: Instant) -> bool {
        let lease = self.lease.load(Ordering::SeqCst);
        now.saturating_duration_since(self.started) < Duration::from_nanos(lease)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[derive(Clone, PartialEq, Debug)]
    struct Number(u32);

    impl Value for Number {
        fn encode(&self) -> Vec<u8> {
            self.0.to_be_bytes().to_vec()
        }
        fn decode(bytes: Bytes) -> Option<Self> {
            Some(Self(u32::from_be_bytes(bytes[..].try_into().ok()?)))
        }
        fn weight(&self) -> u32 {
            self.0
        }
    }

    fn subscribed(config: &LocalConfig) -> Local<Number> {
        let local = Local::new(config).unwrap();
        local.extend_lease(Instant::now() + MINUTE);
        local
    }

    fn put(local: &Local<Number>, key: &str, number: u32) {
        local.insert(key, local.epoch(), Number(number), Duration::ZERO, MINUTE);
    }

    #[test]
    fn an_entry_is_served_with_its_age() {
        let local = subscribed(&LocalConfig::default());
        local.insert("a", local.epoch(), Number(1), Duration::from_secs(7), MINUTE);
        let hit = local.get("a").unwrap();
        assert_eq!((hit.value, hit.source), (Number(1), Source::Local));
        assert!(hit.age >= Duration::from_secs(7));
        assert!(local.get("b").is_none());
    }

    #[test]
    fn a_flush_ends_what_is_there_and_what_was_being_read() {
        let local = subscribed(&LocalConfig::default());
        put(&local, "there", 1);
        let epoch = local.epoch();
        local.invalidate();
        local.insert("being read", epoch, Number(2), Duration::ZERO, MINUTE);
        assert!(local.get("there").is_none());
        assert!(local.get("being read").is_none());
        put(&local, "being read", 3);
        assert_eq!(local.get("being read").unwrap().value, Number(3));
    }

    #[test]
    fn an_insert_that_passed_its_check_before_the_flush_is_not_served_after_it() {
        let local = subscribed(&LocalConfig::default());
        let now = Instant::now();
        let entry =
            LocalEntry { value: Number(1), epoch: local.epoch(), read_at: now, good_until: now + MINUTE };
        local.invalidate();
        local.entries.insert("a".into(), entry);
        assert!(local.get("a").is_none());
    }

    #[test]
    fn without_a_lease_it_is_bypassed() {
        let local = subscribed(&LocalConfig::default());
        put(&local, "a", 1);
        local.extend_lease(Instant::now());
        assert!(!local.is_subscribed());
        assert!(local.get("a").is_none());
        put(&local, "b", 2);
        local.extend_lease(Instant::now() + MINUTE);
        assert!(local.get("a").is_some(), "the lease lapsed but no flush was missed");
        assert!(local.get("b").is_none());
    }

    #[test]
    fn a_lost_subscription_ends_every_entry_for_good() {
        let local = subscribed(&LocalConfig::default());
        put(&local, "a", 1);
        local.end_lease();
        assert!(!local.is_subscribed());
        local.extend_lease(Instant::now() + MINUTE);
        assert!(local.get("a").is_none());
    }

    #[test]
    fn an_entry_stays_no_longer_than_it_is_fresh() {
        let local = subscribed(&LocalConfig::default());
        local.insert("a", local.epoch(), Number(1), Duration::ZERO, Duration::ZERO);
        assert!(local.get("a").is_none());
    }

    #[test]
    fn entries_outweighing_the_capacity_are_evicted() {
        let local = subscribed(&LocalConfig { ttl: MINUTE, capacity: 1000 });
        for n in 0..100 {
            put(&local, &format!("key {n}"), 100);
        }
        local.entries.run_pending_tasks();
        assert!(local.entries.weighted_size() <= 1000);
        assert!(local.entries.entry_count() > 0);
    }
}
