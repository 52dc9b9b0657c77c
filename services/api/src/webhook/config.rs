#![allow(clippy::doc_markdown, reason = "the help texts are for terminals")]

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use farmlokal_settings::nonzero_duration;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::signature::{Key, Keys};
use crate::partners::{http_url, secret};

/// Events that partners send, and what they are checked against.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Webhook")]
pub struct WebhookArgs {
    /// Keys that events may be signed with, as whsec_ and base64, separated by commas: several while one takes the place of
    /// another. Without any, and unless unsigned events are allowed, every event is refused
    #[arg(long, env = "WEBHOOK_SECRETS", value_delimiter = ',', hide_env_values = true, value_parser = secret)]
    webhook_secrets: Vec<SecretString>,
    /// Take events without a signature from anybody who reaches the port; for development only
    #[arg(long, env = "WEBHOOK_ALLOW_UNSIGNED", default_value_t = false, action = clap::ArgAction::Set)]
    webhook_allow_unsigned: bool,
    /// How far the time of a signature may be from ours, and the time of an event in our future
    #[arg(long, env = "WEBHOOK_TOLERANCE", default_value = "5m", value_parser = nonzero_duration)]
    pub(super) webhook_tolerance: Duration,
    /// How old an event may be, and how long, with a day on top, it is remembered that it has taken effect
    #[arg(long, env = "WEBHOOK_RETENTION", default_value = "30d", value_parser = nonzero_duration)]
    pub(super) webhook_retention: Duration,
    /// Our /webhook as the partner reaches it; with API_B_URL, it is registered there at every start
    #[arg(long, env = "WEBHOOK_CALLBACK_URL", hide_env_values = true, value_parser = secret)]
    webhook_callback_url: Option<SecretString>,
    /// Base URL of API B, to whose /callbacks the callback is posted
    #[arg(long, env = "API_B_URL", hide_env_values = true, value_parser = secret)]
    api_b_url: Option<SecretString>,
}

impl WebhookArgs {
    /// No older event is taken.
    pub(crate) fn longest_age(&self) -> Duration {
        self.webhook_retention + self.webhook_tolerance
    }

    /// What events are verified with.
    ///
    /// # Errors
    /// The key that is none; the text never repeats its value.
    pub(super) fn keys(&self) -> anyhow::Result<Keys> {
        let mut keys = Vec::new();
        for (number, secret) in self.webhook_secrets.iter().enumerate() {
            let key = Key::parse(secret.expose_secret().trim());
            keys.push(key.with_context(|| format!("WEBHOOK_SECRETS: number {}", number + 1))?);
        }
        Ok(Keys { keys, allow_unsigned: self.webhook_allow_unsigned })
    }

    /// Where our callback is registered, and the callback.
    ///
    /// # Errors
    /// The URL that is none; the text never repeats its value.
    pub(super) fn registration(&self) -> anyhow::Result<Option<(Url, Url)>> {
        let (Some(partner), Some(callback)) = (&self.api_b_url, &self.webhook_callback_url) else {
            return Ok(None);
        };
        let mut partner = http_url("API_B_URL", partner)?;
        partner.path_segments_mut().ok().context("API_B_URL")?.pop_if_empty().push("callbacks");
        Ok(Some((partner, http_url("WEBHOOK_CALLBACK_URL", callback)?)))
    }
}
