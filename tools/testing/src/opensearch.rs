//! Indices of OpenSearch for each test, and a proxy before it.

use std::{
    env,
    io::{Write as _, stderr},
    net::SocketAddr,
    sync::{
        Arc, Once,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hyper::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::{database::unique, http::Client};

/// A prefix of indices that no other test has, on the server that `OPENSEARCH_URL` names. A template gives them two shards. All are
/// deleted when this is dropped.
pub struct TestIndices {
    address: String,
    /// What their names begin with.
    pub prefix: String,
}

impl TestIndices {
    /// `None` without a server, and one line for all tests that says so.
    ///
    /// # Panics
    /// `OPENSEARCH_URL` is set to something else than `http://host:port`, or that does not answer.
    #[must_use]
    pub fn create() -> Option<TestIndices> {
        static SAID: Once = Once::new();
        let Ok(url) = env::var("OPENSEARCH_URL") else {
            // Past the test harness, which would keep what a passing test prints.
            let line =
                "SKIPPED: the tests on OpenSearch, for OPENSEARCH_URL names none: see docs/development.md";
            SAID.call_once(|| drop(writeln!(stderr(), "{line}")));
            return None;
        };
        let address = url.strip_prefix("http://").map(|address| address.trim_end_matches('/').to_owned());
        let address = address.unwrap_or_else(|| panic!("OPENSEARCH_URL: write http://127.0.0.1:9200"));
        let indices = TestIndices { address, prefix: format!("test-{:016x}", unique()) };
        let patterns = [format!("{}*", indices.prefix)];
        let template = json!({"index_patterns": patterns, "template": {"settings": {"number_of_shards": 2}}});
        let set = async {
            let answer = indices.call(Method::PUT, &indices.template(), &template).await;
            assert_eq!(answer["acknowledged"], true, "{answer}");
        };
        assert!(apart(set), "OPENSEARCH_URL: it takes no template");
        Some(indices)
    }

    fn template(&self) -> String {
        format!("/_index_template/{}", self.prefix)
    }

    /// As `SEARCH_URL` is written.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/{}", self.address, self.prefix)
    }

    /// The same by way of a proxy.
    #[must_use]
    pub fn url_by(&self, proxy: &Proxy) -> String {
        format!("http://{}/{}", proxy.address, self.prefix)
    }

    /// Sends a request.
    ///
    /// # Panics
    /// There is no answer, or it is no JSON.
    pub async fn call(&self, method: Method, path: &str, body: &Value) -> Value {
        let address: SocketAddr =
            self.address.parse().unwrap_or_else(|error| panic!("OPENSEARCH_URL: {error}"));
        let answer = Client::new(address).send_json(method, path, &[], body).await;
        let answer = answer.unwrap_or_else(|error| panic!("OPENSEARCH_URL: {error:#}"));
        answer.json().unwrap_or_else(|error| panic!("OPENSEARCH_URL: {error}"))
    }

    /// The names of all that there are.
    ///
    /// # Panics
    /// As [`call`](Self::call).
    pub async fn names(&self) -> Vec<String> {
        let path = format!("/_cat/indices/{}*?format=json&h=index", self.prefix);
        let rows = self.call(Method::GET, &path, &json!({})).await;
        let names = rows.as_array().into_iter().flatten().filter_map(|row| row["index"].as_str());
        names.map(str::to_owned).collect()
    }

    /// Sets something of all that there are.
    ///
    /// # Panics
    /// As [`call`](Self::call), and where it is refused.
    pub async fn set(&self, settings: Value) {
        let path = format!("/{}*/_settings", self.prefix);
        let answer = self.call(Method::PUT, &path, &settings).await;
        assert_eq!(answer["acknowledged"], true, "{answer}");
    }
}

impl Drop for TestIndices {
    fn drop(&mut self) {
        apart(async {
            for name in self.names().await {
                self.call(Method::DELETE, &format!("/{name}"), &json!({})).await;
            }
            self.call(Method::DELETE, &self.template(), &json!({})).await;
        });
    }
}

/// On a thread with a runtime of its own: a test may call this inside its runtime, which must not block.
fn apart(work: impl Future<Output = ()> + Send) -> bool {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(work);
        Ok::<_, std::io::Error>(())
    };
    std::thread::scope(|scope| scope.spawn(run).join()).is_ok_and(|done| done.is_ok())
}

/// What becomes of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They go on.
    Pass,
    /// After so long.
    Delay(Duration),
    /// Those with this text wait until the mode is another.
    Hold(&'static str),
}

/// A proxy before [`TestIndices`]' server.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    server: String,
    mode: watch::Sender<Mode>,
    released: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// One that lets everything pass.
    ///
    /// # Panics
    /// There is no port.
    pub async fn start(indices: &TestIndices) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("{error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("{error}"));
        let (server, mode) = (indices.address.clone(), watch::Sender::new(Mode::Pass));
        let released = Arc::default();
        let task = tokio::spawn(serve(listener, server.clone(), mode.clone(), Arc::clone(&released)));
        Proxy { address, server, mode, released, task }
    }

    /// How many requests that were held have gone on.
    #[must_use]
    pub fn released(&self) -> usize {
        self.released.load(Ordering::Relaxed)
    }

    /// From now on.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Closes the port and all connections, as a process does that is killed.
    pub async fn kill(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// Listens on the same port again.
    ///
    /// # Panics
    /// Another has it.
    pub async fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap_or_else(|error| panic!("{error}"));
        let released = Arc::clone(&self.released);
        self.task = tokio::spawn(serve(listener, self.server.clone(), self.mode.clone(), released));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, server: String, mode: watch::Sender<Mode>, released: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        if let Ok(server) = TcpStream::connect(&server).await {
            connections.spawn(pass(client, server, mode.subscribe(), Arc::clone(&released)));
        }
    }
}

async fn pass(
    client: TcpStream,
    server: TcpStream,
    mut mode: watch::Receiver<Mode>,
    released: Arc<AtomicUsize>,
) {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let asking = async {
        let mut asked = vec![0; 1 << 16];
        while let Ok(read @ 1..) = from_client.read(&mut asked).await {
            let now = *mode.borrow();
            let mut held = 0;
            match now {
                Mode::Delay(time) => tokio::time::sleep(time).await,
                Mode::Hold(text) if String::from_utf8_lossy(&asked[..read]).contains(text) => {
                    let _ = mode.wait_for(|mode| *mode != now).await;
                    held = 1;
                }
                Mode::Pass | Mode::Hold(_) => {}
            }
            if to_server.write_all(&asked[..read]).await.is_err() {
                return;
            }
            released.fetch_add(held, Ordering::Relaxed);
        }
    };
    tokio::select! {
        () = asking => {}
        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
    }
}
