use std::io::Write as _;
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::os::unix::{fs::symlink, net::UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::find;
use crate::server::{Kind, Server, temporary_directory};
use crate::tls::TlsFiles;

/// A private Redis or Valkey server on a free port of 127.0.0.1 that keeps nothing on disk. It ends with this value, and
/// also when this process is killed.
pub type Redis = Server<RedisServer>;

impl Redis {
    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    /// The machine has none, or it does not start; the error ends with the server's own last words.
    pub fn start() -> Result<Redis> {
        Redis::start_as(None, Role::Server(Vec::new()))
    }

    /// The same, with further options of its command line.
    ///
    /// # Errors
    /// As [`start`](Redis::start).
    pub fn start_with(options: &[&str]) -> Result<Redis> {
        Redis::start_server(None, options)
    }

    pub(crate) fn start_server(tls: Option<&TlsFiles>, options: &[&str]) -> Result<Redis> {
        Redis::start_as(tls.cloned(), Role::Server(options.iter().map(ToString::to_string).collect()))
    }

    /// A Sentinel of the service `shop`, whose primary has this port. It has another one elected after a second, if two say so.
    ///
    /// # Errors
    /// As [`start`](Redis::start).
    pub fn start_sentinel(tls: Option<&TlsFiles>, primary: u16) -> Result<Redis> {
        Redis::start_as(tls.cloned(), Role::Sentinel(primary))
    }

    /// The same, for a server that takes connections with TLS only, and with a certificate of the same CA.
    ///
    /// # Errors
    /// As [`start`](Redis::start).
    pub fn start_with_tls(files: TlsFiles) -> Result<Redis> {
        Redis::start_as(Some(files), Role::Server(Vec::new()))
    }

    fn start_as(tls: Option<TlsFiles>, role: Role) -> Result<Redis> {
        let found = find::redis().context("no Redis or Valkey server: `make run` and `make test` get one")?;
        let directory = temporary_directory()?;
        // What the server does depends on the name it is called by.
        let binary = directory.path().join("redis-server");
        symlink(found, &binary)?;
        Server::launch(RedisServer { binary, directory, tls, role })
    }

    /// Such as `redis://127.0.0.1:15379`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }

    /// What it answers to a command, as it comes.
    ///
    /// # Errors
    /// It does not answer within a second.
    pub fn ask(&self, command: &str) -> Result<String> {
        self.kind().ask(command)
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
    tls: Option<TlsFiles>,
    role: Role,
}

#[derive(Debug)]
enum Role {
    Server(Vec<String>),
    Sentinel(u16),
}

impl RedisServer {
    fn ask(&self, command: &str) -> Result<String> {
        let mut stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        // Not QUIT, which a Sentinel does not know.
        stream.shutdown(Shutdown::Write)?;
        Ok(std::io::read_to_string(stream)?)
    }

    /// A Sentinel keeps what it learns in its configuration.
    fn sentinel(&self, port: u16, primary: u16) -> PathBuf {
        let path = self.directory.path().join("sentinel.conf");
        let socket = self.socket();
        let listen = match &self.tls {
            None => format!("port {port}"),
            Some(TlsFiles { ca, cert, key }) => format!(
                "port 0\ntls-port {port}\ntls-replication yes\ntls-ca-cert-file {}\ntls-cert-file {}\ntls-key-file {}",
                ca.display(),
                cert.display(),
                key.display()
            ),
        };
        let lines = [
            listen,
            "bind 127.0.0.1".to_owned(),
            format!("unixsocket {}", socket.display()),
            format!("sentinel monitor shop 127.0.0.1 {primary} 2"),
            "sentinel down-after-milliseconds shop 1000".to_owned(),
            "sentinel failover-timeout shop 5000\n".to_owned(),
        ];
        if !path.exists() {
            // Without it the server does not start, and says so.
            let _ = std::fs::write(&path, lines.join("\n"));
        }
        path
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }
}

impl Kind for RedisServer {
    const NAME: &str = "the Redis server";
    const PATIENCE: Duration = Duration::from_secs(30);

    fn log(&self) -> PathBuf {
        self.directory.path().join("redis.log")
    }

    fn command(&self, port: u16) -> Command {
        let mut command = Command::new(&self.binary);
        if let Role::Sentinel(primary) = self.role {
            command.arg(self.sentinel(port, primary)).arg("--sentinel");
            return command;
        }
        let port = port.to_string();
        match &self.tls {
            None => command.args(["--port", &port]),
            Some(files) => command
                .args([
                    "--tls-replication",
                    "yes",
                    "--tls-cluster",
                    "yes",
                    "--port",
                    "0",
                    "--tls-port",
                    &port,
                    "--tls-auth-clients",
                    "yes",
                    "--tls-ca-cert-file",
                ])
                .arg(&files.ca)
                .arg("--tls-cert-file")
                .arg(&files.cert)
                .arg("--tls-key-file")
                .arg(&files.key),
        };
        command.args(["--bind", "127.0.0.1", "--unixsocket"]).arg(self.socket());
        command.arg("--dir").arg(self.directory.path());
        // A cache only: bounded, and nothing on disk.
        command.args(["--save", "", "--appendonly", "no"]);
        command.args(["--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru"]);
        if let Role::Server(options) = &self.role {
            command.args(options);
        }
        command
    }

    fn grace(&self) -> Duration {
        Duration::ZERO
    }

    fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// On a socket of its own: another server may have been faster to take the port, and this one does without it then.
    fn answers(&self, port: u16) -> bool {
        let ask = || -> Result<bool> {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            Ok(self.ask("PING")?.starts_with("+PONG"))
        };
        ask().unwrap_or(false)
    }
}
