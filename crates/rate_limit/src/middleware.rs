//! The middleware that limits requests, and what all requests share.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request};
use axum::http::Uri;
use axum::response::Response;
use farmlokal_redis::Connection;
use metrics::{Counter, counter, describe_counter};
use tokio::task::JoinSet;
use tower::{Layer, Service};

use crate::fields::Fields;
use crate::pod::Pod;
use crate::{ClientAddress, Limiter, Policy, Quota, Verdict};

const REFUSED: &str = "farmlokal_rate_limited_total";
/// How often the limiters inside the process forget clients that have their whole quota again.
const RETAIN_EVERY: Duration = Duration::from_secs(1);

pub(crate) fn describe_metrics() {
    describe_counter!(
        REFUSED,
        "Requests refused with 429, by policy, and by whom: the account over all replicas, or this process (pod)"
    );
}

/// What the limits are, and what the service answers by them.
#[derive(Clone, Debug)]
pub struct Config {
    /// One for each class of requests.
    pub policies: Vec<Policy>,
    /// The index of the policy for requests to this URI.
    pub classify: fn(&Uri) -> usize,
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
    limiter: Limiter,
    classes: Vec<Class>,
}

/// The limits of one class of requests.
struct Class {
    fields: Fields,
    pod: Pod,
    refused: Counter,
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
        self.classes.iter().map(|class| class.pod.clients()).sum()
    }

    /// Keeps the memory of the limiters inside the process bounded, for ever.
    async fn retain(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(RETAIN_EVERY);
        loop {
            ticks.tick().await;
            let limits = Arc::clone(&self);
            // Some milliseconds in a flood of addresses: no request should wait for it.
            let done = tokio::task::spawn_blocking(move || {
                limits
                    .classes
                    .iter()
                    .for_each(|class| class.pod.retain_recent(limits.config.clients as usize));
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
        let (fields, by_pod) = (Fields::new(policy), refused("pod"));
        let nothing_left = Quota { remaining: 0, reset: policy.rate.window };
        let pod = Pod::new(policy, {
            let fields = fields.clone();
            move |retry_after| {
                by_pod.increment(1);
                fields.on(refuse(retry_after), nothing_left)
            }
        });
        Class { fields, pod, refused: refused("account") }
    }
}

/// Limits the requests of each client, whose address is that of [`ConnectInfo`]`<SocketAddr>` or what proxies say of it. By
/// hand, since axum's `from_fn` boxes the service inside for each request.
#[derive(Clone)]
pub struct RateLimitLayer(pub Arc<RateLimits>);

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimit<S>;

    fn layer(&self, inner: S) -> RateLimit<S> {
        RateLimit { limits: Arc::clone(&self.0), inner }
    }
}

/// See [`RateLimitLayer`].
#[derive(Clone)]
pub struct RateLimit<S> {
    limits: Arc<RateLimits>,
    inner: S,
}

impl<S> Service<Request> for RateLimit<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let limits = Arc::clone(&self.limits);
        // The clone takes the place of the one that is ready.
        let next = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, next);
        Box::pin(async move {
            let peer =
                request.extensions().get().map(|ConnectInfo(peer): &ConnectInfo<SocketAddr>| peer.ip());
            let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            let client = limits.config.address.resolve(peer, request.headers());
            let class = (limits.config.classify)(request.uri());
            let verdict = limits.limiter.check(class, client).await;
            let class = &limits.classes[class];
            match verdict {
                Verdict::Admitted(quota) => {
                    request.extensions_mut().insert(client);
                    let response = class.pod.around(ready).call(request).await?;
                    Ok(class.fields.on(response, quota))
                }
                Verdict::Refused { quota, retry_after } => {
                    class.refused.increment(1);
                    Ok(class.fields.on((limits.config.refuse)(retry_after), quota))
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use farmlokal_redis::RedisConfig;
    use tower::service_fn;

    use super::*;
    use crate::{Client, ForwardedHeader};

    fn limits(rate: &str, clients: u32, tasks: &mut JoinSet<()>) -> Arc<RateLimits> {
        let config = Config {
            policies: vec![Policy::new("default", rate.parse().unwrap(), 2)],
            classify: |_| 0,
            refuse: |_| {
                axum::response::IntoResponse::into_response(axum::http::StatusCode::TOO_MANY_REQUESTS)
            },
            address: ClientAddress {
                networks: Vec::new(),
                hops: 0,
                header: ForwardedHeader::XForwardedFor,
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
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(Client::new(Ipv4Addr::from_bits(client).into(), 64));
        limits.classes[0].pod.around(routes).call(request).await.unwrap()
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
        limits.classes[0].pod.retain_recent(10);
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
