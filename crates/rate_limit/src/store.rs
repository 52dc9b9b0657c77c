//! The sum of all replicas' reports, in Redis.

use std::sync::LazyLock;
use std::time::Duration;

use farmlokal_redis::Connection;
use redis::Script;

use crate::{Client, Policy};

/// Adds to the time at which the client has its whole quota again, in microseconds of Redis's own clock, and answers how
/// long that is from now. What was admitted is always added, beyond the quota too: the debt is paid before any replica
/// admits more. The key expires when it would say nothing any more.
static REPORT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local time = redis.call('TIME')
         local now = time[1] * 1000000 + time[2]
         local whole = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + ARGV[1]
         redis.call('SET', KEYS[1], string.format('%.0f', whole), 'PX', math.ceil((whole - now) / 1000))
         return whole - now",
    )
});

/// Reports requests that cost `charge` of the client's time; comes back with the time until its quota is whole again, or
/// `None` if Redis did not take it.
pub(crate) async fn report(
    connection: &Connection,
    policy: &Policy,
    client: Client,
    charge: Duration,
) -> Option<Duration> {
    // What the value means depends on the rate: a debt under another one is none under this.
    let (name, rate) = (policy.name, policy.rate);
    let key = format!("farmlokal:limit:{name}:{}/{}:{client}", rate.quota, rate.window.as_secs());
    let charge = u64::try_from(charge.as_micros()).unwrap_or(u64::MAX).max(1);
    let microseconds: u64 = connection
        .run(|mut connection| async move { REPORT.key(key).arg(charge).invoke_async(&mut connection).await })
        .await?;
    Some(Duration::from_micros(microseconds))
}
