//! Connections: accepted, bounded, served, and on shutdown finished.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::Service;
use tracing::{debug, warn};

/// Bytes of a request's head that are read at the most; more is answered with 431.
const MAX_HEAD: usize = 16 * 1024;
/// Header fields of a request at the most; more is answered with 431.
const MAX_HEADERS: usize = 64;
/// Connections beyond the bound: enough for probes and scrapes, and to say to others that the service is full.
const SPARE: usize = 64;
/// Time for headers on those.
const SPARE_HEADER_TIMEOUT: Duration = Duration::from_secs(1);

/// Bounds on connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Connections at the most; 64 further ones are `crowded`, and what comes then waits in the kernel's backlog.
    pub max_connections: usize,
    /// Time for a request's headers to arrive: from their first byte, or for the first request from when the connection
    /// was made.
    pub header_timeout: Duration,
    /// Time that a connection may idle between an answer and the first byte of the next request.
    pub idle_timeout: Duration,
    /// Time in which a client that is sent something has to take some of it.
    pub write_timeout: Duration,
}

/// A connection, as services get to know it.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// Who is at its other end: a client or a proxy.
    pub peer: SocketAddr,
    /// There are more than there should be. It gets one answer and is closed.
    pub crowded: bool,
}

/// Serves HTTP/1.1 on `listener` until `shutdown`; then takes no more connections and gives those it has `grace` to
/// finish the requests in flight. `services` makes the service of each connection. Returns whether all of them did.
pub async fn serve<S>(
    listener: TcpListener,
    services: impl Fn(Connection) -> S,
    limits: ConnectionLimits,
    shutdown: CancellationToken,
    grace: Duration,
) -> bool
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Send + 'static,
{
    let places = Places::new(limits.max_connections);
    let connections = GracefulShutdown::new();
    loop {
        let next = async {
            let (stream, peer) = accept(&listener).await;
            let (place, crowded) = places.take().await;
            (stream, place, Connection { peer, crowded })
        };
        let (stream, place, connection) = tokio::select! {
            accepted = next => accepted,
            () = shutdown.cancelled() => break,
        };
        // Locked for the call only, and a connection has one request at a time: cheaper than a clone of the whole stack.
        let service = Mutex::new(services(connection));
        let answer = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            // Routers and our layers are always ready, so there is nothing to wait for before the call.
            service.lock().unwrap_or_else(PoisonError::into_inner).call(request.map(Body::new))
        });
        let http = http(limits, connection.crowded);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(limits.write_timeout));
        let stream = TokioIo::new(Box::pin(stream));
        let served = connections.watch(http.serve_connection(stream, answer));
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = served.await {
                debug!(%error, "a connection broke");
            }
        });
    }
    drop(listener);
    tokio::time::timeout(grace, connections.shutdown()).await.is_ok()
}

/// The protocol of a connection.
fn http(limits: ConnectionLimits, crowded: bool) -> http1::Builder {
    let timeout = if crowded { SPARE_HEADER_TIMEOUT } else { limits.header_timeout };
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(timeout);
    http.max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS).keep_alive(!crowded);
    http
}

struct Places {
    usual: Arc<Semaphore>,
    spare: Arc<Semaphore>,
}

impl Places {
    fn new(usual: usize) -> Places {
        let semaphore = |places: usize| Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        Places { usual: semaphore(usual), spare: semaphore(SPARE) }
    }

    /// A place, and whether it is a spare one. The semaphores are never closed.
    async fn take(&self) -> (Option<OwnedSemaphorePermit>, bool) {
        tokio::select! {
            biased;
            place = Arc::clone(&self.usual).acquire_owned() => (place.ok(), false),
            place = Arc::clone(&self.spare).acquire_owned() => (place.ok(), true),
        }
    }
}

/// The next connection. What goes wrong with one connection, or for want of file descriptors, is no reason to stop.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // A response is one write: waiting for more to send would only delay it.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) if is_of_one_connection(&error) => debug!(%error, "a connection came to nothing"),
            Err(error) => {
                warn!(%error, "cannot accept connections");
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
