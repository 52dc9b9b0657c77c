//! HTTP/1.1 on a port: connections are accepted, bounded in number and time, served, and finished on shutdown.
//!
//! `axum::serve` lets nobody set these bounds: <https://github.com/tokio-rs/axum/pull/3852>.

mod host;

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::error_handling::HandleErrorLayer;
use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::response::Response;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt as _};
use tracing::debug;

pub use host::{InvalidHost, require_host};

/// Connections that the kernel holds until they are accepted; Linux bounds it by `net.core.somaxconn`, which is as much.
const BACKLOG: u32 = 4_096;
/// Bytes of a request's header at the most; more is answered with 431.
const MAX_HEADER: usize = 16 * 1024;
/// Header fields of a request at the most; more is answered with 431.
const MAX_FIELDS: usize = 64;
/// Connections beyond the limit that are still accepted: for probes, scrapes, and to tell others that the service is full.
pub const SPARE_CONNECTIONS: usize = 64;
/// The header timeout of those.
const SPARE_HEADER_TIMEOUT: Duration = Duration::from_secs(1);

/// Limits of connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at the most. [`SPARE_CONNECTIONS`] further ones get one answer each; what comes then waits in the
    /// kernel's backlog.
    pub max_connections: usize,
    /// Time from the start of a connection, or from the last answer on it, until the next request's header is complete.
    ///
    /// So it bounds how long a connection may idle, too: hyper has one timer for both
    /// (<https://github.com/hyperium/hyper/pull/3828>).
    pub header_timeout: Duration,
    /// Time in which a client that is sent something has to take some of it.
    pub write_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        let (header_timeout, write_timeout) = (Duration::from_secs(75), Duration::from_secs(10));
        Limits { max_connections: 256, header_timeout, write_timeout }
    }
}

/// Listens on `address`.
///
/// # Errors
/// The address cannot be had.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A service that was just stopped may have left connections on this address.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Waits for SIGTERM or SIGINT. Both are caught from the call on, whenever the future is waited for.
///
/// # Errors
/// The system lets nobody catch them.
pub fn stopped() -> io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Serves operators' routes, with usual limits, for as long as the process lives.
pub async fn serve_operators(listener: TcpListener, routes: Router) {
    let refuse =
        HandleErrorLayer::new(async |error: BoxError| (StatusCode::BAD_REQUEST, format!("{error}\n")));
    let routes = routes.layer(ServiceBuilder::new().layer(refuse).filter(require_host::<Body>));
    serve(listener, routes.clone(), routes, Limits::default(), CancellationToken::new(), Duration::ZERO)
        .await;
}

/// Serves HTTP/1.1 on `listener` until `shutdown`; then accepts no more connections, closes those without a request in
/// flight, and gives the others `grace` to finish. Returns whether all of them did.
///
/// Connections beyond the limit are served by `over_limit`, for one request each. Requests carry the peer's address as
/// [`ConnectInfo`]`<SocketAddr>`.
pub async fn serve<S>(
    mut listener: TcpListener,
    service: S,
    over_limit: S,
    limits: Limits,
    shutdown: CancellationToken,
    grace: Duration,
) -> bool
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
    let (usual, spare) = (semaphore(limits.max_connections), semaphore(SPARE_CONNECTIONS));
    let connections = GracefulShutdown::new();
    loop {
        let next = async {
            // A failed connection, or a lack of file descriptors, is no reason to stop: axum waits and tries again.
            let (stream, peer) = Listener::accept(&mut listener).await;
            let (permit, is_spare) = tokio::select! {
                biased;
                permit = Arc::clone(&usual).acquire_owned() => (permit, false),
                permit = Arc::clone(&spare).acquire_owned() => (permit, true),
            };
            (stream, peer, permit, is_spare)
        };
        let (stream, peer, permit, is_spare) = tokio::select! {
            accepted = next => accepted,
            () = shutdown.cancelled() => break,
        };
        // A response is one write: waiting for more to send would only delay it.
        let _ = stream.set_nodelay(true);
        let service = if is_spare { over_limit.clone() } else { service.clone() };
        let has_asked = Arc::new(AtomicBool::new(false));
        let asks = Arc::clone(&has_asked);
        let service = service.map_request(move |request: hyper::Request<Incoming>| {
            asks.store(true, Ordering::Relaxed);
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            request
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).max_buf_size(MAX_HEADER).max_headers(MAX_FIELDS);
        http.header_read_timeout(if is_spare { SPARE_HEADER_TIMEOUT } else { limits.header_timeout });
        http.keep_alive(!is_spare);
        // hyper has no write timeout: https://github.com/hyperium/hyper/issues/3852.
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(limits.write_timeout));
        let stream = TokioIo::new(Box::pin(stream));
        // Waits until the service is ready before each call, as limits of tower demand.
        let served = http.serve_connection(stream, TowerToHyperService::new(service));
        let served = connections.watch(served);
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            let _permit = permit;
            // hyper closes idle connections, but waits for the rest of the first header of a new one.
            let is_over = async {
                shutdown.cancelled().await;
                if has_asked.load(Ordering::Relaxed) {
                    pending::<()>().await;
                }
            };
            tokio::select! {
                biased;
                served = served => drop(served.inspect_err(|error| debug!(%error, "a connection broke"))),
                () = is_over => {}
            }
        });
    }
    drop(listener);
    tokio::time::timeout(grace, connections.shutdown()).await.is_ok()
}
