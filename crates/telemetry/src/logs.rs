#![allow(clippy::doc_markdown, reason = "the help texts are for terminals")]

use std::io::IsTerminal as _;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use opentelemetry_sdk::trace::SdkTracer;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::fmt::format::format;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry};

use crate::line::WithIds;

/// What is logged, and how.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logs")]
pub struct LogArgs {
    /// One JSON object a line, or text for people
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    log_format: LogFormat,
    /// Which events are logged: a level, or directives such as info,farmlokal_api=debug
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    log_level: String,
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}

/// Libraries that log an error for each attempt that fails, where whoever calls them tells of the first alone. A directive
/// of `LOG_LEVEL` for the same target takes the place of these.
const TOLD_BY_US: &str = "kube_client=off,kube_runtime=off";

/// Events go to standard output, spans to `tracer`. Without one nobody listens to spans, and the `tracing` macros make
/// none: they find that out once and then cost the reading of a static.
pub(crate) fn init(args: &LogArgs, tracer: Option<SdkTracer>) -> anyhow::Result<()> {
    let installed = subscriber(args, tracer)?.try_init();
    installed.map_err(|error| anyhow::anyhow!("the logger: {error}"))
}

fn subscriber(args: &LogArgs, tracer: Option<SdkTracer>) -> anyhow::Result<impl Subscriber + Send + Sync> {
    let filter = EnvFilter::try_new(format!("{TOLD_BY_US},{}", args.log_level))
        .with_context(|| format!("LOG_LEVEL: {:?} is no log filter", args.log_level))?;
    let filter = filter.and(filter_fn(is_event).with_max_level_hint(LevelFilter::TRACE));
    let lines = tracing_subscriber::fmt::layer();
    let lines = match args.log_format {
        LogFormat::Json => {
            let json = format().json().flatten_event(true).with_current_span(false).with_span_list(false);
            lines.json().event_format(WithIds::json(json)).with_filter(filter).boxed()
        }
        LogFormat::Text => {
            let text = format().compact().with_ansi(std::io::stdout().is_terminal());
            lines.event_format(WithIds::text(text)).with_filter(filter).boxed()
        }
    };
    let exports = tracer.is_some();
    let spans = tracer.map(|tracer| {
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        layer.with_location(false).with_threads(false).with_target(false)
    });
    // The filter is there with and without a layer: one that is missing would count as one that wants every span.
    let filter = filter_fn(move |metadata| exports && is_our_span(metadata));
    let spans = spans.with_filter(filter.with_max_level_hint(LevelFilter::INFO));
    Ok(Registry::default().with(lines).with(spans))
}

fn is_event(metadata: &Metadata<'_>) -> bool {
    metadata.is_event()
}

/// The spans of our own crates, whatever `LOG_LEVEL` says: those of other crates have no stable names.
fn is_our_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("farmlokal")
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing::info_span;

    use super::*;

    fn spans_are_made(level: &str, tracer: Option<SdkTracer>, span: impl Fn() -> tracing::Span) -> bool {
        let args = LogArgs { log_format: LogFormat::Json, log_level: level.to_owned() };
        let made = || !span().is_disabled();
        tracing::subscriber::with_default(subscriber(&args, tracer).unwrap(), made)
    }

    #[test]
    fn a_library_whose_failures_we_tell_is_heard_only_where_it_is_asked_for() {
        let _turn = crate::SUBSCRIBER.lock().unwrap();
        let heard = |level: &str| {
            let args = LogArgs { log_format: LogFormat::Json, log_level: level.to_owned() };
            let subscriber = subscriber(&args, None).unwrap();
            tracing::subscriber::with_default(subscriber, || {
                let kube =
                    tracing::event_enabled!(target: "kube_client::client::builder", tracing::Level::ERROR);
                (kube, tracing::event_enabled!(target: "farmlokal_controller", tracing::Level::ERROR))
            })
        };
        assert_eq!(heard("info"), (false, true));
        assert_eq!(heard("debug"), (false, true));
        assert_eq!(heard("info,kube_client=info"), (true, true));
        assert_eq!(heard("off,kube_client=info"), (true, false));
    }

    /// However much is logged: a request must not pay for spans that nobody sees.
    #[test]
    fn spans_are_made_for_a_collector_only_and_only_ours() {
        let _turn = crate::SUBSCRIBER.lock().unwrap();
        let tracer = || Some(SdkTracerProvider::builder().build().tracer("test"));
        let ours = || info_span!("ours");
        let foreign = || info_span!(target: "hyper", "foreign");
        for level in ["off", "info", "trace"] {
            assert!(!spans_are_made(level, None, ours), "{level}");
            assert!(spans_are_made(level, tracer(), ours), "{level}");
            assert!(!spans_are_made(level, tracer(), foreign), "{level}");
        }
    }
}
