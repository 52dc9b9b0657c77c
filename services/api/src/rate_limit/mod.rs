//! Who a client is, and how much it may ask. `docs/limits.md` explains it all.

mod address;
mod args;
mod class;
mod fields;

use std::cell::Cell;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use axum::response::{IntoResponse as _, Response};
use farmlokal_rate_limit::{Client, Limiter, Policy, Quota, Rate};
use farmlokal_redis::Connection;
use governor::clock::QuantaInstant;
use governor::middleware::NoOpMiddleware;
use metrics::{Counter, counter, describe_counter};
use tower_governor::GovernorError;
use tower_governor::governor::{GovernorConfig, GovernorConfigBuilder, SharedRateLimiter};
use tower_governor::key_extractor::KeyExtractor;

pub use address::{ClientAddress, ForwardedHeader};
pub use args::RateLimitArgs;
pub(crate) use class::Class;
pub(crate) use fields::Fields;

use crate::problem::{Code, Problem};

const REFUSED: &str = "farmlokal_rate_limited_total";
/// How often the limiters inside the process forget clients that have their whole quota again.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// Between so many requests of a thread the limiters inside the process see whether they remember too many clients. A prime: of
/// classes that take turns each has its look.
const LOOKED_AT_EVERY: u32 = 1_021;

/// `tower_governor`'s limiter inside this process, for one class.
pub(crate) type PodConfig = GovernorConfig<ByClient, NoOpMiddleware<QuantaInstant>>;

/// The limits of this process.
pub struct RateLimits {
    address: ClientAddress,
    limiter: Limiter,
    classes: [ClassLimit; Class::ALL.len()],
    capacity: usize,
}

/// The limits of one class of requests.
pub(crate) struct ClassLimit {
    pub(crate) fields: Fields,
    pub(crate) pod: Arc<PodConfig>,
    pub(crate) refused: Counter,
    refused_by_pod: Counter,
    crowded: Arc<AtomicBool>,
}

impl RateLimits {
    /// The limits that these settings describe, shared with other replicas over `redis`.
    #[must_use]
    pub fn new(args: &RateLimitArgs, redis: Arc<Connection>) -> RateLimits {
        describe_counter!(
            REFUSED,
            "Requests refused with 429, by policy, and by whom: the account over all replicas, or this process (pod)"
        );
        let policies = Class::ALL.map(|class| Policy::new(class.name(), args.rate(class), args.ahead));
        RateLimits {
            address: args.client_address(),
            limiter: Limiter::new(redis, &policies, args.clients.into()),
            classes: policies.map(|policy| ClassLimit::new(&policy, args.clients as usize)),
            capacity: args.clients as usize,
        }
    }

    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Client {
        self.address.resolve(peer, headers)
    }

    pub(crate) fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    pub(crate) fn class(&self, class: Class) -> &ClassLimit {
        &self.classes[class as usize]
    }

    /// Keeps the memory of the limiters inside the process bounded, for ever.
    pub async fn keep_house(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(HOUSEKEEPING);
        loop {
            ticks.tick().await;
            let limits = Arc::clone(&self);
            // Some milliseconds in a flood of addresses: no request should wait for it.
            let done = tokio::task::spawn_blocking(move || limits.forget()).await;
            if done.is_err() {
                return;
            }
        }
    }

    fn forget(&self) {
        for class in &self.classes {
            let limiter = class.pod.limiter();
            limiter.retain_recent();
            let crowded = limiter.len() > self.capacity;
            let was_crowded = class.crowded.swap(crowded, Ordering::Relaxed);
            if was_crowded && !crowded {
                limiter.shrink_to_fit();
            }
        }
    }

    /// How many clients are remembered, about: in all classes.
    pub(crate) fn clients(&self) -> usize {
        self.classes.iter().map(|class| class.pod.limiter().len()).sum()
    }
}

impl ClassLimit {
    fn new(policy: &Policy, capacity: usize) -> ClassLimit {
        let Rate { quota, window } = policy.rate;
        let crowded = Arc::new(AtomicBool::new(false));
        let limiter = Arc::new(OnceLock::new());
        let by_client =
            ByClient { client: None, crowded: Arc::clone(&crowded), limiter: Arc::clone(&limiter), capacity };
        let pod = GovernorConfigBuilder::default()
            .key_extractor(by_client)
            // The time in which one permit comes back: what the crate calls `per_second` is that too, not a rate.
            .period(policy.rate.interval())
            .burst_size(quota)
            .finish();
        // It knows no other reason than a zero, and a rate has none.
        let pod = pod.unwrap_or_else(|| unreachable!("a rate of {quota} in {window:?}"));
        let _ = limiter.set(Arc::clone(pod.limiter()));
        let refused = |by: &'static str| counter!(REFUSED, "policy" => policy.name, "by" => by);
        ClassLimit {
            fields: Fields::new(policy),
            pod: Arc::new(pod),
            refused: refused("account"),
            refused_by_pod: refused("pod"),
            crowded,
        }
    }

