//! Leader election: who holds the lease acts, and nobody else.
//!
//! It works as Kubernetes' own does. A candidate judges a lease by how long it has seen it unchanged, by its own clock,
//! so that clocks that differ do no harm; and every write names the version that it replaces, so that of two candidates
//! one fails. What is on crates.io instead takes a lease over by a patch that no version guards, by the clocks of two
//! machines, and notices a lease that was given back only when it would have expired.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::outage::Outage;

/// How often a candidate looks: a lease that was given back is taken within this time.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Which lease, and who asks for it.
#[derive(Clone, Debug)]
pub struct LeaseConfig {
    /// The namespace that the lease is in.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// This replica; no other may have the same name at the same time. A replica that finds itself the holder, since it was
    /// started again, goes on as such.
    pub identity: String,
    /// How long the others wait for a holder that is silent; whole seconds, two at least.
    pub duration: Duration,
}

impl LeaseConfig {
    /// Between two renewals; also the longest that one may take.
    fn renew_every(&self) -> Duration {
        self.duration / 4
    }

    /// How long a holder may act after it asked for the renewal that succeeded last. The rest of the duration is what its
    /// clock and those of the others may disagree by.
    fn usable(&self) -> Duration {
        self.duration * 3 / 4
    }
}

/// Tells whether this replica may act at this moment.
#[derive(Clone, Debug)]
pub struct Held(Arc<Mutex<Option<Instant>>>);

impl Held {
    /// False from the moment on in which another replica might hold the lease.
    #[must_use]
    pub fn now(&self) -> bool {
        !self.left().is_zero()
    }

    /// Without a lease: this replica is the only one.
    #[must_use]
    pub fn always() -> Self {
        Self(Arc::default())
    }

    /// Of a lease that is lost.
    #[cfg(test)]
    pub(crate) fn never() -> Self {
        Self(Arc::new(Mutex::new(Some(Instant::now()))))
    }

    /// For how long it may still act.
    fn left(&self) -> Duration {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()))
    }

    fn set(&self, until: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }
}

/// Why a replica no longer leads.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// The lease has another holder, or is gone.
    #[error("the lease has been taken: its holder is {0}")]
    Taken(String),
    /// The API server has not taken a renewal for too long.
    #[error("the lease could not be renewed in time")]
    Silence,
}

/// One that wants to lead.
pub struct Candidate {
    api: Api<Lease>,
    config: LeaseConfig,
    seen: Option<(LeaseSpec, Instant)>,
}

impl Candidate {
    /// Does nothing yet.
    #[must_use]
    pub fn new(client: Client, config: LeaseConfig) -> Self {
        Self { api: Api::namespaced(client, &config.namespace), config, seen: None }
    }

    /// Waits, for ever if need be, until the lease is this replica's; `None` if `stop` comes first. `in_touch` is called
    /// whenever the API server has answered.
    pub async fn elected(mut self, stop: &CancellationToken, in_touch: impl Fn()) -> Option<Leadership> {
        let mut outage = Outage::default();
        loop {
            let asked = Instant::now();
            // Not cut off by `stop`: a lease that was just taken has to be given back.
            match within(self.config.renew_every(), self.try_to_take()).await {
                Ok(taken) => {
                    in_touch();
                    if outage.ends() {
                        info!("the API server answers again");
                    }
                    if let Some(lease) = taken {
                        info!(identity = self.config.identity, "leading");
                        return Some(Leadership::new(self.api, self.config, lease, asked));
                    }
                }
                Err(error) if outage.begins() => {
                    warn!(lease = self.config.name, %error, "the lease cannot be read or written: trying again");
                }
                Err(_) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY.mul_f64(rand::random_range(0.5..=1.0))) => {}
                () = stop.cancelled() => return None,
            }
        }
    }

    /// The lease, if it is ours now.
    async fn try_to_take(&mut self) -> Result<Option<Lease>, Failure> {
        let name = self.config.name.clone();
        let written = match self.api.get_opt(&name).await? {
            None => {
                let metadata = ObjectMeta { name: Some(name), ..ObjectMeta::default() };
                let lease = Lease { metadata, spec: Some(taken(&self.config, None)) };
                self.api.create(&PostParams::default(), &lease).await
            }
            Some(mut lease) => {
                let spec = lease.spec.take().unwrap_or_default();
                if !self.is_free(&spec) {
                    return Ok(None);
                }
                lease.spec = Some(taken(&self.config, Some(&spec)));
                self.api.replace(&name, &PostParams::default(), &lease).await
            }
        };
        match written {
            Ok(lease) => Ok(Some(lease)),
            // Another one was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
            Err(error) => Err(error.into()),
        }
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
}

