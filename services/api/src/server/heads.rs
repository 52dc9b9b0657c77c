//! Two limits where hyper has one. Its `header_read_timeout` runs from the end of one answer to the end of the next
//! request's head: short, it closes idle connections while an ingress sends its next request on one; long, it lets anybody
//! hold a connection with a head that never ends. Here a connection may idle for long between requests, but what has
//! begun, and its first head, has to come soon.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Sleep, Timer};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// The stream and the timer of one connection. hyper's `header_read_timeout` is the limit from an answer to the first byte of
/// the next request, `head` that from there, or from the connection's start, to the end of its head.
pub(super) fn watch<S>(stream: S, head: Duration) -> (Watched<S>, HeadTimer) {
    let heads = Arc::new(Heads {
        head,
        is_used: AtomicBool::new(false),
        arrived: AtomicBool::new(false),
        alarm: Mutex::new(Box::pin(tokio::time::sleep(head))),
    });
    (Watched { stream, heads: Arc::clone(&heads) }, HeadTimer(heads))
}

/// What is known of a connection's heads.
struct Heads {
    head: Duration,
    /// There was a head already.
    is_used: AtomicBool,
    /// Something has been read since the wait for a head began. What was read with the request before does not count: such a
    /// head has as long as an idle connection, up to its next byte.
    arrived: AtomicBool,
    /// Rings no later than the head that is waited for has to be there, and stays set from head to head: to be woken in vain
    /// now and then costs less than to set an alarm for each request, of which hardly any rings.
    alarm: Mutex<Pin<Box<tokio::time::Sleep>>>,
}

/// hyper's timer for the heads of one connection: hyper asks it for nothing else.
pub(super) struct HeadTimer(Arc<Heads>);

impl Timer for HeadTimer {
    fn sleep(&self, limit: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + limit)
    }

    fn sleep_until(&self, idle_until: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        let heads = Arc::clone(&self.0);
        let is_idle = heads.is_used.swap(true, Ordering::Relaxed);
        heads.arrived.store(false, Ordering::Relaxed);
        let late = if is_idle { Instant::from_std(idle_until) } else { Instant::now() + heads.head };
        Box::pin(HeadSleep { late, is_idle, heads })
    }

    /// Tokio's clock, which is the alarm's.
    fn now(&self) -> std::time::Instant {
        Instant::now().into_std()
    }
}

/// Ends when the head is late. hyper polls it each time that it has read what there is and the head has no end yet.
struct HeadSleep {
    late: Instant,
    /// Nothing of the head had come yet.
    is_idle: bool,
    heads: Arc<Heads>,
}

impl Sleep for HeadSleep {}

impl Future for HeadSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.is_idle && self.heads.arrived.load(Ordering::Relaxed) {
            self.is_idle = false;
            self.late = Instant::now() + self.heads.head;
        }
        let mut alarm = self.heads.alarm.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if alarm.is_elapsed() || alarm.deadline() > self.late {
                alarm.as_mut().reset(self.late);
            }
            ready!(alarm.as_mut().poll(context));
            if self.late <= Instant::now() {
                return Poll::Ready(());
            }
            // It was set for a head before.
        }
    }
}

pin_project! {
    /// A stream whose reads are noted.
    pub(super) struct Watched<S> {
        #[pin]
        stream: S,
        heads: Arc<Heads>,
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
            this.heads.arrived.store(true, Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HEAD: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(75);

    /// The timer of a connection of which `used` says whether it has had a head.
    fn timer(head: Duration, used: bool) -> HeadTimer {
        let (_, timer) = watch((), head);
        timer.0.is_used.store(used, Ordering::Relaxed);
        timer
    }

    /// How long the wait takes that begins now.
    async fn wait(timer: &HeadTimer) -> Duration {
        let started = Instant::now();
        timer.sleep_until(timer.now() + IDLE).await;
        started.elapsed()
    }

    /// Tokio's timers count in milliseconds.
    fn is_about(took: Duration, expected: Duration) -> bool {
        (expected..expected + Duration::from_millis(2)).contains(&took)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_head_has_as_long_as_a_head_and_the_next_may_be_long_in_coming() {
        let timer = timer(HEAD, false);
        for expected in [HEAD, IDLE, IDLE] {
            let took = wait(&timer).await;
            assert!(is_about(took, expected), "{took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_that_rang_while_nobody_waited_is_set_anew() {
        let timer = timer(HEAD, true);
        for _ in 0..3 {
            // Answered at once: the alarm stays where it is.
            drop(timer.sleep_until(timer.now() + IDLE));
        }
        advance(HEAD * 2).await;
        let took = wait(&timer).await;
        assert!(is_about(took, IDLE), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_begins_late_has_as_long_as_any() {
        let timer = timer(HEAD, true);
        let started = Instant::now();
        let mut head = timer.sleep_until(timer.now() + IDLE);
        assert!(timeout(SECOND * 30, &mut head).await.is_err());
        // hyper has read something, and asks at once; nobody does after that.
        timer.0.arrived.store(true, Ordering::Relaxed);
        head.await;
        let took = started.elapsed();
        assert!(is_about(took, SECOND * 30 + HEAD), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_may_idle_for_less_time_than_a_head_takes() {
        let took = wait(&timer(IDLE * 2, true)).await;
        assert!(is_about(took, IDLE), "{took:?}");
    }
}
