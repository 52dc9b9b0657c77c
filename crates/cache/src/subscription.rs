//! The connection on which the in-process layer hears of flushes and changes.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use farmlokal_redis::{Attempts, CONNECT_TIMEOUT, Servers, explain};
use futures::future::try_join_all;
use redis::{
    AsyncConnectionConfig, Client, PushInfo, PushKind, RedisError, RedisResult, Value as RedisValue,
    aio::MultiplexedConnection,
};
use tokio::time::sleep;

use crate::{
    Value,
    in_process::InProcess,
    keys::{Scope, TRACKED_PREFIXES},
};

/// How often the connection is tried.
const PING_EVERY: Duration = Duration::from_millis(500);
/// How long the answer may take. Longer than that of a request's operation: giving up empties the layer.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// How long one answered PING lets the layer be used, from when it was sent. This is the longest that the layer
/// can serve an entry after a flush or a change that it did not hear of.
const LEASE: Duration = PING_EVERY.saturating_add(PING_TIMEOUT);

/// Keeps the layer subscribed, for ever.
pub(crate) async fn supervise<V: Value>(servers: Arc<Servers>, layer: Arc<InProcess<V>>) {
    let mut attempts = Attempts::new("invalidations");
    loop {
        let Err(error) = subscribe(&servers, &layer, &mut attempts).await;
        layer.end_lease();
        attempts.failed(&error).await;
    }
}

/// Subscribes to all primaries, and extends the lease for as long as they answer and are all.
async fn subscribe<V: Value>(
    servers: &Servers,
    layer: &Arc<InProcess<V>>,
    attempts: &mut Attempts,
) -> Result<Infallible, RedisError> {
    let switches = servers.switches();
    let primaries = servers.primaries().await.map_err(explain)?;
    let connections = try_join_all(primaries.iter().map(|client| track(client, layer))).await?;
    // What was being read before this moment may have missed an invalidation.
    layer.invalidate(Scope::Everything);
    layer.changed.notify_one();
    attempts.succeeded();
    loop {
        let sent = Instant::now();
        let confirmed = connections.iter().map(|primary| servers.confirm(&primaries, primary.clone()));
        try_join_all(confirmed).await?;
        servers.check(switches)?;
        layer.extend_lease(sent + LEASE);
        // If a connection is lost before, the next test finds out.
        sleep(PING_EVERY).await;
    }
}

async fn track<V: Value>(client: &Client, layer: &Arc<InProcess<V>>) -> RedisResult<MultiplexedConnection> {
    let listener = Arc::clone(layer);
    // Called where the connection is read, so before any later answer on it reaches anybody.
    let on_push = move |push: PushInfo| {
        match push.kind {
            PushKind::Invalidate => invalidate(&listener, &push.data),
            PushKind::Disconnection => listener.end_lease(),
            _ => {}
        }
        Ok::<_, Infallible>(())
    };
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(PING_TIMEOUT))
        .set_push_sender(on_push);
    let mut connection =
        client.get_multiplexed_async_connection_with_config(&config).await.map_err(explain)?;
    let mut tracking = redis::cmd("CLIENT");
    tracking.arg(&["TRACKING", "ON", "BCAST"]);
    for prefix in TRACKED_PREFIXES {
        tracking.arg("PREFIX").arg(prefix);
    }
    tracking.exec_async(&mut connection).await?;
    Ok(connection)
}

/// A push names the keys that were written, or none if the whole database was emptied.
fn invalidate<V: Value>(layer: &InProcess<V>, data: &[RedisValue]) {
    let scopes = match data {
        [RedisValue::Array(keys)] => keys.iter().map(scope).collect(),
        _ => vec![Scope::Everything],
    };
    for scope in scopes {
        layer.invalidate(scope);
        let told = if scope == Scope::Everything { &layer.flushed } else { &layer.changed };
        told.notify_one();
    }
}

fn scope(key: &RedisValue) -> Scope {
    if let RedisValue::BulkString(key) = key { Scope::of_tracked(key) } else { Scope::Everything }
}
