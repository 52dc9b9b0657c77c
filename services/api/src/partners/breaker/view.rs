//! Where a breaker stands, for its gate, for answers, metrics and logs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use failsafe::Instrument;
use metrics::{Gauge, gauge};
use tracing::{info, warn};

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BreakerState {
    /// Calls pass.
    Closed,
    /// One call passes, to find out.
    HalfOpen,
    /// No call passes. It stays so until the first call after the pause.
    Open,
}

impl BreakerState {
    const ALL: [Self; 3] = [Self::Closed, Self::HalfOpen, Self::Open];

    /// Its name in metrics and answers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// What can be seen of the state machine, which itself tells only of its changes.
#[derive(Clone)]
pub(super) struct View(Arc<Mutex<Seen>>);

pub(super) struct Seen {
    partner: &'static str,
    pub(super) state: BreakerState,
    /// Counts the changes of state.
    pub(super) era: u64,
    pause: Duration,
    pub(super) opens_again: Instant,
    gauges: [Gauge; 3],
}

impl View {
    pub(super) fn new(partner: &'static str) -> Self {
        let gauges = BreakerState::ALL.map(
            |state| gauge!("farmlokal_partner_breaker_state", "partner" => partner, "state" => state.name()),
        );
        let (state, opens_again) = (BreakerState::Closed, Instant::now());
        Self(Arc::new(Mutex::new(Seen {
            partner,
            state,
            era: 0,
            pause: Duration::ZERO,
            opens_again,
            gauges,
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn change(&mut self, state: BreakerState) {
        self.state = state;
        self.era += 1;
        for (gauge, each) in self.gauges.iter().zip(BreakerState::ALL) {
            gauge.set(f64::from(u8::from(each == state)));
        }
    }
}

impl Instrument for View {
    fn on_call_rejected(&self) {}

    fn on_open(&self) {
        let mut seen = self.lock();
        seen.change(BreakerState::Open);
        seen.opens_again = Instant::now() + seen.pause;
        warn!(partner = seen.partner, pause = ?seen.pause, "the breaker opens: the partner is left alone");
    }

    fn on_half_open(&self) {
        self.lock().change(BreakerState::HalfOpen);
    }

    fn on_closed(&self) {
        let mut seen = self.lock();
        // The state machine says so at its start too.
        let is_news = seen.state != BreakerState::Closed;
        seen.change(BreakerState::Closed);
        if is_news {
            info!(partner = seen.partner, "the breaker closes: the partner answers again");
        }
    }
}

/// How long the breaker stays open, time after time: doubling up to a bound.
#[derive(Clone)]
pub(super) struct Pauses {
    next: Duration,
    longest: Duration,
    view: View,
}

impl Pauses {
    pub(super) fn new(first: Duration, longest: Duration, view: View) -> Self {
        Self { next: first, longest, view }
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        self.view.lock().pause = pause;
        Some(pause)
    }
}
