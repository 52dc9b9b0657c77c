//! The API as a process of its own, with a database and a Redis that no other test sees.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use farmlokal_devstack::Redis;
use farmlokal_testing::TestDatabase;
use reqwest::header::{HeaderMap, HeaderName};
use serde_json::Value;

/// Longer than anything here should take; only a test that fails anyway waits this long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The highest rate there is.
const UNLIMITED: &str = "1000000/1";

/// A running API and what it depends on.
pub struct Api {
    process: Process,
    client: reqwest::Client,
    pub redis: Redis,
    pub database: TestDatabase,
}

/// A response, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).to_str().unwrap()
    }

    /// The ids of a page, in order.
    #[track_caller]
    pub fn ids(&self) -> Vec<u64> {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|product| product["id"].as_u64().unwrap())
            .collect()
    }
}

impl Api {
    /// The API on a migrated, empty catalogue.
    pub async fn empty() -> Api {
        Self::with(&[]).await
    }

    /// The API on a catalogue of so many products; see [`insert_products`].
    pub async fn with_products(count: u64) -> Api {
        Self::with_products_and(count, &[]).await
    }

    /// The API with these settings beside the usual ones.
    pub async fn with(settings: &[(&str, &str)]) -> Api {
        Self::with_products_and(0, settings).await
    }

    /// Both. It is ready, so its search index is built.
    pub async fn with_products_and(count: u64, settings: &[(&str, &str)]) -> Api {
        let (database, redis) = (TestDatabase::create().await, Redis::start().unwrap());
        insert_products(&database, count).await;
        let process = Self::process_on(&database, &redis, settings);
        let api = Api { process, client: client(), redis, database };
        api.until("/readyz", |answer| answer.status == 200).await;
        api
    }

    /// Another process on the same database and the same Redis, beside this one.
    pub fn replica(&self, settings: &[(&str, &str)]) -> Process {
        Self::process_on(&self.database, &self.redis, settings)
    }

    /// Another process on the same servers, in the place of this one.
    pub async fn start_again(&mut self, settings: &[(&str, &str)]) {
        self.process = Self::process_on(&self.database, &self.redis, settings);
        self.until("/readyz", |answer| answer.status == 200).await;
    }

    fn process_on(database: &TestDatabase, redis: &Redis, settings: &[(&str, &str)]) -> Process {
        let (database_url, redis_url) = (database.url(), redis.url());
        let urls = [("DATABASE_URL", database_url.as_str()), ("REDIS_URL", redis_url.as_str())];
        Process::start(&[&urls, settings].concat())
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.process.address("listening"))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        fetch(&self.client, &self.url(path), headers).await.unwrap()
    }

    pub async fn send(&self, method: &str, path: &str) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        read(self.client.request(method, self.url(path)).send().await.unwrap()).await.unwrap()
    }

    /// Asks again until the answer is as wanted.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = fetch(&self.client, &self.url(path), &[]).await;
            match answer {
                Ok(answer) if wanted(&answer) => return answer,
                last if Instant::now() > deadline => panic!("{path} never came to it: {last:?}"),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// A metric's value, summed over its series that have all these labels, as in `metric("x", &["a=\"b\""])`.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let page = self.get("/metrics").await;
        let series = page.text().lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        series
            .filter(|line| labels.iter().all(|label| line.contains(label)))
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    }

    /// Waits until [`Api::metric`] is above zero. For what the API counts after others have seen it happen.
    pub async fn until_counted(&self, name: &str, labels: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        while self.metric(name, labels).await == 0.0 {
            assert!(Instant::now() < deadline, "{name} {labels:?} was never counted");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What it has logged so far.
    pub fn log(&self) -> Vec<Value> {
        self.process.log()
    }

    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// A client for load beside the test itself.
    pub fn client(&self) -> reqwest::Client {
        self.client.clone()
    }
}

/// A client that follows no redirect.
pub fn client() -> reqwest::Client {
    // An error says that another test was faster.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

pub async fn fetch(
    client: &reqwest::Client,
    url: &str,
    headers: &[(&str, &str)],
) -> Result<Answer, reqwest::Error> {
    let mut request = client.get(url).timeout(PATIENCE);
    for (name, value) in headers {
        request = request.header(name.parse::<HeaderName>().unwrap(), *value);
    }
    read(request.send().await?).await
}

/// The whole of a response.
pub async fn read(response: reqwest::Response) -> Result<Answer, reqwest::Error> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer { status, headers, body: response.bytes().await?.to_vec() })
}

