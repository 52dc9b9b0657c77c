//! Threads of their own for what reads the database.
//!
//! Tokio's tasks take turns. While requests come that can only be refused, each step of one that was let in would wait for
//! all those that came before it: with the API's one core full of refusals, 2 % of the peak rate was still served, the
//! database being idle most of the time. The kernel shares a core out between threads instead: 79 %.

use std::num::NonZero;
use std::{io, thread};

use tokio::runtime::{Builder, Handle, Runtime};

/// Ends, without waiting for its tasks, when this value goes.
pub(crate) struct FillRuntime(Option<Runtime>);

impl FillRuntime {
    /// A thread for every two cores: the database has more to do with an answer than this process.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub(crate) fn start() -> io::Result<FillRuntime> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let mut runtime = Builder::new_multi_thread();
        runtime.worker_threads(cores.div_ceil(2)).thread_name("fill").enable_all();
        Ok(FillRuntime(Some(runtime.build()?)))
    }

    pub(crate) fn handle(&self) -> Option<Handle> {
        self.0.as_ref().map(|runtime| runtime.handle().clone())
    }
}

impl Drop for FillRuntime {
    fn drop(&mut self) {
        // A runtime may not be waited for in another.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
