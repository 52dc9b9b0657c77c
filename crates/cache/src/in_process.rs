//! The in-process layer: entries that are one hash look-up away, and no staler than the subscription allows.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use moka::sync::Cache;
use tokio::sync::Notify;

use crate::{
    Key, Lookup, Source, Value,
    keys::{SLOTS, Scope, slot},
    metrics::show_in_process,
};

/// Bytes that an entry takes beside its value and the text of its key, about: the times, and what moka keeps for each.
const OVERHEAD: usize = 200;

#[derive(Clone)]
struct InProcessEntry<V> {
    value: V,
    /// The epoch before the value was read from Redis or the database.
    epoch: u64,
    read_at: Instant,
    good_until: Instant,
}

/// Entries tagged with the epoch that was current before they were read. Every invalidation that is heard of, and every
/// loss of the subscription, starts a new epoch for what it concerns, and entries of an older one are misses.
///
/// The layer is in use only while its lease lasts. Each answered PING on the subscribed connection extends the
/// lease; the answer comes after every invalidation that was sent before it, so a lease is also proof that none from
/// before the PING was missed.
pub(crate) struct InProcess<V> {
    entries: Cache<Key, InProcessEntry<V>>,
    ttl: Duration,
    list_epoch: AtomicU64,
    item_epoch: AtomicU64,
    slot_epochs: Box<[AtomicU64]>,
    /// Nanoseconds after `started`; zero while there is no subscription.
    lease: AtomicU64,
    started: Instant,
    /// What the subscription has heard of.
    pub(crate) changed: Notify,
    pub(crate) flushed: Notify,
}

impl<V: Value> InProcess<V> {
    /// Keeps entries for `ttl` at the most. All together they weigh no more than `capacity`, in bytes: [`Value::weight`], the key,
    /// and 200 for each.
    pub(crate) fn new(ttl: Duration, capacity: u64) -> Self {
        let entries = Cache::builder()
            .max_capacity(capacity)
            .weigher(|key: &Key, entry: &InProcessEntry<V>| {
                let key = if let Key::List(query) = key { query.len() } else { 0 };
                entry.value.weight().saturating_add(u32::try_from(OVERHEAD + key).unwrap_or(u32::MAX))
            })
            .time_to_live(ttl)
            .build();
        show_in_process(false, 0, 0);
        Self {
            entries,
            ttl,
            list_epoch: AtomicU64::new(0),
            item_epoch: AtomicU64::new(0),
            slot_epochs: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            lease: AtomicU64::new(0),
            started: Instant::now(),
            changed: Notify::new(),
            flushed: Notify::new(),
        }
    }

    /// The current epoch of `key`. To be taken before Redis and the database are read.
    pub(crate) fn epoch(&self, key: &Key) -> u64 {
        let load = |epoch: &AtomicU64| epoch.load(Ordering::SeqCst);
        match key {
            Key::List(_) => load(&self.list_epoch),
            // Neither ever decreases, so an equal sum says that both are unchanged.
            Key::Item(id) => load(&self.item_epoch) + load(&self.slot_epochs[slot(*id)]),
        }
    }

