//! The partners' sandbox beside the API.

use std::io;
use std::process::{Command, ExitStatus};

use anyhow::{Context as _, Result};

use crate::port;
use crate::supervise::Supervised;

/// With one of these the API has partners of its own, and no sandbox is started.
const OF_REAL_PARTNERS: [&str; 4] = ["OAUTH_TOKEN_URL", "API_A_URL", "API_B_URL", "WEBHOOK_SECRETS"];

/// What the sandbox is started with. The secrets are public.
const CLIENT_ID: &str = "farmlokal";
const CLIENT_SECRET: &str = "sandbox-secret";
const AUDIENCE: &str = "https://api-a.farmlokal.example";
const WEBHOOK_SECRET: &str = "whsec_ZmFybWxva2FsLXNhbmRib3gtc2lnbmluZy1rZXktMSE=";
/// What the API is called in the tokens that may write.
const OWN_AUDIENCE: &str = "https://api.farmlokal.example";

/// The partners, simulated by `farmlokal-sandbox`. They end with this value.
#[derive(Debug)]
pub struct Partners {
    sandbox: Supervised,
    port: u16,
    /// Whether it issues the tokens that the API takes; otherwise `AUTH_ISSUER` of the environment does.
    is_issuer: bool,
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
        let port = match given("SANDBOX_PORT") {
            Some(port) => {
                port.parse().with_context(|| format!("SANDBOX_PORT: {port:?} is not a TCP port"))?
            }
            None => port::free()?,
        };
        command.env("SANDBOX_HOST", "127.0.0.1").env("SANDBOX_PORT", port.to_string());
        command.env("SANDBOX_CLIENT_ID", CLIENT_ID).env("SANDBOX_CLIENT_SECRET", CLIENT_SECRET);
        command.env("SANDBOX_ISSUER", issuer(port)).env("SANDBOX_WEBHOOK_SECRET", WEBHOOK_SECRET);
        let is_issuer = given("AUTH_ISSUER").is_none();
        Ok(Some(Partners { sandbox: Supervised::start_in_foreground(&command)?, port, is_issuer }))
    }

    /// The sandbox's TCP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Commands that get a token and create a product at an API that listens on `api_port`. `None` where `AUTH_ISSUER` of
    /// the environment gives the tokens.
    #[must_use]
    pub fn curls_that_write(&self, api_port: u16) -> Option<String> {
        let text = format!(
            r#"
Writes need a token (docs/writes.md); for those of /docs, Authorize gets one:
  TOKEN=$(curl -s http://localhost:{sandbox}/oauth/token -u {CLIENT_ID}:{CLIENT_SECRET} -d grant_type=client_credentials \
    -d audience={OWN_AUDIENCE} -d scope=products:write | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -i http://localhost:{api_port}/products -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
    -d '{{"name": "Alpine Goat Cheese", "description": "Mild.", "category": "dairy", "price": 12.50}}'"#,
            sandbox = self.port
        );
        self.is_issuer.then_some(text)
    }

    /// Points an API that listens on `api_port` at the sandbox.
    pub(crate) fn configure(&self, api: &mut Command, api_port: u16) {
        let sandbox = issuer(self.port);
        if self.is_issuer {
            api.env("AUTH_ISSUER", &sandbox).env("AUTH_AUDIENCE", OWN_AUDIENCE);
            api.env("AUTH_TOKEN_URL", format!("{sandbox}/oauth/token"));
        }
        api.env("OAUTH_TOKEN_URL", format!("{sandbox}/oauth/token"));
        api.env("OAUTH_CLIENT_ID", CLIENT_ID).env("OAUTH_CLIENT_SECRET", CLIENT_SECRET);
        api.env("OAUTH_AUDIENCE", AUDIENCE).env("WEBHOOK_SECRETS", WEBHOOK_SECRET);
        api.env("API_A_URL", format!("{sandbox}/api-a/status")).env("API_B_URL", format!("{sandbox}/api-b"));
        api.env("WEBHOOK_CALLBACK_URL", format!("http://127.0.0.1:{api_port}/webhook"));
    }

    /// The exit status, where the sandbox has ended by itself.
    ///
    /// # Errors
    /// The operating system does not tell.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.sandbox.ended()
    }
}

/// The sandbox's URL, which its tokens name.
fn issuer(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_pointed_at_the_sandbox() {
        let given = |name: &str| (name == "SANDBOX_PORT").then(|| "5100".to_owned());
        let partners = Partners::start(Command::new("/bin/cat"), given).unwrap().unwrap();
        assert_eq!(partners.port(), 5100);
        let mut api = Command::new("api");
        partners.configure(&mut api, 5000);
        let value = |name: &str| {
            let (_, value) = api.get_envs().find(|(other, _)| *other == name).unwrap();
            value.unwrap().to_str().unwrap().to_owned()
        };
        for name in ["OAUTH_TOKEN_URL", "API_A_URL", "API_B_URL", "AUTH_TOKEN_URL"] {
            assert!(value(name).starts_with("http://127.0.0.1:5100/"), "{name}");
        }
        assert_eq!(value("AUTH_ISSUER"), "http://127.0.0.1:5100");
        assert!(partners.curls_that_write(5000).unwrap().contains("http://localhost:5100/oauth/token "));
        assert_eq!(value("WEBHOOK_CALLBACK_URL"), "http://127.0.0.1:5000/webhook");
    }

    #[test]
    fn an_issuer_of_ones_own_stays() {
        let given = |name: &str| (name == "AUTH_ISSUER").then(|| "https://id.example/".to_owned());
        let partners = Partners::start(Command::new("/bin/cat"), given).unwrap().unwrap();
        let mut api = Command::new("api");
        partners.configure(&mut api, 5000);
        assert_eq!(partners.curls_that_write(5000), None);
        assert!(api.get_envs().all(|(name, _)| !name.to_string_lossy().starts_with("AUTH_")));
    }

    #[test]
    fn a_port_that_is_none_is_refused() {
        let given = |name: &str| (name == "SANDBOX_PORT").then(|| "many".to_owned());
        let error = Partners::start(Command::new("/no/such/binary"), given).unwrap_err();
        assert!(error.to_string().starts_with("SANDBOX_PORT: "), "{error}");
    }

    #[test]
    fn partners_of_ones_own_need_no_sandbox() {
        for variable in OF_REAL_PARTNERS {
            let given = |name: &str| (name == variable).then(|| "something".to_owned());
            assert!(Partners::start(Command::new("/no/such/binary"), given).unwrap().is_none());
        }
    }
}
