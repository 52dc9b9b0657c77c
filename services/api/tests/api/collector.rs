//! An OTLP collector of our own: spans arrive over real gRPC or real HTTP.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{Span as WireSpan, span::SpanKind, status::StatusCode};
use prost::Message as _;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;

use crate::harness::PATIENCE;

/// Keeps every span that it is sent. It ends with the test's runtime.
pub struct Collector {
    endpoint: String,
    received: Received,
}

/// Spans in the order of their arrival, and the headers of the last request.
#[derive(Clone, Default)]
struct Received(Arc<Mutex<(Vec<Span>, HeaderMap)>>);

/// A span as the tests look at it.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub name: String,
    pub trace: String,
    pub id: String,
    /// Empty for the first span of a trace.
    pub parent: String,
    pub kind: SpanKind,
    pub failed: bool,
    pub attributes: HashMap<String, String>,
    pub resource: HashMap<String, String>,
    /// The ids of the spans that it points to.
    pub links: Vec<String>,
}

impl Span {
    /// An attribute's text; empty where there is none.
    pub fn get(&self, attribute: &str) -> &str {
        self.attributes.get(attribute).map_or("", String::as_str)
    }
}

impl Collector {
    /// One that speaks HTTP with protobuf.
    pub async fn http() -> Collector {
        let (listener, endpoint) = listen().await;
        let received = Received::default();
        let export = async |State(received): State<Received>, headers: HeaderMap, body: Bytes| {
            assert_eq!(headers["content-type"], "application/x-protobuf");
            received.add(ExportTraceServiceRequest::decode(body).unwrap(), headers);
            ExportTraceServiceResponse::default().encode_to_vec()
        };
        let routes = Router::new().route("/v1/traces", post(export)).with_state(received.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Collector { endpoint, received }
    }

    /// One that speaks gRPC.
    pub async fn grpc() -> Collector {
        let (listener, endpoint) = listen().await;
        let received = Received::default();
        let service = TraceServiceServer::new(received.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(async move { server.serve_with_incoming(TcpIncoming::from(listener)).await.unwrap() });
        Collector { endpoint, received }
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub fn spans(&self) -> Vec<Span> {
        self.received.0.lock().unwrap().0.clone()
    }

    /// A header of the last export.
    pub fn header(&self, name: &str) -> String {
        self.received.0.lock().unwrap().1[name].to_str().unwrap().to_owned()
    }

    /// The spans of one trace, as soon as they are as wanted.
    pub async fn trace(&self, trace: &str, wanted: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let spans: Vec<_> = self.spans().into_iter().filter(|span| span.trace == trace).collect();
            if wanted(&spans) {
                return spans;
            }
            assert!(Instant::now() < deadline, "the trace {trace} never came to it: {spans:#?}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

/// The spans as a tree of names, siblings in the order of their ends.
pub fn tree(spans: &[Span]) -> String {
    fn write(spans: &[Span], parent: &str, depth: usize, text: &mut String) {
        for span in spans.iter().filter(|span| span.parent == parent) {
            writeln!(text, "{}{}", "  ".repeat(depth), span.name).unwrap();
            write(spans, &span.id, depth + 1, text);
        }
    }
    let ids: Vec<_> = spans.iter().map(|span| span.id.as_str()).collect();
    let roots = spans.iter().find(|span| !ids.contains(&span.parent.as_str()));
    let mut text = String::new();
    write(spans, &roots.unwrap().parent, 0, &mut text);
    text
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    (listener, endpoint)
}

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let headers = request.metadata().clone().into_headers();
        self.add(request.into_inner(), headers);
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Received {
    fn add(&self, request: ExportTraceServiceRequest, headers: HeaderMap) {
        let mut received = self.0.lock().unwrap();
        for of_resource in request.resource_spans {
            let resource = texts(&of_resource.resource.unwrap_or_default().attributes);
            for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                received.0.push(Span::new(span, &resource));
            }
        }
        received.1 = headers;
    }
}

impl Span {
    fn new(span: WireSpan, resource: &HashMap<String, String>) -> Span {
        Span {
            kind: span.kind(),
            failed: span.status.unwrap_or_default().code() == StatusCode::Error,
            attributes: texts(&span.attributes),
            resource: resource.clone(),
            links: span.links.iter().map(|link| hex(&link.span_id)).collect(),
            name: span.name,
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
        }
    }
}

fn texts(attributes: &[KeyValue]) -> HashMap<String, String> {
    let text = |value: &any_value::Value| match value {
        any_value::Value::StringValue(text) => text.clone(),
        any_value::Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let value = |attribute: &KeyValue| attribute.value.as_ref()?.value.as_ref().map(text);
    attributes.iter().map(|one| (one.key.clone(), value(one).unwrap_or_default())).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
