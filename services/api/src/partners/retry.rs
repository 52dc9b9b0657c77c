//! Attempts at one logical call: each bounded, all of them within one deadline.

use std::time::Duration;

use tokio::time::Instant;

use super::failure::Failure;

/// The longest wait before the second attempt; it doubles from attempt to attempt.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How often and how long a call is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryPolicy {
    /// Attempts at the most, the first one included.
    pub(crate) attempts: u32,
    /// The longest that one attempt may take.
    pub(crate) attempt_timeout: Duration,
    /// The longest that all of them may take, waits included.
    pub(crate) deadline: Duration,
}

/// The attempts at one call. Only for requests that may be made twice: it retries whatever is transient.
#[derive(Debug)]
pub(crate) struct Retries {
    policy: RetryPolicy,
    ends: Instant,
    attempts: u32,
}

impl Retries {
    pub(crate) fn start(policy: RetryPolicy) -> Self {
        Self { policy, ends: Instant::now() + policy.deadline, attempts: 0 }
    }

    /// How many attempts were made so far.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// When the call as a whole is given up.
    pub(crate) fn ends(&self) -> Instant {
        self.ends
    }

    /// Counts an attempt, and says how long it may take.
    pub(crate) fn next_attempt(&mut self) -> Duration {
        self.attempts += 1;
        self.policy.attempt_timeout.min(self.ends.saturating_duration_since(Instant::now()))
    }

    /// Waits for the next attempt; false where there must be none, be it that `failure` would come again, that all
    /// attempts are spent, or that the deadline would pass first.
    ///
    /// The wait is random between nothing and a bound that doubles ("full jitter": callers that failed together do not
    /// come back together), on top of what the partner asked for with `Retry-After`.
    pub(crate) async fn wait_after(&self, failure: &Failure) -> bool {
        if !failure.is_transient() || self.attempts >= self.policy.attempts {
            return false;
        }
        let wait = failure.retry_after.unwrap_or_default() + jitter(longest_wait(self.attempts));
        let next = Instant::now() + wait;
        if next >= self.ends {
            return false;
        }
        tokio::time::sleep_until(next).await;
        true
    }
}

/// The longest wait after so many attempts.
fn longest_wait(attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    (FIRST_WAIT * 2_u32.pow(doublings)).min(LONGEST_WAIT)
}

/// A random time up to `longest`.
pub(crate) fn jitter(longest: Duration) -> Duration {
    longest.mul_f64(rand::random_range(0.0..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partners::failure::{FailureKind, Partner};

    const POLICY: RetryPolicy = RetryPolicy {
        attempts: 3,
        attempt_timeout: Duration::from_secs(2),
        deadline: Duration::from_millis(4500),
    };

    fn failure(kind: FailureKind, retry_after: Option<Duration>) -> Failure {
        Failure { retry_after, ..Failure::new(Partner::ApiA, kind) }
    }

    #[test]
    fn waits_double_up_to_a_bound() {
        let waits: Vec<_> = (1..=6).map(|attempts| longest_wait(attempts).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(longest_wait(u32::MAX), LONGEST_WAIT);
    }

    #[test]
    fn jitter_is_full() {
        let waits: Vec<_> = (0..1_000).map(|_| jitter(Duration::from_secs(1))).collect();
        assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(1)));
        assert!(waits.iter().any(|wait| wait.as_millis() < 100), "never near nothing");
        assert!(waits.iter().any(|wait| wait.as_millis() > 900), "never near the bound");
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_counted_bounded_and_end() {
        let mut retries = Retries::start(POLICY);
        for attempt in 1..=3 {
            assert_eq!(retries.next_attempt(), POLICY.attempt_timeout);
            assert_eq!(retries.attempts(), attempt);
            let again = retries.wait_after(&failure(FailureKind::Unreachable, None)).await;
            assert_eq!(again, attempt < 3);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_cuts_an_attempt_and_ends_the_call() {
        let mut retries = Retries::start(POLICY);
        retries.next_attempt();
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(retries.next_attempt(), Duration::from_millis(500));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert!(!retries.wait_after(&failure(FailureKind::TimedOut, None)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_partner_asks_for_is_waited_for_if_the_deadline_allows_it() {
        let mut retries = Retries::start(POLICY);
        retries.next_attempt();
        let before = Instant::now();
        assert!(retries.wait_after(&failure(FailureKind::Failed, Some(Duration::from_secs(3)))).await);
        // The clock is paused: this is what it was asked to sleep, not what the machine took.
        assert!(before.elapsed() >= Duration::from_secs(3));
        retries.next_attempt();
        let before = Instant::now();
        assert!(!retries.wait_after(&failure(FailureKind::Failed, Some(Duration::from_secs(3)))).await);
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_would_fail_again_is_not_tried_again() {
        for (kind, again) in [
            (FailureKind::Unreachable, true),
            (FailureKind::TimedOut, true),
            (FailureKind::Failed, true),
            (FailureKind::Invalid, true),
            (FailureKind::Refused, false),
            (FailureKind::Suspended, false),
            (FailureKind::Busy, false),
        ] {
            let mut retries = Retries::start(POLICY);
            retries.next_attempt();
            assert_eq!(retries.wait_after(&failure(kind, None)).await, again, "{kind:?}");
        }
    }
}
