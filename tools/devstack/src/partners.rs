//! The partners' sandbox beside the API.

use std::io;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::port;
use crate::supervise::{End, Supervised};

/// With one of these the API has partners of its own, and no sandbox is started.
const OF_REAL_PARTNERS: [&str; 4] = ["OAUTH_TOKEN_URL", "API_A_URL", "API_B_URL", "WEBHOOK_SECRETS"];

/// What the sandbox is started with where the environment does not say otherwise. The secrets are public.
const CLIENT_ID: &str = "farmlokal";
const CLIENT_SECRET: &str = "sandbox-secret";
const AUDIENCE: &str = "https://api-a.farmlokal.example";
const WEBHOOK_SECRET: &str = "whsec_ZmFybWxva2FsLXNhbmRib3gtc2lnbmluZy1rZXktMSE=";

/// The partners, simulated by `farmlokal-sandbox`. They end with this value.
#[derive(Debug)]
pub struct Partners {
    sandbox: Supervised,
    settings: Settings,
}

impl Partners {
    /// Starts the sandbox; `command` is its binary. `None` where the environment names real partners.
    pub(crate) fn start(
        mut command: Command,
        given: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Partners>> {
        if OF_REAL_PARTNERS.iter().any(|variable| given(variable).is_some()) {
            return Ok(None);
        }
        let settings = Settings::read(given)?;
        command.envs(settings.of_the_sandbox());
        let end = End { grace: Duration::from_secs(10), ..End::default() };
        let sandbox = Supervised::start_in_foreground(&command, end)?;
        Ok(Some(Partners { sandbox, settings }))
    }

    /// The sandbox's TCP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.settings.port
    }

    /// Points an API that listens on `api_port` at the sandbox.
    pub(crate) fn configure(&self, api: &mut Command, api_port: u16) {
        api.envs(self.settings.of_the_api(api_port));
    }

    /// The exit status, where the sandbox has ended by itself.
    ///
    /// # Errors
    /// The operating system does not tell.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.sandbox.ended()
    }
}

/// What the sandbox and the API must agree on.
#[derive(Debug)]
struct Settings {
    port: u16,
    client_id: String,
    client_secret: String,
    audience: String,
    webhook_secret: String,
}

impl Settings {
    fn read(given: impl Fn(&str) -> Option<String>) -> Result<Settings> {
        let or = |variable, default: &str| given(variable).unwrap_or_else(|| default.to_owned());
        Ok(Settings {
            port: match given("SANDBOX_PORT") {
                Some(port) => {
                    port.parse().with_context(|| format!("SANDBOX_PORT: {port:?} is not a TCP port"))?
                }
                None => port::free()?,
            },
            client_id: or("SANDBOX_CLIENT_ID", CLIENT_ID),
            client_secret: or("SANDBOX_CLIENT_SECRET", CLIENT_SECRET),
            audience: or("SANDBOX_AUDIENCE", AUDIENCE),
            webhook_secret: or("SANDBOX_WEBHOOK_SECRET", WEBHOOK_SECRET),
        })
    }

    fn of_the_sandbox(&self) -> [(&'static str, String); 6] {
        [
            ("SANDBOX_HOST", "127.0.0.1".to_owned()),
            ("SANDBOX_PORT", self.port.to_string()),
            ("SANDBOX_CLIENT_ID", self.client_id.clone()),
            ("SANDBOX_CLIENT_SECRET", self.client_secret.clone()),
            ("SANDBOX_AUDIENCE", self.audience.clone()),
            ("SANDBOX_WEBHOOK_SECRET", self.webhook_secret.clone()),
        ]
    }

    fn of_the_api(&self, api_port: u16) -> [(&'static str, String); 8] {
        let sandbox = format!("http://127.0.0.1:{}", self.port);
        [
            ("OAUTH_TOKEN_URL", format!("{sandbox}/oauth/token")),
            ("OAUTH_CLIENT_ID", self.client_id.clone()),
            ("OAUTH_CLIENT_SECRET", self.client_secret.clone()),
            ("OAUTH_AUDIENCE", self.audience.clone()),
            ("API_A_URL", format!("{sandbox}/api-a/status")),
            ("API_B_URL", format!("{sandbox}/api-b")),
            ("WEBHOOK_SECRETS", self.webhook_secret.clone()),
            ("WEBHOOK_CALLBACK_URL", format!("http://127.0.0.1:{api_port}/webhook")),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(settings: &[(&str, String)], name: &str) -> String {
        settings.iter().find(|(other, _)| *other == name).unwrap().1.clone()
    }

    #[test]
    fn the_api_knows_what_the_sandbox_expects() {
        let own = |name: &str| (name == "SANDBOX_CLIENT_SECRET").then(|| "another".to_owned());
        for settings in [Settings::read(|_| None).unwrap(), Settings::read(own).unwrap()] {
            let (sandbox, api) = (settings.of_the_sandbox(), settings.of_the_api(5000));
            for (expected, known) in [
                ("SANDBOX_CLIENT_ID", "OAUTH_CLIENT_ID"),
                ("SANDBOX_CLIENT_SECRET", "OAUTH_CLIENT_SECRET"),
                ("SANDBOX_AUDIENCE", "OAUTH_AUDIENCE"),
                ("SANDBOX_WEBHOOK_SECRET", "WEBHOOK_SECRETS"),
            ] {
                assert_eq!(value(&sandbox, expected), value(&api, known));
            }
            let port = value(&sandbox, "SANDBOX_PORT");
            for url in ["OAUTH_TOKEN_URL", "API_A_URL", "API_B_URL"] {
                assert!(value(&api, url).starts_with(&format!("http://127.0.0.1:{port}/")));
            }
            assert_eq!(value(&api, "WEBHOOK_CALLBACK_URL"), "http://127.0.0.1:5000/webhook");
        }
    }

    #[test]
    fn a_port_of_ones_own_is_taken_or_refused() {
        let port = |text: &'static str| {
            Settings::read(move |name| (name == "SANDBOX_PORT").then(|| text.to_owned()))
        };
        assert_eq!(port("5100").unwrap().port, 5100);
        assert!(port("many").unwrap_err().to_string().starts_with("SANDBOX_PORT: "));
    }

    #[test]
    fn partners_of_ones_own_need_no_sandbox() {
        for variable in OF_REAL_PARTNERS {
            let given = |name: &str| (name == variable).then(|| "something".to_owned());
            assert!(Partners::start(Command::new("/no/such/binary"), given).unwrap().is_none());
        }
    }
}
