use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use farmlokal_redis::{Check, Connection, Servers};
use metrics::Counter;
use tokio::task::{AbortHandle, JoinSet};
use tracing::{Instrument as _, Span, field::Empty, info_span};

use crate::{
    CacheConfig, FlushError, Flushed, Flusher, Key, Lookup, Source, Value,
    entry::Entry,
    in_process::InProcess,
    keys::{RedisKeys, Scope, Stamp, slot},
    metrics::{fills, register, requests},
    redis_tier::RedisTier,
    server_identity::Identity,
    single_flight::{FlightKey, Leader, SingleFlight},
    subscription,
};

/// How long fills in flight may take to end when the cache is closed.
const SETTLE: Duration = Duration::from_secs(1);

/// The `products:*` cache: an in-process layer over Redis over the database.
#[derive(Clone)]
pub struct Cache<V: Value>(Arc<Inner<V>>);

struct Inner<V: Value> {
    /// Never subscribed, and so bypassed, where it is switched off.
    in_process: Arc<InProcess<V>>,
    redis: RedisTier,
    flights: Arc<SingleFlight<Landed<V>>>,
    flusher: Flusher,
    /// Looking the metric up by its labels would cost more than the hit.
    in_process_hits: Counter,
    supervisors: Vec<AbortHandle>,
}

/// How a flight ended.
type Landed<V> = Result<Lookup<V>, Arc<<V as Value>::Error>>;

/// A look-up under way: what it asks for, and what was current before it read anything.
struct Request {
    key: Key,
    keys: RedisKeys,
    epoch: u64,
    /// `None` if Redis gave none; such a request does not fill it.
    stamp: Option<Stamp>,
    /// Whether Redis answered. One that did not is not asked again by the same request.
    redis_answered: bool,
    /// Not from the in-process layer.
    validated: bool,
}

/// What the cache's connections are up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedisState {
    /// Redis answers; otherwise requests skip it.
    pub up: bool,
    /// The in-process layer hears of flushes; otherwise it is bypassed. False if it is switched off.
    pub subscribed: bool,
}

impl<V: Value> Cache<V> {
    /// Connects in the background, in `tasks` that end only when the cache is closed; Redis may be down. Call it in a
    /// tokio runtime, after the metrics recorder was installed.
    pub fn new(servers: Arc<Servers>, config: &CacheConfig, tasks: &mut JoinSet<()>) -> Self {
        let identity = Identity::new();
        let check: Check = Box::new(move |link, is_new| Box::pin(Arc::clone(&identity).check(link, is_new)));
        let connection = Connection::to(Arc::clone(&servers), config.redis_timeout, "cache", Some(check));
        let flusher = Flusher::to(Arc::clone(&servers), false);
        let layer = Arc::new(InProcess::new(config.in_process_ttl, u64::from(config.in_process_mib) << 20));
        register();
        let mut supervisors = vec![tasks.spawn(Arc::clone(&connection).supervise())];
        if config.in_process {
            supervisors.push(tasks.spawn(subscription::supervise(servers, Arc::clone(&layer))));
        }
        Self(Arc::new(Inner {
            in_process: layer,
            redis: RedisTier { connection, fresh: config.fresh, stale: config.stale },
            flights: SingleFlight::new(),
            flusher,
            in_process_hits: requests("local", "hit"),
            supervisors,
        }))
    }

    /// The answer to `key` if the in-process layer has it. Only hits are counted.
    #[must_use]
    pub fn get_in_process(&self, key: &Key) -> Option<Lookup<V>> {
        let hit = self.0.in_process.get(key)?;
        self.0.in_process_hits.increment(1);
        // An empty span, so that a trace shows where the answer came from.
        drop(info_span!("cache.local", farmlokal.cache.result = "hit"));
        Some(hit)
    }

    /// The answer to `key` from the in-process layer, Redis or `fill`, in this order.
    ///
    /// Identical requests in flight share one fill, which runs as a task of its own; so they share its error too,
    /// which is not cached. If the fill fails, an expired entry is served while Redis has one from after the last
    /// flush.
    ///
    /// # Panics
    ///
    /// If the fill panicked, its own or the one that it shares.
    pub async fn get_or_fill<F, Fut>(&self, key: &Key, fill: F) -> Result<Lookup<V>, Arc<V::Error>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, V::Error>> + Send + 'static,
    {
        self.get(key, false, fill).await
    }

    /// As [`get_or_fill`](Self::get_or_fill), without the in-process layer: it may not have heard yet of a flush or a change
    /// that another process has made. While Redis answers, nothing that was made invalid before this call is served.
    pub async fn get_validated<F, Fut>(&self, key: &Key, fill: F) -> Result<Lookup<V>, Arc<V::Error>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, V::Error>> + Send + 'static,
    {
        self.get(key, true, fill).await
    }

