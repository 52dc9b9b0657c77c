//! The account of one client in one replica: GCRA, the generic cell rate algorithm, on the replica's own clock, corrected
//! by Redis's sum over all replicas. No input or output here.

use std::time::Duration;

use crate::{Policy, Quota, Verdict};

/// A policy in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// The time in which one permit comes back.
    pub(crate) interval: u64,
    /// The time in which all of them do.
    window: u64,
    /// Requests that may be admitted before Redis has taken their report.
    ahead: u32,
    /// For so long an admitted request may go unreported while others follow.
    patience: u64,
}

impl Terms {
    pub(crate) fn of(policy: &Policy) -> Terms {
        let interval = nanoseconds(policy.rate.interval());
        let window = interval * u64::from(policy.rate.quota);
        Terms { interval, window, ahead: policy.ahead.max(1), patience: window / 4 }
    }
}

pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Times are nanoseconds of the replica's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Account {
    /// When the client has its whole quota again. Each admitted request moves it by one interval.
    whole_at: u64,
    /// Admitted, and in no report yet.
    unreported: u32,
    /// In the report that is on its way; 0 if none is.
    reported: u32,
    /// When the first of the unreported was admitted.
    since: u64,
}

impl Account {
    /// Judges a request. `report` is whether Redis can be told. `None`: the replica is as far ahead of Redis as it may be.
    pub(crate) fn judge(&mut self, terms: &Terms, now: u64, report: bool) -> Option<Verdict> {
        if report && self.used(now) + terms.interval <= terms.window {
            if self.unreported + self.reported >= terms.ahead {
                return None;
            }
            if self.unreported == 0 {
                self.since = now;
            }
            self.unreported += 1;
        }
        Some(self.judge_locally(terms, now))
    }

    /// Judges a request by this replica's account alone. Redis is not told.
    pub(crate) fn judge_locally(&mut self, terms: &Terms, now: u64) -> Verdict {
        let used = self.used(now);
        if used + terms.interval > terms.window {
            let retry_after = Duration::from_nanos(used + terms.interval - terms.window);
            return Verdict::Refused { quota: quota(terms, used), retry_after };
        }
        self.whole_at = now + used + terms.interval;
        Verdict::Admitted(quota(terms, used + terms.interval))
    }

    /// Whether it is time to report.
    pub(crate) fn is_report_due(&self, terms: &Terms, now: u64) -> bool {
        let due =
            self.unreported >= terms.ahead.div_ceil(2) || now.saturating_sub(self.since) > terms.patience;
        self.reported == 0 && self.unreported > 0 && due
    }

    /// Whether a report is on its way.
    pub(crate) fn is_reported(&self) -> bool {
        self.reported > 0
    }

    /// The requests that are reported now; [`settle`](Self::settle) must follow.
    pub(crate) fn take_report(&mut self) -> u32 {
        self.reported = std::mem::take(&mut self.unreported);
        self.reported
    }

    /// Takes over what Redis answered to the report: the time until the quota is whole again, by all replicas' reports.
    /// `None`: it did not take it, and what was in it is forgotten.
    pub(crate) fn settle(&mut self, terms: &Terms, now: u64, whole_in: Option<Duration>) {
        self.reported = 0;
        if let Some(whole_in) = whole_in {
            let heard = now.saturating_add(nanoseconds(whole_in));
            // Redis forgets when it restarts; this account still holds.
            self.whole_at = self.whole_at.max(heard + u64::from(self.unreported) * terms.interval);
        }
    }

    fn used(&self, now: u64) -> u64 {
        self.whole_at.saturating_sub(now)
    }
}

