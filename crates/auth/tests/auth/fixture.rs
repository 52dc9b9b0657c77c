use clap::Parser;
use farmlokal_auth::{AuthConfig, Claims, Refused, Verifier};
use farmlokal_sandbox::{Config, Faults, Mode, Sandbox};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;

const AUDIENCE: &str = "https://api.test";

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    auth: AuthConfig,
}

/// A verifier with these settings. It ends with the tasks.
pub fn verifier(flags: &[&str]) -> (Verifier, JoinSet<()>) {
    let flags = [&["x", "--auth-audience", AUDIENCE], flags].concat();
    let mut tasks = JoinSet::new();
    let verifier = Verifier::spawn(&Cli::parse_from(flags).auth, &mut tasks).unwrap().unwrap();
    (verifier, tasks)
}

pub fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// The sandbox, and a verifier of its tokens.
pub struct Fixture {
    pub sandbox: Sandbox,
    pub verifier: Verifier,
    _tasks: JoinSet<()>,
}

impl Fixture {
    /// With a verifier that has the sandbox's keys.
    pub async fn start() -> Fixture {
        let fixture = Fixture::start_with(Faults::default()).await;
        fixture.verify(&fixture.token().await).await.unwrap();
        fixture
    }

    /// With a sandbox that has these faults from the start.
    pub async fn start_with(faults: Faults) -> Fixture {
        let sandbox = Sandbox::start_with(Config::default()).await.unwrap();
        sandbox.set_faults(faults);
        let (verifier, tasks) = verifier(&["--auth-issuer", sandbox.issuer()]);
        Fixture { sandbox, verifier, _tasks: tasks }
    }

    /// A token as a client gets it.
    pub async fn token(&self) -> String {
        let config = self.sandbox.config();
        let request = json!({
            "grant_type": "client_credentials",
            "client_id": config.client_id,
            "client_secret": config.client_secret.expose_secret(),
            "audience": AUDIENCE,
            "scope": "products:write other",
        });
        let request = client()
            .post(self.sandbox.token_url())
            .header("content-type", "application/json")
            .body(request.to_string());
        let answer = request.send().await.unwrap().bytes().await.unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    pub async fn verify(&self, token: &str) -> Result<Claims, Refused> {
        self.verifier.verify(token).await
    }

    /// How often the keys were asked for.
    pub fn fetches(&self) -> u64 {
        self.sandbox.counters().keys.requests
    }
}

/// Both documents and the keys.
pub fn issuer_faults(mode: Mode) -> Faults {
    Faults { discovery: mode.into(), keys: mode.into(), ..Faults::default() }
}

/// A token's header, changed: its signature is no longer right.
pub fn with_kid(token: &str, kid: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let (header, rest) = token.split_once('.').unwrap();
    let mut header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    header["kid"] = kid.into();
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
}
