//! The API with simulated partners. Nothing here needs the database.

use std::time::Instant;

use farmlokal_devstack::Redis;
use farmlokal_sandbox::{Fault, Faults, Mode, Sandbox};
use secrecy::ExposeSecret as _;

use crate::harness::{Answer, PATIENCE, Process, client, fetch};

/// One process of the API.
pub struct Replica {
    pub process: Process,
    client: reqwest::Client,
}

impl Replica {
    /// A replica that has found Redis.
    pub async fn start(redis: &Redis, sandbox: &Sandbox, settings: &[(&str, &str)]) -> Replica {
        let replica = Self::start_without_redis(redis, sandbox, settings);
        let connected = async || {
            let page = replica.get("/metrics").await;
            page.text().lines().any(|line| line == "farmlokal_redis_up{connection=\"shared\"} 1")
        };
        eventually("Redis is found", connected).await;
        replica
    }

    /// A replica that does not wait for Redis.
    pub fn start_without_redis(redis: &Redis, sandbox: &Sandbox, settings: &[(&str, &str)]) -> Replica {
        let (redis, token_url, api_a_url) = (redis.url(), sandbox.token_url(), sandbox.api_a_url());
        let config = sandbox.config();
        let usual = [
            ("REDIS_URL", redis.as_str()),
            // On a busy machine the default of 100 ms is an outage now and then.
            ("REDIS_TIMEOUT", "3s"),
            ("OAUTH_TOKEN_URL", &token_url),
            ("OAUTH_CLIENT_ID", &config.client_id),
            ("OAUTH_CLIENT_SECRET", config.client_secret.expose_secret()),
            ("OAUTH_AUDIENCE", "https://partner.test"),
            ("API_A_URL", &api_a_url),
            // Longer than any test waits, where the test is not about deadlines.
            ("REQUEST_TIMEOUT", "30s"),
            ("API_A_TIMEOUT", "20s"),
        ];
        let process = Process::start(&[&usual, settings].concat());
        Replica { process, client: client() }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.process.address("listening"))
    }

    pub fn client(&self) -> reqwest::Client {
        self.client.clone()
    }

    pub async fn get(&self, path: &str) -> Answer {
        fetch(&self.client, &self.url(path), &[]).await.unwrap()
    }

    pub async fn token(&self) -> Answer {
        self.get("/auth/test-token").await
    }

    pub async fn api_a(&self) -> Answer {
        self.get("/external/test-api-a").await
    }

    /// So many requests at once.
    pub fn burst(&self, path: &str, count: usize) -> Vec<tokio::task::JoinHandle<Answer>> {
        let url = self.url(path);
        let ask =
            |client: reqwest::Client, url: String| async move { fetch(&client, &url, &[]).await.unwrap() };
        (0..count).map(|_| tokio::spawn(ask(self.client(), url.clone()))).collect()
    }
}

/// Waits for what must come about.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

pub fn token_fault(fault: impl Into<Fault>) -> Faults {
    Faults { token: fault.into(), ..Faults::default() }
}

pub fn api_a_fault(fault: impl Into<Fault>) -> Faults {
    Faults { api_a: fault.into(), ..Faults::default() }
}

pub fn error(status: u16) -> Fault {
    Fault { status, ..Mode::Error.into() }
}

pub fn retry_after(seconds: u32) -> Fault {
    Fault { retry_after: seconds, ..Mode::RetryAfter.into() }
}

/// What a client sees of an answer: its status, and its code or outcome.
#[track_caller]
pub fn seen(answer: &Answer) -> (u16, String) {
    let body = answer.json();
    let text = body["code"].as_str().or(body["outcome"].as_str()).or(body["source"].as_str());
    (answer.status, text.unwrap_or_else(|| panic!("{answer:?}")).to_owned())
}

/// A row of a table of faults in docs/partners.md.
pub fn row(fault: &str, requests: u64, status: u16, code: &str) -> String {
    format!("| {fault} | {requests} | {status} `{code}` |")
}

/// The table of docs/partners.md with this head has these rows and no others.
#[track_caller]
pub fn assert_documented(head: &str, rows: &[String]) {
    let page = include_str!("../../../../../docs/partners.md");
    let table = page.lines().skip_while(|line| !line.starts_with(head)).skip(2);
    let documented: Vec<_> = table.take_while(|line| line.starts_with('|')).collect();
    let sorted = |mut rows: Vec<&str>| {
        rows.sort_unstable();
        rows.join("\n")
    };
    assert_eq!(sorted(documented), sorted(rows.iter().map(String::as_str).collect()), "docs/partners.md");
}