/// The API's process. It ends with this value.
pub struct Process {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    // The working directory, without a `.env`.
    _directory: tempfile::TempDir,
}

impl Process {
    pub fn start(settings: &[(&str, &str)]) -> Process {
        Self::start_by(&[], settings)
    }

    /// By way of another program, whose last argument is the binary.
    pub fn start_by(program: &[&str], settings: &[(&str, &str)]) -> Process {
        let directory = tempfile::tempdir().unwrap();
        let mut command = command(directory.path());
        if let [program, arguments @ ..] = program {
            let binary = command.get_program().to_owned();
            command = Command::new(program);
            command.args(arguments).arg(binary).current_dir(directory.path()).env_clear();
        }
        command.envs([("HOST", "127.0.0.1"), ("PORT", "0")]);
        // Tests are one client, and in a hurry.
        command.envs(
            ["RATE_LIMIT", "RATE_LIMIT_SEARCH", "RATE_LIMIT_WEBHOOK", "RATE_LIMIT_WRITE"]
                .map(|name| (name, UNLIMITED)),
        );
        // Searches may take what they need: how long that is depends on the machine.
        command.env("SEARCH_DEADLINE", "10s").envs(settings.iter().copied());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, sink) = (BufReader::new(child.stdout.take().unwrap()).lines(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                sink.lock().unwrap().push(event);
            }
        });
        Process { child, log, _directory: directory }
    }

    /// What it has logged so far.
    pub fn log(&self) -> Vec<Value> {
        self.log.lock().unwrap().clone()
    }

    /// The address of the log line with this message, as soon as it is there.
    #[track_caller]
    pub fn address(&self, message: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(event) = self.log().iter().find(|event| event["message"] == message) {
                return event["address"].as_str().unwrap().to_owned();
            }
            assert!(Instant::now() < deadline, "it never said {message:?}: {:?}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        fetch(&client(), &format!("http://{}{path}", self.address("listening")), &[]).await.unwrap()
    }

    /// Asks again until the answer is as wanted.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.get(path).await;
            if wanted(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{path} never came to it: {answer:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    pub async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end: {:?}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary with no setting but those given.
pub fn command(directory: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farmlokal-api"));
    command.current_dir(directory).env_clear();
    command
}

/// Products with ids from 1, in groups of ties: every 7th is sports gear, every 11th has an "XL", prices repeat. No search
/// index hears of it: insert before the API starts, or tell it.
pub async fn insert_products(database: &TestDatabase, count: u64) {
    let pool = database.pool();
    let ids: Vec<u64> = (1..=count).collect();
    for ids in ids.chunks(500) {
        let mut insert = sqlx::QueryBuilder::<sqlx::MySql>::new(
            "INSERT INTO products (id, name, description, category, price, created_at, updated_at) ",
        );
        insert.push_values(ids, |mut row, id| {
            let category =
                if id % 7 == 0 { "sports" } else { ["bakery", "dairy", "fruit & veg"][(id % 3) as usize] };
            let size = if id % 11 == 0 { " XL" } else { "" };
            let name =
                if id % 7 == 0 { format!("Ball{size}") } else { format!("Käse \"No. {}\"{size}", id % 5) };
            row.push_bind(*id).push_bind(name).push_bind(format!("Product number {id}.")).push_bind(category);
            row.push_bind(format!("{}.{:02}", id % 250, id % 100));
            row.push("TIMESTAMP('2025-03-01 09:30:00.120') + INTERVAL ").push_bind_unseparated(id % 9);
            row.push_unseparated(" DAY").push("'2025-06-01'");
        });
        insert.build().execute(&pool).await.unwrap();
    }
}