    async fn get<F, Fut>(&self, key: &Key, validated: bool, fill: F) -> Result<Lookup<V>, Arc<V::Error>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, V::Error>> + Send + 'static,
    {
        let span = info_span!(
            "cache.get",
            farmlokal.cache.source = Empty,
            farmlokal.cache.flight = Empty,
            farmlokal.cache.local = Empty,
        );
        let find = async {
            // Before anything is read: what a flush overtakes from here on belongs to an epoch that is over.
            let epoch = self.0.in_process.epoch(key);
            if !validated && let Some(hit) = self.get_in_process(key) {
                return Ok(hit);
            }
            let result = if !validated && self.0.in_process.is_subscribed() { "miss" } else { "bypass" };
            Span::current().record("farmlokal.cache.local", result);
            requests("local", result).increment(1);
            let keys = RedisKeys::of(key);
            let reading = self.0.redis.read::<V>(&keys).await;
            let redis_answered = reading.is_some();
            let (stamp, entry) = reading.map_or((None, None), |reading| (reading.stamp, reading.entry));
            let request = Request { key: key.clone(), keys, epoch, stamp, redis_answered, validated };
            let expired = match entry {
                Some(entry) if entry.remaining > Duration::ZERO => {
                    requests("redis", "hit").increment(1);
                    return Ok(self.0.keep(&request, entry));
                }
                entry => entry,
            };
            requests("redis", if redis_answered { "miss" } else { "bypass" }).increment(1);
            let flight = FlightKey { epoch, stamp, key: key.clone(), validated };
            let inner = Arc::clone(&self.0);
            let landed = self.0.flights.join(flight, |leader| inner.lead(leader, request, fill)).await;
            if let (None | Some(Err(_)), Some(expired)) = (&landed, expired) {
                requests("redis", "stale").increment(1);
                return Ok(Lookup { value: expired.value, source: Source::Stale, age: expired.age });
            }
            landed.unwrap_or_else(|| panic!("the fill of a cache entry panicked"))
        };
        let found = find.instrument(span.clone()).await;
        if let Ok(lookup) = &found {
            span.record("farmlokal.cache.source", lookup.source.label());
        }
        found
    }

    /// Whether Redis answers and whether the in-process layer is in use.
    #[must_use]
    pub fn state(&self) -> RedisState {
        RedisState { up: self.0.redis.connection.is_up(), subscribed: self.0.in_process.is_subscribed() }
    }

    /// Makes every cached answer invalid, in every process; see [`Flusher::flush`].
    pub async fn flush(&self) -> Result<Flushed, FlushError> {
        let result = self.0.flusher.flush().await;
        // This process need not wait for the push.
        self.0.in_process.invalidate(Scope::Everything);
        result
    }

    /// Makes the answers that changes of these products concern invalid, in every process; see
    /// [`Flusher::invalidate_products`].
    pub async fn invalidate_products(&self, ids: &[u64]) -> Result<(), FlushError> {
        let result = self.0.flusher.invalidate_products(ids).await;
        self.0.in_process.invalidate(Scope::Lists);
        for id in ids {
            self.0.in_process.invalidate(Scope::Slot(slot(*id)));
        }
        result
    }

    /// Comes back when some product has changed since the last call, or may have. For one caller, and only where the
    /// in-process layer is used: its subscription hears of changes.
    pub async fn changed(&self) {
        self.0.in_process.changed.notified().await;
    }

    /// As [`changed`](Self::changed), when everything was [flushed](Flusher::flush).
    pub async fn flushed(&self) {
        self.0.in_process.flushed.notified().await;
    }

    /// Lets fills end, for a second at most, then ends the connections; later requests go to the database.
    pub async fn close(&self) {
        self.0.flights.settle(SETTLE).await;
        for supervisor in &self.0.supervisors {
            supervisor.abort();
            while !supervisor.is_finished() {
                tokio::task::yield_now().await;
            }
        }
        self.0.redis.connection.close();
        self.0.in_process.end_lease();
    }
}

impl<V: Value> Inner<V> {
    /// Fills the entry and tells all who wait.
    async fn lead<F, Fut>(self: Arc<Self>, leader: Leader<Landed<V>>, mut request: Request, fill: F)
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, V::Error>>,
    {
        // A flight that has just landed may have filled it after this request had looked. It has left its answer in the
        // in-process layer too; where that is bypassed, Redis is asked once more, which costs a round trip.
        if request.stamp.is_some() && !request.validated && self.in_process.is_subscribed() {
            if let Some(landed) = self.in_process.get(&request.key) {
                return leader.publish(Ok(landed));
            }
        } else if request.redis_answered
            && let Some(reading) = self.redis.read::<V>(&request.keys).await
        {
            if let Some(entry) = reading.entry.filter(|entry| entry.remaining > Duration::ZERO) {
                return leader.publish(Ok(self.keep(&request, entry)));
            }
            request.stamp = reading.stamp;
        }
        let Request { key, keys, epoch, stamp, .. } = request;
        let read_at = SystemTime::now();
        match fill().await {
            Ok(value) => {
                let age = read_at.elapsed().unwrap_or_default();
                if value.is_stale() {
                    return leader.publish(Ok(Lookup { value, source: Source::Stale, age }));
                }
                let remaining = self.redis.fresh.saturating_sub(age);
                self.in_process.insert(&key, epoch, value.clone(), age, remaining);
                leader.publish(Ok(Lookup { value: value.clone(), source: Source::Miss, age }));
                // Nobody waits for this; those who come meanwhile still find the flight.
                self.redis.fill(&keys, stamp, &value, read_at).await;
            }
            Err(error) => {
                fills("failed").increment(1);
                Span::current().record("otel.status_code", "ERROR").record("error.type", "fill_failed");
                leader.publish(Err(Arc::new(error)));
            }
        }
    }

    /// Takes a fresh entry of Redis into the in-process layer.
    fn keep(&self, request: &Request, entry: Entry<V>) -> Lookup<V> {
        self.in_process.insert(&request.key, request.epoch, entry.value.clone(), entry.age, entry.remaining);
        Lookup { value: entry.value, source: Source::Redis, age: entry.age }
    }
}
