//! The last good answer of API A: what callers get, marked, while there is no other.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use farmlokal_redis::Connection;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_util::task::TaskTracker;

use crate::object::object;

/// An answer and when it was given.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Good {
    at: DateTime<Utc>,
    pub(crate) body: Box<RawValue>,
}

impl Good {
    pub(super) fn now(body: Box<RawValue>) -> Self {
        Self { at: Utc::now(), body }
    }

    /// By the clocks of the machines that gave and read it; never below zero.
    pub(crate) fn age(&self) -> Duration {
        (Utc::now() - self.at).to_std().unwrap_or_default()
    }
}

/// Kept in the process, and in Redis for replicas that have not seen one yet.
pub(super) struct LastGood {
    memory: Mutex<Option<Good>>,
    redis: Arc<Connection>,
    key: String,
    ttl: Duration,
}

impl LastGood {
    /// `name` tells these answers from others; `ttl` is how old an answer may become.
    pub(super) fn new(redis: Arc<Connection>, name: &str, ttl: Duration) -> Self {
        Self { memory: Mutex::default(), redis, key: format!("farmlokal:api-a:{name}"), ttl }
    }

    /// Keeps `good` in the process, and in Redis by a task of its own.
    pub(super) fn keep(&self, good: &Good, calls: &TaskTracker) {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = Some(good.clone());
        let Ok(stored) = serde_json::to_vec(good) else { return };
        let (mut set, redis) = (redis::cmd("SET"), Arc::clone(&self.redis));
        set.arg(&self.key).arg(stored).arg("PX").arg(u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX));
        calls.spawn(async move {
            redis.run(async move |mut connection| set.exec_async(&mut connection).await).await
        });
    }

    /// The newer of the two, if it is not too old.
    pub(super) async fn find(&self) -> Option<Good> {
        let mut get = redis::cmd("GET");
        get.arg(&self.key);
        let stored: Option<Option<Vec<u8>>> =
            self.redis.run(async move |mut connection| get.query_async(&mut connection).await).await;
        let shared = stored.flatten().and_then(|stored| object::<Good>(&stored).ok());
        let remembered = self.memory.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let newest = shared.into_iter().chain(remembered).max_by_key(|good| good.at)?;
        (newest.age() <= self.ttl).then_some(newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_gives_the_same_answer_back() {
        let body = RawValue::from_string(r#"{"b":1.50,"a":"x"}"#.to_owned()).unwrap();
        let good = Good::now(body);
        let back: Good = object(&serde_json::to_vec(&good).unwrap()).unwrap();
        assert_eq!((back.at, back.body.get()), (good.at, good.body.get()));
    }

    #[test]
    fn a_clock_that_is_behind_makes_no_negative_age() {
        let body = RawValue::from_string("{}".to_owned()).unwrap();
        let good = Good { at: Utc::now() + Duration::from_secs(60), body };
        assert_eq!(good.age(), Duration::ZERO);
    }
}
