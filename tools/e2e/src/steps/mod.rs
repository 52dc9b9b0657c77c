//! The steps, in the order in which they run. Each file is named after what it proves.

#![allow(clippy::doc_markdown, reason = "the help texts are for terminals")]

mod mid_flush;

use anyhow::Result;

pub(crate) use self::apply::clear as clear_applied;
use crate::suite::Suite;

/// Each step with what it proves, and the module that does.
macro_rules! steps {
    ($(#[doc = $about:literal] $step:ident in $module:ident,)*) => {
        $(mod $module;)*

        /// A step. Its documentation is what it proves.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
        pub(crate) enum Step {
            $(#[doc = $about] $step,)*
        }

        impl Step {
            pub(crate) async fn run(self, suite: &Suite<'_>) -> Result<()> {
                match self {
                    $(Step::$step => $module::run(suite).await,)*
                }
            }
        }
    };
}

steps! {
    /// `helm install` ends with everything ready, and `helm test` passes
    Install in install,
    /// `kubectl create job --from=cronjob/farmlokal-seed` seeds
    Seed in seed,
    /// Products through the Service and through the Ingress are the same and complete
    Products in products,
    /// A product is created, changed and deleted by a token of the sandbox, and every replica shows it at once
    Writes in writes,
    /// Rate limits follow the real client through the Ingress; a forged X-Forwarded-For changes nothing
    RateLimits in rate_limits,
    /// An edit of a ProductCatalog flushes exactly once, and no API pod serves anything older
    Flush in flush,
    /// The controller may do what it needs and nothing else, API and seeding nothing; an editor of the namespace flushes and seeds
    Rbac in rbac,
    /// What the controller costs while nothing happens
    Idle in idle,
    /// A rolling update of the API fails no request
    RollingUpdate in rolling_update,
    /// Draining a node fails no request
    Drain in drain,
    /// The leader killed in the middle of a flush, then its pod deleted too: the flush ends, no request fails
    Leader in leader,
    /// The API server killed in the middle of a flush: the flush ends, no request fails
    ApiServer in api_server,
    /// Redis killed under load, then in the middle of a flush: the flush ends, no request fails
    RedisRestart in redis_restart,
    /// The HPA adds replicas under load
    Scale in scale,
    /// `helm upgrade` and `helm rollback` fail no request and lose nothing
    Upgrade in upgrade,
    /// `helm template | kubectl apply` twice over, then upgraded, makes what `helm` makes, by the longest name of a release
    Apply in apply,
    /// `helm uninstall` leaves nothing behind but the Lease and the definition
    Uninstall in uninstall,
}
