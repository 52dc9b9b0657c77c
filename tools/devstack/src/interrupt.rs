//! SIGINT, SIGTERM and SIGHUP as something to ask for, so that whoever waits can stop what it started and leave.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static HAPPENED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// A signal asked this process to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// From here on the signals no longer end the process: [`check`] reports them.
///
/// # Errors
/// The operating system refuses a handler.
pub fn catch() -> std::io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, HAPPENED.clone())?;
    }
    Ok(())
}

/// # Errors
/// [`Interrupted`] once one of the signals has come.
pub fn check() -> Result<(), Interrupted> {
    if HAPPENED.load(Ordering::Relaxed) { Err(Interrupted) } else { Ok(()) }
}
