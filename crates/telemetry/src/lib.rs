//! Logs, metrics and traces, set up with one call for each binary.
//!
//! Libraries use the `tracing` and `metrics` facades only. Here events become log lines and spans become traces. Where no
//! traces are exported, no span is made. A panic is a log line too.

mod context;
mod line;
mod logs;
mod metrics;
pub mod request_id;
mod traces;

pub use context::{continue_trace, inject_context};
pub use logs::LogArgs;
pub use metrics::Metrics;
pub use traces::{TraceArgs, Traces};

/// Sends the process's logs to standard output and collects its metrics. Makes no traces.
///
/// # Errors
/// When the process has a logger or a metrics recorder already, or no valid log filter.
pub fn init(logs: &LogArgs) -> anyhow::Result<Metrics> {
    let metrics = metrics::init()?;
    logs::init(logs, None)?;
    Ok(metrics)
}

/// As [`init`], and exports traces of `program` where `traces` names an endpoint. Call it in a tokio runtime.
///
/// # Errors
/// As [`init`], and when the exporter cannot be set up. An unreachable collector is no error.
pub fn init_with_traces(
    logs: &LogArgs,
    traces: &TraceArgs,
    program: &'static str,
) -> anyhow::Result<(Metrics, Traces)> {
    let metrics = metrics::init()?;
    let traces = Traces::start(traces, program)?;
    logs::init(logs, traces.tracer())?;
    Ok((metrics, traces))
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_one_line_with_its_message_and_place() {
        let _turn = SUBSCRIBER.lock().unwrap();
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(crate::logs::log_panic));
        let panicked = tracing::subscriber::with_default(subscriber, || {
            std::panic::catch_unwind(|| panic!("by {}", "design"))
        });
        std::panic::set_hook(before);
        assert!(panicked.is_err());
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        for part in ["\"ERROR\"", "\"panic\":\"by design\"", "src/lib.rs:"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    /// Which subscribers want a span is remembered for the whole process, so tests that set one take turns.
    pub(crate) static SUBSCRIBER: std::sync::Mutex<()> = std::sync::Mutex::new(());
}
