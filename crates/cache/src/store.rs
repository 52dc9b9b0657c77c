//! Entries in Redis: reading them with their generation, and filling them only if it has not changed.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use farmlokal_redis::Connection;
use redis::Script;
use tracing::{Instrument as _, Span, field::Empty, info_span};

use crate::{
    Value,
    entry::{self, Entry},
    keys::{Generation, Keys},
    metrics::CacheMetrics,
};

/// Sets the entry only if the generation is still the one that its reader saw before it asked the database. If a
/// flush came between, the answer may be from before the write that was flushed.
static GUARDED_FILL: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
         redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
         return 1",
    )
});

/// What Redis knew at the time of reading.
pub(crate) struct Reading<V> {
    /// `None` if it had none. Such a request does not fill.
    pub(crate) generation: Option<Generation>,
    /// The entry of that generation, fresh or not.
    pub(crate) entry: Option<Entry<V>>,
}

#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) connection: Arc<Connection>,
    pub(crate) fresh: Duration,
    pub(crate) stale: Duration,
}

impl Store {
    /// The entry and its generation, in one round trip; `None` if Redis is down.
    pub(crate) async fn read<V: Value>(&self, keys: &Keys) -> Option<Reading<V>> {
        let span = redis_span("MGET");
        let reading = self.read_inside(keys).instrument(span.clone()).await;
        let result = match &reading {
            None => "bypass",
            Some(Reading { entry: None, .. }) => "miss",
            Some(Reading { entry: Some(entry), .. }) if entry.remaining.is_zero() => "expired",
            Some(_) => "hit",
        };
        span.record("farmlokal.cache.result", result);
        reading
    }

    async fn read_inside<V: Value>(&self, keys: &Keys) -> Option<Reading<V>> {
        let (bytes, generation): (Option<Vec<u8>>, Option<Vec<u8>>) = self
            .connection
            .run(|mut connection| async move {
                redis::cmd("MGET").arg(&keys.entry).arg(&keys.generation).query_async(&mut connection).await
            })
            .await?;
        let Some(generation) = generation.as_deref().and_then(Generation::from_bytes) else {
            self.set_missing_generation(keys).await;
            return Some(Reading { generation: None, entry: None });
        };
        let entry = bytes.and_then(|bytes| entry::decode(bytes, generation, SystemTime::now(), self.fresh));
        Some(Reading { generation: Some(generation), entry })
    }

    /// Fills the entry with `value`, which was read from the database at `read_at`, under the `generation` seen
    /// before that.
    pub(crate) async fn fill<V: Value>(
        &self,
        keys: &Keys,
        generation: Option<Generation>,
        value: &V,
        read_at: SystemTime,
        metrics: &CacheMetrics,
    ) {
        let Some(generation) = generation else {
            return metrics.skipped.increment(1);
        };
        let span = redis_span("EVALSHA");
        let bytes = entry::encode(value, generation, read_at, self.fresh);
        let expiry = u64::try_from((self.fresh + self.stale).as_millis()).unwrap_or(u64::MAX);
        let stored = self
            .connection
            .run(|mut connection| async move {
                GUARDED_FILL
                    .key(&keys.entry)
                    .key(&keys.generation)
                    .arg(generation.as_bytes())
                    .arg(bytes)
                    .arg(expiry)
                    .invoke_async::<bool>(&mut connection)
                    .await
            })
            .instrument(span.clone())
            .await;
        let (counter, result) = match stored {
            Some(true) => (&metrics.stored, "stored"),
            Some(false) => (&metrics.refused, "refused"),
            None => (&metrics.skipped, "skipped"),
        };
        counter.increment(1);
        span.record("farmlokal.cache.result", result);
    }

    /// NX: of several that find it missing, all end up with the same one; and a flush's is never overwritten.
    async fn set_missing_generation(&self, keys: &Keys) {
        let generation = Generation::new();
        self.connection
            .run(|mut connection| async move {
                redis::cmd("SET")
                    .arg(&keys.generation)
                    .arg(generation.as_bytes())
                    .arg("NX")
                    .exec_async(&mut connection)
                    .await
            })
            .await;
    }
}

/// The span of a command. It names no key: a key holds what was searched for.
fn redis_span(command: &'static str) -> Span {
    info_span!(
        "redis",
        otel.kind = "client",
        otel.name = command,
        db.system.name = "redis",
        db.operation.name = command,
        farmlokal.cache.result = Empty,
    )
}
