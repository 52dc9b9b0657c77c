use std::str::FromStr;
use std::time::Duration;

/// The shortest time between two permits.
const SHORTEST_INTERVAL: Duration = Duration::from_micros(1);

/// How many requests a client may send in how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests, 1 or more: at most this many at once, and this many in each window over time.
    pub quota: u32,
    /// The window: whole seconds, 1 or more.
    pub window: Duration,
}

/// A rate with a name, and how far a replica may run ahead of Redis.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// As it stands in headers, metrics and keys: lower-case letters.
    pub name: &'static str,
    /// What is allowed.
    pub rate: Rate,
    /// Requests of one client that one replica may admit before Redis has heard of them; 1 or more.
    pub ahead: u32,
}

impl Rate {
    /// The time in which one request more is allowed.
    #[must_use]
    pub fn interval(self) -> Duration {
        self.window / self.quota.max(1)
    }

    /// The time in which the whole quota is allowed again: a multiple of the interval, so that the window's rounding costs
    /// nobody a request.
    pub(crate) fn whole(self) -> Duration {
        self.interval() * self.quota
    }
}

/// Requests in seconds, such as `100/60`: 100 requests in 60 s.
impl FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Rate, &'static str> {
        let form = "write requests/seconds, such as 100/60";
        let (quota, window) = text.split_once('/').ok_or(form)?;
        let quota: u32 = quota.trim().parse().map_err(|_| form)?;
        let window: u32 = window.trim().parse().map_err(|_| form)?;
        if quota == 0 || window == 0 {
            return Err("requests and seconds must be above zero");
        }
        let rate = Rate { quota, window: Duration::from_secs(window.into()) };
        if rate.interval() < SHORTEST_INTERVAL {
            return Err("more than 1,000,000 requests a second");
        }
        Ok(rate)
    }
}

impl Policy {
    /// A policy whose replicas may run ahead of Redis by this many hundredths of the quota.
    #[must_use]
    pub fn new(name: &'static str, rate: Rate, ahead_percent: u8) -> Policy {
        let ahead = u64::from(rate.quota) * u64::from(ahead_percent) / 100;
        Policy { name, rate, ahead: u32::try_from(ahead).unwrap_or(u32::MAX).max(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_requests_in_seconds() {
        let rate = Rate { quota: 100, window: Duration::from_secs(60) };
        assert_eq!("100/60".parse(), Ok(rate));
        assert_eq!(rate.interval(), Duration::from_millis(600));
        for bad in ["", "100", "100/", "/60", "0/60", "100/0", "-1/60", "1.5/60", "1000001/1", "100/60s"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_replica_runs_ahead_by_a_share_of_the_quota_and_never_by_nothing() {
        let ahead = |quota| Policy::new("x", Rate { quota, window: Duration::from_secs(60) }, 2).ahead;
        assert_eq!([1, 49, 50, 1200].map(ahead), [1, 1, 1, 24]);
    }
}
