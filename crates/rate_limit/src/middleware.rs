//! The middleware that limits requests, and what all requests share.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{self, Method, Uri};
use axum::middleware::Next;
use axum::response::Response;
use farmlokal_redis::Connection;
use governor::clock::QuantaInstant;
use governor::middleware::NoOpMiddleware;
use metrics::{Counter, counter};
use tokio::task::JoinSet;
use tower::{Layer as _, Service};
use tower_governor::governor::{GovernorConfig, GovernorConfigBuilder};
use tower_governor::key_extractor::KeyExtractor;
use tower_governor::{GovernorError, GovernorLayer};

use crate::fields::Fields;
use crate::{Client, ClientAddress, Limiter, Policy, Verdict};

pub(crate) const REFUSED: &str = "farmlokal_rate_limited_total";
/// How often the limiters inside the process forget clients that have their whole quota again.
const RETAIN_EVERY: Duration = Duration::from_secs(1);

/// What the limits are, and what the service answers by them.
#[derive(Clone, Debug)]
pub struct Config {
    /// One for each class of requests.
    pub policies: Vec<Policy>,
    /// The index of the policy for requests with this method to this URI.
    pub classify: fn(&Method, &Uri) -> usize,
    /// The answer, of status 429, to a request of a client that may ask again after so long.
    pub refuse: fn(Duration) -> Response,
    /// Who the clients are.
    pub address: ClientAddress,
    /// Clients that each replica distinguishes, some 300 bytes each.
    pub clients: u32,
}

/// The limits of this process.
pub struct RateLimits {
    config: Config,
    limiter: Arc<Limiter>,
    classes: Vec<Class>,
}

type Middleware = NoOpMiddleware<QuantaInstant>;

/// The limits of one class of requests.
struct Class {
    fields: Fields,
    refused: Counter,
    /// The limiter inside this process, which holds without Redis.
    pod: Arc<GovernorConfig<ByClient, Middleware>>,
    layer: GovernorLayer<ByClient, Middleware, Body>,
    /// Whether it remembers more clients than it may.
    is_full: AtomicBool,
}

impl RateLimits {
    /// Limits as `config` says, over all replicas that share this Redis.
    #[must_use]
    pub fn new(config: Config, redis: Arc<Connection>, tasks: &mut JoinSet<()>) -> Arc<RateLimits> {
        let limiter = Limiter::new(redis, &config.policies, config.clients.into());
        let classes = config.policies.iter().map(|policy| Class::new(policy, config.refuse)).collect();
        let limits = Arc::new(RateLimits { config, limiter, classes });
        tasks.spawn(Arc::clone(&limits).retain());
        limits
    }

    /// How many clients are remembered, about: in all classes.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.classes.iter().map(|class| class.pod.limiter().len()).sum()
    }

    /// Keeps the memory of the limiters inside the process bounded, for ever.
    async fn retain(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(RETAIN_EVERY);
        loop {
            ticks.tick().await;
            let limits = Arc::clone(&self);
            // Some milliseconds in a flood of addresses: no request should wait for it.
            let done = tokio::task::spawn_blocking(move || {
                limits.classes.iter().for_each(|class| class.retain_recent(limits.config.clients as usize));
            });
            if done.await.is_err() {
                return;
            }
        }
    }
}

impl Class {
    fn new(policy: &Policy, refuse: fn(Duration) -> Response) -> Class {
        let refused = |by: &'static str| counter!(REFUSED, "policy" => policy.name, "by" => by);
        let (rate, fields, by_pod) = (policy.rate, Fields::new(policy), refused("pod"));
        let pod = GovernorConfigBuilder::default()
            .key_extractor(ByClient)
            // The time in which one permit comes back: what the crate calls `per_second` is that too, not a rate.
            .period(rate.interval())
            .burst_size(rate.quota)
            .finish();
        // It fails for a zero only, and a rate has none.
        let pod = Arc::new(pod.unwrap_or_else(|| unreachable!("a rate of {rate:?}")));
        let layer = GovernorLayer::new(Arc::clone(&pod)).error_handler({
            let fields = fields.clone();
            move |error| {
                by_pod.increment(1);
                let retry_after = match error {
                    // It was rounded down.
                    GovernorError::TooManyRequests { wait_time, .. } => Duration::from_secs(wait_time + 1),
                    // Each request names its client, so there is no other error.
                    _ => rate.window,
                };
                let verdict = Verdict { remaining: 0, reset: rate.window, retry_after: Some(retry_after) };
                fields.on(refuse(retry_after), &verdict)
            }
        });
        Class { fields, refused: refused("account"), pod, layer, is_full: AtomicBool::new(false) }
    }

