use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use redis::RedisError;

/// The jitter adds up to as much again, so a recovered Redis is noticed within a second.
const LONGEST_DELAY: Duration = Duration::from_millis(500);
/// A connection that lived this long starts the delays anew. One that breaks sooner counts as one more failure:
/// a server that accepts connections and then does not answer would otherwise be tried without pause.
const STEADY: Duration = Duration::from_secs(5);

/// The delays and the log lines of a task that keeps a connection up. Each connection logs its own outages: one may fail for
/// a reason that the others do not have, such as a command that its user may not run.
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
        if std::mem::take(&mut self.is_down) {
            tracing::info!(connection = self.connection, "a connection to Redis is up again");
        }
    }

    /// Records that the connection was lost or could not be made, and waits until it is time to try again.
    pub async fn failed(&mut self, error: &RedisError) {
        if !std::mem::replace(&mut self.is_down, true) {
            let connection = self.connection;
            tracing::warn!(connection, %error, "a connection to Redis is down: requests go on without it");
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

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_connection_that_stays_down_hides_no_outage_of_another() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().json().with_writer(move || writer.clone()).without_time().finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let error = RedisError::from(io::Error::from(io::ErrorKind::ConnectionRefused));
        let (mut down, mut other) = (Attempts::new("down"), Attempts::new("other"));
        down.failed(&error).await;
        for _ in 0..2 {
            other.succeeded();
            other.failed(&error).await;
            other.failed(&error).await;
        }
        other.succeeded();
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let lines = |level: &str, connection: &str| {
            let connection = format!("\"connection\":\"{connection}\"");
            log.lines().filter(|line| line.contains(level) && line.contains(&connection)).count()
        };
        assert_eq!((lines("WARN", "down"), lines("INFO", "down")), (1, 0), "{log}");
        assert_eq!((lines("WARN", "other"), lines("INFO", "other")), (2, 2), "{log}");
    }
}
