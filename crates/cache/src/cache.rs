use std::{
    any::{Any, TypeId},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use farmlokal_redis::{Connection, client};
use redis::ProtocolVersion;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument as _, Span, field::Empty, info_span};

use crate::{
    CacheConfig, ConfigError, FlushError, Flushed, Flusher, Lookup, Source, Value,
    adopt::adopt_server,
    entry::Entry,
    flight::{FlightKey, Flights, Lead},
    keys::{Generation, Keys},
    local::Local,
    metrics::CacheMetrics,
    store::Store,
    subscription,
};

/// How long fills in flight may take to end when the cache is closed.
const SETTLE: Duration = Duration::from_secs(1);

/// The `products:*` cache: an in-process layer over Redis over the database.
#[derive(Clone)]
pub struct Cache<V>(Arc<Inner<V>>);

struct Inner<V> {
    local: Option<Arc<Local<V>>>,
    store: Store,
    flights: Arc<Flights<Landed<V>>>,
    flusher: Flusher,
    metrics: CacheMetrics,
    supervisors: Mutex<Vec<AbortOnDropHandle<()>>>,
}

/// How a flight ended. The error is of the type that its [`FlightKey`] names.
type Landed<V> = Result<Lookup<V>, Arc<dyn Any + Send + Sync>>;

/// What the cache's connections are up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedisState {
    /// Redis answers; otherwise requests skip it.
    pub up: bool,
    /// The in-process layer hears of flushes; otherwise it is bypassed. False if it is switched off.
    pub subscribed: bool,
}

impl<V: Value> Cache<V> {
    /// Connects in the background; Redis may be down. Call it in a tokio runtime, after the metrics recorder was
    /// installed.
    pub fn new(config: CacheConfig) -> Result<Self, ConfigError> {
        let CacheConfig { redis, fresh, stale, local } = config;
        if fresh.is_zero() {
            return Err(ConfigError::Zero("the time that an entry is fresh"));
        }
        let connection = Connection::with_setup(&redis, "cache", adopt_server)?;
        let mut supervisors = vec![spawn(Arc::clone(&connection).supervise())];
        let local = match local {
            Some(local) => {
                let local = Arc::new(Local::new(&local)?);
                let client = client(&redis, ProtocolVersion::RESP3)?;
                let supervisor = subscription::supervise(client, Arc::clone(&local));
                supervisors.push(spawn(supervisor));
                Some(local)
            }
            None => None,
        };
        Ok(Self(Arc::new(Inner {
            local,
            store: Store { connection, fresh, stale },
            flights: Flights::new(),
            flusher: Flusher::new(&redis)?,
            metrics: CacheMetrics::new(),
            supervisors: Mutex::new(supervisors),
        })))
    }

    /// The answer to `key` if the in-process layer has it. Only hits are counted: a `None` is to be followed by
    /// [`get_or_fill`](Self::get_or_fill), which counts the miss, or by nothing where the request is refused.
    #[must_use]
    pub fn get_local(&self, key: &str) -> Option<Lookup<V>> {
        let hit = self.0.local.as_ref()?.get(key)?;
        self.0.metrics.local.hit.increment(1);
        // It is over as soon as it has begun: the span says that it was here that the answer came from.
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
    pub async fn get_or_fill<F, Fut, E>(&self, key: &str, fill: F) -> Result<Lookup<V>, Arc<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        let span = info_span!(
            "cache.get",
            farmlokal.cache.source = Empty,
            farmlokal.cache.flight = Empty,
            farmlokal.cache.local = Empty,
        );
        let found = self.find(key, fill).instrument(span.clone()).await;
        if let Ok(lookup) = &found {
            span.record("farmlokal.cache.source", lookup.source.label());
        }
        found
    }

