//! Connections that a handler can break.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

const KEEP: u8 = 0;
/// Nothing is sent; the connection ends with a FIN, as it does when a process ends.
pub(crate) const CLOSE: u8 = 1;
/// Nothing is sent; the connection ends with an RST.
pub(crate) const RESET: u8 = 2;
/// The answer is sent without its end, then the connection is closed.
pub(crate) const CUT: u8 = 3;
/// Bytes that a cut answer lacks: fewer than any body has.
const CUT_BYTES: usize = 2;

/// Breaks the connection that a request came on, as soon as its handler has returned.
#[derive(Clone, Debug, Default)]
pub(crate) struct Breaker(Arc<AtomicU8>);

impl Breaker {
    /// In one of the ways above.
    pub(crate) fn end(&self, how: u8) {
        self.0.store(how, Relaxed);
    }
}

/// Accepts [`Connection`]s.
pub(crate) struct BreakableListener(pub(crate) TcpListener);

impl Listener for BreakableListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // An answer is one write: waiting for more to send would only delay it.
        let _ = stream.set_nodelay(true);
        (Connection { stream, breaker: Breaker::default() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, BreakableListener>> for Breaker {
    fn connect_info(stream: IncomingStream<'_, BreakableListener>) -> Breaker {
        stream.io().breaker.clone()
    }
}

/// A connection that its [`Breaker`] ends at the next write.
pub(crate) struct Connection {
    stream: TcpStream,
    breaker: Breaker,
}

impl Connection {
    fn check(&self) -> io::Result<()> {
        match self.breaker.0.load(Relaxed) {
            KEEP | CUT => return Ok(()),
            RESET => self.stream.set_zero_linger()?,
            _ => {}
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        if self.breaker.0.load(Relaxed) != CUT {
            return Pin::new(&mut self.stream).poll_write(cx, buf);
        }
        // The whole answer is in `buf`: it is small, and without vectored writes head and body come together.
        let written = Pin::new(&mut self.stream).poll_write(cx, &buf[..buf.len().saturating_sub(CUT_BYTES)]);
        if written.is_ready() {
            self.breaker.end(CLOSE);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A FIN would come before the RST.
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
