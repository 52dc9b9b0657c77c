//! Leader election: the holder of the lease acts, and nobody else.
//!
//! It works as client-go's does. A candidate judges a lease by how long it has seen it unchanged, by its own clock, so that
//! clocks that differ do no harm. Every write names the version that it replaces, so of two candidates one fails.
//!
//! By hand, since kube has none (<https://github.com/kube-rs/kube/issues/485>), and the crates for it take a lease over by a
//! patch that no version guards, or notice a lease that was given back only when it would have expired.

use std::time::Duration;

use backon::Retryable as _;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::error::{ApiError, answer_within};
use crate::failure_log::FailureLog;
use crate::flush::pauses;

/// How often a candidate looks: a lease that was given back is taken within this time.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Which lease, and who asks for it.
#[derive(Clone, Debug)]
pub(crate) struct LeaseConfig {
    /// The namespace that the lease is in.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// This replica; no other may have the same name at the same time. A replica that finds itself the holder, since it was
    /// started again, goes on as such.
    pub(crate) identity: String,
    /// How long the others wait for a holder that is silent; whole seconds, two at least.
    pub(crate) duration: Duration,
}

impl LeaseConfig {
    /// Between two renewals; also the longest that one may take.
    fn renew_every(&self) -> Duration {
        self.duration / 4
    }
}

const TAKEN: &str = "the lease has been taken by another replica";
const EXPIRED: &str = "the lease could not be renewed in time";

/// A replica that wants to lead, or does.
pub(crate) struct Elector {
    api: Api<Lease>,
    config: LeaseConfig,
    seen: Option<(LeaseSpec, Instant)>,
    /// How long this replica may lead without another renewal.
    usable_until: Instant,
    failures: FailureLog,
}

impl Elector {
    /// Does nothing yet.
    pub(crate) fn new(client: Client, config: LeaseConfig) -> Self {
        let (api, usable_until) = (Api::namespaced(client, &config.namespace), Instant::now());
        Self { api, config, seen: None, usable_until, failures: FailureLog::default() }
    }

    /// Waits, for ever if need be, until the lease is this replica's; false if `stop` comes first. `in_touch` is called
    /// whenever the API server has answered.
    pub(crate) async fn acquire(&mut self, stop: &CancellationToken, in_touch: impl Fn()) -> bool {
        loop {
            // Not cut off by `stop`: a lease that was just taken has to be given back.
            if let Some(holds) = self.try_and_log().await {
                in_touch();
                if holds {
                    info!(identity = self.config.identity, "leading");
                    return true;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY.mul_f64(rand::random_range(0.5..=1.0))) => {}
                () = stop.cancelled() => return false,
            }
        }
    }

    /// Renews the lease for as long as that works; returns why it no longer does.
    pub(crate) async fn renew_until_lost(&mut self) -> &'static str {
        loop {
            tokio::time::sleep(self.config.renew_every()).await;
            // Also an attempt that is under way: an API server that hangs prolongs nothing. If it takes the renewal all the
            // same, the next leader waits for that long.
            match tokio::time::timeout_at(self.usable_until, self.try_until_answered()).await {
                Ok(true) => {}
                Ok(false) => return TAKEN,
                Err(_) => return EXPIRED,
            }
        }
    }

    async fn try_until_answered(&mut self) -> bool {
        loop {
            if let Some(holds) = self.try_and_log().await {
                return holds;
            }
            tokio::time::sleep(self.config.renew_every() / 8).await;
        }
    }

    /// Whether this replica holds the lease now; nothing where that could not be found out.
    async fn try_and_log(&mut self) -> Option<bool> {
        match self.try_to_hold().await {
            Ok(holds) => {
                if self.failures.is_over() {
                    info!("the API server answers again");
                }
                return Some(holds);
            }
            // Somebody wrote between our read and our write: an answer is one attempt away.
            Err(error) if error.code() == Some(409) => {}
            Err(error) => self.failures.api_failed("the lease cannot be read or written", &error),
        }
        None
    }

    /// Takes the lease or renews it. False while another replica holds it.
    async fn try_to_hold(&mut self) -> Result<bool, ApiError> {
        let (asked, limit, params) = (Instant::now(), self.config.renew_every(), PostParams::default());
        let name = &self.config.name;
        match answer_within(limit, self.api.get_opt(name)).await? {
            None => {
                let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
                let lease = Lease { metadata, spec: Some(self.held(None)) };
                answer_within(limit, self.api.create(&params, &lease)).await?;
            }
            Some(mut lease) => {
                let spec = lease.spec.take().unwrap_or_default();
                if !self.is_free(&spec) {
                    return Ok(false);
                }
                lease.spec = Some(self.held(Some(spec)));
                answer_within(limit, self.api.replace(&self.config.name, &params, &lease)).await?;
            }
        }
        // The rest is what our clock and those of the others may disagree by.
        self.usable_until = asked + self.config.duration * 3 / 4;
        Ok(true)
    }

    fn is_free(&mut self, spec: &LeaseSpec) -> bool {
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder.is_empty() || holder == self.config.identity {
            return true;
        }
        match &self.seen {
            Some((seen, at)) if seen == spec => {
                let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
                at.elapsed() > seconds.map_or(self.config.duration, Duration::from_secs)
            }
            _ => {
                self.seen = Some((spec.clone(), Instant::now()));
                false
            }
        }
    }

    /// The lease as this replica writes it.
    fn held(&self, before: Option<LeaseSpec>) -> LeaseSpec {
        let (now, identity) = (MicroTime(Timestamp::now()), Some(self.config.identity.clone()));
        let before =
            before.unwrap_or_else(|| LeaseSpec { holder_identity: identity.clone(), ..LeaseSpec::default() });
        let stays = before.holder_identity == identity;
        LeaseSpec {
            holder_identity: identity,
            lease_duration_seconds: i32::try_from(self.config.duration.as_secs()).ok(),
            lease_transitions: Some(before.lease_transitions.unwrap_or_default() + i32::from(!stays)),
            acquire_time: before.acquire_time.filter(|_| stays).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            ..LeaseSpec::default()
        }
    }

    /// Gives the lease back, so that another replica leads at once. What is not given back expires.
    pub(crate) async fn release(self) {
        let give_back = async || {
            let mut lease = self.api.get(&self.config.name).await?;
            let spec = lease.spec.take().unwrap_or_default();
            if spec.holder_identity.as_deref() == Some(&self.config.identity) {
                let (lease_duration_seconds, lease_transitions) = (Some(1), spec.lease_transitions);
                lease.spec =
                    Some(LeaseSpec { lease_duration_seconds, lease_transitions, ..LeaseSpec::default() });
                self.api.replace(&self.config.name, &PostParams::default(), &lease).await?;
            }
            Ok(())
        };
        let give_back = (|| give_back()).retry(pauses());
        if let Err(error) = answer_within(self.config.renew_every(), give_back).await {
            warn!(%error, "the lease was not given back: it will expire");
        }
    }
}

#[cfg(test)]
mod tests;
