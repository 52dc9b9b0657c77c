//! The queue in front of the pool. It is as long as its end can be served in time: a call that would wait longer is
//! refused at once, while the database goes on at its full rate for those that are let in.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, counter, gauge};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::metrics::{QUEUE, QUEUE_REFUSED};

/// Turns are averaged over about so many.
const MEMORY: u64 = 16;

pub(crate) struct Gate {
    places: Semaphore,
    width: usize,
    patience: Duration,
    waiting: AtomicUsize,
    /// How long a turn takes, in nanoseconds: a moving average.
    turn: AtomicU64,
    queue: Gauge,
    refused: Counter,
}

/// A call's turn. It ends when this is dropped.
pub(crate) struct Turn<'g> {
    gate: &'g Gate,
    started: Instant,
    _place: SemaphorePermit<'g>,
}

/// The call would have to wait longer than it may.
#[derive(Debug)]
pub(crate) struct Full;

/// Counts a call that waits, for as long as it does.
struct Waiting<'g>(&'g Gate);

impl Gate {
    /// Lets `width` calls through at a time. Others wait if their turn should come within half of `patience`, and no longer
    /// than that.
    pub(crate) fn new(width: usize, patience: Duration) -> Gate {
        Gate {
            places: Semaphore::new(width),
            width: width.max(1),
            patience,
            waiting: AtomicUsize::new(0),
            turn: AtomicU64::new(0),
            queue: gauge!(QUEUE),
            refused: counter!(QUEUE_REFUSED),
        }
    }

    pub(crate) async fn enter(&self) -> Result<Turn<'_>, Full> {
        let place = match self.places.try_acquire() {
            Ok(place) => Some(place),
            Err(_) => self.wait().await,
        };
        let Some(place) = place else {
            self.refused.increment(1);
            return Err(Full);
        };
        Ok(Turn { gate: self, started: Instant::now(), _place: place })
    }

    async fn wait(&self) -> Option<SemaphorePermit<'_>> {
        let waiting = Waiting::start(self);
        if self.is_too_far(waiting.place()) {
            return None;
        }
        tokio::time::timeout(self.patience, self.places.acquire()).await.ok()?.ok()
    }

    /// Whether the call at this place would wait too long. Half of the patience is: the average may be of better times, and
    /// whoever waits in vain hears of it late.
    fn is_too_far(&self, place: usize) -> bool {
        self.wait_at(place) > self.patience / 2
    }

    /// How long the call at this place of the queue has to wait.
    fn wait_at(&self, place: usize) -> Duration {
        let turns = u64::try_from(place / self.width + 1).unwrap_or(u64::MAX);
        Duration::from_nanos(self.turn.load(Ordering::Relaxed).saturating_mul(turns))
    }

    fn record(&self, turn: Duration) {
        let sample = u64::try_from(turn.as_nanos()).unwrap_or(u64::MAX) / MEMORY;
        // Of two at the same time one may be lost: it is an average.
        let average = self.turn.load(Ordering::Relaxed);
        self.turn.store(average - average / MEMORY + sample, Ordering::Relaxed);
    }
}

impl Waiting<'_> {
    fn start(gate: &Gate) -> Waiting<'_> {
        gate.waiting.fetch_add(1, Ordering::Relaxed);
        gate.queue.increment(1);
        Waiting(gate)
    }

    /// How many wait before this one, about.
    fn place(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed).saturating_sub(1)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.queue.decrement(1);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.gate.record(self.started.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_for_its_turn_and_no_longer_than_it_may() {
        let gate = Gate::new(1, SECOND);
        let turn = gate.enter().await.unwrap();
        assert!(gate.enter().await.is_err());
        assert_eq!(gate.waiting.load(Ordering::Relaxed), 0);
        let (next, ()) = tokio::join!(gate.enter(), async { drop(turn) });
        assert!(next.is_ok());
    }

    #[tokio::test]
    async fn a_call_that_would_wait_too_long_is_refused_at_once() {
        let gate = Gate::new(2, SECOND * 2);
        let _held = (gate.enter().await.unwrap(), gate.enter().await.unwrap());
        for _ in 0..200 {
            gate.record(SECOND * 2 / 5);
        }
        // Two at a time, 400 ms each: the first two wait 400 ms, the next two 800, the fifth 1.2 s.
        let waits = [0, 1, 2, 3].map(|place| gate.wait_at(place) <= SECOND);
        assert_eq!((waits, gate.wait_at(4) <= SECOND), ([true; 4], false));
        let mut queue: Vec<_> = (0..4).map(|_| Waiting::start(&gate)).collect();
        // Nothing to wait for: it comes back the first time that it is asked.
        let mut fifth = Box::pin(gate.enter());
        let asked =
            std::future::poll_fn(|context| std::task::Poll::Ready(fifth.as_mut().poll(context))).await;
        assert!(matches!(asked, std::task::Poll::Ready(Err(Full))));
        queue.pop();
        let mut fourth = Box::pin(gate.enter());
        let asked =
            std::future::poll_fn(|context| std::task::Poll::Ready(fourth.as_mut().poll(context))).await;
        assert!(asked.is_pending());
    }
}
