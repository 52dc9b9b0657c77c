#![allow(clippy::doc_markdown, reason = "the help texts are for terminals")]

use std::io::IsTerminal as _;

use clap::Args;
use opentelemetry_sdk::trace::SdkTracer;
use tracing::Subscriber;
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
    #[arg(long, env = "LOG_FORMAT", default_value = JSON, value_parser = [JSON, "text"])]
    log_format: String,
    /// Which events are logged: off, error, warn, info, debug or trace, or such a level for a part of the program, as in
    /// info,farmlokal_api=debug
    #[arg(long, env = "LOG_LEVEL", default_value = "info", value_parser = log_level)]
    log_level: String,
}

/// The level where `LOG_LEVEL` has none, and libraries that log each attempt that fails, where their callers log the first
/// alone; and tantivy, which warns of merges that a commit has overtaken, which is nothing. A directive of `LOG_LEVEL` for the
/// same target takes the place of these.
const DEFAULTS: &str = "info,kube_client=off,kube_runtime=off,tantivy=error";

const JSON: &str = "json";
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// As clap's `value_parser`. `EnvFilter` would take a word that is no level for a target, and turn all others off.
fn log_level(text: &str) -> Result<String, String> {
    let directive = |text: &str| {
        let at = text.rfind('=').map_or(0, |equals| equals + 1);
        let level = match &*text[at..].trim().to_ascii_lowercase() {
            "warning" => "warn",
            "err" => "error",
            level => LEVELS.into_iter().find(|known| *known == level)?,
        };
        Some(format!("{}{level}", text[..at].replace(' ', "")))
    };
    let directives: Option<Vec<_>> = text.split(',').map(directive).collect();
    let reason = || format!("must be {}, or such as info,farmlokal_api=debug", LEVELS.join(", "));
    let filter = directives.ok_or_else(reason)?.join(",");
    EnvFilter::try_new(&filter).map(|_| filter).map_err(|error| error.to_string())
}

/// Events go to standard output, spans to `tracer`. Without a tracer the `tracing` macros make no spans and cost next to
/// nothing.
pub(crate) fn init(args: &LogArgs, tracer: Option<SdkTracer>) -> anyhow::Result<()> {
    subscriber(args, tracer)?.try_init()?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// In the place of the standard library's hook, whose lines on standard error are no JSON.
pub(crate) fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let (location, backtrace) =
        (panic.location().map(tracing::field::display), std::backtrace::Backtrace::capture());
    tracing::error!(panic = panic.payload_as_str(), location, %backtrace, "a panic");
}

fn subscriber(args: &LogArgs, tracer: Option<SdkTracer>) -> anyhow::Result<impl Subscriber + Send + Sync> {
    let filter = EnvFilter::try_new(format!("{DEFAULTS},{}", args.log_level))?;
    // The SDK logs this error for every batch that the collector does not take, our exporter the first alone.
    let is_line = filter_fn(|data| data.is_event() && data.name() != "BatchSpanProcessor.ExportError");
    let filter = filter.and(is_line.with_max_level_hint(LevelFilter::TRACE));
    let lines = tracing_subscriber::fmt::layer();
    let lines = if args.log_format == JSON {
        let json = format().json().flatten_event(true).with_current_span(false).with_span_list(false);
        lines.json().event_format(WithIds { inner: json, json: true }).with_filter(filter).boxed()
    } else {
        let text = format().compact().with_ansi(std::io::stdout().is_terminal());
        lines.event_format(WithIds { inner: text, json: false }).with_filter(filter).boxed()
    };
    let exports = tracer.is_some();
    let spans = tracer.map(|tracer| {
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        layer.with_location(false).with_threads(false).with_target(false)
    });
    // The filter is there without a layer too: a layer without one would enable every span.
    // Spans of other crates have no stable names.
    let is_our_span = filter_fn(move |metadata| {
        exports && metadata.is_span() && metadata.target().starts_with("farmlokal")
    });
    let spans = spans.with_filter(is_our_span.with_max_level_hint(LevelFilter::INFO));
    Ok(Registry::default().with(lines).with(spans))
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing::info_span;

    use super::*;

    fn spans_are_made(level: &str, tracer: Option<SdkTracer>, span: impl Fn() -> tracing::Span) -> bool {
        let args = LogArgs { log_format: JSON.to_owned(), log_level: level.to_owned() };
        let made = || !span().is_disabled();
        tracing::subscriber::with_default(subscriber(&args, tracer).unwrap(), made)
    }

    #[test]
    fn a_level_is_a_level_however_it_is_spelt() {
        for (given, meant) in [
            ("WARNING", "warn"),
            ("err", "error"),
            ("Off", "off"),
            ("debug, farmlokal_api = TRACE", "debug,farmlokal_api=trace"),
            ("farmlokal_api=warning", "farmlokal_api=warn"),
        ] {
            assert_eq!(log_level(given).unwrap(), meant, "{given}");
        }
        for bad in ["", "banana", "farmlokal_api", "info,", "info,banana", "farmlokal_api=loud", "a="] {
            assert!(log_level(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_library_whose_failures_we_tell_is_heard_only_where_it_is_asked_for() {
        let _turn = crate::tests::SUBSCRIBER.lock().unwrap();
        let heard = |level: &str| {
            let args = LogArgs { log_format: JSON.to_owned(), log_level: level.to_owned() };
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
        assert_eq!(heard("off"), (false, false));
        assert_eq!(heard("farmlokal_api=debug"), (false, true), "the rest as by default");
    }

    /// However much is logged: a request must not pay for spans that nobody sees.
    #[test]
    fn spans_are_made_for_a_collector_only_and_only_ours() {
        let _turn = crate::tests::SUBSCRIBER.lock().unwrap();
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
