//! The API's settings: one struct a concern, each field a flag and an environment variable.

#![allow(clippy::doc_markdown, rustdoc::bare_urls, reason = "the help texts are for terminals")]

use std::net::IpAddr;
use std::time::Duration;

use axum::http::HeaderValue;
use clap::{Args, Parser, Subcommand};
use farmlokal_auth::AuthConfig;
use farmlokal_cache::CacheConfig;
use farmlokal_catalog::CatalogConfig;
use farmlokal_search::SearchConfig;
use farmlokal_settings::{DatabaseArgs, RedisArgs, ReplicaArgs, duration, nonzero_duration};
use farmlokal_telemetry::{LogArgs, TraceArgs};
use url::Url;

use crate::partners::PartnersArgs;
use crate::rate_limit::RateLimitArgs;
pub use crate::webhook::WebhookArgs;

/// The FarmLokal product catalogue: its REST API and what belongs to it.
#[derive(Debug, Parser)]
#[command(name = "farmlokal-api", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; without a command, serve.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The settings of `serve`.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the REST API (what happens without a command too)
    Serve(Box<ServeArgs>),
    /// Bring the database's schema up to date, then exit; safe when several run at once
    Migrate(Box<MigrateArgs>),
    /// Rebuild every search index, after rows were changed by SQL
    Reindex(Box<ReindexArgs>),
    /// Print the OpenAPI document; with AUTH_ISSUER, that of the write API too
    Openapi(Box<OpenapiArgs>),
    /// Ask a running API for a list of products; exit code 0 if it answers with one
    Check(CheckArgs),
}

/// The settings of `check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// The list, with any parameters that lists have
    #[arg(long, env = "CHECK_URL", default_value = "http://127.0.0.1:5000/products")]
    pub(crate) url: String,
    /// How long the answer may take
    #[arg(long, env = "CHECK_TIMEOUT", default_value = "5s", value_parser = nonzero_duration)]
    pub(crate) timeout: Duration,
}

/// The settings of `migrate`.
#[derive(Args, Clone, Debug)]
pub struct MigrateArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

/// The settings of `reindex`.
#[derive(Args, Clone, Debug)]
pub struct ReindexArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) catalog: CatalogConfig,
}

/// The settings of `openapi`.
#[derive(Args, Clone, Debug)]
pub struct OpenapiArgs {
    /// Whose tokens are taken.
    #[command(flatten)]
    pub auth: AuthConfig,
}

/// The settings of `serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) replica: ReplicaArgs,
    #[command(flatten)]
    pub(crate) catalog: CatalogConfig,
    #[command(flatten)]
    pub(crate) search: SearchConfig,
    #[command(flatten)]
    pub(crate) redis: RedisArgs,
    #[command(flatten)]
    pub(crate) cache: CacheConfig,
    #[command(flatten)]
    pub(crate) partners: PartnersArgs,
    #[command(flatten)]
    pub(crate) webhook: WebhookArgs,
    #[command(flatten)]
    pub(crate) auth: AuthConfig,
    #[command(flatten)]
    pub(crate) rate_limit: RateLimitArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
    #[command(flatten)]
    pub(crate) traces: TraceArgs,
}

