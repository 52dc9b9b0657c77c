use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::find;
use crate::server::{Kind, Server, temporary_directory};

/// A private Redis or Valkey server on a free port of 127.0.0.1 that keeps nothing on disk. It ends with this value, and
/// also when this process is killed.
pub type Redis = Server<RedisServer>;

impl Redis {
    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    /// The machine has none, or it does not start; the error ends with the server's own last words.
    pub fn start() -> Result<Redis> {
        let found = find::redis().context("no Redis or Valkey server: `make run` and `make test` get one")?;
        let directory = temporary_directory()?;
        // What the server does depends on the name it is called by.
        let binary = directory.path().join("redis-server");
        symlink(found, &binary)?;
        Server::launch(RedisServer { binary, directory })
    }

    /// Such as `redis://127.0.0.1:15379`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }

    /// SIGKILL: the server is gone, with all it held, when this returns.
    ///
    /// # Errors
    /// It is not running.
    pub fn stop(&mut self) -> Result<()> {
        self.kill()
    }
}

/// How a Redis is started.
#[derive(Debug)]
pub struct RedisServer {
    binary: PathBuf,
    directory: TempDir,
}

impl Kind for RedisServer {
    const NAME: &str = "the Redis server";
    const PATIENCE: Duration = Duration::from_secs(30);

    fn log(&self) -> PathBuf {
        self.directory.path().join("redis.log")
    }

    fn command(&self, port: u16) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        command.arg("--dir").arg(self.directory.path());
        // A cache only: bounded, and nothing on disk.
        command.args(["--save", "", "--appendonly", "no"]);
        command.args(["--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru"]);
        command
    }

    fn grace(&self) -> Duration {
        Duration::ZERO
    }

    fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The directory in its answer tells this server from another one that was faster to take the port.
    fn answers(&self, port: u16) -> bool {
        let ask = || -> Result<bool> {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            stream.write_all(b"CONFIG GET dir\r\nQUIT\r\n")?;
            let answer = std::io::read_to_string(stream)?;
            let directory = fs::canonicalize(self.directory.path())?;
            Ok(answer.lines().any(|line| Path::new(line) == directory))
        };
        ask().unwrap_or(false)
    }
}