    pub(crate) fn is_subscribed(&self) -> bool {
        self.holds_at(Instant::now())
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Lookup<V>> {
        let now = Instant::now();
        if !self.holds_at(now) {
            return None;
        }
        let entry = self.entries.get(key)?;
        (entry.epoch == self.epoch(key) && now < entry.good_until).then(|| Lookup {
            value: entry.value,
            source: Source::InProcess,
            age: now.saturating_duration_since(entry.read_at),
        })
    }

    /// Keeps `value`, which was read `age` ago under `epoch` and stays fresh for `remaining`.
    pub(crate) fn insert(&self, key: &Key, epoch: u64, value: V, age: Duration, remaining: Duration) {
        // Saves the memory only: an entry of an older epoch would never be served.
        if epoch != self.epoch(key) || !self.is_subscribed() {
            return;
        }
        let now = Instant::now();
        let entry = InProcessEntry {
            value,
            epoch,
            read_at: now.checked_sub(age).unwrap_or(now),
            good_until: now + remaining.min(self.ttl),
        };
        self.entries.insert(key.clone(), entry);
    }

    /// Nothing of `scope` that was read before this moment counts any more. Except after a flush it stays in memory until
    /// it is replaced or its time to live is over.
    pub(crate) fn invalidate(&self, scope: Scope) {
        let renew = |epoch: &AtomicU64| epoch.fetch_add(1, Ordering::SeqCst);
        if let Scope::Slot(slot) = scope {
            renew(&self.slot_epochs[slot]);
        }
        if matches!(scope, Scope::Lists | Scope::Everything) {
            renew(&self.list_epoch);
        }
        if matches!(scope, Scope::Items | Scope::Everything) {
            renew(&self.item_epoch);
        }
        if scope == Scope::Everything {
            self.entries.invalidate_all();
        }
    }

    /// The subscription is proven until `until`.
    pub(crate) fn extend_lease(&self, until: Instant) {
        let lease = until.saturating_duration_since(self.started).as_nanos();
        self.lease.store(u64::try_from(lease).unwrap_or(u64::MAX), Ordering::SeqCst);
        show_in_process(true, self.entries.entry_count(), self.entries.weighted_size());
    }

    /// The subscription is lost, and invalidations may be missed from now on.
    pub(crate) fn end_lease(&self) {
        self.lease.store(0, Ordering::SeqCst);
        self.invalidate(Scope::Everything);
        show_in_process(false, 0, 0);
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
    const LARGE: (Duration, u64) = (Duration::from_secs(5), 64 << 20);

    #[derive(Clone, PartialEq, Debug)]
    struct Number(u32);

    impl Value for Number {
        type Error = ();

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

    fn subscribed((ttl, capacity): (Duration, u64)) -> InProcess<Number> {
        let layer = InProcess::new(ttl, capacity);
        layer.extend_lease(Instant::now() + MINUTE);
        layer
    }

    fn list(query: &str) -> Key {
        Key::List(query.into())
    }

    fn put(layer: &InProcess<Number>, key: &Key, number: u32) {
        layer.insert(key, layer.epoch(key), Number(number), Duration::ZERO, MINUTE);
    }

    #[test]
    fn an_entry_is_served_with_its_age() {
        let layer = subscribed(LARGE);
        layer.insert(&list("a"), layer.epoch(&list("a")), Number(1), Duration::from_secs(7), MINUTE);
        let hit = layer.get(&list("a")).unwrap();
        assert_eq!((hit.value, hit.source), (Number(1), Source::InProcess));
        assert!(hit.age >= Duration::from_secs(7));
        assert!(layer.get(&list("b")).is_none());
    }

    #[test]
    fn a_flush_ends_what_is_there_and_what_was_being_read() {
        let layer = subscribed(LARGE);
        put(&layer, &list("there"), 1);
        let epoch = layer.epoch(&list("a"));
        layer.invalidate(Scope::Everything);
        layer.insert(&list("being read"), epoch, Number(2), Duration::ZERO, MINUTE);
        assert!(layer.get(&list("there")).is_none());
        assert!(layer.get(&list("being read")).is_none());
        put(&layer, &list("being read"), 3);
        assert_eq!(layer.get(&list("being read")).unwrap().value, Number(3));
    }

    #[test]
    fn each_scope_ends_what_it_names_and_nothing_else() {
        let layer = subscribed(LARGE);
        let slots = u64::try_from(SLOTS).unwrap();
        // The last two share a slot.
        let keys = [list("a"), Key::Item(1), Key::Item(2), Key::Item(2 + slots)];
        for (scope, left) in [
            (Scope::Lists, [false, true, true, true]),
            (Scope::Items, [true, false, false, false]),
            (Scope::Slot(2), [true, true, false, false]),
            (Scope::Everything, [false; 4]),
        ] {
            let before = keys.clone().map(|key| (layer.epoch(&key), key));
            for key in &keys {
                put(&layer, key, 1);
            }
            layer.invalidate(scope);
            assert_eq!(keys.clone().map(|key| layer.get(&key).is_some()), left, "{scope:?}");
            // What was being read meanwhile.
            for (epoch, key) in &before {
                layer.insert(key, *epoch, Number(2), Duration::ZERO, MINUTE);
            }
            assert_eq!(keys.clone().map(|key| layer.get(&key).is_some()), left, "{scope:?}");
        }
    }

    #[test]
    fn an_insert_that_passed_its_check_before_the_flush_is_not_served_after_it() {
        let layer = subscribed(LARGE);
        let now = Instant::now();
        let entry = InProcessEntry {
            value: Number(1),
            epoch: layer.epoch(&list("a")),
            read_at: now,
            good_until: now + MINUTE,
        };
        layer.invalidate(Scope::Everything);
        layer.entries.insert(list("a"), entry);
        assert!(layer.get(&list("a")).is_none());
    }

    #[test]
    fn without_a_lease_it_is_bypassed() {
        let layer = subscribed(LARGE);
        put(&layer, &list("a"), 1);
        layer.extend_lease(Instant::now());
        assert!(!layer.is_subscribed());
        assert!(layer.get(&list("a")).is_none());
        put(&layer, &list("b"), 2);
        layer.extend_lease(Instant::now() + MINUTE);
        assert!(layer.get(&list("a")).is_some(), "the lease lapsed but no flush was missed");
        assert!(layer.get(&list("b")).is_none());
    }

    #[test]
    fn a_lost_subscription_ends_every_entry_for_good() {
        let layer = subscribed(LARGE);
        put(&layer, &list("a"), 1);
        layer.end_lease();
        assert!(!layer.is_subscribed());
        layer.extend_lease(Instant::now() + MINUTE);
        assert!(layer.get(&list("a")).is_none());
    }

    #[test]
    fn an_entry_stays_no_longer_than_it_is_fresh() {
        let layer = subscribed(LARGE);
        layer.insert(&list("a"), layer.epoch(&list("a")), Number(1), Duration::ZERO, Duration::ZERO);
        assert!(layer.get(&list("a")).is_none());
    }

    #[test]
    fn entries_outweighing_the_capacity_are_evicted() {
        let layer = subscribed((MINUTE, 1000));
        for n in 0..100 {
            put(&layer, &list(&format!("key {n}")), 100);
        }
        layer.entries.run_pending_tasks();
        assert!(layer.entries.weighted_size() <= 1000);
        assert!(layer.entries.entry_count() > 0);
    }

    #[test]
    fn keys_and_what_each_entry_takes_beside_its_value_count_against_the_capacity() {
        for (make_key, most) in [
            ((|n| list(&format!("{n:04000}"))) as fn(u64) -> Key, 100_000 / 4_200),
            (Key::Item, 100_000 / 200),
        ] {
            let layer = subscribed((MINUTE, 100_000));
            for n in 0..2_000 {
                put(&layer, &make_key(n), 0);
            }
            layer.entries.run_pending_tasks();
            let count = layer.entries.entry_count();
            assert!((1..=most).contains(&count), "{count} of {most}");
        }
    }
}
