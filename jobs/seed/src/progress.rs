//! The progress of the job: a bar on a terminal, otherwise a log line every few seconds; and metrics.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::task::AbortOnDropHandle;

use crate::metrics;

/// Between two log lines.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

const ROWS: &str = "{msg:>11} {wide_bar} {human_pos}/{human_len} {per_sec:1} {eta} left";
const STATEMENT: &str = "{msg:>11} {spinner} {elapsed}";

/// Collects how long each phase took.
pub(crate) struct Progress {
    started: Instant,
    on_terminal: bool,
    done: Vec<String>,
}

/// A phase that is under way.
pub(crate) struct Phase {
    name: &'static str,
    bar: ProgressBar,
    log: Option<AbortOnDropHandle<()>>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), on_terminal: std::io::stderr().is_terminal(), done: Vec::new() }
    }

    /// Starts a phase that inserts rows; `done` of them are there already.
    pub(crate) fn rows(&self, name: &'static str, done: u64, total: u64) -> Phase {
        let phase = self.phase(name, Some(done), ProgressBar::new(total), ROWS);
        phase.advance_to(done);
        phase.bar.reset_eta();
        phase
    }

    /// A phase of one long statement.
    ///
    /// # Errors
    /// That of the statement.
    pub(crate) async fn statement<E>(
        &mut self,
        name: &'static str,
        statement: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        let phase = self.phase(name, None, ProgressBar::no_length(), STATEMENT);
        statement.await?;
        self.done(phase);
        Ok(())
    }

    fn phase(&self, name: &'static str, rows: Option<u64>, bar: ProgressBar, template: &str) -> Phase {
        metrics::phase(Some(name));
        let log = if self.on_terminal {
            // The run must not fail because of the bar.
            bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| bar.style()));
            bar.set_message(name);
            bar.enable_steady_tick(Duration::from_millis(100));
            None
        } else {
            tracing::info!(phase = name, rows, of = bar.length(), "phase started");
            Some(AbortOnDropHandle::new(tokio::spawn(log(name, bar.clone()))))
        };
        Phase { name, bar, log }
    }

    /// Ends a phase and keeps its time.
    pub(crate) fn done(&mut self, Phase { name, bar, log }: Phase) {
        let seconds = bar.elapsed().as_secs_f64();
        drop(log);
        bar.finish_and_clear();
        metrics::phase(None);
        self.done.push(format!("{name} {seconds:.1} s"));
        if self.on_terminal {
            eprintln!("{name:>11} {seconds:.1} s");
        } else {
            tracing::info!(phase = name, seconds, "phase done");
        }
    }

    /// Prints or logs a message.
    pub(crate) fn say(&self, message: &str) {
        if self.on_terminal {
            eprintln!("{message}");
        } else {
            tracing::info!("{message}");
        }
    }

    /// The time of the whole run and of each phase, in seconds.
    pub(crate) fn summary(&self) -> String {
        format!("{:.1} s ({})", self.started.elapsed().as_secs_f64(), self.done.join(", "))
    }
}

impl Phase {
    pub(crate) fn advance_to(&self, row: u64) {
        self.bar.set_position(row);
        metrics::rows(row);
    }
}

async fn log(phase: &'static str, bar: ProgressBar) {
    let mut interval = tokio::time::interval(LOG_INTERVAL);
    interval.tick().await;
    loop {
        interval.tick().await;
        // A statement has no length, and says nothing of how far it is.
        let of = bar.length();
        let (rows, rows_per_second) = (of.map(|_| bar.position()), of.map(|_| bar.per_sec().round()));
        let (seconds, seconds_left) = (bar.elapsed().as_secs(), of.map(|_| bar.eta().as_secs()));
        tracing::info!(phase, seconds, rows, of, rows_per_second, seconds_left, "in progress");
    }
}
