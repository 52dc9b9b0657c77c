//! The account of one client in one replica: GCRA, the generic cell rate algorithm, on the replica's own clock, corrected
//! by Redis's sum over all replicas. No input or output here.

use std::time::{Duration, Instant};

use crate::{Policy, Verdict};

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Account {
    /// When the client has its whole quota again. Each admitted request moves it by one interval.
    whole_at: Option<Instant>,
    /// Admitted, and in no report yet.
    unreported: u32,
    /// In the report that is on its way; 0 if none is.
    reported: u32,
    /// When the first of the unreported was admitted.
    since: Option<Instant>,
}

impl Account {
    /// Judges a request. `report` is whether Redis can be told. `None`: the replica is as far ahead of Redis as it may be.
    pub(crate) fn judge(&mut self, policy: &Policy, now: Instant, report: bool) -> Option<Verdict> {
        if report && self.used(now) + policy.rate.interval() <= policy.rate.whole() {
            if self.unreported + self.reported >= policy.ahead {
                return None;
            }
            if self.unreported == 0 {
                self.since = Some(now);
            }
            self.unreported += 1;
        }
        Some(self.judge_locally(policy, now))
    }

    /// Judges a request by this replica's account alone. Redis is not told.
    pub(crate) fn judge_locally(&mut self, policy: &Policy, now: Instant) -> Verdict {
        let (interval, whole, mut used) = (policy.rate.interval(), policy.rate.whole(), self.used(now));
        let retry_after = (used + interval).checked_sub(whole).filter(|wait| !wait.is_zero());
        if retry_after.is_none() {
            used += interval;
            self.whole_at = Some(now + used);
        }
        let remaining = whole.saturating_sub(used).as_nanos() / interval.as_nanos();
        Verdict { remaining: u32::try_from(remaining).unwrap_or(u32::MAX), reset: used, retry_after }
    }

    /// The requests to report now, if it is time to; [`settle`](Self::settle) must follow.
    pub(crate) fn take_report(&mut self, policy: &Policy, now: Instant) -> Option<u32> {
        // A slow client is reported as well.
        let is_late = || self.since.is_some_and(|since| now - since > policy.rate.window / 4);
        if self.reported > 0 || self.unreported == 0 {
            return None;
        }
        if self.unreported < policy.ahead.div_ceil(2) && !is_late() {
            return None;
        }
        self.reported = std::mem::take(&mut self.unreported);
        Some(self.reported)
    }

    /// Whether a report is on its way.
    pub(crate) fn is_reported(&self) -> bool {
        self.reported > 0
    }

    /// Takes over what Redis answered to the report: the time until the quota is whole again, by all replicas' reports.
    /// `None`: it did not take it, and what was in it is forgotten.
    pub(crate) fn settle(&mut self, policy: &Policy, now: Instant, whole_in: Option<Duration>) {
        self.reported = 0;
        let heard = whole_in.map(|whole_in| now + whole_in + policy.rate.interval() * self.unreported);
        // Redis forgets when it restarts; this account still holds.
        self.whole_at = self.whole_at.max(heard);
    }

