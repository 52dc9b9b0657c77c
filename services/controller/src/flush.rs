//! The flush itself: which Redis, and which keys.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use farmlokal_cache::{ConfigError, FlushError, Flushed, Flusher, RedisConfig};
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, ResourceExt as _};
use redis::{ErrorKind, RedisError};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span};

use crate::crd::{ProductCatalog, SecretKey};
use crate::error::{Error, Failure};
use crate::metrics;

/// How many flushes of the configured Redis run at once: a [`Flusher`] has as many connections, and takes a long wait for one
/// of them for a Redis that does not answer.
const AT_ONCE: usize = 2;

/// Connections to every Redis that is flushed, kept open.
pub(crate) struct Flushers {
    client: Client,
    configured: Flusher,
    turns: Semaphore,
    of_secrets: Mutex<HashMap<ObjectRef<ProductCatalog>, (SecretString, Flusher)>>,
}

impl Flushers {
    /// `redis_url` is for objects that name no Secret. Connects on the first flush.
    ///
    /// # Errors
    /// A URL that is none of Redis's.
    pub(crate) fn new(client: Client, redis_url: &str) -> Result<Self, ConfigError> {
        let configured = Flusher::new(&RedisConfig::new(redis_url))?;
        Ok(Self { client, configured, turns: Semaphore::new(AT_ONCE), of_secrets: Mutex::default() })
    }

    /// Flushes what `object` says. After an error it is to be run again.
    pub(crate) async fn flush(&self, object: &ProductCatalog) -> Result<Flushed, Error> {
        let span = info_span!(
            "flush",
            otel.kind = "client",
            otel.status_code = Empty,
            db.system.name = "redis",
            farmlokal.flushed_keys = Empty,
            "error.type" = Empty,
        );
        let result = self.find_and_flush(object).instrument(span.clone()).await;
        match &result {
            Ok(flushed) => {
                span.record("farmlokal.flushed_keys", flushed.keys);
                metrics::flushed(flushed.keys, flushed.took);
            }
            Err(error) => {
                mark_failed(&span, error);
                metrics::flush_failed();
            }
        }
        result
    }

    async fn find_and_flush(&self, object: &ProductCatalog) -> Result<Flushed, Error> {
        let pattern = &object.spec.key_pattern;
        let flushed = if let Some(redis) = &object.spec.redis {
            self.of_secret(object, &redis.secret_ref).await?.flush().await
        } else {
            // What it named before.
            self.of_secrets().remove(&ObjectRef::from_obj(object));
            // It fails only once it is closed, which it never is.
            let _turn = self.turns.acquire().await;
            self.configured.flush().await
        };
        flushed.map_err(|error| Error::Degraded(failure(&error, pattern)))
    }

    /// The Secret is read for each flush: one that was changed counts at once, and nobody else's changes are heard of.
    async fn of_secret(&self, object: &ProductCatalog, at: &SecretKey) -> Result<Flusher, Error> {
        let namespace = object.namespace().unwrap_or_default();
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &namespace);
        let secret = Error::within(secrets.get_opt(&at.name)).await.map_err(|error| match error {
            Error::Api(kube::Error::Api(status)) if status.code == 403 => {
                Error::Degraded(Failure::SecretForbidden(at.name.clone()))
            }
            error => error,
        })?;
        let url = url(secret, at).map_err(Error::Degraded)?;
        let key = ObjectRef::from_obj(object);
        let mut flushers = self.of_secrets();
        if let Some((known, flusher)) = flushers.get(&key)
            && known.expose_secret() == url.expose_secret()
        {
            return Ok(flusher.clone());
        }
        let flusher = Flusher::new(&RedisConfig::new(url.expose_secret())).map_err(|error| {
            // The error does not repeat the URL.
            Error::Degraded(no_url(at, error.to_string()))
        })?;
        flushers.insert(key, (url, flusher.clone()));
        Ok(flusher)
    }

    /// Closes the connections for objects that are gone.
    pub(crate) fn keep_only(&self, is_there: impl Fn(&ObjectRef<ProductCatalog>) -> bool) {
        self.of_secrets().retain(|object, _| is_there(object));
    }

    fn of_secrets(&self) -> MutexGuard<'_, HashMap<ObjectRef<ProductCatalog>, (SecretString, Flusher)>> {
        self.of_secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn url(secret: Option<Secret>, at: &SecretKey) -> Result<SecretString, Failure> {
    let Some(secret) = secret else { return Err(Failure::NoSecret(at.name.clone())) };
    let Some(value) = secret.data.unwrap_or_default().remove(&at.key) else {
        return Err(Failure::NoSecretKey { secret: at.name.clone(), key: at.key.clone() });
    };
    let url = String::from_utf8(value.0).map_err(|_| no_url(at, "it is not text".to_owned()))?;
    // A line break is what `echo` leaves at the end.
    Ok(SecretString::from(url.trim().to_owned()))
}

fn no_url(at: &SecretKey, why: String) -> Failure {
    Failure::NoUrl { secret: at.name.clone(), key: at.key.clone(), why }
}

fn failure(error: &FlushError, _pattern: &str) -> Failure {
    match error {
        FlushError::Invalidate(error) | FlushError::Remove(error) => redis_failure(error),
    }
}

/// The server's own words are left out: they may name users, and differ from time to time.
fn redis_failure(error: &RedisError) -> Failure {
    if error.is_connection_refusal() {
        Failure::Unreachable("the connection is refused")
    } else if error.is_timeout() {
        Failure::Unreachable("it does not answer in time")
    } else if let Some(code) = error.code() {
        Failure::Refused(code.to_owned())
    } else if error.kind() == ErrorKind::AuthenticationFailed {
        Failure::Refused("the user or the password is wrong".to_owned())
    } else {
        Failure::Unreachable("the connection cannot be made or was lost")
    }
}

fn mark_failed(span: &Span, error: &Error) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", error.kind());
}

#[cfg(test)]
mod tests;
