//! Single flight: of identical requests in flight, one fills and the others wait for it.
//!
//! Not moka's `try_get_with`: its fill belongs to the caller that polls it, and ends with that caller; here the fill is a task of
//! its own. It also keeps what was filled, whereas an answer of an older epoch must not be found by its key alone.

use std::{
    collections::{HashMap, hash_map},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::timeout};
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span, field::Empty, info_span};

use crate::{Key, keys::Stamp};

/// Requests that may share an answer. The epoch and the stamp are those that the request itself saw, so one that
/// comes after a flush or a change never joins a fill from before it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct FlightKey {
    pub(crate) epoch: u64,
    pub(crate) stamp: Option<Stamp>,
    pub(crate) key: Key,
    /// Its answer is not from the in-process layer.
    pub(crate) validated: bool,
}

type Results<T> = watch::Receiver<Option<T>>;

/// The fills in flight.
pub(crate) struct SingleFlight<T> {
    in_flight: Mutex<HashMap<FlightKey, Flight<T>>>,
    leaders: TaskTracker,
}

struct Flight<T> {
    results: Results<T>,
    /// The leader's, for those who wait to point to.
    span: Span,
}

impl<T: Clone + Send + Sync + 'static> SingleFlight<T> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { in_flight: Mutex::default(), leaders: TaskTracker::new() })
    }

    /// The result of the flight under `key`, which `lead` starts if there is none. It runs as a task of its own:
    /// a caller that goes away takes nothing with it. `None` if the leader panicked.
    pub(crate) async fn join<Fut>(
        self: &Arc<Self>,
        key: FlightKey,
        lead: impl FnOnce(Leader<T>) -> Fut,
    ) -> Option<T>
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (mut results, leader) = match self.in_flight().entry(key) {
            hash_map::Entry::Occupied(flight) => {
                let span = Span::current();
                span.record("farmlokal.cache.flight", "follower");
                span.follows_from(&flight.get().span);
                (flight.get().results.clone(), None)
            }
            hash_map::Entry::Vacant(vacant) => {
                let (sender, results) = watch::channel(None);
                let lead = lead(Leader { flights: Arc::clone(self), key: vacant.key().clone(), sender });
                Span::current().record("farmlokal.cache.flight", "leader");
                let span = info_span!("cache.fill", otel.status_code = Empty, "error.type" = Empty);
                vacant.insert(Flight { results: results.clone(), span: span.clone() });
                (results, Some(lead.instrument(span)))
            }
        };
        // Not under the lock: a runtime that has ended drops the leader there and then, which takes the lock.
        if let Some(leader) = leader {
            self.leaders.spawn(leader);
        }
        let result = results.wait_for(Option::is_some).await.ok()?;
        result.clone()
    }

    /// Waits until no flight is left, for `limit` at the most.
    pub(crate) async fn settle(&self, limit: Duration) {
        self.leaders.close();
        let _ = timeout(limit, self.leaders.wait()).await;
    }

    fn in_flight(&self) -> MutexGuard<'_, HashMap<FlightKey, Flight<T>>> {
        // Nothing under the lock leaves the map half changed.
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by the one that fills. Dropping it ends the flight, also when the fill panics.
pub(crate) struct Leader<T> {
    flights: Arc<SingleFlight<T>>,
    key: FlightKey,
    sender: watch::Sender<Option<T>>,
}

impl<T> Leader<T> {
    /// Gives `result` to all who wait, and to those who still come until the leader is dropped.
    pub(crate) fn publish(&self, result: T) {
        self.sender.send_replace(Some(result));
    }
}

impl<T> Drop for Leader<T> {
    fn drop(&mut self) {
        self.flights.in_flight.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
