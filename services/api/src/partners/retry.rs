//! Attempts at one logical call: each bounded, all of them within one deadline.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use tokio::time::{Instant, sleep_until};

use super::error::CallError;

/// The wait before the second attempt, with jitter up to twice as long; it doubles from attempt to attempt.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_millis(500);

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

/// The attempts at one call. For requests that are safe to repeat: it retries whatever is transient.
#[derive(Debug)]
pub(crate) struct Retries {
    /// When the call as a whole is given up.
    pub(crate) ends: Instant,
    /// Attempts so far.
    pub(crate) attempts: u32,
    attempt_timeout: Duration,
    waits: ExponentialBackoff,
}

impl Retries {
    pub(crate) fn start(policy: RetryPolicy) -> Self {
        let waits = ExponentialBuilder::new()
            .with_jitter()
            .with_min_delay(FIRST_WAIT)
            .with_max_delay(LONGEST_WAIT)
            .with_max_times(policy.attempts.saturating_sub(1) as usize);
        let ends = Instant::now() + policy.deadline;
        Self { ends, attempts: 0, attempt_timeout: policy.attempt_timeout, waits: waits.build() }
    }

    /// Counts an attempt, and says how long it may take.
    pub(crate) fn next_attempt(&mut self) -> Duration {
        self.attempts += 1;
        self.attempt_timeout.min(self.ends.saturating_duration_since(Instant::now()))
    }

    /// Waits for the next attempt, for as long as the partner asked for with `Retry-After` and some more. False where
    /// there must be no other attempt: `error` would come again, all attempts are spent, or the deadline would pass.
    pub(crate) async fn wait_after(&mut self, error: &CallError) -> bool {
        let Some(wait) = self.waits.next().filter(|_| error.is_transient()) else { return false };
        let next = Instant::now() + wait + error.retry_after.unwrap_or_default();
        if next >= self.ends {
            return false;
        }
        sleep_until(next).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partners::error::Partner;
    use crate::problem::Code;

    const POLICY: RetryPolicy = RetryPolicy {
        attempts: 3,
        attempt_timeout: Duration::from_secs(2),
        deadline: Duration::from_millis(4500),
    };

    fn error(code: Code, retry_after: Option<Duration>) -> CallError {
        CallError { retry_after, ..CallError::new(Partner::ApiA, code) }
    }

    /// Callers that failed together must not come back together.
    #[tokio::test(start_paused = true)]
    async fn waits_double_up_to_a_bound_with_jitter() {
        let policy = RetryPolicy { attempts: 7, deadline: Duration::from_secs(60), ..POLICY };
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..50 {
            let mut retries = Retries::start(policy);
            for least in [50, 100, 200, 400, 500, 500] {
                let before = Instant::now();
                assert!(retries.wait_after(&error(Code::PartnerFailed, None)).await);
                let waited = before.elapsed().as_millis();
                assert!((least..=2 * least + 1).contains(&waited), "{waited} of {least}");
                seen.insert(waited);
            }
        }
        assert!(seen.len() > 50, "hardly any jitter: {seen:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_counted_bounded_and_end() {
        let mut retries = Retries::start(POLICY);
        for attempt in 1..=3 {
            assert_eq!(retries.next_attempt(), POLICY.attempt_timeout);
            assert_eq!(retries.attempts, attempt);
            let again = retries.wait_after(&error(Code::PartnerUnreachable, None)).await;
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
        assert!(!retries.wait_after(&error(Code::PartnerTimedOut, None)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_partner_asks_for_is_waited_for_if_the_deadline_allows_it() {
        let mut retries = Retries::start(POLICY);
        retries.next_attempt();
        let before = Instant::now();
        assert!(retries.wait_after(&error(Code::PartnerFailed, Some(Duration::from_secs(3)))).await);
        // The clock is paused: this is what it was asked to sleep, not what the machine took.
        assert!(before.elapsed() >= Duration::from_secs(3));
        retries.next_attempt();
        let before = Instant::now();
        assert!(!retries.wait_after(&error(Code::PartnerFailed, Some(Duration::from_secs(3)))).await);
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_would_fail_again_is_not_tried_again() {
        for (code, again) in [
            (Code::PartnerUnreachable, true),
            (Code::PartnerTimedOut, true),
            (Code::PartnerFailed, true),
            (Code::PartnerInvalid, true),
            (Code::PartnerRefused, false),
            (Code::PartnerSuspended, false),
            (Code::Overloaded, false),
        ] {
            let mut retries = Retries::start(POLICY);
            retries.next_attempt();
            assert_eq!(retries.wait_after(&error(code, None)).await, again, "{code:?}");
        }
    }
}
