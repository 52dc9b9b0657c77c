//! The limiter inside this process, which holds without Redis: `tower_governor`'s, for one policy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use governor::clock::QuantaInstant;
use governor::middleware::NoOpMiddleware;
use tower::Layer as _;
use tower_governor::governor::{Governor, GovernorConfig, GovernorConfigBuilder};
use tower_governor::key_extractor::KeyExtractor;
use tower_governor::{GovernorError, GovernorLayer};

use crate::{Client, Policy, Rate};

type Middleware = NoOpMiddleware<QuantaInstant>;

/// The limiter of one policy.
pub(crate) struct Pod {
    config: Arc<GovernorConfig<ByClient, Middleware>>,
    layer: GovernorLayer<ByClient, Middleware, Body>,
    over_limit: Arc<AtomicBool>,
}

impl Pod {
    /// `refuse` answers a request that has to wait so long.
    pub(crate) fn new(policy: &Policy, refuse: impl Fn(Duration) -> Response + Send + Sync + 'static) -> Pod {
        let Rate { quota, window } = policy.rate;
        let over_limit = Arc::new(AtomicBool::new(false));
        let config = GovernorConfigBuilder::default()
            .key_extractor(ByClient { over_limit: Arc::clone(&over_limit) })
            // The time in which one permit comes back: what the crate calls `per_second` is that too, not a rate.
            .period(policy.rate.interval())
            .burst_size(quota)
            .finish();
        // It fails for a zero only, and a rate has none.
        let config = Arc::new(config.unwrap_or_else(|| unreachable!("a rate of {quota} in {window:?}")));
        let layer = GovernorLayer::new(Arc::clone(&config)).error_handler(move |error| {
            // The middleware of this crate names the client of each request, so this is the only error.
            let GovernorError::TooManyRequests { wait_time, .. } = error else { return refuse(window) };
            // It was rounded down.
            refuse(Duration::from_secs(wait_time + 1))
        });
        Pod { config, layer, over_limit }
    }

    /// Limits `service` by the [`Client`] among a request's extensions.
    pub(crate) fn around<S>(&self, service: S) -> Governor<ByClient, Middleware, S, Body> {
        self.layer.layer(service)
    }

    /// Forgets clients that have their whole quota again. While more than `capacity` are left, they share quotas.
    pub(crate) fn retain_recent(&self, capacity: usize) {
        let limiter = self.config.limiter();
        limiter.retain_recent();
        let over_limit = limiter.len() > capacity;
        if self.over_limit.swap(over_limit, Ordering::Relaxed) && !over_limit {
            limiter.shrink_to_fit();
        }
    }

    /// How many clients are remembered, about.
    pub(crate) fn clients(&self) -> usize {
        self.config.limiter().len()
    }
}

/// Takes the client that the request names. With more clients than there is memory for, they share: newcomers may then have
/// to wait for each other, and nobody gets more than before.
#[derive(Clone, Debug)]
pub(crate) struct ByClient {
    over_limit: Arc<AtomicBool>,
}

impl KeyExtractor for ByClient {
    type Key = Client;

    fn extract<T>(&self, request: &Request<T>) -> Result<Client, GovernorError> {
        let client = request.extensions().get::<Client>().copied();
        let client = client.ok_or(GovernorError::UnableToExtractKey)?;
        Ok(if self.over_limit.load(Ordering::Relaxed) { client.shared() } else { client })
    }
}
