//! Log lines that say which request and which trace they belong to.

use std::fmt;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::request_id;

/// Adds `request_id`, and in a trace `trace_id` and `span_id`, to the lines of another format.
pub(crate) struct WithIds<F> {
    inner: F,
    json: bool,
}

impl<F> WithIds<F> {
    /// `inner` writes one JSON object a line.
    pub(crate) fn json(inner: F) -> Self {
        Self { inner, json: true }
    }

    /// `inner` writes text.
    pub(crate) fn text(inner: F) -> Self {
        Self { inner, json: false }
    }
}

impl<S, N, F> FormatEvent<S, N> for WithIds<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let ids = ids();
        if ids.is_empty() {
            return self.inner.format_event(context, writer, event);
        }
        let mut line = String::with_capacity(512);
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        let end = if self.json { "}\n" } else { "\n" };
        writer.write_str(line.strip_suffix(end).unwrap_or(&line))?;
        for (name, value) in ids {
            // None of the values needs escaping: hexadecimal digits, and ids that the API has checked.
            if self.json {
                write!(writer, ",\"{name}\":\"{value}\"")?;
            } else {
                write!(writer, " {name}={value}")?;
            }
        }
        writer.write_str(end)
    }
}

fn ids() -> Vec<(&'static str, String)> {
    let mut ids = Vec::new();
    if let Some(id) = request_id::current()
        && let Ok(id) = id.to_str()
    {
        ids.push(("request_id", id.to_owned()));
    }
    let context = Context::current();
    let span = context.span();
    let span = span.span_context();
    if span.is_valid() {
        ids.push(("trace_id", span.trace_id().to_string()));
        ids.push(("span_id", span.span_id().to_string()));
    }
    ids
}
