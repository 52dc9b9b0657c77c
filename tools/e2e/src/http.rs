//! HTTP as an ordinary client does it: one keep-alive connection, opened again when the server has closed it, and a
//! request that got no answer is a failure: it is never sent twice.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Longer than the API lets any request take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where requests go, and the host that they name.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Address or name, with the port.
    pub(crate) address: String,
    /// The `Host` header.
    pub(crate) host: String,
}

impl Target {
    pub(crate) fn new(address: impl Into<String>, host: impl Into<String>) -> Target {
        Target { address: address.into(), host: host.into() }
    }
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// A header's text; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or("(not text)")
    }

    pub(crate) fn json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::from_slice(&self.body)
    }
}

/// One connection at a time.
pub(crate) struct Client {
    target: Target,
    sender: Option<SendRequest<Empty<Bytes>>>,
    /// Connections opened so far.
    pub(crate) connections: u64,
}

impl Client {
    pub(crate) fn new(target: Target) -> Client {
        Client { target, sender: None, connections: 0 }
    }

    /// Asks for `path`, query included.
    ///
    /// # Errors
    /// No answer came. Any status is an answer.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer> {
        self.get_with(path, &[]).await
    }

    /// The same with further headers.
    pub(crate) async fn get_with(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        let exchange = tokio::time::timeout(PATIENCE, self.exchange(path, headers));
        exchange.await.with_context(|| format!("no answer within {} s", PATIENCE.as_secs()))?
    }

    /// The next request opens another connection.
    pub(crate) fn leave(&mut self) {
        self.sender = None;
    }

    async fn exchange(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        let mut sender = self.sender().await?;
        let mut request = Request::get(path).header("host", &self.target.host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        // A path or a header that is none is a mistake in a step; it shows as an answer of 400.
        let request = request.body(Empty::new()).unwrap_or_default();
        let answered = sender.send_request(request).await.context("connection lost")?;
        let (head, body) = answered.into_parts();
        let body = body.collect().await.context("connection lost")?.to_bytes();
        self.sender = Some(sender);
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    /// The connection, where the server has kept it; else a new one.
    async fn sender(&mut self) -> Result<SendRequest<Empty<Bytes>>> {
        if let Some(mut sender) = self.sender.take()
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        let stream = TcpStream::connect(&self.target.address).await.context("cannot connect")?;
        let _ = stream.set_nodelay(true);
        self.connections += 1;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.context("connection lost")?;
        // It ends with the sender or with the server's end of it.
        tokio::spawn(connection);
        Ok(sender)
    }
}
