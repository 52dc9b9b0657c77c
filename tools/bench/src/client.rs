//! The smallest HTTP/1.1 client that serves: one connection, one request at a time, bodies with a Content-Length. It
//! times each request on its own, and takes little of the CPU that the servers under test share with it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// A connection to `address`, opened by the first request and again after a failure.
pub(crate) struct Client {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
    line: String,
    body: Vec<u8>,
}

/// An answer's head. The body is in [`Client::body`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
}

impl Answer {
    pub(crate) fn is_ok(self) -> bool {
        (200..400).contains(&self.status)
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Client {
        Client { address, stream: None, line: String::new(), body: Vec::new() }
    }

    /// The body of the last answer.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Asks for `path`, query included. After an error the next request opens another connection.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => BufReader::new(self.connect().await?),
        };
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        stream.get_mut().write_all(request.as_bytes()).await?;
        let answer = self.read_answer(&mut stream).await.with_context(|| format!("GET {path}"))?;
        self.stream = Some(stream);
        Ok(answer)
    }

    async fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn read_answer(&mut self, stream: &mut BufReader<TcpStream>) -> Result<Answer> {
        self.read_line(stream).await?;
        let status = self.line.split(' ').nth(1).context("no status line")?.parse()?;
        let mut answer = Answer { status, retry_after: None };
        let mut length = None;
        loop {
            self.read_line(stream).await?;
            let Some((name, value)) = self.line.trim_end().split_once(':') else { break };
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.parse()?);
            } else if name.eq_ignore_ascii_case("retry-after") {
                answer.retry_after = Some(Duration::from_secs(value.parse()?));
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                bail!("a body in chunks is more than this client reads");
            }
        }
        self.body.resize(length.unwrap_or(0), 0);
        stream.read_exact(&mut self.body).await?;
        Ok(answer)
    }

    async fn read_line(&mut self, stream: &mut BufReader<TcpStream>) -> Result<()> {
        self.line.clear();
        let read = stream.read_line(&mut self.line).await?;
        ensure!(read > 0, "the server closed the connection");
        Ok(())
    }
}
