//! A bounded number of threads for searches, and a bounded queue before them.

use std::sync::Arc;

use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::EngineError;

pub(super) struct Threads {
    free: Arc<Semaphore>,
    /// One for each search that runs or waits.
    places: Arc<Semaphore>,
}

impl Threads {
    /// So many threads, and so many places in the queue before them.
    pub(super) fn new(threads: usize, queue: usize) -> Threads {
        let places = Arc::new(Semaphore::new(threads.saturating_add(queue).min(Semaphore::MAX_PERMITS)));
        Threads { free: Arc::new(Semaphore::new(threads)), places }
    }

    /// Runs this as soon as a thread is free, unless the caller is gone by then.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| EngineError::Busy)?;
        let thread = Arc::clone(&self.free).acquire_owned().await;
        blocking(move || {
            // Both are taken until the work is done, even if the caller goes away.
            let _taken = (place, thread);
            work()
        })
        .await
    }
}

/// Runs this where it may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    spawn_blocking(work).await?
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::pin, sync::mpsc, task::Poll};

    use super::*;

    #[tokio::test]
    async fn more_than_can_wait_are_refused_until_one_goes_away() {
        let threads = Arc::new(Threads::new(1, 1));
        let (finish, finished) = mpsc::channel();
        let first = tokio::spawn({
            let threads = Arc::clone(&threads);
            async move { threads.run(move || Ok(finished.recv().unwrap())).await }
        });
        while threads.free.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        {
            let mut waits = pin!(threads.run(|| Ok(2)));
            let polled = poll_fn(|context| Poll::Ready(waits.as_mut().poll(context))).await;
            assert!(polled.is_pending());
            assert!(matches!(threads.run(|| Ok(3)).await, Err(EngineError::Busy)));
        }
        // One that runs goes on without its caller, and keeps its thread.
        first.abort();
        let waits = threads.run(|| Ok(4));
        let (waits, ()) = tokio::join!(waits, async {
            assert!(matches!(threads.run(|| Ok(5)).await, Err(EngineError::Busy)));
            finish.send(1).unwrap();
        });
        assert_eq!(waits.unwrap(), 4);
    }
}
