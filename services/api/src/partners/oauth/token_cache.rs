//! The token in Redis, shared by all replicas, and the lock that lets one of them fetch it.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use farmlokal_redis::Connection;
use redis::Script;
use secrecy::ExposeSecret as _;
use tokio::time::Instant;

use super::token::Token;

/// Looks for a token that is not the refused one, then takes the lock. In one step: no other replica can fetch between the
/// two. A Cluster's client may run it twice.
static LOOK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local token = redis.call('HMGET', KEYS[1], 'fingerprint', 'secret', 'expires_at', 'refresh_ahead')
         if token[1] and token[1] ~= ARGV[3] then
           return {token[1], token[2], token[3], token[4], tostring(redis.call('PTTL', KEYS[1]))}
         end
         if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) or redis.call('GET', KEYS[2]) == ARGV[1] then return {'locked'} end
         return {'wait'}",
    )
});

/// Stores a token.
static STORE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "redis.call('DEL', KEYS[1])
         redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'secret', ARGV[2], 'expires_at', ARGV[3], 'refresh_ahead', ARGV[4])
         redis.call('PEXPIRE', KEYS[1], ARGV[5])",
    )
});

/// Releases the lock if it is still the owner's.
static UNLOCK: LazyLock<Script> = LazyLock::new(|| {
    Script::new("if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end")
});

/// What a look into Redis came to.
pub(super) enum Lookup {
    /// There is a token.
    Token(Token),
    /// The lock is ours: fetch one.
    Locked,
    /// Somebody else is fetching one.
    Wait,
}

/// The token's place in Redis.
pub(super) struct TokenCache {
    redis: Arc<Connection>,
    /// Token and lock. One hash tag: they are used together.
    keys: [String; 2],
    /// After this time a lock whose owner has died is free.
    lock_ttl: Duration,
}

impl TokenCache {
    /// `name` tells these tokens from others.
    pub(super) fn new(redis: Arc<Connection>, name: &str, lock_ttl: Duration) -> Self {
        let keys = ["", ":lock"].map(|part| format!("farmlokal:oauth:{{{name}}}{part}"));
        Self { redis, keys, lock_ttl }
    }

    /// The token, or the lock for `owner`; the token with the fingerprint `refused` counts for none. `None` if Redis is
    /// down, or has something else there.
    pub(super) async fn look(&self, owner: &str, refused: &str) -> Option<Lookup> {
        let read = Instant::now();
        let answer: Vec<String> = self.run(&LOOK, &[owner, &millis(self.lock_ttl), refused]).await?;
        let answer: Vec<_> = answer.iter().map(String::as_str).collect();
        match answer[..] {
            ["locked"] => Some(Lookup::Locked),
            ["wait"] => Some(Lookup::Wait),
            [fingerprint, secret, expires_at, refresh_ahead, ttl] => Some(Lookup::Token(Token {
                secret: secret.into(),
                fingerprint: fingerprint.to_owned(),
                expires_at: DateTime::<Utc>::from_timestamp_millis(expires_at.parse().ok()?)?,
                usable_until: read + Duration::from_millis(ttl.parse().ok()?),
                refresh_ahead: Duration::from_millis(refresh_ahead.parse().ok()?),
            })),
            _ => None,
        }
    }

    /// Stores `token` until it is no longer usable, and releases the lock. Redis counts that time down, so clocks need
    /// not agree.
    pub(super) async fn store(&self, owner: &str, token: &Token) {
        let ttl = token.usable_for().max(Duration::from_millis(1));
        let (ahead, expires_at) =
            (millis(token.refresh_ahead), token.expires_at.timestamp_millis().to_string());
        let args = [&token.fingerprint, token.secret.expose_secret(), &expires_at, &ahead, &millis(ttl)];
        let _: Option<()> = self.run(&STORE, &args).await;
        self.unlock(owner).await;
    }

    /// Releases the lock: another replica may try.
    pub(super) async fn unlock(&self, owner: &str) {
        let _: Option<()> = self.run(&UNLOCK, &[owner]).await;
    }

    async fn run<T: redis::FromRedisValue>(&self, script: &Script, args: &[&str]) -> Option<T> {
        let mut invocation = script.prepare_invoke();
        for key in &self.keys {
            invocation.key(key);
        }
        for arg in args {
            invocation.arg(*arg);
        }
        self.redis.run(|mut connection| async move { invocation.invoke_async(&mut connection).await }).await
    }
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}
