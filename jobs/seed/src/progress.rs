//! The progress of the job: a bar on a terminal, otherwise a log line every few seconds; and metrics.

use std::fmt;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use tokio::task::JoinHandle;

use crate::metrics;

/// Between two log lines.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// Collects how long each phase took.
pub(crate) struct Progress {
    started: Instant,
    on_terminal: bool,
    phases: Vec<(&'static str, Duration)>,
}

/// A phase that is under way.
pub(crate) struct Phase {
    name: &'static str,
    started: Instant,
    bar: ProgressBar,
    log: Option<JoinHandle<()>>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), on_terminal: std::io::stderr().is_terminal(), phases: Vec::new() }
    }

    /// Starts a phase that inserts rows; `done` of them are there already.
    pub(crate) fn rows(&self, name: &'static str, done: u64, total: u64) -> Phase {
        const BAR: &str = "{msg:>11} {wide_bar} {human_pos}/{human_len} {rate} {eta} left";
        let bar = if self.on_terminal {
            let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
            let rate = |state: &ProgressState, text: &mut dyn fmt::Write| {
                // The run must not fail because of the bar.
                let _ = write!(text, "{:.0}/s", state.per_sec());
            };
            ProgressBar::new(total).with_style(style.with_key("rate", rate))
        } else {
            tracing::info!(phase = name, rows = done, of = total, "phase started");
            ProgressBar::hidden()
        };
        bar.set_length(total);
        bar.set_position(done);
        bar.reset_eta();
        metrics::rows(done);
        self.phase(name, bar)
    }

    /// Starts a phase of one long statement.
    pub(crate) fn statement(&self, name: &'static str) -> Phase {
        let bar = if self.on_terminal {
            let style = ProgressStyle::with_template("{msg:>11} {spinner} {elapsed}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            ProgressBar::new_spinner().with_style(style)
        } else {
            tracing::info!(phase = name, "phase started");
            ProgressBar::hidden()
        };
        self.phase(name, bar)
    }

    fn phase(&self, name: &'static str, bar: ProgressBar) -> Phase {
        metrics::phase(Some(name));
        bar.set_message(name);
        let log = if self.on_terminal {
            bar.enable_steady_tick(Duration::from_millis(100));
            None
        } else {
            Some(tokio::spawn(log(name, bar.clone())))
        };
        Phase { name, started: Instant::now(), bar, log }
    }

    /// Ends a phase and keeps its time.
    pub(crate) fn done(&mut self, phase: &Phase) {
        let took = phase.started.elapsed();
        self.phases.push((phase.name, took));
        phase.bar.finish_and_clear();
        phase.stop_log();
        metrics::phase(None);
        if self.on_terminal {
            eprintln!("{:>11} {:.1} s", phase.name, took.as_secs_f64());
        } else {
            tracing::info!(phase = phase.name, seconds = took.as_secs_f64(), "phase done");
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
        let phases: Vec<_> =
            self.phases.iter().map(|(name, took)| format!("{name} {:.1} s", took.as_secs_f64())).collect();
        format!("{:.1} s ({})", self.started.elapsed().as_secs_f64(), phases.join(", "))
    }
}

impl Phase {
    pub(crate) fn advance_to(&self, row: u64) {
        self.bar.set_position(row);
        metrics::rows(row);
    }

    /// A finished phase may be dropped later, and must not log until then.
    fn stop_log(&self) {
        if let Some(log) = &self.log {
            log.abort();
        }
    }
}

impl Drop for Phase {
    fn drop(&mut self) {
        self.stop_log();
    }
}

async fn log(phase: &'static str, bar: ProgressBar) {
    let mut interval = tokio::time::interval(LOG_INTERVAL);
    interval.tick().await;
    loop {
        interval.tick().await;
        let seconds = bar.elapsed().as_secs();
        if let Some(of) = bar.length() {
            let (rows, rate, left) = (bar.position(), bar.per_sec(), bar.eta().as_secs());
            tracing::info!(
                phase,
                rows,
                of,
                rows_per_second = rate.round(),
                seconds_left = left,
                "in progress"
            );
        } else {
            tracing::info!(phase, seconds, "in progress");
        }
    }
}