/// The lease as its new holder writes it.
fn taken(config: &LeaseConfig, before: Option<&LeaseSpec>) -> LeaseSpec {
    let now = MicroTime(Timestamp::now());
    let transitions = before.map(|before| {
        let transitions = before.lease_transitions.unwrap_or_default();
        let stays = before.holder_identity.as_deref() == Some(&config.identity);
        if stays { transitions } else { transitions.saturating_add(1) }
    });
    LeaseSpec {
        holder_identity: Some(config.identity.clone()),
        lease_duration_seconds: i32::try_from(config.duration.as_secs()).ok(),
        lease_transitions: Some(transitions.unwrap_or_default()),
        acquire_time: Some(now.clone()),
        renew_time: Some(now),
        ..LeaseSpec::default()
    }
}

/// The lease is this replica's.
pub struct Leadership {
    api: Api<Lease>,
    config: LeaseConfig,
    lease: Lease,
    held: Held,
}

impl Leadership {
    fn new(api: Api<Lease>, config: LeaseConfig, lease: Lease, asked: Instant) -> Self {
        let held = Held::always();
        held.set(asked + config.usable());
        Self { api, config, lease, held }
    }

    /// To be asked before anything that only the leader may do.
    #[must_use]
    pub fn held(&self) -> Held {
        self.held.clone()
    }

    /// Renews the lease for as long as that works.
    pub async fn renew_until_lost(&mut self) -> Lost {
        loop {
            tokio::time::sleep(self.config.renew_every()).await;
            // Also an attempt that is under way: an API server that hangs prolongs nothing. If it takes the renewal all the
            // same, the next leader waits for that long.
            match tokio::time::timeout(self.held.left(), self.try_until_renewed()).await {
                Ok(None) => {}
                Ok(Some(lost)) => return lost,
                Err(_) => return Lost::Silence,
            }
        }
    }

    /// Tries again until it is renewed, or somebody else's.
    async fn try_until_renewed(&mut self) -> Option<Lost> {
        let mut outage = Outage::default();
        loop {
            let asked = Instant::now();
            match within(self.config.renew_every(), self.renew()).await {
                Ok(()) => {
                    self.held.set(asked + self.config.usable());
                    if outage.ends() {
                        info!("the lease is renewed again");
                    }
                    return None;
                }
                Err(Failure::Taken(holder)) => return Some(Lost::Taken(holder)),
                Err(error) if outage.begins() => warn!(%error, "the lease was not renewed: trying again"),
                Err(_) => {}
            }
            tokio::time::sleep(self.config.renew_every() / 8).await;
        }
    }

    async fn renew(&mut self) -> Result<(), Failure> {
        self.write(|spec| spec.renew_time = Some(MicroTime(Timestamp::now()))).await
    }

    /// Changes the lease if it is still ours.
    async fn write(&mut self, change: impl FnOnce(&mut LeaseSpec)) -> Result<(), Failure> {
        let mut lease = self.lease.clone();
        change(lease.spec.get_or_insert_default());
        match self.api.replace(&self.config.name, &PostParams::default(), &lease).await {
            Ok(lease) => {
                self.lease = lease;
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 404 => Err(Failure::Taken("nobody".to_owned())),
            // Changed by somebody: also by ourselves, with a write whose answer was lost.
            Err(kube::Error::Api(status)) if status.code == 409 => {
                let lease = self.api.get(&self.config.name).await?;
                let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
                if holder.as_deref() != Some(&self.config.identity) {
                    return Err(Failure::Taken(holder.unwrap_or_else(|| "nobody".to_owned())));
                }
                self.lease = lease;
                Err(Failure::Changed)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the lease back, so that another replica leads at once; from now on this one may do nothing. What is not given
    /// back expires.
    pub async fn release(mut self) {
        self.held.set(Instant::now());
        let limit = self.config.renew_every();
        if let Err(error) = within(limit, self.give_back()).await {
            warn!(%error, "the lease was not given back: it will expire");
        }
    }

    async fn give_back(&mut self) -> Result<(), Failure> {
        loop {
            let written = self.write(|spec| {
                spec.holder_identity = None;
                spec.lease_duration_seconds = Some(1);
                spec.acquire_time = None;
                spec.renew_time = None;
            });
            match written.await {
                // A renewal was under way when this replica was told to end.
                Err(Failure::Changed) => {}
                done => return done,
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Api(#[from] kube::Error),
    #[error("the API server did not answer in time")]
    Timeout,
    #[error("it was changed meanwhile")]
    Changed,
    #[error("its holder is {0}")]
    Taken(String),
}

async fn within<T>(limit: Duration, call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout(limit, call).await.unwrap_or(Err(Failure::Timeout))
}

#[cfg(test)]
mod tests;
