use std::collections::HashMap;

use anyhow::Context as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _, WithTonicConfig as _};
use tonic::metadata::MetadataMap;
use tonic::transport::ClientTlsConfig;

use super::args::{OtlpProtocol, TraceArgs};

/// The exporter that the settings ask for; `None` where they name no endpoint. Connects to nothing yet.
pub(super) fn build(args: &TraceArgs) -> anyhow::Result<Option<SpanExporter>> {
    let Some(endpoint) = args.endpoint() else { return Ok(None) };
    // For both clients. An error says that the program has already chosen one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let exporter = match args.protocol() {
        OtlpProtocol::Grpc => {
            let is_tls = endpoint.scheme() == "https";
            let mut headers = http::HeaderMap::new();
            for (name, value) in args.headers() {
                headers.append(name.parse::<http::HeaderName>()?, value.parse()?);
            }
            let exporter = SpanExporter::builder()
                .with_tonic()
                .with_endpoint(endpoint)
                .with_metadata(MetadataMap::from_headers(headers));
            if is_tls {
                exporter.with_tls_config(ClientTlsConfig::new().with_enabled_roots()).build()
            } else {
                exporter.build()
            }
        }
        OtlpProtocol::HttpProtobuf => {
            let headers: HashMap<_, _> = args.headers().iter().cloned().collect();
            let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint);
            exporter.with_protocol(opentelemetry_otlp::Protocol::HttpBinary).with_headers(headers).build()
        }
    };
    exporter.map(Some).context("the trace exporter")
}