    /// Asks `service`, unless the limiter inside this process refuses.
    async fn ask<S>(&self, client: Client, mut request: Request, service: S) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible>,
    {
        // With more clients than there is memory for, they share: newcomers may then have to wait for each other, and nobody
        // gets more than before.
        let client = if self.is_full.load(Ordering::Relaxed) { client.shared() } else { client };
        request.extensions_mut().insert(client);
        let Ok(response) = self.layer.layer(service).call(request).await;
        response
    }

    /// Forgets clients that have their whole quota again. While more than `capacity` are left, they share quotas.
    fn retain_recent(&self, capacity: usize) {
        let limiter = self.pod.limiter();
        limiter.retain_recent();
        let is_full = limiter.len() > capacity;
        if self.is_full.swap(is_full, Ordering::Relaxed) && !is_full {
            limiter.shrink_to_fit();
        }
    }
}

/// Takes the client that the request names.
#[derive(Clone, Debug)]
struct ByClient;

impl KeyExtractor for ByClient {
    type Key = Client;

    fn extract<T>(&self, request: &http::Request<T>) -> Result<Client, GovernorError> {
        request.extensions().get().copied().ok_or(GovernorError::UnableToExtractKey)
    }
}

/// Limits the requests of each client, whose address is that of the connection or what proxies say of it: a function for
/// [`from_fn_with_state`](axum::middleware::from_fn_with_state).
pub async fn limit(
    State(limits): State<Arc<RateLimits>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let client = limits.config.address.resolve(peer.ip(), request.headers());
    let class = (limits.config.classify)(request.method(), request.uri());
    let verdict = limits.limiter.check(class, client).await;
    let class = &limits.classes[class];
    let response = match verdict.retry_after {
        None => class.ask(client, request, next).await,
        Some(retry_after) => {
            class.refused.increment(1);
            (limits.config.refuse)(retry_after)
        }
    };
    class.fields.on(response, &verdict)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::http::HeaderName;
    use farmlokal_redis::RedisConfig;
    use tower::service_fn;

    use super::*;

    fn limits(rate: &str, clients: u32, tasks: &mut JoinSet<()>) -> Arc<RateLimits> {
        let config = Config {
            policies: vec![Policy::new("default", rate.parse().unwrap(), 2)],
            classify: |_, _| 0,
            refuse: |_| {
                axum::response::IntoResponse::into_response(axum::http::StatusCode::TOO_MANY_REQUESTS)
            },
            address: ClientAddress {
                networks: Vec::new(),
                hops: 0,
                header: HeaderName::from_static("x-forwarded-for"),
                ipv6_prefix: 64,
            },
            clients,
        };
        let nowhere = Connection::new(&RedisConfig::new("redis://127.0.0.1:1"), "test").unwrap();
        RateLimits::new(config, nowhere, tasks)
    }

    /// The limiter inside the process alone, without accounts and Redis.
    async fn ask(limits: &RateLimits, client: u32) -> Response {
        let routes = service_fn(async |_: Request| Ok::<_, Infallible>(Response::new(Body::empty())));
        let client = Client::new(Ipv4Addr::from_bits(client).into(), 64);
        limits.classes[0].ask(client, Request::new(Body::empty()), routes).await
    }

    #[tokio::test]
    async fn the_limiter_inside_the_process_holds_alone() {
        let limits = limits("3/3600", 50_000, &mut JoinSet::new());
        for _ in 0..3 {
            assert_eq!(ask(&limits, 1).await.status(), 200);
        }
        let refused = ask(&limits, 1).await;
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["ratelimit"]),
            (429, &"\"default\";r=0;t=3600".parse().unwrap())
        );
        assert_eq!(ask(&limits, 2).await.status(), 200);
        assert_eq!(limits.clients(), 2);
    }

    #[tokio::test]
    async fn more_clients_than_fit_share() {
        let limits = limits("3/3600", 10, &mut JoinSet::new());
        for number in 0..20 {
            ask(&limits, number).await;
        }
        limits.classes[0].retain_recent(10);
        for number in 0..100_000 {
            ask(&limits, number).await;
        }
        assert!(limits.clients() <= 20 + (1 << 16), "{}", limits.clients());
        // Whoever shares is limited as well.
        let mut served = 0;
        for _ in 0..10 {
            served += u32::from(ask(&limits, 7).await.status() == 200);
        }
        assert!(served <= 3, "{served}");
    }

    #[tokio::test]
    async fn clients_with_their_whole_quota_are_forgotten() {
        let mut tasks = JoinSet::new();
        let limits = limits("1000000/1", 50_000, &mut tasks);
        ask(&limits, 1).await;
        while limits.clients() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
