//! Spans, exported over OTLP.

mod args;
mod exporter;
mod sampler;
mod values;

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::warn;

pub use args::TraceArgs;

/// How long the end of the process may wait for the last spans to be exported.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The export of this process's spans.
#[must_use = "spans that are not flushed are lost"]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Nothing is started where no endpoint is set. Needs the metrics recorder to be installed.
    pub(crate) fn start(args: &TraceArgs, program: &'static str) -> anyhow::Result<Self> {
        let Some(exporter) = exporter::build(args)? else { return Ok(Self(None)) };
        let provider = SdkTracerProvider::builder()
            .with_resource(args.resource(program))
            .with_sampler(args.sampler())
            .with_batch_exporter(exporter)
            .build();
        Ok(Self(Some(provider)))
    }

    pub(crate) fn tracer(&self) -> Option<SdkTracer> {
        self.0.as_ref().map(|provider| provider.tracer("farmlokal"))
    }

    /// Exports the spans that have ended. Call it last. It gives up after 2 s, in case the collector is gone.
    pub async fn shutdown(self) {
        let Some(provider) = self.0 else { return };
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_TIMEOUT));
        if !matches!(flushed.await, Ok(Ok(()))) {
            warn!("the last spans were not exported in time");
        }
    }
}
