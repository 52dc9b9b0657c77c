//! A running sandbox, as its binary and tests hold it.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderName, Method, Uri};
use axum::middleware::from_fn_with_state;
use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower_http::cors::{Any, CorsLayer};

use crate::api_b::{Run, SigningKey};
use crate::config::Config;
use crate::issuer::{self, Rotation, TokenKeys};
use crate::journal::{Counters, Endpoint, Faults, Journal, Seen};
use crate::listener::Socket;
use crate::tokens::AccessTokens;
use crate::{api_a, api_b, control, faults, token};

/// How long requests in flight may take to finish at the end.
const GRACE: Duration = Duration::from_secs(5);
/// Bytes of a request's body that are read at the most.
pub(crate) const MAX_BODY: usize = 64 * 1024;

/// What tests and handlers work with.
pub struct Partners {
    pub(crate) config: Config,
    /// Signs webhooks.
    pub(crate) key: SigningKey,
    pub(crate) journal: Mutex<Journal>,
    pub(crate) tokens: AccessTokens,
    /// What tokens name as their issuer.
    pub(crate) issuer: String,
    /// Sign tokens.
    pub(crate) keys: TokenKeys,
    pub(crate) callbacks: Mutex<Vec<Uri>>,
    /// The run of webhooks that is under way, or was the last.
    pub(crate) run: Mutex<Option<Run>>,
    pub(crate) client: reqwest::Client,
    /// Answers that API A has given.
    pub(crate) sequence: AtomicU64,
    pub(crate) shutdown: CancellationToken,
    pub(crate) runtime: Handle,
}

/// Nothing under a lock is left half changed by a panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Partners {
    /// What it was started with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The faults that requests meet from now on.
    pub fn set_faults(&self, faults: Faults) {
        lock(&self.journal).faults = faults;
    }

    /// The faults as they are now; `fail_next` counts down.
    #[must_use]
    pub fn faults(&self) -> Faults {
        lock(&self.journal).faults.clone()
    }

    /// What happened at each endpoint since the start or the last reset.
    #[must_use]
    pub fn counters(&self) -> Counters {
        lock(&self.journal).counters.clone()
    }

    /// The last 256 requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        lock(&self.journal).seen.iter().cloned().collect()
    }

    /// API A refuses every token issued so far.
    pub fn revoke_tokens(&self) {
        self.tokens.revoke_all();
    }

    /// The issuer that tokens name, for `AUTH_ISSUER`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Signs tokens with a new key from now on.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn rotate_keys(&self, rotation: Rotation) -> io::Result<()> {
        self.keys.rotate(rotation).map_err(|_| io::Error::other("no random numbers"))
    }

    /// The callbacks that are registered, in the order they came.
    #[must_use]
    pub fn callbacks(&self) -> Vec<Uri> {
        lock(&self.callbacks).clone()
    }

    /// No faults, all counters at zero, nothing being sent; callbacks stay registered. The key of tokens is published.
    pub fn reset(&self) {
        self.keys.publish();
        *lock(&self.journal) = Journal::default();
        self.stop_sending();
        *lock(&self.run) = None;
    }

    /// The endpoints of all partners, each with its faults.
    fn router(self: &Arc<Self>) -> Router {
        let faulty = |routes: Router<Arc<Partners>>, endpoint| {
            routes.route_layer(from_fn_with_state((Arc::clone(self), endpoint), faults::meet))
        };
        faulty(token::routes(), Endpoint::Token)
            .merge(faulty(issuer::discovery_routes(), Endpoint::Discovery))
            .merge(faulty(issuer::key_routes(), Endpoint::Keys))
            .route_layer(scripts_of_all_origins())
            .merge(faulty(api_a::routes(), Endpoint::ApiA))
            .merge(faulty(api_b::routes(), Endpoint::ApiB))
            .merge(control::routes())
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .with_state(Arc::clone(self))
    }
}

/// Lets pages such as the API's `/docs`, which is on another port, get tokens. Preflights meet no fault.
fn scripts_of_all_origins() -> CorsLayer {
    let headers = [AUTHORIZATION, CONTENT_TYPE, HeaderName::from_static("x-requested-with")];
    CorsLayer::new().allow_origin(Any).allow_methods([Method::GET, Method::POST]).allow_headers(headers)
}

/// The partners, on a thread of their own: they answer while a test blocks its own. They end with this value.
pub struct Sandbox {
    partners: Arc<Partners>,
    address: SocketAddr,
    server: Option<JoinHandle<io::Result<()>>>,
    runtime: Option<Runtime>,
}

impl Deref for Sandbox {
    type Target = Partners;

    fn deref(&self) -> &Partners {
        &self.partners
    }
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
    #[expect(clippy::unused_async, reason = "as other servers are started")]
    pub async fn start_with(config: Config) -> io::Result<Sandbox> {
        let key = SigningKey::parse(config.webhook_secret.expose_secret()).map_err(|error| {
            io::Error::new(ErrorKind::InvalidInput, format!("SANDBOX_WEBHOOK_SECRET: {error}"))
        })?;
        let address = SocketAddr::new(config.host, config.port);
        let listener = std::net::TcpListener::bind(address).map_err(|error| {
            io::Error::new(error.kind(), format!("SANDBOX_PORT: cannot listen on {address}: {error}"))
        })?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let client = api_b::client().map_err(io::Error::other)?;
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("sandbox").enable_all().build()?;
        let issuer = config.issuer.clone().unwrap_or_else(|| format!("http://{address}"));
        let keys = TokenKeys::new().map_err(|_| io::Error::other("no random numbers"))?;
        let partners = Arc::new(Partners {
            config,
            key,
            issuer,
            keys,
            journal: Mutex::default(),
            tokens: AccessTokens::default(),
            callbacks: Mutex::default(),
            run: Mutex::default(),
            client,
            sequence: AtomicU64::new(0),
            shutdown: CancellationToken::new(),
            runtime: runtime.handle().clone(),
        });
        let service = partners.router().into_make_service_with_connect_info::<Socket>();
        let shutdown = partners.shutdown.clone().cancelled_owned();
        let server = runtime.spawn(async {
            let listener = TcpListener::from_std(listener)?;
            axum::serve(listener, service).with_graceful_shutdown(shutdown).await
        });
        Ok(Sandbox { partners, address, server: Some(server), runtime: Some(runtime) })
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

    /// Takes no more connections, gives requests in flight 5 s to finish, and ends.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        if let Some(server) = self.server.take() {
            let _ = tokio::time::timeout(GRACE, server).await;
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.shutdown.cancel();
        // It may be dropped within another runtime, where nothing may block.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
