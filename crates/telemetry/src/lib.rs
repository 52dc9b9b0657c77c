//! Logs and metrics, set up with one call for each binary.
//!
//! Libraries emit through the `tracing` and `metrics` facades only; what becomes of it is decided here.

mod logs;
mod metrics;

pub use logs::{LogArgs, LogFormat};
pub use metrics::Metrics;

/// Sends the process's logs to standard output and collects its metrics.
///
/// # Errors
/// When the process has a logger or a metrics recorder already, or when the log filter does not parse.
pub fn init(logs: &LogArgs) -> anyhow::Result<Metrics> {
    logs::init(logs)?;
    metrics::init()
}
