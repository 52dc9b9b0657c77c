use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use redis::RedisError;

/// The jitter adds up to as much again, so a recovered Redis is noticed within a second.
const LONGEST_DELAY: Duration = Duration::from_millis(500);
/// A connection that lived this long starts the delays anew. One that breaks sooner counts as one more failure:
/// a server that accepts connections and then does not answer would otherwise be tried without pause.
const STEADY: Duration = Duration::from_secs(5);

/// How many connections of this process are down. They all go to one Redis, so an outage is logged once, by the
/// connection that notices it first, and its end by the last one that is back.
static DOWN: AtomicUsize = AtomicUsize::new(0);

/// The delays and the log lines of a task that keeps a connection up.
pub struct Attempts {
    connection: &'static str,
    delays: ExponentialBackoff,
    connected: Option<Instant>,
    is_down: bool,
}

impl Attempts {
    /// `connection` is the name of the connection in the log.
    #[must_use]
    pub fn new(connection: &'static str) -> Self {
        Self { connection, delays: delays(), connected: None, is_down: false }
    }

    /// Records that the connection was made.
    pub fn succeeded(&mut self) {
        self.connected = Some(Instant::now());
        if std::mem::take(&mut self.is_down) && DOWN.fetch_sub(1, Ordering::Relaxed) == 1 {
            tracing::info!(connection = self.connection, "Redis answers again");
        }
    }

    /// Records that the connection was lost or could not be made, and waits until it is time to try again.
    pub async fn failed(&mut self, error: &RedisError) {
        if !std::mem::replace(&mut self.is_down, true) && DOWN.fetch_add(1, Ordering::Relaxed) == 0 {
            let connection = self.connection;
            tracing::warn!(connection, %error, "Redis does not answer: requests go on without it");
        }
        if self.connected.take().is_some_and(|at| at.elapsed() > STEADY) {
            self.delays = delays();
        }
        tokio::time::sleep(self.delays.next().unwrap_or(LONGEST_DELAY)).await;
    }
}

fn delays() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(25))
        .with_max_delay(LONGEST_DELAY)
        .without_max_times()
        .with_jitter()
        .build()
}
