//! A circuit breaker around a logical call: failsafe's state machine.
//!
//! Its own futures are not used: they admit every caller while the breaker is half open, and record nothing for a call
//! that is dropped (`StateMachine::is_call_permitted` and `ResponseFuture` of <https://github.com/dmexe/failsafe-rs> 1.3). Here one probe is admitted, a dropped call counts as failed, and outcomes
//! of calls from before the last change of state are ignored.

use std::iter::{Successors, successors};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use failsafe::StateMachine;
use failsafe::failure_policy::{ConsecutiveFailures, consecutive_failures};
use metrics::gauge;
use tracing::{info, warn};

/// The longest that a breaker stays open, unless its first pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BreakerState {
    /// Calls pass.
    Closed,
    /// One call passes, to find out.
    HalfOpen,
    /// No call passes, until the first one after the pause.
    Open,
}

impl BreakerState {
    /// Its name in metrics and answers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// A breaker for one logical call.
pub(crate) struct Breaker(Mutex<Inner>);

struct Inner {
    partner: &'static str,
    machine: StateMachine<ConsecutiveFailures<Pauses>, ()>,
    state: BreakerState,
    /// Counts the changes of state.
    changes: u64,
    /// Whether the probe is out.
    probing: bool,
    first_pauses: Pauses,
    pauses: Pauses,
    half_opens_at: Instant,
}

impl Breaker {
    /// A closed breaker; `partner` is its name in metrics and logs. So many `failures` in a row open it, at first for
    /// `pause`; each probe that fails doubles that, up to a minute.
    pub(crate) fn new(partner: &'static str, failures: u32, pause: Duration) -> Arc<Self> {
        let doubled: fn(&Duration) -> _ = |pause| Some((*pause * 2).min(LONGEST_PAUSE).max(*pause));
        let pauses: Pauses = successors(Some(pause), doubled);
        let mut inner = Inner {
            partner,
            machine: StateMachine::new(consecutive_failures(failures, pauses.clone()), ()),
            state: BreakerState::Closed,
            changes: 0,
            probing: false,
            first_pauses: pauses.clone(),
            pauses,
            half_opens_at: Instant::now(),
        };
        inner.change(BreakerState::Closed);
        Arc::new(Self(Mutex::new(inner)))
    }

    pub(crate) fn state(&self) -> BreakerState {
        self.lock().state
    }

    /// Admits one call. Its outcome must be told to the [`Permit`].
    ///
    /// # Errors
    /// The breaker is open, or its probe is out: how long to wait before the next try.
    pub(crate) fn admit(self: &Arc<Self>) -> Result<Permit, Duration> {
        let mut inner = self.lock();
        if !inner.machine.is_call_permitted() {
            return Err(inner.half_opens_at.saturating_duration_since(Instant::now()));
        }
        if inner.state == BreakerState::Open {
            inner.change(BreakerState::HalfOpen);
        }
        if inner.state == BreakerState::HalfOpen && mem::replace(&mut inner.probing, true) {
            return Err(Duration::from_secs(1));
        }
        let outcome = Some(Err("dropped".to_owned()));
        Ok(Permit { breaker: Arc::clone(self), changes: inner.changes, outcome })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn record(&mut self, outcome: Outcome) {
        self.probing = false;
        match outcome {
            Some(Ok(())) => {
                self.machine.on_success();
                if self.state == BreakerState::HalfOpen {
                    info!(partner = self.partner, "the breaker closes: the partner answers again");
                    self.pauses = self.first_pauses.clone();
                    self.change(BreakerState::Closed);
                }
            }
            Some(Err(error)) => {
                self.machine.on_error();
                // The machine does not say whether that opened it.
                if !self.machine.is_call_permitted() {
                    let pause = self.pauses.next().unwrap_or_default();
                    warn!(
                        partner = self.partner,
                        ?pause,
                        error,
                        "the breaker opens: the partner is not called"
                    );
                    self.half_opens_at = Instant::now() + pause;
                    self.change(BreakerState::Open);
                }
            }
            None => {}
        }
    }

    fn change(&mut self, state: BreakerState) {
        self.state = state;
        self.changes += 1;
        for each in [BreakerState::Closed, BreakerState::HalfOpen, BreakerState::Open] {
            gauge!("farmlokal_partner_breaker_state", "partner" => self.partner, "state" => each.name())
                .set(f64::from(u8::from(each == state)));
        }
    }
}

/// A call that was let through. Its outcome counts when it is dropped: as failed, if nothing else was told.
pub(crate) struct Permit {
    breaker: Arc<Breaker>,
    /// The changes of state until it was admitted; its outcome counts only while there are no more.
    changes: u64,
    outcome: Outcome,
}

/// Whether the call succeeded, or why not; `None` where the partner was not even called.
type Outcome = Option<Result<(), String>>;

impl Permit {
    /// An error is for the log, where it opens the breaker.
    pub(crate) fn tell(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut inner = self.breaker.lock();
        if inner.changes == self.changes {
            inner.record(self.outcome.take());
        }
    }
}

/// How long the breaker stays open, time after time.
type Pauses = Successors<Duration, fn(&Duration) -> Option<Duration>>;

#[cfg(test)]
mod tests {
    use failsafe::clock;

