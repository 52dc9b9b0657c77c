use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use http::HeaderMap;
use metrics::{counter, describe_counter};
use opentelemetry_otlp::{
    Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _, WithTonicConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{self, SpanData};
use tonic::metadata::MetadataMap;
use tonic::transport::ClientTlsConfig;
use tracing::{info, warn};

use super::args::TraceArgs;

const SPANS: &str = "farmlokal_trace_spans_total";

/// The exporter that the settings ask for; `None` where they name no endpoint. Connects to nothing yet.
pub(super) fn build(args: &TraceArgs) -> anyhow::Result<Option<CountingExporter>> {
    let Some(endpoint) = args.endpoint() else { return Ok(None) };
    // For both clients. An error says that the program has already chosen one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let headers = args.otel_exporter_otlp_headers.0.clone();
    let exporter = if args.is_grpc() {
        let metadata = MetadataMap::from_headers(HeaderMap::try_from(&headers)?);
        let exporter =
            SpanExporter::builder().with_tonic().with_endpoint(endpoint.as_str()).with_metadata(metadata);
        let tls = || ClientTlsConfig::new().with_enabled_roots();
        if endpoint.scheme() == "https" { exporter.with_tls_config(tls()).build() } else { exporter.build() }
    } else {
        let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint).with_headers(headers);
        exporter.with_protocol(Protocol::HttpBinary).build()
    };
    describe_counter!(SPANS, "Sampled spans by result: exported; failed, the collector did not take them");
    for result in ["exported", "failed"] {
        counter!(SPANS, "result" => result).increment(0);
    }
    let inner = exporter.context("the trace exporter")?;
    Ok(Some(CountingExporter { inner, failing: AtomicBool::new(false) }))
}

/// Counts spans by what became of them, and logs the beginning and the end of an outage.
#[derive(Debug)]
pub(super) struct CountingExporter {
    inner: SpanExporter,
    failing: AtomicBool,
}

impl trace::SpanExporter for CountingExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let result = self.inner.export(batch).await;
        let was_failing = self.failing.swap(result.is_err(), Ordering::Relaxed);
        match &result {
            Err(error) if !was_failing => warn!(%error, "traces cannot be exported: spans are lost"),
            Ok(()) if was_failing => info!("traces are exported again"),
            _ => {}
        }
        counter!(SPANS, "result" => if result.is_ok() { "exported" } else { "failed" }).increment(spans);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
