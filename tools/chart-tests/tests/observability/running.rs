//! The real binaries on real servers, after traffic that touches everything and faults that make the rare series appear.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use farmlokal_devstack::{RedisSentinels, cargo};
use farmlokal_sandbox::{Faults, Mode, Sandbox};
use farmlokal_testing::TestDatabase;
use secrecy::ExposeSecret as _;

use crate::api_server;

const BINARIES: [&str; 3] = ["farmlokal-api", "farmlokal-seed", "farmlokal-controller"];
const PATIENCE: Duration = Duration::from_secs(60);
/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

/// The pages of the API, the seed job and the controller.
pub(crate) fn scrape() -> Vec<String> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let scraped = async {
        let folder = built();
        let redis = RedisSentinels::start(&[]).unwrap();
        vec![api(&folder, &redis).await, seed(&folder).await, controller(&folder, &redis)]
    };
    // Whoever asks first may be inside another runtime.
    std::thread::spawn(move || runtime.block_on(scraped)).join().unwrap()
}

/// Builds the binaries where they are not up to date, with the features that all tests together need, and returns their
/// folder.
fn built() -> PathBuf {
    let mut cargo = cargo();
    cargo.args(["build", "--quiet", "--workspace", "--test", "observability"]);
    cargo.args(BINARIES.iter().flat_map(|name| ["--bin", name]));
    // This test is target/debug/deps/observability-<hash>.
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap().to_owned();
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().unwrap().success(), "{cargo:?}");
    folder
}

async fn api(folder: &Path, redis: &RedisSentinels) -> String {
    let (database, sandbox) = (TestDatabase::create().await, Sandbox::start().await.unwrap());
    let config = sandbox.config();
    let settings = [
        ("DATABASE_URL", database.url()),
        // Its own replica.
        ("DATABASE_READ_URL", database.url()),
        ("REDIS_URL", redis.url()),
        ("PORT", "0".to_owned()),
        ("OAUTH_TOKEN_URL", sandbox.token_url()),
        ("OAUTH_CLIENT_ID", config.client_id.clone()),
        ("OAUTH_CLIENT_SECRET", config.client_secret.expose_secret().to_owned()),
        ("OAUTH_AUDIENCE", "https://partner.test".to_owned()),
        ("API_A_URL", sandbox.api_a_url()),
        ("WEBHOOK_SECRETS", config.webhook_secret.expose_secret().to_owned()),
        ("API_B_URL", format!("{}/api-b", sandbox.url())),
        ("WEBHOOK_CALLBACK_URL", format!("{NOWHERE}/webhook")),
        ("AUTH_ISSUER", sandbox.issuer().to_owned()),
        ("AUTH_AUDIENCE", "https://api.test".to_owned()),
        ("RATE_LIMIT_SEARCH", "1/3600".to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", NOWHERE.to_owned()),
    ];
    let api = Process::start(folder, "farmlokal-api", &settings);
    let (public, operators) = (api.address("listening"), api.address("listening for operators"));
    eventually("it is ready", || get(&operators, "/readyz").0 == 200);
    for _ in 0..2 {
        for path in ["/products", "/products?search=ball", "/products/1", "/categories"] {
            assert_ne!(get(&public, path).0 / 100, 5, "{path}");
        }
    }
    assert_eq!(get(&public, "/auth/test-token").0, 200);
    assert_eq!(get(&public, "/external/test-api-a").0, 200);
    sandbox.set_faults(Faults { token: Mode::Error.into(), api_a: Mode::Error.into(), ..Faults::default() });
    assert_eq!(get(&public, "/external/test-api-a").0, 200, "the last good answer");
    assert_eq!(request(&public, "POST", "/webhook").0, 401);
    for (method, path) in [("POST", "/products"), ("DELETE", "/products/1")] {
        assert_eq!(request(&public, method, path).0, 401, "{method} {path}");
    }
    let pool = database.pool();
    sqlx::raw_sql("DROP TABLE products").execute(&pool).await.unwrap();
    pool.close().await;
    // Every answer is asked for anew: none is cached.
    let mut limit = 0;
    eventually("the database is missed", || {
        limit = limit % 100 + 1;
        get(&public, &format!("/products?limit={limit}")).0 == 503
    });
    get(&operators, "/metrics").1
}

async fn seed(folder: &Path) -> String {
    let database = TestDatabase::create().await;
    let settings = [("DATABASE_URL", database.url()), ("SEED_NO_FLUSH", "true".to_owned())];
    let seed = Process::start(folder, "farmlokal-seed", &settings);
    get(&seed.address("listening for operators"), "/metrics").1
}

/// As the leader, with a catalogue whose flush is pending.
fn controller(folder: &Path, redis: &RedisSentinels) -> String {
    let server = api_server::start();
    let cluster = format!(
        "apiVersion: v1
kind: Config
current-context: nowhere
contexts: [{{name: nowhere, context: {{cluster: nowhere, user: nobody, namespace: shop}}}}]
clusters: [{{name: nowhere, cluster: {{server: {server:?}}}}}]
users: [{{name: nobody, user: {{}}}}]
"
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), cluster).unwrap();
    let settings = [
        ("KUBECONFIG", file.path().to_str().unwrap().to_owned()),
        ("RELEASE", api_server::RELEASE.to_owned()),
        ("REDIS_URL", redis.url()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", NOWHERE.to_owned()),
    ];
    let controller = Process::start(folder, "farmlokal-controller", &settings);
    let address = controller.address("listening");
    eventually("it shows the catalogue", || {
        get(&address, "/metrics").1.contains("farmlokal_catalog_flush_requested_timestamp_seconds{")
    });
    get(&address, "/metrics").1
}

/// A process that ends with this value.
struct Process {
    child: Child,
    name: &'static str,
    lines: mpsc::Receiver<serde_json::Value>,
    _directory: tempfile::TempDir,
}

impl Process {
    fn start(folder: &Path, name: &'static str, settings: &[(&str, String)]) -> Process {
        // Without a `.env`.
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(folder.join(name));
        command.current_dir(directory.path()).env_clear().stdout(Stdio::piped());
        command.envs([("HOST", "127.0.0.1"), ("MANAGEMENT_PORT", "0")]);
        let mut child = command.envs(settings.iter().map(|(name, value)| (name, value))).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in output.map_while(Result::ok) {
                // The receiver may have heard enough; the pipe must not fill up.
                let _ = sender.send(serde_json::from_str(&line).unwrap_or_default());
            }
        });
        Process { child, name, lines, _directory: directory }
    }

    /// The address in the next log line with this message.
    fn address(&self, message: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|_| panic!("{} never said {message:?}", self.name));
            if line["message"] == message {
                return line["address"].as_str().unwrap().to_owned();
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(address: &str, path: &str) -> (u16, String) {
    request(address, "GET", path)
}

/// The status and the body, or nothing where nobody answers.
fn request(address: &str, method: &str, path: &str) -> (u16, String) {
    let mut answer = String::new();
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        connection,
        "{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
