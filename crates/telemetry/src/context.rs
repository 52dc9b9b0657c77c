//! [W3C trace context](https://www.w3.org/TR/trace-context/), in and out.

use http::HeaderMap;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Makes `span` a part of the trace that the request's `traceparent` names. Call it before the span is entered. A header
/// that is missing or malformed leaves the span the first of a trace of its own.
pub fn continue_trace(span: &Span, request: &HeaderMap) {
    if span.is_disabled() || !request.contains_key("traceparent") {
        return;
    }
    let parent = TraceContextPropagator::new().extract(&HeaderExtractor(request));
    if parent.span().span_context().is_valid() {
        // It fails for a span that was entered, or that nobody exports.
        let _ = span.set_parent(parent);
    }
}

/// Puts the `traceparent` and `tracestate` of the current span on a request to somebody else; does nothing where there is
/// no trace.
pub fn inject_context(request: &mut HeaderMap) {
    let span = Span::current();
    if !span.is_disabled() {
        TraceContextPropagator::new().inject_context(&span.context(), &mut HeaderInjector(request));
    }
}
