//! The queue before the database's connections, bounded by a number of calls and by time.

use std::time::Duration;

use metrics::{Counter, Gauge, counter, gauge};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use crate::metrics::{QUEUE, QUEUE_REFUSED};

/// Calls that wait for each connection at the most. A page takes the database about 0.5 ms, so the last of them waits 130 ms
/// where all are pages.
const WAITING_PER_CONNECTION: usize = 256;

/// The right to use one connection. It ends when this is dropped.
pub(crate) type Permit<'q> = SemaphorePermit<'q>;

/// Too many calls wait, or this one has waited for too long.
#[derive(Debug)]
pub(crate) struct Full;

pub(crate) struct AdmissionQueue {
    permits: Semaphore,
    places: Semaphore,
    timeout: Duration,
    waiting: Gauge,
    refused: Counter,
}

/// Counts a call that waits, also if it is cancelled.
struct Waiting<'q>(&'q Gauge);

impl AdmissionQueue {
    /// Admits one call for each of so many connections. Others wait in order, each for `timeout` at the most.
    pub(crate) fn new(connections: usize, timeout: Duration) -> AdmissionQueue {
        AdmissionQueue {
            permits: Semaphore::new(connections),
            places: Semaphore::new(connections.saturating_mul(WAITING_PER_CONNECTION)),
            timeout,
            waiting: gauge!(QUEUE),
            refused: counter!(QUEUE_REFUSED),
        }
    }

    pub(crate) async fn enter(&self) -> Result<Permit<'_>, Full> {
        match self.permits.try_acquire() {
            Ok(permit) => Ok(permit),
            Err(_) => self.wait().await.inspect_err(|Full| self.refused.increment(1)),
        }
    }

    async fn wait(&self) -> Result<Permit<'_>, Full> {
        let _place = self.places.try_acquire().map_err(|_| Full)?;
        let _waiting = Waiting::new(&self.waiting);
        timeout(self.timeout, self.permits.acquire()).await.map_err(|_| Full)?.map_err(|_| Full)
    }
}

impl Waiting<'_> {
    fn new(gauge: &Gauge) -> Waiting<'_> {
        gauge.increment(1);
        Waiting(gauge)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Poll};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_for_a_permit_and_no_longer_than_it_may() {
        let queue = AdmissionQueue::new(1, SECOND);
        let permit = queue.enter().await.unwrap();
        let asked = tokio::time::Instant::now();
        assert!(queue.enter().await.is_err());
        assert_eq!(asked.elapsed(), SECOND);
        let (next, ()) = tokio::join!(queue.enter(), async { drop(permit) });
        assert!(next.is_ok());
        assert_eq!(queue.places.available_permits(), WAITING_PER_CONNECTION);
    }

    #[tokio::test]
    async fn a_call_that_finds_the_queue_full_is_refused_at_once() {
        let queue = AdmissionQueue::new(1, SECOND);
        let _permit = queue.enter().await.unwrap();
        let mut waiting: Vec<_> = (0..=WAITING_PER_CONNECTION).map(|_| Box::pin(queue.enter())).collect();
        let refused = poll_fn(|context| {
            let polled = waiting.iter_mut().map(|call| call.as_mut().poll(context).is_ready());
            Poll::Ready(polled.collect::<Vec<_>>())
        });
        let refused = refused.await;
        assert_eq!(refused.iter().position(|is_refused| *is_refused), Some(WAITING_PER_CONNECTION));
        // A call that is cancelled leaves its place to another.
        drop(waiting.remove(0));
        assert_eq!(queue.places.available_permits(), 1);
    }
}
