//! The steps, in the order in which they run. Each file is named after what it proves.

#![allow(clippy::doc_markdown, reason = "the help texts are for terminals")]

mod api_server;
mod drain;
mod flush;
mod idle;
mod install;
mod leader;
mod mid_flush;
mod products;
mod rate_limits;
mod rbac;
mod redis_restart;
mod rolling_update;
mod scale;
mod seed;
mod uninstall;
mod upgrade;

use anyhow::Result;

use crate::suite::Suite;

/// A step. Its documentation is what it proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Step {
    /// `helm install` ends with everything ready, and `helm test` passes
    Install,
    /// `kubectl create job --from=cronjob/farmlokal-seed` seeds
    Seed,
    /// Products through the Service and through the Ingress are the same and complete
    Products,
    /// Rate limits follow the real client through the Ingress; a forged X-Forwarded-For changes nothing
    RateLimits,
    /// An edit of a ProductCatalog flushes exactly once, and no API pod serves anything older
    Flush,
    /// The controller may do what it needs and nothing else; API and seeding may do nothing
    Rbac,
    /// What the controller costs while nothing happens
    Idle,
    /// A rolling update of the API fails no request
    RollingUpdate,
    /// Draining a node fails no request
    Drain,
    /// The leader killed in the middle of a flush, then its pod deleted too: the flush ends, no request fails
    Leader,
    /// The API server killed in the middle of a flush: the flush ends, no request fails
    ApiServer,
    /// Redis killed under load, then in the middle of a flush: the flush ends, no request fails
    RedisRestart,
    /// The HPA adds replicas under load
    Scale,
    /// `helm upgrade` and `helm rollback` fail no request and lose nothing
    Upgrade,
    /// `helm uninstall` leaves nothing behind
    Uninstall,
}

impl Step {
    pub(crate) async fn run(self, suite: &Suite<'_>) -> Result<()> {
        match self {
            Step::Install => install::run(suite).await,
            Step::Seed => seed::run(suite).await,
            Step::Products => products::run(suite).await,
            Step::RateLimits => rate_limits::run(suite).await,
            Step::Flush => flush::run(suite).await,
            Step::Rbac => rbac::run(suite).await,
            Step::Idle => idle::run(suite).await,
            Step::RollingUpdate => rolling_update::run(suite).await,
            Step::Drain => drain::run(suite).await,
            Step::Leader => leader::run(suite).await,
            Step::ApiServer => api_server::run(suite).await,
            Step::RedisRestart => redis_restart::run(suite).await,
            Step::Scale => scale::run(suite).await,
            Step::Upgrade => upgrade::run(suite).await,
            Step::Uninstall => uninstall::run(suite).await,
        }
    }
}
