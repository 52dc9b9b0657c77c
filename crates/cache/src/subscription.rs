//! The connection on which the in-process layer hears of flushes.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use farmlokal_redis::{Backoff, CONNECT_TIMEOUT};
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, RedisError};
use tokio::{sync::watch, time::sleep};

use crate::{Value, keys::GENERATION_PREFIX, local::Local};

/// How often the connection is tried.
const PING_EVERY: Duration = Duration::from_millis(500);
/// How long the answer may take. Longer than that of a request's operation: giving up empties the layer.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// How long one answered PING lets the layer be used, from when it was sent. This is the longest that the layer
/// can serve an entry after a flush that it did not hear of.
const LEASE: Duration = PING_EVERY.saturating_add(PING_TIMEOUT);

/// Keeps the layer subscribed, for ever.
pub(crate) async fn supervise<V: Value>(client: Client, local: Arc<Local<V>>) {
    let mut backoff = Backoff::new();
    loop {
        let mut subscribed = None;
        let Err(error) = subscribe(&client, &local, &mut subscribed).await;
        local.end_lease();
        if subscribed.is_some() {
            tracing::warn!(%error, "lost the subscription to flushes: the in-process cache is bypassed");
        } else {
            tracing::debug!(%error, "could not subscribe to flushes");
        }
        backoff.wait(subscribed).await;
    }
}

/// Subscribes and extends the lease for as long as the connection answers.
async fn subscribe<V: Value>(
    client: &Client,
    local: &Arc<Local<V>>,
    subscribed: &mut Option<Instant>,
) -> Result<Infallible, RedisError> {
    let lost = watch::Sender::new(false);
    let mut is_lost = lost.subscribe();
    let listener = Arc::clone(local);
    // Called where the connection is read, so before any later answer on it reaches anybody.
    let on_push = move |push: PushInfo| {
        match push.kind {
            PushKind::Invalidate => listener.invalidate(),
            PushKind::Disconnection => {
                lost.send_replace(true);
                listener.end_lease();
            }
            _ => {}
        }
        Ok::<_, Infallible>(())
    };
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(PING_TIMEOUT))
        .set_push_sender(on_push);
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    redis::cmd("CLIENT")
        .arg(&["TRACKING", "ON", "BCAST", "PREFIX", GENERATION_PREFIX])
        .exec_async(&mut connection)
        .await?;
    // What was being read before this moment may have missed a flush.
    local.invalidate();
    tracing::info!("subscribed to flushes");
    *subscribed = Some(Instant::now());
    loop {
        let sent = Instant::now();
        redis::cmd("PING").exec_async(&mut connection).await?;
        local.extend_lease(sent + LEASE);
        // In this order, or a loss between the answer and the extension would be forgotten.
        tokio::select! {
            biased;
            _ = is_lost.wait_for(|lost| *lost) => {
                return Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into());
            }
            () = sleep(PING_EVERY) => {}
        }
    }
}
