//! [W3C trace context](https://www.w3.org/TR/trace-context/), in and out.

use http::HeaderMap;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Makes `span` a part of the trace in the request's `traceparent`. Call it before the span is entered. Without a valid header
/// the span begins a new trace.
pub fn continue_trace(span: &Span, request: &HeaderMap) {
    if span.is_disabled() || !request.contains_key("traceparent") {
        return;
    }
    let parent = TraceContextPropagator::new().extract(&HeaderExtractor(request));
    if parent.span().span_context().is_valid() {
        // An error says that the span was entered already, or that nothing exports it.
        let _ = span.set_parent(parent);
    }
}

/// Adds the `traceparent` and `tracestate` of the current span to an outgoing request, if there is a trace.
pub fn inject_context(request: &mut HeaderMap) {
    let span = Span::current();
    if !span.is_disabled() {
        TraceContextPropagator::new().inject_context(&span.context(), &mut HeaderInjector(request));
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing::info_span;
    use tracing_subscriber::Registry;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const PARENT: &str = "b7ad6b7169203331";

    /// What a call to somebody else would carry, made for a request with these headers.
    fn passed_on(request: &[(&'static str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &str)| (name.parse().unwrap(), value.parse().unwrap());
        let request: HeaderMap = request.iter().map(header).collect();
        let span = info_span!("request");
        continue_trace(&span, &request);
        let mut call = HeaderMap::new();
        span.in_scope(|| inject_context(&mut call));
        call
    }

    #[test]
    fn a_trace_goes_on_with_a_span_of_our_own() {
        let _turn = crate::tests::SUBSCRIBER.lock().unwrap();
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(Registry::default().with(layer), || {
            let parent = format!("00-{TRACE}-{PARENT}-01");
            let call = passed_on(&[("traceparent", &parent), ("tracestate", "vendor=1")]);
            let parts: Vec<_> = call["traceparent"].to_str().unwrap().split('-').collect();
            assert_eq!((parts[0], parts[1], parts[3]), ("00", TRACE, "01"));
            assert_ne!(parts[2], PARENT);
            assert_eq!(call["tracestate"], "vendor=1");

            for malformed in
                ["", "00-0-0-01", "ff-x", "00-00000000000000000000000000000000-b7ad6b7169203331-01"]
            {
                let call = passed_on(&[("traceparent", malformed)]);
                assert!(
                    call["traceparent"].len() == 55 && !call["traceparent"].to_str().unwrap().contains(TRACE)
                );
            }
        });
    }

    #[test]
    fn where_nothing_is_traced_nothing_is_passed_on() {
        let _turn = crate::tests::SUBSCRIBER.lock().unwrap();
        let parent = format!("00-{TRACE}-{PARENT}-01");
        assert!(passed_on(&[("traceparent", &parent)]).is_empty());
    }
}
