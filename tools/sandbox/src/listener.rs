//! The connection that a request came on, for handlers that end it.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use socket2::SockRef;
use tokio::net::TcpListener;

/// A connection's socket, beside the server's own handle of it. None where the process has no descriptor left.
#[derive(Clone, Debug)]
pub(crate) struct Socket(Option<Arc<OwnedFd>>);

impl Connected<IncomingStream<'_, TcpListener>> for Socket {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Socket {
        Socket(stream.io().as_fd().try_clone_to_owned().ok().map(Arc::new))
    }
}

impl Socket {
    /// Lets the connection end with an RST instead of a FIN.
    pub(crate) fn reset_at_end(&self) {
        if let Some(socket) = &self.0 {
            let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }
}
