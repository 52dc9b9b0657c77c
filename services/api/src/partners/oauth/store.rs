//! The token in Redis, shared by all replicas, and the lock that lets one of them fetch it.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use farmlokal_redis::Connection;
use redis::Script;
use secrecy::ExposeSecret as _;
use tokio::time::Instant;

use super::token::Token;
use crate::partners::failure::{Failure, FailureKind, Partner};

/// Looks for a token that is not the refused one, then for a failure that is still to be respected, then takes the lock:
/// one step, so that nobody fetches between another's look and its lock.
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local token = redis.call('HMGET', KEYS[1], 'fingerprint', 'secret', 'expires_at', 'refresh_ahead')
         if token[1] and token[1] ~= ARGV[3] then
           return {'token', token[1], token[2], token[3], token[4], tostring(redis.call('PTTL', KEYS[1]))}
         end
         local failure = redis.call('GET', KEYS[2])
         if failure then return {'failure', failure, tostring(redis.call('PTTL', KEYS[2]))} end
         if redis.call('SET', KEYS[3], ARGV[1], 'NX', 'PX', ARGV[2]) then return {'lead'} end
         return {'wait'}",
    )
});

/// Stores a token, and lets go of the lock if it is still the owner's.
static PUT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "redis.call('DEL', KEYS[1], KEYS[2])
         redis.call('HSET', KEYS[1], 'fingerprint', ARGV[2], 'secret', ARGV[3], 'expires_at', ARGV[4], 'refresh_ahead', ARGV[5])
         redis.call('PEXPIRE', KEYS[1], ARGV[6])
         if redis.call('GET', KEYS[3]) == ARGV[1] then redis.call('DEL', KEYS[3]) end",
    )
});

/// Notes a failure for all replicas and lets go of the lock, if it is still the owner's.
static FAIL: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[3]) ~= ARGV[1] then return end
         redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
         redis.call('DEL', KEYS[3])",
    )
});

/// Removes the token if it is this one.
static FORGET: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('HGET', KEYS[1], 'fingerprint') == ARGV[1] then redis.call('DEL', KEYS[1]) end",
    )
});

/// What a look into Redis came to.
pub(super) enum Take {
    /// There is a token.
    Token(Token),
    /// Somebody has just failed to get one; nobody should try for so long.
    Failure(Failure),
    /// The lock is ours: fetch one.
    Lead,
    /// Somebody else is fetching one.
    Wait,
}

/// The token's place in Redis.
pub(super) struct Store {
    redis: Arc<Connection>,
    /// Token, failure, lock. One hash tag: they are used together.
    keys: [String; 3],
    /// After this time a lock whose owner has died is free.
    lock_ttl: Duration,
}

impl Store {
    /// `name` tells these tokens from others.
    pub(super) fn new(redis: Arc<Connection>, name: &str, lock_ttl: Duration) -> Self {
        let keys = ["", ":failure", ":lock"].map(|part| format!("farmlokal:oauth:{{{name}}}{part}"));
        Self { redis, keys, lock_ttl }
    }

    /// The token, or the lock for `owner`; the token with the fingerprint `refused` counts for none. `None` if Redis is
    /// down.
    pub(super) async fn take(&self, owner: &str, refused: &str) -> Option<Take> {
        let read = Instant::now();
        let answer: Vec<String> = self.run(&TAKE, &[owner, &millis(self.lock_ttl), refused]).await?;
        let answer: Vec<_> = answer.iter().map(String::as_str).collect();
        match answer[..] {
            ["token", fingerprint, secret, expires_at, refresh_ahead, ttl] => {
                let usable_for = Duration::from_millis(ttl.parse().ok()?);
                Some(Take::Token(Token {
                    secret: secret.into(),
                    fingerprint: fingerprint.to_owned(),
                    expires_at: DateTime::<Utc>::from_timestamp_millis(expires_at.parse().ok()?)?,
                    usable_until: read + usable_for,
                    refresh_ahead: Duration::from_millis(refresh_ahead.parse().ok()?),
                }))
            }
            ["failure", kind, ttl] => {
                let kind = FailureKind::from_name(kind)?;
                let retry_after = Some(Duration::from_millis(ttl.parse().ok()?));
                Some(Take::Failure(Failure { retry_after, ..Failure::new(Partner::Oauth, kind) }))
            }
            ["lead"] => Some(Take::Lead),
            ["wait"] => Some(Take::Wait),
            // Somebody else's key: as good as no Redis.
            _ => None,
        }
    }

    /// Stores `token` until it is no longer usable. Redis counts that time down, so clocks need not agree.
    pub(super) async fn put(&self, owner: &str, token: &Token) {
        let usable_for = token.usable_for();
        if usable_for < Duration::from_millis(1) {
            return;
        }
        let expires_at = token.expires_at.timestamp_millis().to_string();
        let secret = token.secret.expose_secret();
        let (ahead, ttl) = (millis(token.refresh_ahead), millis(usable_for));
        let args = [owner, &token.fingerprint, secret, &expires_at, &ahead, &ttl];
        let _: Option<()> = self.run(&PUT, &args).await;
    }

    /// Lets the other replicas know that there is no token to be had for `pause`.
    pub(super) async fn fail(&self, owner: &str, failure: &Failure, pause: Duration) {
        let pause = millis(pause.max(Duration::from_millis(1)));
        let _: Option<()> = self.run(&FAIL, &[owner, failure.kind.name(), &pause]).await;
    }

    /// Removes the token with this fingerprint; a newer one stays.
    pub(super) async fn forget(&self, fingerprint: &str) {
        let _: Option<()> = self.run(&FORGET, &[fingerprint]).await;
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
