//! The controller's settings: each field a flag and an environment variable.

#![allow(clippy::doc_markdown, reason = "the help texts are for terminals")]

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Args, Parser, Subcommand};
use farmlokal_settings::{RedisArgs, duration, nonzero_duration};
use farmlokal_telemetry::{LogArgs, TraceArgs};

/// The FarmLokal controller: flushes the cache when a ProductCatalog asks for it.
#[derive(Debug, Parser)]
#[command(name = "farmlokal-controller", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do instead of running the controller.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The settings of the controller.
    #[command(flatten)]
    pub run: RunArgs,
}

/// What the binary can do besides.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the definition of ProductCatalog as YAML
    Crd,
}

/// The settings of the controller.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    pub(crate) controller: ControllerArgs,
    #[command(flatten)]
    pub(crate) redis: RedisArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
    #[command(flatten)]
    pub(crate) traces: TraceArgs,
}

/// Who this replica is, and how the leader is elected.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Controller")]
pub struct ControllerArgs {
    /// The name that the objects of this controller's release begin with. Required: it serves the ProductCatalogs whose
    /// spec.release this is, and leaves all others alone
    #[arg(long, env = "RELEASE")]
    release: Option<String>,
    /// Address to listen on
    #[arg(long, env = "HOST", default_value = "0.0.0.0")]
    pub(crate) host: IpAddr,
    /// TCP port of /livez, /readyz and /metrics
    #[arg(long, env = "MANAGEMENT_PORT", default_value_t = 9090)]
    pub(crate) management_port: u16,
    /// The controller's own namespace, where its lease is and the ProductCatalogs that it serves; by default that of the
    /// kubeconfig's context
    #[arg(long, env = "POD_NAMESPACE")]
    pub(crate) pod_namespace: Option<String>,
    /// This replica's name, which no other may have; by default a random one
    #[arg(long, env = "POD_NAME")]
    pub(crate) pod_name: Option<String>,
    /// The lease that the replicas elect their leader by
    #[arg(long, env = "LEASE_NAME", default_value = "farmlokal-controller")]
    pub(crate) lease_name: String,
    /// How long a leader that was killed keeps the others waiting; one that ends in order gives the lease back. A leader
    /// stops after three quarters of it without an answer of the API server
    #[arg(long, env = "LEASE_DURATION", default_value = "8s", value_parser = lease_duration)]
    pub(crate) lease_duration: Duration,
    /// How often the other replicas ask for the lease, and so how long a leader that ended in order keeps them waiting; below
    /// LEASE_DURATION
    #[arg(long, env = "LEASE_RETRY_PERIOD", default_value = "2s", value_parser = nonzero_duration)]
    pub(crate) lease_retry_period: Duration,
    /// On SIGTERM: how long flushes under way may take to finish
    #[arg(long, env = "SHUTDOWN_TIMEOUT", default_value = "10s", value_parser = nonzero_duration)]
    pub(crate) shutdown_timeout: Duration,
}

impl ControllerArgs {
    /// The release that this controller serves.
    ///
    /// # Errors
    /// It is not set, or the lease's times contradict each other.
    pub(crate) fn checked_release(&self) -> anyhow::Result<String> {
        let (duration, period) = (self.lease_duration, self.lease_retry_period);
        ensure!(period < duration, "LEASE_RETRY_PERIOD is {period:?}: LEASE_DURATION must be longer");
        self.release.clone().context("RELEASE is not set: whose ProductCatalogs are to be served?")
    }
}

/// Leases have whole seconds, and below two of them a busy API server looks like a dead one.
fn lease_duration(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    let seconds = duration.as_secs();
    if duration.subsec_nanos() != 0 || !(2..=3600).contains(&seconds) {
        return Err("must be whole seconds, from 2s to 1h".into());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory as _, FromArgMatches as _};

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_setting_has_an_environment_variable_and_help() {
        for arg in
            Cli::command().get_arguments().filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version"))
        {
            assert!(arg.get_env().is_some(), "{} has no environment variable", arg.get_id());
            assert!(arg.get_help().is_some(), "{} has no help", arg.get_id());
        }
    }

    #[test]
    fn no_secret_is_in_debug_output() {
        let command = Cli::command().mut_args(|arg| arg.env(clap::builder::Resettable::Reset));
        let flag = "--redis-url=redis://:hunter2@h:1";
        let cli = Cli::from_arg_matches(&command.try_get_matches_from(["x", flag]).unwrap()).unwrap();
        assert!(cli.run.redis.config().unwrap().url.contains("hunter2"));
        assert!(!format!("{cli:?}").contains("hunter2"));
    }

    #[test]
    fn a_lease_lasts_whole_seconds() {
        assert_eq!(lease_duration("8s"), Ok(Duration::from_secs(8)));
        for bad in ["1s", "2500ms", "0s", "2h", "8"] {
            assert!(lease_duration(bad).is_err(), "{bad}");
        }
    }
}
