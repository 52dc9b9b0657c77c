//! The way of a span from its end to its export: bounded, and counted in `farmlokal_trace_spans_total`.
//!
//! The SDK's batch processor drops what does not fit into its queue and tells nobody. So the bound is kept before it,
//! where what is dropped can be counted; its own queue is as large and never full.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use metrics::{Counter, counter, describe_counter};
use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};
use tracing::{info, warn};

/// Spans that wait for their export at the most, some 1 KiB each.
pub(super) const MAX_WAITING: usize = 4096;

const SPANS: &str = "farmlokal_trace_spans_total";

/// What the two ends of the queue know of each other.
#[derive(Clone)]
pub(super) struct Queue(Arc<Shared>);

struct Shared {
    waiting: AtomicUsize,
    failing: AtomicBool,
    exported: Counter,
    failed: Counter,
    dropped: Counter,
}

impl Queue {
    /// Needs the metrics recorder to be installed.
    pub(super) fn new() -> Self {
        describe_counter!(
            SPANS,
            "Sampled spans by result: exported; failed, the collector did not take them; dropped, too many were waiting"
        );
        let spans = |result: &'static str| counter!(SPANS, "result" => result);
        Self(Arc::new(Shared {
            waiting: AtomicUsize::new(0),
            failing: AtomicBool::new(false),
            exported: spans("exported"),
            failed: spans("failed"),
            dropped: spans("dropped"),
        }))
    }

    /// Takes a place for a span; `false` if there is none.
    fn enter(&self) -> bool {
        let admitted = self.0.waiting.fetch_add(1, Ordering::Relaxed) < MAX_WAITING;
        if !admitted {
            self.0.waiting.fetch_sub(1, Ordering::Relaxed);
            self.0.dropped.increment(1);
        }
        admitted
    }

    /// A batch has left, one way or the other. A collector that is gone is one line, not one for each batch.
    fn leave(&self, spans: usize, result: &OTelSdkResult) {
        self.0.waiting.fetch_sub(spans, Ordering::Relaxed);
        match result {
            Ok(()) => {
                self.0.exported.increment(spans as u64);
                if self.0.failing.swap(false, Ordering::Relaxed) {
                    info!("traces are exported again");
                }
            }
            Err(error) => {
                self.0.failed.increment(spans as u64);
                if !self.0.failing.swap(true, Ordering::Relaxed) {
                    warn!(%error, "traces cannot be exported: spans are lost");
                }
            }
        }
    }
}

/// Lets spans into the queue while there is room.
#[derive(Debug)]
pub(super) struct BoundedProcessor {
    batches: BatchSpanProcessor,
    queue: Queue,
}

impl BoundedProcessor {
    pub(super) fn new(batches: BatchSpanProcessor, queue: Queue) -> Self {
        Self { batches, queue }
    }
}

impl SpanProcessor for BoundedProcessor {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.queue.enter() {
            self.batches.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// Counts what leaves the queue.
#[derive(Debug)]
pub(super) struct CountingExporter<E> {
    inner: E,
    queue: Queue,
}

impl<E> CountingExporter<E> {
    pub(super) fn new(inner: E, queue: Queue) -> Self {
        Self { inner, queue }
    }
}

impl<E: SpanExporter> SpanExporter for CountingExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.inner.export(batch).await;
        self.queue.leave(spans, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Queue").field(&self.0.waiting).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_makes_room_and_no_more() {
        let queue = Queue::new();
        assert_eq!((0..MAX_WAITING + 10).filter(|_| queue.enter()).count(), MAX_WAITING);
        queue.leave(512, &Ok(()));
        assert_eq!((0..600).filter(|_| queue.enter()).count(), 512);
    }
}
