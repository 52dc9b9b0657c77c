//! HTTP over one keep-alive connection, which is opened again when the server has closed it. A request that got no answer is a
//! failure: it is never sent twice, as clients with a pool may do.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Longer than the API lets any request take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where requests go, and the host that they name.
#[derive(Clone, Debug)]
pub struct Target {
    /// Address or name, with the port.
    pub address: String,
    /// The `Host` header.
    pub host: String,
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Target {
        Target { address: address.to_string(), host: address.to_string() }
    }
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Any status is an answer.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// A header's text; empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// The body, where it is UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or("(not text)")
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn json(&self) -> serde_json::Result<Value> {
        serde_json::from_slice(&self.body)
    }
}

/// One connection at a time; the first request opens it.
pub struct Client {
    target: Target,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// A client of this server.
    pub fn new(target: impl Into<Target>) -> Client {
        Client { target: target.into(), sender: None }
    }

    /// Asks for `path`, query included.
    ///
    /// # Errors
    /// No answer came within 10 s.
    pub async fn get(&mut self, path: &str) -> Result<Answer> {
        self.get_with(path, &[]).await
    }

    /// The same with further headers.
    ///
    /// # Errors
    /// As [`get`](Client::get), and a header that is none.
    pub async fn get_with(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        let request = Request::get(path);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.send(request.body(Full::default())?).await
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// As [`get`](Client::get).
    pub async fn post(&mut self, path: &str, body: &Value) -> Result<Answer> {
        let request = Request::post(path).header(CONTENT_TYPE, "application/json");
        self.send(request.body(body.to_string().into())?).await
    }

    /// Sends JSON by any method, with further headers.
    ///
    /// # Errors
    /// As [`get_with`](Client::get_with).
    pub async fn send_json(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Result<Answer> {
        let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, "application/json");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.send(request.body(body.to_string().into())?).await
    }

    async fn send(&mut self, mut request: Request<Full<Bytes>>) -> Result<Answer> {
        request.headers_mut().insert(HOST, self.target.host.parse()?);
        let exchange = async {
            let mut sender = self.sender().await?;
            let (head, body) = sender.send_request(request).await.context("connection lost")?.into_parts();
            let body = body.collect().await.context("connection lost")?.to_bytes();
            self.sender = Some(sender);
            Ok(Answer { status: head.status, headers: head.headers, body })
        };
        let exchange = tokio::time::timeout(PATIENCE, exchange).await;
        exchange.with_context(|| format!("no answer within {} s", PATIENCE.as_secs()))?
    }

    /// The connection, where the server has kept it; else a new one.
    async fn sender(&mut self) -> Result<SendRequest<Full<Bytes>>> {
        if let Some(mut sender) = self.sender.take()
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        let stream = TcpStream::connect(&self.target.address).await.context("cannot connect")?;
        let _ = stream.set_nodelay(true);
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.context("connection lost")?;
        // It ends with the sender or with the server's end of it.
        tokio::spawn(connection);
        Ok(sender)
    }
}
