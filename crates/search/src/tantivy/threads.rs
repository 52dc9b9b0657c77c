//! A bounded number of threads for searches, and a bounded queue before them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use crate::EngineError;

pub(super) struct Threads {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue: usize,
    deadline: Duration,
}

/// Counts one that waits, until it is dropped.
struct Waiting<'t>(&'t AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Threads {
    pub(super) fn new(threads: usize, queue: usize, deadline: Duration) -> Threads {
        Threads { free: Arc::new(Semaphore::new(threads)), waiting: AtomicUsize::new(0), queue, deadline }
    }

    /// Runs this as soon as a thread is free, unless the caller is gone by then.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let thread = if let Ok(thread) = Arc::clone(&self.free).try_acquire_owned() {
            thread
        } else {
            let before = self.waiting.fetch_add(1, Ordering::Relaxed);
            let _waiting = Waiting(&self.waiting);
            if before >= self.queue {
                return Err(EngineError::Busy);
            }
            let thread = timeout(self.deadline, Arc::clone(&self.free).acquire_owned()).await;
            thread
                .map_err(|_| EngineError::Deadline)?
                .map_err(|error| EngineError::Failed(error.to_string()))?
        };
        blocking(move || {
            // The thread is taken until the work is done, even if the caller goes away.
            let _thread = thread;
            work()
        })
        .await
    }
}

/// Runs this where it may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(EngineError::Failed(error.to_string())))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn more_than_can_wait_are_refused_and_so_is_who_waits_too_long() {
        let threads = Arc::new(Threads::new(1, 1, Duration::from_millis(200)));
        let (finish, finished) = mpsc::channel();
        let first = tokio::spawn({
            let threads = Arc::clone(&threads);
            async move { threads.run(move || Ok(finished.recv().unwrap())).await }
        });
        while threads.free.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let (waits, refused) = tokio::join!(threads.run(|| Ok(2)), threads.run(|| Ok(3)));
        assert!(matches!(waits, Err(EngineError::Deadline)));
        assert!(matches!(refused, Err(EngineError::Busy)));
        finish.send(1).unwrap();
        assert_eq!(first.await.unwrap().unwrap(), 1);
        assert_eq!(threads.run(|| Ok(4)).await.unwrap(), 4);
    }
}
