//! Two limits where hyper has one. Its `header_read_timeout` runs from the end of one answer to the end of the next
//! request's head: short, it closes idle connections while an ingress sends its next request on one; long, it lets anybody
//! hold a connection with a head that never ends. Here a connection may idle for long between requests, but what has
//! begun, and its first head, has to come soon.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The stream and the timer of one connection: `idle` from an answer to the first byte of the next request, `head` from
/// there, or from the connection's start, to the end of its head.
pub(super) fn watch<S>(stream: S, head: Duration, idle: Duration) -> (Watched<S>, HeadTimer) {
    let arrived = Arc::new(AtomicBool::new(false));
    let timer = HeadTimer { head, idle, arrived: Arc::clone(&arrived), is_used: AtomicBool::new(false) };
    (Watched { stream, arrived }, timer)
}

/// hyper's timer for the heads of one connection: hyper asks it for nothing else.
pub(super) struct HeadTimer {
    head: Duration,
    idle: Duration,
    /// Something has been read since the wait for a head began.
    arrived: Arc<AtomicBool>,
    /// There was a head already.
    is_used: AtomicBool,
}

impl Timer for HeadTimer {
    fn sleep(&self, _: Duration) -> Pin<Box<dyn Sleep>> {
        // Whatever hyper was told, the limits are these.
        let (limit, arrived) = if self.is_used.swap(true, Ordering::Relaxed) {
            self.arrived.store(false, Ordering::Relaxed);
            (self.idle, Some(Arc::clone(&self.arrived)))
        } else {
            (self.head, None)
        };
        Box::pin(HeadSleep { sleep: tokio::time::sleep(limit), head: self.head, arrived })
    }

    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(self.idle)
    }
}

pin_project! {
    /// Ends when the head is late. hyper polls it each time that it has read what there is and the head has no end yet.
    struct HeadSleep {
        #[pin]
        sleep: tokio::time::Sleep,
        head: Duration,
        // Until the head has begun.
        arrived: Option<Arc<AtomicBool>>,
    }
}

impl Sleep for HeadSleep {}

impl Future for HeadSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if this.arrived.take_if(|arrived| arrived.load(Ordering::Relaxed)).is_some() {
            this.sleep.as_mut().reset(tokio::time::Instant::now() + *this.head);
        }
        this.sleep.poll(context)
    }
}

pin_project! {
    /// A stream whose reads are noted.
    pub(super) struct Watched<S> {
        #[pin]
        stream: S,
        arrived: Arc<AtomicBool>,
    }
}

impl<S: AsyncRead> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        let before = buffer.filled().len();
        ready!(this.stream.poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            this.arrived.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
