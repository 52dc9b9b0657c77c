//! Entries in Redis: reading them with what they are valid under, and filling them only if that has not changed.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use farmlokal_redis::Connection;
use redis::{RedisResult, Script};
use tracing::{Instrument as _, Span, field::Empty, info_span};

use crate::{
    Value,
    entry::{self, Entry},
    keys::{RedisKeys, Stamp, new_token},
    metrics::fills,
};

/// Sets the entry only if the generation, and an item's token, are still those that its reader saw before it asked the
/// database. Otherwise the answer may be from before the write that was flushed. The token lives as long as the entry.
static GUARDED_FILL: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "for index = 2, #KEYS do
           if redis.call('GET', KEYS[index]) ~= ARGV[index + 1] then return 0 end
         end
         redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
         if KEYS[3] then redis.call('PEXPIRE', KEYS[3], ARGV[2]) end
         return 1",
    )
});

/// What Redis had at the time of reading.
pub(crate) struct Reading<V> {
    /// `None` if something that an entry is valid under was missing. Such a request does not fill.
    pub(crate) stamp: Option<Stamp>,
    /// The entry that is valid under the stamp, fresh or not.
    pub(crate) entry: Option<Entry<V>>,
}

#[derive(Clone)]
pub(crate) struct RedisTier {
    pub(crate) connection: Arc<Connection>,
    pub(crate) fresh: Duration,
    pub(crate) stale: Duration,
}

impl RedisTier {
    /// The entry and its stamp, in one round trip; `None` if Redis is down or late.
    pub(crate) async fn read<V: Value>(&self, keys: &RedisKeys) -> Option<Reading<V>> {
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

    /// A token that is missing is made here, so that the fill of this very request counts. A token that was removed or
    /// evicted never comes back, so neither does an entry from before.
    async fn read_inside<V: Value>(&self, keys: &RedisKeys) -> Option<Reading<V>> {
        let mut pipeline = redis::pipe();
        if let Some(token) = &keys.token {
            let set = pipeline.cmd("SET").arg(token).arg(&new_token()[..]);
            set.arg("NX").arg("PX").arg(self.lifetime()).ignore();
        }
        pipeline.cmd("MGET").arg(&keys.entry).arg(&keys.generation).arg(keys.token.as_ref());
        // A Redis that is full refuses the SET; what it has is readable all the same.
        pipeline.ignore_errors();
        let values = self.connection.run(|mut connection| async move {
            let (values,): (RedisResult<Vec<Option<Vec<u8>>>>,) =
                pipeline.query_async(&mut connection).await?;
            values
        });
        let mut values = values.await?.into_iter();
        let mut next = || values.next().flatten();
        let (bytes, generation) = (next(), next());
        if generation.is_none() {
            self.set_missing_generation(keys).await;
        }
        let token = if keys.token.is_some() { next() } else { Some(Stamp::NO_TOKEN.to_vec()) };
        let stamp = generation.zip(token).and_then(|(generation, token)| Stamp::new(&generation, &token));
        let now = SystemTime::now();
        let entry = bytes.zip(stamp).and_then(|(bytes, stamp)| entry::decode(bytes, stamp, now, self.fresh));
        Some(Reading { stamp, entry })
    }

    /// Fills the entry with `value`, which was read from the database at `read_at`, under the `stamp` seen before that.
    pub(crate) async fn fill<V: Value>(
        &self,
        keys: &RedisKeys,
        stamp: Option<Stamp>,
        value: &V,
        read_at: SystemTime,
    ) {
        let Some(stamp) = stamp else {
            return fills("skipped").increment(1);
        };
        let span = redis_span("EVALSHA");
        let mut fill = GUARDED_FILL.prepare_invoke();
        fill.key(&keys.entry).key(&keys.generation).key(keys.token.as_ref());
        fill.arg(entry::encode(value, stamp, read_at)).arg(self.lifetime());
        fill.arg(stamp.generation()).arg(stamp.token());
        let stored = self
            .connection
            .run(|mut connection| async move { fill.invoke_async::<bool>(&mut connection).await })
            .instrument(span.clone())
            .await;
        let result = match stored {
            Some(true) => "stored",
            Some(false) => "refused",
            None => "skipped",
        };
        fills(result).increment(1);
        span.record("farmlokal.cache.result", result);
    }

    /// NX: of several that find it missing, all end up with the same one; and a flush's is never overwritten.
    async fn set_missing_generation(&self, keys: &RedisKeys) {
        let mut set = redis::cmd("SET");
        set.arg(&keys.generation).arg(&new_token()[..]).arg("NX");
        self.connection.run(|mut connection| async move { set.exec_async(&mut connection).await }).await;
    }

    /// How long Redis keeps an entry, in milliseconds.
    fn lifetime(&self) -> u64 {
        u64::try_from((self.fresh + self.stale).as_millis()).unwrap_or(u64::MAX)
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