    use super::*;

    const PAUSE: Duration = Duration::from_secs(5);

    fn opened() -> Arc<Breaker> {
        let breaker = Breaker::new("test", 3, PAUSE);
        for _ in 0..3 {
            assert_eq!(breaker.state(), BreakerState::Closed);
            breaker.admit().ok().unwrap().tell(Some(Err(String::new())));
        }
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker
    }

    fn past(pause: u64) -> Duration {
        Duration::from_secs(pause) + Duration::from_millis(1)
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
        let breaker = Breaker::new("test", 3, PAUSE);
        for _ in 0..5 {
            breaker.admit().ok().unwrap().tell(Some(Err(String::new())));
            breaker.admit().ok().unwrap().tell(Some(Err(String::new())));
            breaker.admit().ok().unwrap().tell(Some(Ok(())));
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn a_call_that_is_dropped_counts_as_failed() {
        let breaker = Breaker::new("test", 3, PAUSE);
        for _ in 0..3 {
            drop(breaker.admit());
        }
        assert_eq!(breaker.state(), BreakerState::Open);
        assert!(breaker.admit().is_err_and(|wait| wait <= PAUSE && wait > Duration::from_secs(1)));
    }

    #[test]
    fn half_open_admits_one_probe_and_its_success_closes_it() {
        clock::freeze(|time| {
            let breaker = opened();
            assert!(breaker.admit().is_err());
            time.advance(past(5));
            let probe = breaker.admit().ok().unwrap();
            assert_eq!(breaker.state(), BreakerState::HalfOpen);
            for _ in 0..100 {
                assert!(breaker.admit().is_err());
            }
            probe.tell(Some(Ok(())));
            assert_eq!(breaker.state(), BreakerState::Closed);
            let calls: Vec<_> = (0..10).map(|_| breaker.admit()).collect();
            assert!(calls.iter().all(Result::is_ok));
        });
    }

    #[test]
    fn a_probe_that_fails_or_is_dropped_opens_it_for_longer() {
        clock::freeze(|time| {
            let breaker = opened();
            time.advance(past(5));
            breaker.admit().ok().unwrap().tell(Some(Err(String::new())));
            time.advance(past(5));
            assert!(breaker.admit().is_err(), "ten seconds now");
            time.advance(past(5));
            drop(breaker.admit().ok().unwrap());
            assert_eq!(breaker.state(), BreakerState::Open);
            time.advance(past(10));
            assert!(breaker.admit().is_err(), "twenty seconds now");
            time.advance(past(10));
            breaker.admit().ok().unwrap().tell(Some(Ok(())));
            assert_eq!(breaker.state(), BreakerState::Closed);
        });
    }

    #[test]
    fn a_probe_that_called_nobody_makes_room_for_another() {
        clock::freeze(|time| {
            let breaker = opened();
            time.advance(past(5));
            breaker.admit().ok().unwrap().tell(None);
            assert_eq!(breaker.state(), BreakerState::HalfOpen);
            let probe = breaker.admit().ok().unwrap();
            assert!(breaker.admit().is_err());
            probe.tell(Some(Ok(())));
            assert_eq!(breaker.state(), BreakerState::Closed);
        });
    }

    #[test]
    fn calls_from_before_it_opened_decide_nothing() {
        clock::freeze(|time| {
            let breaker = Breaker::new("test", 3, PAUSE);
            let stragglers: Vec<_> = (0..3).map(|_| breaker.admit().ok().unwrap()).collect();
            for _ in 0..3 {
                breaker.admit().ok().unwrap().tell(Some(Err(String::new())));
            }
            time.advance(past(5));
            let probe = breaker.admit().ok().unwrap();
            let mut stragglers = stragglers.into_iter();
            stragglers.next().unwrap().tell(Some(Ok(())));
            assert_eq!(breaker.state(), BreakerState::HalfOpen);
            stragglers.next().unwrap().tell(Some(Err(String::new())));
            assert_eq!(breaker.state(), BreakerState::HalfOpen);
            assert!(breaker.admit().is_err(), "the probe is still out");
            probe.tell(Some(Ok(())));
            stragglers.next().unwrap().tell(Some(Err(String::new())));
            assert_eq!(breaker.state(), BreakerState::Closed);
        });
    }
}
