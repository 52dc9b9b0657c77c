//! The smallest HTTP/1.1 client that serves: one connection, one request at a time, bodies with a Content-Length. It
//! times each request on its own, and takes little of the CPU that the servers under test share with it.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// The body of an answer that has to be a 200.
pub(crate) async fn body(address: SocketAddr, path: &str) -> Result<Vec<u8>> {
    let mut client = Client::new(address);
    let status = client.get(path).await?;
    ensure!(status == 200, "GET {path}: {status}");
    Ok(client.body)
}

/// A connection to `address`, opened by the first request and again after a failure.
pub(crate) struct Client {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
    line: String,
    body: Vec<u8>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Client {
        Client { address, stream: None, line: String::new(), body: Vec::new() }
    }

    /// The body of the last answer.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Asks for `path`, query included, and gives the status. After an error the next request opens another connection.
    pub(crate) async fn get(&mut self, path: &str) -> Result<u16> {
        self.send("GET", path, "").await
    }

    /// Sends `body`, JSON or nothing, and gives the status.
    pub(crate) async fn send(&mut self, method: &str, path: &str, body: &str) -> Result<u16> {
        let mut stream = if let Some(stream) = self.stream.take() {
            stream
        } else {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            BufReader::new(stream)
        };
        let content = match body.len() {
            0 => String::new(),
            length => format!("Content-Type: application/json\r\nContent-Length: {length}\r\n"),
        };
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{content}\r\n{body}", self.address);
        stream.get_mut().write_all(request.as_bytes()).await?;
        let status = self.read_answer(&mut stream).await.with_context(|| format!("{method} {path}"))?;
        self.stream = Some(stream);
        Ok(status)
    }

    async fn read_answer(&mut self, stream: &mut BufReader<TcpStream>) -> Result<u16> {
        self.read_line(stream).await?;
        let status = self.line.split(' ').nth(1).context("no status line")?.parse::<u16>()?;
        let mut length = 0;
        loop {
            self.read_line(stream).await?;
            let Some((name, value)) = self.line.trim_end().split_once(':') else { break };
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse()?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                bail!("a body in chunks is more than this client reads");
            }
        }
        self.body.resize(length, 0);
        stream.read_exact(&mut self.body).await?;
        Ok(status)
    }

    async fn read_line(&mut self, stream: &mut BufReader<TcpStream>) -> Result<()> {
        self.line.clear();
        let read = stream.read_line(&mut self.line).await?;
        ensure!(read > 0, "the server closed the connection");
        Ok(())
    }
}
