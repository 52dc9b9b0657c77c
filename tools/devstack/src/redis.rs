use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::find::{self, RedisServer};
use crate::start::{Start, start_on_a_free_port, temporary_directory};
use crate::supervise::{End, Supervised};

const IMAGE: &str = "valkey/valkey:8";
const PATIENCE: Duration = Duration::from_secs(30);

/// A private Redis or Valkey server on a free port of 127.0.0.1 that keeps nothing on disk. It ends with this value, and
/// also when this process is killed.
#[derive(Debug)]
pub struct Redis {
    server: Supervised,
    port: u16,
    launch: Launch,
}

impl Redis {
    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    /// The machine has none, or it does not start; the error ends with the server's own last words.
    pub fn start() -> Result<Redis> {
        let found = find::redis().context("no Redis or Valkey server: `make run` and `make test` get one")?;
        let launch = Launch::new(found)?;
        let (server, port) = start_on_a_free_port(&launch)?;
        Ok(Redis { server, port, launch })
    }

    /// Such as `redis://127.0.0.1:15379`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The TCP port on 127.0.0.1; the same after [`start_again`](Redis::start_again).
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// SIGKILL: the server is gone, with all it held, when this returns.
    ///
    /// # Errors
    /// It is not running.
    pub fn stop(&mut self) -> Result<()> {
        self.server.kill()
    }

    /// Starts an empty server on the same port and waits until it answers.
    ///
    /// # Errors
    /// Another process has taken the port, or the server does not start.
    pub fn start_again(&mut self) -> Result<()> {
        self.server = self.launch.start(self.port)?;
        Ok(())
    }

    /// SIGSTOP: connections stay open and nothing answers.
    ///
    /// # Errors
    /// It is not running.
    pub fn pause(&self) -> Result<()> {
        self.server.pause()
    }

    /// SIGCONT, after [`pause`](Redis::pause).
    ///
    /// # Errors
    /// It is not running.
    pub fn resume(&self) -> Result<()> {
        self.server.resume()
    }

    /// # Errors
    /// The server has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.launch.check(&mut self.server)
    }
}

#[derive(Debug)]
struct Launch {
    server: RedisServer,
    directory: TempDir,
}

impl Launch {
    fn new(server: RedisServer) -> Result<Launch> {
        let directory = temporary_directory()?;
        let server = match server {
            RedisServer::Renamed(binary) => {
                let name = directory.path().join("redis-server");
                symlink(binary, &name)?;
                RedisServer::Native(name)
            }
            other => other,
        };
        Ok(Launch { server, directory })
    }

    fn container(&self) -> Option<String> {
        let name = self.directory.path().file_name()?.to_string_lossy();
        matches!(self.server, RedisServer::Docker).then(|| format!("{name}-redis"))
    }
}

impl Start for Launch {
    const NAME: &str = "the Redis server";
    const PATIENCE: Duration = PATIENCE;

    fn log(&self) -> PathBuf {
        self.directory.path().join("redis.log")
    }

    fn command(&self, port: u16) -> Command {
        let mut command = match &self.server {
            RedisServer::Native(binary) | RedisServer::Renamed(binary) => {
                let mut command = Command::new(binary);
                command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
                command.arg("--dir").arg(self.directory.path());
                command
            }
            RedisServer::Docker => {
                let mut command = Command::new("docker");
                command.args(["run", "--rm", "--publish", &format!("127.0.0.1:{port}:6379")]);
                command.args(self.container().map(|name| format!("--name={name}")));
                command.args([IMAGE, "valkey-server", "--protected-mode", "no"]);
                command
            }
        };
        // A cache only: bounded, and nothing on disk.
        command.args(["--save", "", "--appendonly", "no"]);
        command.args(["--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru"]);
        command
    }

    fn end(&self) -> End {
        let remove = Some(self.directory.path().to_owned());
        End { grace: Duration::ZERO, remove, container: self.container() }
    }

    /// The directory in its answer tells this server from another one that was faster to take the port.
    fn answers(&self, port: u16) -> bool {
        let ask = || -> Result<String> {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            stream.write_all(b"CONFIG GET dir\r\nQUIT\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let directory = match self.server {
            RedisServer::Docker => Some(PathBuf::from("/data")),
            _ => fs::canonicalize(self.directory.path()).ok(),
        };
        let directory = directory.unwrap_or_default().to_string_lossy().into_owned();
        ask().is_ok_and(|answer| !directory.is_empty() && answer.lines().any(|line| line == directory))
    }
}
