//! Threads of their own for what asks Redis or the database.
//!
//! Tokio's tasks take turns. While requests come that can only be refused, each step of one that was let in would wait for
//! all those that came before it, with the database idle meanwhile; the kernel shares a core out between threads instead. And
//! threads that do little but refuse get their turn soon.
//! `docs/limits.md` has the figures.

use std::num::NonZero;
use std::{io, thread};

use tokio::runtime::{Builder, Runtime};

/// Starts a thread for every core: beside as many that refuse requests they have half of the process's share. With half of them
/// a miss took a tenth longer even on an idle machine.
///
/// # Errors
/// The system has no event queue to give.
///
/// # Panics
/// The system gives no more threads.
pub fn start() -> io::Result<Runtime> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    Builder::new_multi_thread().worker_threads(cores).thread_name("fill").enable_all().build()
}
