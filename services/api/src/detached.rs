//! Work that goes on when its client goes away: a change that is committed has to be told to the cache.

use std::sync::Arc;

use farmlokal_telemetry::request_id;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// Runs each piece of work in a task of its own, and so many at a time: they outlive their requests, and so the limits on
/// those.
pub(crate) struct Detached {
    tasks: TaskTracker,
    permits: Arc<Semaphore>,
}

impl Detached {
    /// At most `max` at the same time.
    pub(crate) fn new(max: usize) -> Detached {
        Detached { tasks: TaskTracker::new(), permits: Arc::new(Semaphore::new(max)) }
    }

    /// What came of the work; `None` where too much of it is under way, and it was not begun.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        let work = async move {
            let _permit = permit;
            work.await
        };
        // What it logs belongs to the request.
        let work = request_id::scope(request_id::current(), work.in_current_span());
        let done = self.tasks.spawn(work).await;
        Some(done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())))
    }

    /// Waits for what is under way. Call it when no more can come.
    pub(crate) async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
