//! Log lines with the ids of their request and trace.

use std::fmt::{self, Write as _};

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::request_id;

/// Adds `request_id`, and in a trace `trace_id` and `span_id`, to the lines of another format.
pub(crate) struct WithIds<F> {
    pub(crate) inner: F,
    /// Whether `inner` writes one JSON object a line, or text.
    pub(crate) json: bool,
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
        let mut line = String::with_capacity(512);
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        let end = if self.json { "}\n" } else { "\n" };
        line.truncate(line.len() - end.len());
        // None of the values needs escaping: hexadecimal digits, and ids that the API has checked.
        let mut add = |name, value: &dyn fmt::Display| {
            if self.json { write!(line, ",\"{name}\":\"{value}\"") } else { write!(line, " {name}={value}") }
        };
        if let Some(id) = request_id::current().as_ref().and_then(|id| id.to_str().ok()) {
            add("request_id", &id)?;
        }
        let context = Context::current();
        let span = context.span();
        let span = span.span_context();
        if span.is_valid() {
            add("trace_id", &span.trace_id())?;
            add("span_id", &span.span_id())?;
        }
        writer.write_str(&line)?;
        writer.write_str(end)
    }
}