    fn used(&self, now: Instant) -> Duration {
        self.whole_at.map_or(Duration::ZERO, |whole_at| whole_at.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::Rate;

    const SECOND: u64 = 1_000_000_000;

    fn policy(quota: u32, seconds: u64, ahead_percent: u8) -> Policy {
        Policy::new("test", Rate { quota, window: Duration::from_secs(seconds) }, ahead_percent)
    }

    /// So many nanoseconds after the start of the tests.
    fn at(nanoseconds: u64) -> Instant {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        *START + Duration::from_nanos(nanoseconds)
    }

    fn admitted(verdict: Option<Verdict>) -> bool {
        verdict.is_some_and(|verdict| verdict.retry_after.is_none())
    }

    #[test]
    fn the_quota_at_once_and_then_one_an_interval() {
        let (policy, mut account) = (policy(10, 10, 2), Account::default());
        let at_once = (0..20).filter(|_| admitted(account.judge(&policy, at(SECOND), false))).count();
        assert_eq!(at_once, 10);
        let (reset, retry_after) = (Duration::from_secs(10), Some(Duration::from_secs(1)));
        let refused = Verdict { remaining: 0, reset, retry_after };
        assert_eq!(account.judge(&policy, at(SECOND), false), Some(refused));
        assert!(!admitted(account.judge(&policy, at(2 * SECOND - 1), false)));
        assert!(admitted(account.judge(&policy, at(2 * SECOND), false)));
        assert!(!admitted(account.judge(&policy, at(2 * SECOND), false)));
        let later = (0..20).filter(|_| admitted(account.judge(&policy, at(100 * SECOND), false))).count();
        assert_eq!(later, 10);
    }

    #[test]
    fn it_runs_ahead_of_redis_only_so_far() {
        let (policy, mut account) = (policy(100, 60, 4), Account::default());
        for report in [None, Some(2), None, None] {
            assert!(admitted(account.judge(&policy, at(0), true)));
            assert_eq!(account.take_report(&policy, at(0)), report);
        }
        assert_eq!(account.judge(&policy, at(0), true), None);
        // Others have used 96 of the 100 meanwhile, and two are not in the report.
        account.settle(&policy, at(0), Some(Duration::from_millis(98 * 600)));
        let refused = account.judge(&policy, at(0), true).unwrap();
        assert!(refused.retry_after.is_some() && refused.remaining == 0, "{refused:?}");
        assert_eq!(account.take_report(&policy, at(0)), Some(2));
    }

    #[test]
    fn what_redis_does_not_hear_is_not_waited_for() {
        let (policy, mut account) = (policy(100, 60, 2), Account::default());
        assert!(admitted(account.judge(&policy, at(0), true)));
        assert!(admitted(account.judge(&policy, at(0), true)));
        assert_eq!(account.take_report(&policy, at(0)), Some(2));
        assert_eq!(account.judge(&policy, at(0), true), None);
        account.settle(&policy, at(0), None);
        let verdict = account.judge(&policy, at(0), true).unwrap();
        // It still counts here.
        assert_eq!((verdict.remaining, verdict.retry_after), (97, None));
    }

    #[test]
    fn a_slow_client_is_reported_as_well() {
        let (policy, mut account) = (policy(1000, 60, 10), Account::default());
        assert!(admitted(account.judge(&policy, at(0), true)));
        assert_eq!(account.take_report(&policy, at(0)), None);
        assert!(admitted(account.judge(&policy, at(16 * SECOND), true)));
        assert_eq!(account.take_report(&policy, at(16 * SECOND)), Some(2));
    }

    proptest! {
        /// Redis, simulated: it adds up the reports of three replicas that hear of each other only through it.
        #[test]
        fn the_sum_over_replicas_stays_within_the_bound(
            quota in 1_u32..200,
            ahead_percent in 1_u8..=100,
            requests in prop::collection::vec((0_usize..3, 0_u64..20_000_000, prop::bool::weighted(0.7)), 1..2_000),
        ) {
            let policy = policy(quota, 2, ahead_percent);
            let mut replicas = [Account::default(); 3];
            let mut on_their_way: [Option<u32>; 3] = [None; 3];
            let interval = u64::try_from(policy.rate.interval().as_nanos()).unwrap();
            let (mut whole_at, mut now, mut total) = (0_u64, 0_u64, 0_u64);
            for (replica, pause, answered) in requests {
                now += pause;
                if answered && let Some(count) = on_their_way[replica].take() {
                    whole_at = whole_at.max(now) + u64::from(count) * interval;
                    replicas[replica].settle(&policy, at(now), Some(Duration::from_nanos(whole_at - now)));
                }
                if admitted(replicas[replica].judge(&policy, at(now), true)) {
                    total += 1;
                }
                if let Some(count) = replicas[replica].take_report(&policy, at(now)) {
                    on_their_way[replica] = Some(count);
                }
                let bound = u64::from(quota) + now / interval + 3 * u64::from(policy.ahead);
                prop_assert!(total <= bound, "{total} of {bound} after {now} ns");
            }
        }
    }
}
