//! The binary as a process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// The release whose objects a controller serves unless a test says otherwise.
pub const RELEASE: &str = "shop";

/// The binary with no settings but its release and a free port, and no `.env` of the developer's.
pub fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farmlokal-controller"));
    command
        .env_clear()
        .env("RELEASE", RELEASE)
        .env("HOST", "127.0.0.1")
        .env("MANAGEMENT_PORT", "0")
        .env("LOG_FORMAT", "json")
        .current_dir(directory)
        .stdin(Stdio::null());
    command
}

/// A kubeconfig of an API server that nobody serves.
pub fn unreachable_api_server(directory: &Path) -> PathBuf {
    let path = directory.join("kubeconfig");
    let text = "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster: {server: 'http://127.0.0.1:1'}\ncontexts:\n- name: c\n  context: {cluster: c, user: u}\ncurrent-context: c\nusers:\n- name: u\n  user: {}\n";
    std::fs::write(&path, text).unwrap();
    path
}

/// A running controller; it ends with this value.
pub struct Controller {
    child: Child,
    directory: TempDir,
}

impl Controller {
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = File::create(directory.path().join("log")).unwrap();
        let mut command = command(directory.path());
        command.envs(settings.iter().copied()).stderr(log.try_clone().unwrap()).stdout(log);
        Self { child: command.spawn().unwrap(), directory }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    pub fn leads(&self) -> bool {
        self.log().contains("\"leading\"")
    }

    /// The body of one of its routes.
    pub async fn get(&self, path: &str) -> String {
        eventually("it listens", async || self.log().contains("\"listening\"")).await;
        let log = self.log();
        let line = log.lines().find(|line| line.contains("\"listening\"")).unwrap();
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let address = line["address"].as_str().unwrap().to_owned();
        let path = path.to_owned();
        let get = move || {
            use std::io::{Read as _, Write as _};
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        tokio::task::spawn_blocking(get).await.unwrap()
    }

    pub fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and how it ended.
    pub async fn terminate(&mut self) -> ExitStatus {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        eventually("it ends", async || self.child.try_wait().unwrap().is_some()).await;
        self.child.wait().unwrap()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// Waits for what must come about, for as long as a busy machine may need.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), wait)
        .await
        .unwrap_or_else(|_| panic!("not in 60 s: {what}"));
}
