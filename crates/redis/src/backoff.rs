use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(50);
/// Also the longest that a recovered Redis goes unnoticed.
const LONGEST: Duration = Duration::from_secs(1);
/// A connection that lived this long was a good one.
const STEADY: Duration = Duration::from_secs(5);

/// How long to wait before the next attempt to connect: doubling, with jitter so that replicas do not come back
/// all at once. A connection that breaks soon after it was made doesn't count as a success: a Redis that takes
/// connections and then times out would otherwise be tried without pause.
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

impl Backoff {
    /// Starts with the shortest wait.
    #[must_use]
    pub fn new() -> Self {
        Self { next: FIRST }
    }

    /// Waits; `connected` is when the connection that has just ended was made.
    pub async fn wait(&mut self, connected: Option<Instant>) {
        if connected.is_some_and(|at| at.elapsed() > STEADY) {
            self.next = FIRST;
        }
        let delay = self.next.mul_f64(rand::random_range(0.5..=1.0));
        self.next = (self.next * 2).min(LONGEST);
        tokio::time::sleep(delay).await;
    }
}