    /// The answer to a request that this process's own limiter refuses.
    pub(crate) fn pod_refuses(&self, error: &GovernorError) -> Response {
        let GovernorError::TooManyRequests { wait_time, .. } = error else {
            return Problem::new(Code::Internal, "The client has no address.").into_response();
        };
        self.refused_by_pod.increment(1);
        // Rounded down there.
        let retry_after = Duration::from_secs(wait_time + 1);
        self.fields.refusal(Quota { remaining: 0, reset: self.fields.window() }, retry_after)
    }
}

/// Says who the client is: the one that was named to it last. With more clients than there is memory for, they share: newcomers
/// may then have to wait for each other, and nobody gets more than before.
#[derive(Clone)]
pub struct ByClient {
    /// `None` until a client is named.
    client: Option<Client>,
    crowded: Arc<AtomicBool>,
    limiter: Arc<OnceLock<SharedRateLimiter<Client, NoOpMiddleware<QuantaInstant>>>>,
    capacity: usize,
}

impl ByClient {
    /// Names the client of the next request. An extension of the request would be three allocations.
    pub(crate) fn set_client(&mut self, client: Client) {
        self.client = Some(client);
    }

    /// Looks at the limiter now and then: a flood does not wait for the next round of [`RateLimits::keep_house`].
    fn is_crowded(&self) -> bool {
        thread_local! {
            /// Requests that this thread has seen: a count of all would be every core's at once.
            static SEEN: Cell<u32> = const { Cell::new(0) };
        }
        let seen = SEEN.get();
        SEEN.set(seen.wrapping_add(1));
        if seen.is_multiple_of(LOOKED_AT_EVERY)
            && self.limiter.get().is_some_and(|limiter| limiter.len() > self.capacity)
        {
            self.crowded.store(true, Ordering::Relaxed);
        }
        self.crowded.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for ByClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByClient")
            .field("client", &self.client)
            .field("crowded", &self.crowded)
            .finish_non_exhaustive()
    }
}

impl KeyExtractor for ByClient {
    type Key = Client;

    fn extract<T>(&self, _: &Request<T>) -> Result<Client, GovernorError> {
        let client = self.client.ok_or(GovernorError::UnableToExtractKey)?;
        Ok(if self.is_crowded() { client.shared() } else { client })
    }
}

/// What [`RateLimits`] puts around the API's services.
pub type Governed<S> = tower_governor::governor::Governor<ByClient, NoOpMiddleware<QuantaInstant>, S, Body>;

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::Ipv4Addr;

    use clap::Parser as _;
    use farmlokal_redis::RedisConfig;
    use tower::{Service as _, service_fn};

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[command(flatten)]
        rate_limit: RateLimitArgs,
    }

    fn limits(flags: &[&str]) -> RateLimits {
        let args = Cli::parse_from([&["x"], flags].concat()).rate_limit;
        RateLimits::new(&args, Connection::new(&RedisConfig::new("redis://127.0.0.1:1"), "test").unwrap())
    }

    fn client(number: u32) -> Client {
        Client::new(Ipv4Addr::from_bits(number).into(), 64)
    }

    /// The limiter inside the process alone, without accounts and Redis.
    async fn ask(class: &'static ClassLimit, client: Client) -> Response {
        let routes = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
        let pod: Governed<_> = Governed::new(routes, &class.pod);
        let mut pod = pod.error_handler(|error| class.pod_refuses(&error));
        pod.key_extractor.set_client(client);
        pod.call(Request::new(Body::empty())).await.unwrap()
    }

    #[tokio::test]
    async fn the_limiter_inside_the_process_holds_alone() {
        let limits: &'static RateLimits = Box::leak(Box::new(limits(&["--rate-limit", "3/3600"])));
        let class = limits.class(Class::Default);
        for _ in 0..3 {
            assert_eq!(ask(class, client(1)).await.status(), 200);
        }
        let refused = ask(class, client(1)).await;
        assert_eq!(refused.status(), 429);
        assert_eq!(refused.headers()["ratelimit"], "\"default\";r=0;t=3600");
        assert!(refused.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 1200);
        assert_eq!(ask(class, client(2)).await.status(), 200);
        assert_eq!(limits.clients(), 2);
    }

    #[tokio::test]
    async fn more_clients_than_fit_share() {
        let flags = ["--rate-limit", "3/3600", "--rate-limit-clients", "10"];
        let limits: &'static RateLimits = Box::leak(Box::new(limits(&flags)));
        let class = limits.class(Class::Default);
        for number in 0..20 {
            ask(class, client(number)).await;
        }
        limits.forget();
        for number in 0..100_000 {
            ask(class, client(number)).await;
        }
        assert!(limits.clients() <= 20 + (1 << 16), "{}", limits.clients());
        // Whoever shares is limited as well.
        let served = async |_| u32::from(ask(class, client(7)).await.status() == 200);
        let mut sum = 0;
        for number in 0..10 {
            sum += served(number).await;
        }
        assert!(sum <= 3, "{sum}");
    }

    #[tokio::test]
    async fn clients_with_their_whole_quota_are_forgotten() {
        let limits: &'static RateLimits = Box::leak(Box::new(limits(&["--rate-limit", "1000000/1"])));
        ask(limits.class(Class::Default), client(1)).await;
        while limits.clients() > 0 {
            limits.forget();
            tokio::task::yield_now().await;
        }
    }
}
