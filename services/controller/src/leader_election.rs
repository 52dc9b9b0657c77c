//! Leader election: the holder of the lease acts, and nobody else.
//!
//! It works as client-go's does. A candidate judges a lease by how long it has seen it unchanged, by its own clock, so that
//! clocks that differ do no harm. Every write names the version that it replaces, so of two candidates one fails.
//!
//! By hand, since kube has none (<https://github.com/kube-rs/kube/issues/485>), and the crates for it take a lease over by a
//! patch that no version guards, or notice a lease that was given back only when it would have expired.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use backon::Retryable as _;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::error::answer_within;
use crate::failure_log::FailureLog;
use crate::flush::pauses;
use crate::management::Readiness;

const TAKEN: &str = "the lease has been taken by another replica";
const EXPIRED: &str = "the lease could not be renewed in time";

/// A replica that wants to lead, or does.
pub(crate) struct Elector {
    leases: Api<Lease>,
    /// The name of the lease.
    name: String,
    /// This replica; no other may have the same name at the same time. A replica that finds itself the holder, since it was
    /// started again, goes on as such.
    identity: String,
    /// How long the others wait for a holder that is silent; whole seconds, two at least.
    duration: Duration,
    /// The longest between two looks of a candidate: a lease that was given back is taken within this time.
    retry_period: Duration,
    seen: Option<(LeaseSpec, Instant)>,
    /// How long this replica may lead without another renewal.
    usable_until: Instant,
    failures: FailureLog,
}

impl Elector {
    /// Does nothing yet.
    pub(crate) fn new(
        leases: Api<Lease>,
        name: String,
        identity: String,
        duration: Duration,
        retry_period: Duration,
    ) -> Self {
        let (usable_until, failures) = (Instant::now(), FailureLog::default());
        Self { leases, name, identity, duration, retry_period, seen: None, usable_until, failures }
    }

    /// Between two renewals; also the longest that one may take.
    fn renew_every(&self) -> Duration {
        self.duration / 4
    }

    /// Waits, for ever if need be, until the lease is this replica's; false if the process is to end before.
    pub(crate) async fn acquire(&mut self, readiness: &Readiness) -> bool {
        loop {
            // Not cut off when the process is to end: a lease that was just taken has to be given back.
            if let Some(holds) = self.try_and_log().await {
                readiness.in_touch.store(true, Relaxed);
                if holds {
                    info!(identity = self.identity, "leading");
                    return true;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(self.retry_period.mul_f64(rand::random_range(0.8..=1.0))) => {}
                () = readiness.stop.cancelled() => return false,
            }
        }
    }

    /// Renews the lease for as long as that works; returns why it no longer does.
    pub(crate) async fn renew_until_lost(&mut self) -> &'static str {
        let mut pause = self.renew_every();
        loop {
            let usable_until = self.usable_until;
            let attempt = async {
                tokio::time::sleep(pause).await;
                self.try_and_log().await
            };
            // Also an attempt that is under way: an API server that hangs prolongs nothing. If it takes the renewal all the
            // same, the next leader waits for that long.
            pause = match tokio::time::timeout_at(usable_until, attempt).await {
                Ok(Some(true)) => self.renew_every(),
                Ok(Some(false)) => return TAKEN,
                Ok(None) => self.renew_every() / 8,
                Err(_) => return EXPIRED,
            };
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
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => self.failures.api_failed("the lease cannot be read or written", &error),
        }
        None
    }

    /// Takes the lease or renews it. False while another replica holds it.
    async fn try_to_hold(&mut self) -> kube::Result<bool> {
        let (asked, limit, params) = (Instant::now(), self.renew_every(), PostParams::default());
        let found = answer_within(limit, self.leases.get_opt(&self.name)).await?;
        let before = found.as_ref().and_then(|lease| lease.spec.clone()).unwrap_or_default();
        if !self.is_free(&before) {
            return Ok(false);
        }
        let spec = Some(self.held(before));
        if let Some(lease) = found {
            let lease = Lease { spec, ..lease };
            answer_within(limit, self.leases.replace(&self.name, &params, &lease)).await?;
        } else {
            let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
            answer_within(limit, self.leases.create(&params, &Lease { metadata, spec })).await?;
        }
        // The rest is what our clock and those of the others may disagree by.
        self.usable_until = asked + self.duration * 3 / 4;
        Ok(true)
    }

    fn is_free(&mut self, spec: &LeaseSpec) -> bool {
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder.is_empty() || holder == self.identity {
            return true;
        }
        match &self.seen {
            Some((seen, at)) if seen == spec => {
                let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
                at.elapsed() > seconds.map_or(self.duration, Duration::from_secs)
            }
            _ => {
                self.seen = Some((spec.clone(), Instant::now()));
                false
            }
        }
    }

    /// The lease as this replica writes it.
    fn held(&self, before: LeaseSpec) -> LeaseSpec {
        let (now, identity) = (MicroTime(Timestamp::now()), Some(self.identity.clone()));
        let stays = before.holder_identity == identity;
        LeaseSpec {
            holder_identity: identity,
            lease_duration_seconds: i32::try_from(self.duration.as_secs()).ok(),
            lease_transitions: Some(before.lease_transitions.map_or(0, |count| count + i32::from(!stays))),
            acquire_time: before.acquire_time.filter(|_| stays).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            ..LeaseSpec::default()
        }
    }

    /// Gives the lease back, so that another replica leads at once. What is not given back expires.
    pub(crate) async fn release(self) {
        let give_back = async || {
            let mut lease = self.leases.get(&self.name).await?;
            let spec = lease.spec.take().unwrap_or_default();
            if spec.holder_identity.as_deref() == Some(&self.identity) {
                let (lease_duration_seconds, lease_transitions) = (Some(1), spec.lease_transitions);
                lease.spec =
                    Some(LeaseSpec { lease_duration_seconds, lease_transitions, ..LeaseSpec::default() });
                self.leases.replace(&self.name, &PostParams::default(), &lease).await?;
            }
            Ok(())
        };
        let give_back = (|| give_back()).retry(pauses());
        if let Err(error) = answer_within(self.renew_every(), give_back).await {
            warn!(%error, "the lease was not given back: it will expire");
        }
    }
}

#[cfg(test)]
mod tests;
