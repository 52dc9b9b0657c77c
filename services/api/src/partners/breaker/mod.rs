//! A circuit breaker around a logical call: failsafe's state machine, behind a gate of our own.
//!
//! failsafe lets every caller through while it is half open, records nothing for a call that is dropped, and takes the
//! outcome of a call that began long ago for that of the probe. The gate admits one probe, counts a dropped call as
//! failed, and ignores outcomes from before the last change of state.

mod view;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use failsafe::StateMachine;
use failsafe::failure_policy::{ConsecutiveFailures, consecutive_failures};

pub(crate) use view::BreakerState;
use view::{Pauses, View};

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BreakerPolicy {
    /// Failed calls in a row that open it.
    pub(crate) failures: u32,
    /// How long it stays open the first time; each probe that fails doubles that.
    pub(crate) pause: Duration,
    /// The longest that it stays open.
    pub(crate) longest_pause: Duration,
}

/// A breaker for one logical call.
pub(crate) struct Breaker {
    gate: Mutex<Gate>,
    view: View,
}

struct Gate {
    machine: StateMachine<ConsecutiveFailures<Pauses>, View>,
    probing: bool,
}

impl Breaker {
    /// A closed breaker; `partner` is its name in metrics and logs.
    pub(crate) fn new(partner: &'static str, policy: BreakerPolicy) -> Arc<Self> {
        let view = View::new(partner);
        let pauses = Pauses::new(policy.pause, policy.longest_pause, view.clone());
        let machine = StateMachine::new(consecutive_failures(policy.failures, pauses), view.clone());
        Arc::new(Self { gate: Mutex::new(Gate { machine, probing: false }), view })
    }

    pub(crate) fn state(&self) -> BreakerState {
        self.view.lock().state
    }

    /// Leave for one call. Its outcome must be told to the [`Permit`].
    ///
    /// # Errors
    /// None for now; the caller may ask again after this time.
    pub(crate) fn admit(self: &Arc<Self>) -> Result<Permit, Duration> {
        let mut gate = self.lock();
        let permitted = gate.machine.is_call_permitted();
        let view = self.view.lock();
        if !permitted {
            return Err(view.opens_again.saturating_duration_since(Instant::now()));
        }
        if view.state == BreakerState::HalfOpen {
            if gate.probing {
                // The probe will soon be back.
                return Err(Duration::from_secs(1));
            }
            gate.probing = true;
        }
        Ok(Permit { breaker: Arc::clone(self), era: view.era, told: false })
    }

    fn record(&self, era: u64, outcome: Outcome) {
        let mut gate = self.lock();
        if self.view.lock().era != era {
            return;
        }
        gate.probing = false;
        match outcome {
            Outcome::Success => gate.machine.on_success(),
            Outcome::Failure => gate.machine.on_error(),
            Outcome::NotCalled => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Gate> {
        // Nothing under the lock leaves the gate half changed.
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy)]
enum Outcome {
    Success,
    Failure,
    NotCalled,
}

/// A call that was let through. Dropped without an outcome, it counts as failed.
pub(crate) struct Permit {
    breaker: Arc<Breaker>,
    /// The state that it was admitted in; the outcome counts only while that lasts.
    era: u64,
    told: bool,
}

impl Permit {
    pub(crate) fn succeeded(self) {
        self.tell(Outcome::Success);
    }

    pub(crate) fn failed(self) {
        self.tell(Outcome::Failure);
    }

    /// The partner was not even called, so nothing is known about it.
    pub(crate) fn not_called(self) {
        self.tell(Outcome::NotCalled);
    }

    fn tell(mut self, outcome: Outcome) {
        self.told = true;
        self.breaker.record(self.era, outcome);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.told {
            self.breaker.record(self.era, Outcome::Failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use failsafe::clock;

    use super::*;

    const POLICY: BreakerPolicy =
        BreakerPolicy { failures: 3, pause: Duration::from_secs(5), longest_pause: Duration::from_secs(60) };

    fn opened() -> Arc<Breaker> {
        let breaker = Breaker::new("test", POLICY);
        for _ in 0..3 {
            assert_eq!(breaker.state(), BreakerState::Closed);
            breaker.admit().ok().unwrap().failed();
        }
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker
    }

    fn past(pause: u64) -> Duration {
        Duration::from_secs(pause) + Duration::from_millis(1)
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
        let breaker = Breaker::new("test", POLICY);
        for _ in 0..5 {
            breaker.admit().ok().unwrap().failed();
            breaker.admit().ok().unwrap().failed();
            breaker.admit().ok().unwrap().succeeded();
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn a_call_that_is_dropped_counts_as_failed() {
        let breaker = Breaker::new("test", POLICY);
        for _ in 0..3 {
            drop(breaker.admit());
        }
        assert_eq!(breaker.state(), BreakerState::Open);
        assert!(breaker.admit().is_err_and(|wait| wait <= POLICY.pause && wait > Duration::from_secs(1)));
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
            probe.succeeded();
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
            breaker.admit().ok().unwrap().failed();
            time.advance(past(5));
            assert!(breaker.admit().is_err(), "ten seconds now");
            time.advance(past(5));
            drop(breaker.admit().ok().unwrap());
            assert_eq!(breaker.state(), BreakerState::Open);
            time.advance(past(10));
            assert!(breaker.admit().is_err(), "twenty seconds now");
            time.advance(past(10));
            breaker.admit().ok().unwrap().succeeded();
            assert_eq!(breaker.state(), BreakerState::Closed);
        });
    }

    #[test]
    fn a_probe_that_called_nobody_makes_room_for_another() {
        clock::freeze(|time| {
            let breaker = opened();
            time.advance(past(5));
            breaker.admit().ok().unwrap().not_called();
            assert_eq!(breaker.state(), BreakerState::HalfOpen);
            let probe = breaker.admit().ok().unwrap();
            assert!(breaker.admit().is_err());
            probe.succeeded();
            assert_eq!(breaker.state(), BreakerState::Closed);
        });
    }

    #[test]
    fn calls_from_before_it_opened_decide_nothing() {
        clock::freeze(|time| {
            let breaker = Breaker::new("test", POLICY);
            let stragglers: Vec<_> = (0..3).map(|_| breaker.admit().ok().unwrap()).collect();
            for _ in 0..3 {
                breaker.admit().ok().unwrap().failed();
            }
            time.advance(past(5));
            let probe = breaker.admit().ok().unwrap();
            let mut stragglers = stragglers.into_iter();
            stragglers.next().unwrap().succeeded();
            assert_eq!(breaker.state(), BreakerState::HalfOpen);
            stragglers.next().unwrap().failed();
            assert_eq!(breaker.state(), BreakerState::HalfOpen);
            assert!(breaker.admit().is_err(), "the probe is still out");
            probe.succeeded();
            stragglers.next().unwrap().failed();
            assert_eq!(breaker.state(), BreakerState::Closed);
        });
    }
}
