//! The sandbox's settings. The secrets' defaults are public: nothing real may use them.

#![allow(clippy::doc_markdown, reason = "the help texts are for terminals")]

use std::net::{IpAddr, Ipv4Addr};

use clap::{Args, Parser};
use farmlokal_telemetry::LogArgs;
use secrecy::SecretString;

const CLIENT_ID: &str = "farmlokal";
const CLIENT_SECRET: &str = "sandbox-secret";
/// `farmlokal-sandbox-signing-key-1!` in base64.
const WEBHOOK_SECRET: &str = "whsec_ZmFybWxva2FsLXNhbmRib3gtc2lnbmluZy1rZXktMSE=";

/// FarmLokal's partners, simulated: a token endpoint, API A, and API B with its webhooks.
#[derive(Debug, Parser)]
#[command(name = "farmlokal-sandbox", version)]
pub struct Cli {
    /// What the partners are.
    #[command(flatten)]
    pub config: Config,
    /// What is logged.
    #[command(flatten)]
    pub logs: LogArgs,
}

/// Where the partners are and what they expect.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Sandbox")]
pub struct Config {
    /// Address to listen on; the control routes have no password
    #[arg(long, env = "SANDBOX_HOST", default_value_t = IpAddr::from(Ipv4Addr::LOCALHOST))]
    pub host: IpAddr,
    /// TCP port of everything; 0 takes a free one
    #[arg(long, env = "SANDBOX_PORT", default_value_t = 5100)]
    pub port: u16,
    /// The OAuth2 client that is known
    #[arg(long, env = "SANDBOX_CLIENT_ID", default_value = CLIENT_ID)]
    pub client_id: String,
    /// Its secret
    #[arg(long, env = "SANDBOX_CLIENT_SECRET", default_value = CLIENT_SECRET, hide_env_values = true, hide_default_value = true)]
    pub client_secret: SecretString,
    /// The audience that tokens are asked for; without it any will do
    #[arg(long, env = "SANDBOX_AUDIENCE")]
    pub audience: Option<String>,
    /// The scope that tokens are asked for; without it any will do
    #[arg(long, env = "SANDBOX_SCOPE")]
    pub scope: Option<String>,
    /// The issuer that tokens name, as their verifiers reach this port; without it http:// and the address
    #[arg(long, env = "SANDBOX_ISSUER")]
    pub issuer: Option<String>,
    /// Signs the webhooks: whsec_ and base64
    #[arg(long, env = "SANDBOX_WEBHOOK_SECRET", default_value = WEBHOOK_SECRET, hide_env_values = true, hide_default_value = true)]
    pub webhook_secret: SecretString,
}

impl Default for Config {
    /// On a free port of 127.0.0.1, with the settings' defaults else.
    fn default() -> Config {
        Config {
            host: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.into(),
            audience: None,
            scope: None,
            issuer: None,
            webhook_secret: WEBHOOK_SECRET.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_every_setting_is_documented() {
        Cli::command().debug_assert();
        for arg in Cli::command().get_arguments() {
            assert!(arg.get_help().is_some(), "{} has no help", arg.get_id());
        }
    }

    #[test]
    fn no_secret_is_in_the_debug_output() {
        let debug = format!("{:?}", Config::default());
        assert!(!debug.contains(CLIENT_SECRET) && !debug.contains("whsec_"), "{debug}");
    }
}