/// Listeners, limits and shutdown.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// Address to listen on
    #[arg(long, env = "HOST", default_value = "0.0.0.0")]
    pub(crate) host: IpAddr,
    /// TCP port of the API
    #[arg(long, env = "PORT", default_value_t = 5000)]
    pub(crate) port: u16,
    /// TCP port for /livez, /readyz, /health and /metrics; without it they are on the API's port
    #[arg(long, env = "MANAGEMENT_PORT")]
    pub(crate) management_port: Option<u16>,
    /// A request that takes longer is answered with 503
    #[arg(long, env = "REQUEST_TIMEOUT", default_value = "5s", value_parser = nonzero_duration)]
    pub(crate) request_timeout: Duration,
    /// How long a connection may take, from its start or from the last response, to complete the next request's header;
    /// also its longest idle time. Set it above the time for which the ingress keeps idle connections
    #[arg(long, env = "HEADER_TIMEOUT", default_value = "75s", value_parser = nonzero_duration)]
    pub(crate) header_timeout: Duration,
    /// How long a client may read nothing of a response before its connection is closed
    #[arg(long, env = "WRITE_TIMEOUT", default_value = "10s", value_parser = nonzero_duration)]
    pub(crate) write_timeout: Duration,
    /// A request's body that takes longer to arrive is answered with 408; less than REQUEST_TIMEOUT
    #[arg(long, env = "BODY_TIMEOUT", default_value = "3s", value_parser = nonzero_duration)]
    pub(crate) body_timeout: Duration,
    /// Bytes of a request's body at the most; a longer one is answered with 413
    #[arg(long, env = "MAX_BODY", default_value_t = 262_144, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_body: u32,
    /// The same for a batch of writes
    #[arg(long, env = "MAX_BATCH_BODY", default_value_t = 2_097_152, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_batch_body: u32,
    /// Requests answered at the same time; further ones get 503 at once
    #[arg(long, env = "MAX_REQUESTS", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_requests: u32,
    /// Origins whose scripts may use the API in browsers (CORS), such as https://shop.example,http://localhost:3000; or *
    #[arg(long, env = "CORS_ALLOWED_ORIGINS", value_name = "ORIGINS", value_delimiter = ',', value_parser = origin)]
    pub(crate) cors_allowed_origins: Vec<HeaderValue>,
    /// Connections held at the same time; further ones get 503 and are closed, or wait in the kernel's backlog
    #[arg(long, env = "MAX_CONNECTIONS", default_value_t = 8192, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_connections: u32,
    /// How long clients and shared caches may keep an answer without asking again, from when it is sent (max-age is this
    /// plus the response's age); 0s makes them revalidate each time
    #[arg(long, env = "HTTP_MAX_AGE", default_value = "0s", value_parser = duration)]
    pub(crate) http_max_age: Duration,
    /// On SIGTERM: how long to go on serving after /readyz has turned to 503, so that load balancers notice
    #[arg(long, env = "SHUTDOWN_DELAY", default_value = "0s", value_parser = duration)]
    pub(crate) shutdown_delay: Duration,
    /// On SIGTERM: how long requests in flight may take to finish
    #[arg(long, env = "SHUTDOWN_TIMEOUT", default_value = "20s", value_parser = duration)]
    pub(crate) shutdown_timeout: Duration,
}

/// An origin as browsers send it, or `*`.
fn origin(text: &str) -> Result<HeaderValue, String> {
    let is_origin = Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text);
    let value = HeaderValue::try_from(text).ok().filter(|_| text == "*" || is_origin && !text.contains('*'));
    value.ok_or_else(|| "write origins as https://shop.example, with commas between them, or *".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory as _, FromArgMatches as _};

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// A setting whose value the help does not show must not be shown by Debug either, whichever struct holds it.
    #[test]
    fn no_secret_is_in_debug_output() {
        let plain = Cli::command().mut_args(|arg| arg.env(clap::builder::Resettable::Reset));
        let hidden: Vec<_> = Cli::command()
            .get_arguments()
            .filter(|arg| arg.is_hide_env_values_set())
            .filter_map(|arg| arg.get_long().map(str::to_owned))
            .collect();
        assert!(hidden.len() >= 6, "{hidden:?}");
        for flag in hidden {
            // What each of them takes for a value: a URL, a header, or any text.
            let values = [
                "mysql://u:hunter2@h/d",
                "redis://:hunter2@h",
                "http://u:hunter2@h/hunter2",
                "authorization=hunter2",
                "whsec_aHVudGVyMg",
            ];
            let mut taken = 0;
            for value in values {
                let args = ["x", &format!("--{flag}={value}")];
                let Ok(matches) = plain.clone().try_get_matches_from(args) else { continue };
                let cli = Cli::from_arg_matches(&matches).unwrap();
                let debug = format!("{cli:?}");
                assert!(!debug.contains("hunter2") && !debug.contains("aHVudGVyMg"), "{flag}: {debug}");
                taken += 1;
            }
            assert!(taken > 0, "no value of this test suits --{flag}");
        }
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
    fn origins_are_as_browsers_send_them() {
        for good in ["*", "https://shop.example", "http://localhost:3000", "https://xn--bcher-kva.example"] {
            assert_eq!(origin(good).unwrap(), good);
        }
        for bad in [
            "",
            "shop.example",
            "https://shop.example/",
            "https://Shop.example",
            "https://a:443",
            "null",
            "https://*.a",
        ] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }
}