    async fn find<F, Fut, E>(&self, key: &str, fill: F) -> Result<Lookup<V>, Arc<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        // Before anything is read: what a flush overtakes from here on belongs to an epoch that is over.
        let epoch = self.0.local.as_ref().map_or(0, |local| local.epoch());
        if let Some(hit) = self.get_local(key) {
            return Ok(hit);
        }
        self.0.count_local_miss();
        let keys = Keys::of(key);
        let reading = self.0.store.read::<V>(&keys).await;
        let redis = &self.0.metrics.redis;
        let mut generation = None;
        let mut expired = None;
        match reading {
            None => redis.bypass.increment(1),
            Some(reading) => {
                generation = reading.generation;
                match reading.entry {
                    Some(entry) if entry.remaining > Duration::ZERO => {
                        redis.hit.increment(1);
                        return Ok(self.0.keep(key, epoch, entry));
                    }
                    entry => {
                        redis.miss.increment(1);
                        expired = entry;
                    }
                }
            }
        }
        let flight = FlightKey { epoch, generation, key: key.into(), error: TypeId::of::<E>() };
        let inner = Arc::clone(&self.0);
        let lead = |lead| inner.lead(lead, epoch, generation, key.into(), keys, fill);
        let landed = self.0.flights.join(flight, lead).await;
        if let (None | Some(Err(_)), Some(expired)) = (&landed, expired) {
            self.0.metrics.redis_stale.increment(1);
            return Ok(Lookup { value: expired.value, source: Source::Stale, age: expired.age });
        }
        match landed {
            Some(Ok(lookup)) => Ok(lookup),
            Some(Err(error)) => {
                Err(error.downcast().unwrap_or_else(|_| unreachable!("flights differ by error")))
            }
            None => panic!("the fill of a cache entry panicked"),
        }
    }

    /// Whether Redis answers and whether the in-process layer is in use.
    #[must_use]
    pub fn state(&self) -> RedisState {
        RedisState {
            up: self.0.store.connection.is_up(),
            subscribed: self.0.local.as_ref().is_some_and(|local| local.is_subscribed()),
        }
    }

    /// Makes every cached answer invalid, in every process; see [`Flusher::flush`].
    pub async fn flush(&self) -> Result<Flushed, FlushError> {
        let result = self.0.flusher.flush().await;
        // This process need not wait to hear of it.
        if let Some(local) = &self.0.local {
            local.invalidate();
        }
        result
    }

    /// Makes every cached answer invalid, in every process, and removes nothing; see [`Flusher::invalidate`].
    pub async fn invalidate(&self) -> Result<(), FlushError> {
        let result = self.0.flusher.invalidate().await;
        if let Some(local) = &self.0.local {
            local.invalidate();
        }
        result
    }

    /// Makes what is cached of these products invalid. Everything, as long as items have no generations of their own.
    ///
    /// # Errors
    /// As [`invalidate`](Self::invalidate).
    pub async fn invalidate_products(&self, _ids: &[u64]) -> Result<(), FlushError> {
        self.invalidate().await
    }

    /// Lets fills end, for a second at most, then ends the connections; later requests go to the database.
    pub async fn close(&self) {
        self.0.flights.settle(SETTLE).await;
        let supervisors =
            std::mem::take(&mut *self.0.supervisors.lock().unwrap_or_else(PoisonError::into_inner));
        for supervisor in supervisors {
            supervisor.abort();
            let _ = supervisor.await;
        }
        self.0.store.connection.close();
        if let Some(local) = &self.0.local {
            local.end_lease();
        }
    }
}

impl<V: Value> Inner<V> {
    /// Fills the entry and tells all who wait.
    async fn lead<F, Fut, E>(
        self: Arc<Self>,
        flight: Lead<Landed<V>>,
        epoch: u64,
        mut generation: Option<Generation>,
        key: Box<str>,
        keys: Keys,
        fill: F,
    ) where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>>,
        E: Send + Sync + 'static,
    {
        // A flight that has just landed may have filled it after this request had looked. It has left its answer in the
        // in-process layer too; where there is none, Redis is asked once more, which costs a round trip.
        let local = self.local.as_ref().filter(|local| generation.is_some() && local.is_subscribed());
        if let Some(local) = local {
            if let Some(landed) = local.get(&key) {
                return flight.publish(Ok(landed));
            }
        } else if let Some(reading) = self.store.read::<V>(&keys).await {
            if let Some(entry) = reading.entry.filter(|entry| entry.remaining > Duration::ZERO) {
                return flight.publish(Ok(self.keep(&key, epoch, entry)));
            }
            generation = reading.generation;
        }
        let read_at = SystemTime::now();
        match fill().await {
            Ok(value) => {
                let age = read_at.elapsed().unwrap_or_default();
                if let Some(local) = &self.local {
                    local.insert(&key, epoch, value.clone(), age, self.store.fresh.saturating_sub(age));
                }
                flight.publish(Ok(Lookup { value: value.clone(), source: Source::Miss, age }));
                // Nobody waits for this; those who come meanwhile still find the flight.
                self.store.fill(&keys, generation, &value, read_at, &self.metrics).await;
            }
            Err(error) => {
                self.metrics.failed.increment(1);
                Span::current().record("otel.status_code", "ERROR").record("error.type", "fill_failed");
                flight.publish(Err(Arc::new(error)));
            }
        }
    }

    /// Takes a fresh entry of Redis into the in-process layer.
    fn keep(&self, key: &str, epoch: u64, entry: Entry<V>) -> Lookup<V> {
        if let Some(local) = &self.local {
            local.insert(key, epoch, entry.value.clone(), entry.age, entry.remaining);
        }
        Lookup { value: entry.value, source: Source::Redis, age: entry.age }
    }

    fn count_local_miss(&self) {
        let Some(local) = &self.local else { return };
        let tier = &self.metrics.local;
        let result = if local.is_subscribed() { "miss" } else { "bypass" };
        Span::current().record("farmlokal.cache.local", result);
        if result == "miss" { tier.miss.increment(1) } else { tier.bypass.increment(1) }
    }
}

fn spawn(supervisor: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(supervisor))
}