fn quota(terms: &Terms, used: u64) -> Quota {
    let remaining = terms.window.saturating_sub(used) / terms.interval;
    Quota { remaining: u32::try_from(remaining).unwrap_or(u32::MAX), reset: Duration::from_nanos(used) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Rate;

    const SECOND: u64 = 1_000_000_000;

    fn terms(quota: u32, seconds: u64, ahead_percent: u8) -> Terms {
        let rate = Rate { quota, window: Duration::from_secs(seconds) };
        Terms::of(&Policy::new("test", rate, ahead_percent))
    }

    fn reported(account: &mut Account, terms: &Terms, now: u64) -> Option<u32> {
        account.is_report_due(terms, now).then(|| account.take_report())
    }

    fn admitted(verdict: Option<Verdict>) -> bool {
        matches!(verdict, Some(Verdict::Admitted(_)))
    }

    #[test]
    fn the_quota_at_once_and_then_one_an_interval() {
        let (terms, mut account) = (terms(10, 10, 2), Account::default());
        let at_once = (0..20).filter(|_| admitted(account.judge(&terms, SECOND, false))).count();
        assert_eq!(at_once, 10);
        let Some(Verdict::Refused { quota, retry_after }) = account.judge(&terms, SECOND, false) else {
            panic!("admitted")
        };
        assert_eq!(
            (quota.remaining, quota.reset, retry_after),
            (0, Duration::from_secs(10), Duration::from_secs(1))
        );
        assert!(!admitted(account.judge(&terms, 2 * SECOND - 1, false)));
        assert!(admitted(account.judge(&terms, 2 * SECOND, false)));
        assert!(!admitted(account.judge(&terms, 2 * SECOND, false)));
        let later = (0..20).filter(|_| admitted(account.judge(&terms, 100 * SECOND, false))).count();
        assert_eq!(later, 10);
    }

    #[test]
    fn it_runs_ahead_of_redis_only_so_far() {
        let (terms, mut account) = (terms(100, 60, 4), Account::default());
        for report in [None, Some(2), None, None] {
            assert!(admitted(account.judge(&terms, 0, true)));
            assert_eq!(reported(&mut account, &terms, 0), report);
        }
        assert_eq!(account.judge(&terms, 0, true), None);
        // Others have used 96 of the 100 meanwhile, and two are not in the report.
        account.settle(&terms, 0, Some(Duration::from_millis(98 * 600)));
        let Some(Verdict::Refused { quota, .. }) = account.judge(&terms, 0, true) else { panic!("admitted") };
        assert_eq!(quota.remaining, 0);
        assert_eq!(reported(&mut account, &terms, 0), Some(2));
    }

    #[test]
    fn what_redis_does_not_hear_is_not_waited_for() {
        let (terms, mut account) = (terms(100, 60, 2), Account::default());
        assert!(admitted(account.judge(&terms, 0, true)));
        assert!(admitted(account.judge(&terms, 0, true)));
        assert_eq!(reported(&mut account, &terms, 0), Some(2));
        assert_eq!(account.judge(&terms, 0, true), None);
        account.settle(&terms, 0, None);
        let Some(Verdict::Admitted(quota)) = account.judge(&terms, 0, true) else { panic!("not admitted") };
        // It still counts here.
        assert_eq!(quota.remaining, 97);
    }

    #[test]
    fn a_slow_client_is_reported_as_well() {
        let (terms, mut account) = (terms(1000, 60, 10), Account::default());
        assert!(admitted(account.judge(&terms, 0, true)));
        assert_eq!(reported(&mut account, &terms, 0), None);
        assert!(admitted(account.judge(&terms, 16 * SECOND, true)));
        assert_eq!(reported(&mut account, &terms, 16 * SECOND), Some(2));
    }

    proptest! {
        /// Redis, simulated: it adds up the reports of three replicas that hear of each other only through it.
        #[test]
        fn the_sum_over_replicas_stays_within_the_bound(
            quota in 1_u32..200,
            ahead_percent in 1_u8..=100,
            requests in prop::collection::vec((0_usize..3, 0_u64..20_000_000, prop::bool::weighted(0.7)), 1..2_000),
        ) {
            let terms = terms(quota, 2, ahead_percent);
            let mut replicas = [Account::default(); 3];
            let mut on_their_way: [Option<u32>; 3] = [None; 3];
            let (mut whole_at, mut now, mut total) = (0_u64, 0_u64, 0_u64);
            for (replica, pause, answered) in requests {
                now += pause;
                if answered && let Some(count) = on_their_way[replica].take() {
                    whole_at = whole_at.max(now) + u64::from(count) * terms.interval;
                    replicas[replica].settle(&terms, now, Some(Duration::from_nanos(whole_at - now)));
                }
                if admitted(replicas[replica].judge(&terms, now, true)) {
                    total += 1;
                }
                if let Some(count) = reported(&mut replicas[replica], &terms, now) {
                    on_their_way[replica] = Some(count);
                }
                let bound = u64::from(quota) + now / terms.interval + 3 * u64::from(terms.ahead);
                prop_assert!(total <= bound, "{total} of {bound} after {now} ns");
            }
        }
    }
}
