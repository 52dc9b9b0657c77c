use std::net::IpAddr;
use std::time::Duration;

use clap::Parser;
use farmlokal_settings::{DatabaseArgs, RedisArgs, duration};
use farmlokal_telemetry::LogArgs;

/// Seeds the catalogue with products that depend on nothing but --seed. Safe to run again: it goes on where an earlier
/// run stopped, and does nothing where the products are all there.
#[derive(Debug, Parser)]
#[command(name = "farmlokal-seed", version)]
pub(crate) struct Cli {
    /// How many products
    #[arg(long, env = "SEED_ROWS", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub rows: u64,
    /// Which products: the same number always gives the same ones
    #[arg(long, env = "SEED", default_value_t = 1)]
    pub seed: u64,
    /// Products in one transaction
    #[arg(long, env = "SEED_BATCH", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub batch: u64,
    /// Replace products of another origin, all of them
    #[arg(long, env = "SEED_REPLACE")]
    pub replace: bool,
    /// Leave a catalogue that holds other products as it is, without an error; --replace then replaces nothing
    #[arg(long, env = "SEED_WHEN_EMPTY")]
    pub when_empty: bool,
    /// Leave the cache alone
    #[arg(long, env = "SEED_NO_FLUSH")]
    pub no_flush: bool,
    /// How long to wait for another seed run to end, such as 10m
    #[arg(long, env = "SEED_WAIT", default_value = "10m", value_parser = duration)]
    pub wait: Duration,
    /// Address to listen on, with a management port
    #[arg(long, env = "HOST", default_value = "0.0.0.0")]
    pub host: IpAddr,
    /// TCP port for /metrics while the job runs; without it there is none
    #[arg(long, env = "MANAGEMENT_PORT")]
    pub management_port: Option<u16>,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub redis: RedisArgs,
    #[command(flatten)]
    pub logs: LogArgs,
}
