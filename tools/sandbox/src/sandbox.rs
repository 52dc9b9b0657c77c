//! A running sandbox, as its binary and tests hold it.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use crate::api_b::{Callback, Plan, Report, SendError};
use crate::config::Config;
use crate::faults::Faults;
use crate::journal::{Counters, Seen};
use crate::listener::{BreakableListener, Breaker};
use crate::partners::Partners;
use crate::routes;

/// How long requests in flight may take to finish at the end.
const GRACE: Duration = Duration::from_secs(5);

/// The partners, on threads of their own: they answer while a test blocks its own. They end with this value.
pub struct Sandbox {
    partners: Partners,
    address: SocketAddr,
    server: Option<JoinHandle<io::Result<()>>>,
    threads: Threads,
}

impl Sandbox {
    /// Starts the partners on a free port.
    ///
    /// # Errors
    /// There is no free port, or no thread.
    pub async fn start() -> io::Result<Sandbox> {
        Sandbox::start_with(Config::default()).await
    }

    /// Starts the partners as configured.
    ///
    /// # Errors
    /// The port is in use, the webhook secret is no key, or there is no thread. The text names the setting.
    pub async fn start_with(config: Config) -> io::Result<Sandbox> {
        let threads = Threads::start()?;
        let runtime = threads.handle();
        let address = SocketAddr::new(config.host, config.port);
        let partners = Partners::new(config).map_err(|error| {
            io::Error::new(ErrorKind::InvalidInput, format!("SANDBOX_WEBHOOK_SECRET: {error}"))
        })?;
        let bound = runtime.spawn(TcpListener::bind(address)).await.map_err(io::Error::other)?;
        let listener = bound.map_err(|error| {
            io::Error::new(error.kind(), format!("SANDBOX_PORT: cannot listen on {address}: {error}"))
        })?;
        let address = listener.local_addr()?;
        let service = routes::router(&partners).into_make_service_with_connect_info::<Breaker>();
        let server = axum::serve(BreakableListener(listener), service)
            .with_graceful_shutdown(partners.shutdown.clone().cancelled_owned());
        let server = runtime.spawn(server.into_future());
        Ok(Sandbox { partners, address, server: Some(server), threads })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:<port>`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The token endpoint, for `OAUTH_TOKEN_URL`.
    #[must_use]
    pub fn token_url(&self) -> String {
        self.url() + "/oauth/token"
    }

    /// API A's one resource.
    #[must_use]
    pub fn api_a_url(&self) -> String {
        self.url() + "/api-a/status"
    }

    /// Where callbacks are registered.
    #[must_use]
    pub fn callbacks_url(&self) -> String {
        self.url() + "/api-b/callbacks"
    }

    /// What it was started with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.partners.config
    }

    /// The faults that requests meet from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.partners.faults.set(faults);
    }

    /// The faults as they are now; `fail_next` counts down.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.partners.faults.get()
    }

    /// What happened at each endpoint since the start or the last reset.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.partners.journal.counters()
    }

    /// The last 256 requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.partners.journal.seen()
    }

    /// API A refuses every token issued so far.
    pub fn revoke_tokens(&self) {
        self.partners.bearers.revoke_all();
    }

    /// The callbacks that are registered.
    #[must_use]
    pub fn callbacks(&self) -> Vec<Callback> {
        self.partners.callbacks.all()
    }

    /// Begins to send webhooks. The report has the plan with its times settled: it makes the events that are sent.
    ///
    /// # Errors
    /// A run is under way, the plan is out of range, or there is nowhere to send to.
    pub fn send(&self, plan: Plan) -> Result<Report, SendError> {
        self.partners.sender.start(&self.partners, plan, self.threads.handle())
    }

    /// What the run of webhooks has done so far; none where there was none.
    #[must_use]
    pub fn report(&self) -> Option<Report> {
        self.partners.sender.report()
    }

    /// Waits until the run of webhooks has ended: until all is acknowledged or given up, or [`stop_sending`] is called.
    ///
    /// [`stop_sending`]: Sandbox::stop_sending
    pub async fn sent(&self) -> Option<Report> {
        self.partners.sender.ended().await
    }

    /// Ends the run of webhooks.
    pub fn stop_sending(&self) {
        self.partners.sender.stop();
    }

    /// No faults, all counters at zero, nothing being sent; callbacks stay registered.
    pub fn reset(&self) {
        self.partners.reset();
    }

    /// Takes no more connections, gives requests in flight 5 s to finish, and ends.
    pub async fn stop(mut self) {
        self.partners.shutdown.cancel();
        if let Some(server) = self.server.take() {
            let _ = tokio::time::timeout(GRACE, server).await;
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.partners.shutdown.cancel();
    }
}

/// A runtime that may be dropped anywhere, within another one too.
struct Threads {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Threads {
    fn start() -> io::Result<Threads> {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("sandbox").enable_all().build()?;
        Ok(Threads { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
