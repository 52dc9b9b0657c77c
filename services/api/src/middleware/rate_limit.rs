//! Turns away clients that ask more than they may, before they cost anything. A client that is known costs a lock on its
//! account, which the connection remembers, a look into `tower_governor`'s sharded table, and two headers; only one that has run
//! ahead of Redis waits.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::extract::Request;
use axum::response::Response;
use farmlokal_rate_limit::{Limiter, Quota, Verdict};
use pin_project_lite::pin_project;
use tower::{Layer, Service};
use tower_governor::governor::Governor;

use crate::rate_limit::{Class, Fields, Governed, RateLimits};

/// Limits the requests of one connection.
#[derive(Clone)]
pub struct RateLimitLayer {
    limits: Arc<RateLimits>,
    peer: IpAddr,
}

impl RateLimitLayer {
    /// Limits what comes from `peer`, which may be a proxy.
    #[must_use]
    pub fn new(limits: Arc<RateLimits>, peer: IpAddr) -> Self {
        Self { limits, peer }
    }
}

impl<S: Clone> Layer<S> for RateLimitLayer {
    type Service = RateLimit<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let classes = Class::ALL.map(|class| {
            let limits = Arc::clone(&self.limits);
            Governor::new(inner.clone(), &self.limits.class(class).pod)
                .error_handler(move |error| limits.class(class).pod_refuses(&error))
        });
        let limiter = self.limits.limiter().clone();
        RateLimit { limits: Arc::clone(&self.limits), limiter, peer: self.peer, classes }
    }
}

/// See [`RateLimitLayer`].
#[derive(Clone)]
pub struct RateLimit<S> {
    limits: Arc<RateLimits>,
    limiter: Limiter,
    peer: IpAddr,
    classes: [Governed<S>; Class::ALL.len()],
}

impl<S> Service<Request> for RateLimit<S>
where
    S: Service<Request, Response = Response, Error: Send, Future: Send> + Clone + Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = RateLimitFuture<<Governed<S> as Service<Request>>::Future, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        for class in &mut self.classes {
            ready!(class.poll_ready(context))?;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let client = self.limits.client(self.peer, request.headers());
        let class = Class::of(request.uri());
        let service = &mut self.classes[class as usize];
        service.key_extractor.set_client(client);
        match self.limiter.check(class as u8, client) {
            Some(Verdict::Admitted(quota)) => {
                let fields = self.limits.class(class).fields.clone();
                RateLimitFuture::Admitted { inner: service.call(request), fields, quota }
            }
            Some(Verdict::Refused { quota, retry_after }) => {
                let response = refuse(&self.limits, class, quota, retry_after);
                RateLimitFuture::Refused { response: Some(response) }
            }
            None => {
                let (limits, mut service) = (Arc::clone(&self.limits), service.clone());
                RateLimitFuture::Waiting {
                    inner: Box::pin(async move {
                        match limits.limiter().wait(class as u8, client).await {
                            Verdict::Admitted(quota) => {
                                let mut response = service.call(request).await?;
                                limits.class(class).fields.add(response.headers_mut(), quota);
                                Ok(response)
                            }
                            Verdict::Refused { quota, retry_after } => {
                                Ok(refuse(&limits, class, quota, retry_after))
                            }
                        }
                    }),
                }
            }
        }
    }
}

fn refuse(limits: &RateLimits, class: Class, quota: Quota, retry_after: std::time::Duration) -> Response {
    let class = limits.class(class);
    class.refused.increment(1);
    class.fields.refusal(quota, retry_after)
}

pin_project! {
    /// See [`RateLimitLayer`].
    #[project = Projection]
    pub enum RateLimitFuture<F, E> {
        Admitted { #[pin] inner: F, fields: Fields, quota: Quota },
        Refused { response: Option<Response> },
        Waiting { inner: Pin<Box<dyn Future<Output = Result<Response, E>> + Send>> },
    }
}

impl<F: Future<Output = Result<Response, E>>, E> Future for RateLimitFuture<F, E> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projection::Admitted { inner, fields, quota } => {
                let mut response = ready!(inner.poll(context))?;
                fields.add(response.headers_mut(), *quota);
                Poll::Ready(Ok(response))
            }
            Projection::Refused { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                // Polled again after its end, which no caller does.
                None => Poll::Pending,
            },
            Projection::Waiting { inner } => inner.as_mut().poll(context),
        }
    }
}
