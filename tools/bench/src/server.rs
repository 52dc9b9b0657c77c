//! The HTTP servers under test, each a process of its own.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use farmlokal_devstack::{RATE_LIMIT, RATE_LIMITS};
use tokio::time::sleep;

use crate::client::Client;
use crate::environment::Environment;
use crate::process::Process;

/// A running server on a port of its own; killed when this value goes.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From the start of the process until `/readyz` answered 200.
    pub(crate) ready_after: Duration,
}

impl Server {
    /// The API on the given database, with `settings` of its own and empty caches.
    pub(crate) async fn api(
        environment: &Environment,
        database: &str,
        settings: &[(&str, &str)],
    ) -> Result<Server> {
        environment.flush_cache().await?;
        let port = free_port()?;
        let mut command = Command::new(environment.program("farmlokal-api"));
        command.env("HOST", "127.0.0.1").env("PORT", port.to_string()).env_remove("MANAGEMENT_PORT");
        command.env("DATABASE_URL", database).env("REDIS_URL", &environment.redis_url);
        // All load comes from one client: the limits are there and count, and none is reached.
        command.envs(RATE_LIMITS.map(|name| (name, RATE_LIMIT)));
        command.envs(settings.iter().copied());
        Server::start(command, port, &environment.scratch("bench-api.log")).await
    }

    /// This program's own reference server: one route with the bytes of a file.
    pub(crate) async fn reference(environment: &Environment, file: &Path) -> Result<Server> {
        let port = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["reference", "--port", &port.to_string(), "--file"]).arg(file);
        Server::start(command, port, &environment.scratch("bench-reference.log")).await
    }

    async fn start(mut command: Command, port: u16, log: &Path) -> Result<Server> {
        let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let started = Instant::now();
        let name = PathBuf::from(command.get_program());
        let child = command.spawn().with_context(|| format!("cannot run {}", name.display()))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut server = Server { child, address, ready_after: Duration::ZERO };
        while !server.is_ready().await {
            if let Some(status) = server.child.try_wait()? {
                bail!("{} ended ({status}): see {}", name.display(), log.display());
            }
            ensure!(
                started.elapsed() < Duration::from_secs(30),
                "not ready after 30 s: see {}",
                log.display()
            );
            sleep(Duration::from_millis(1)).await;
        }
        server.ready_after = started.elapsed();
        Ok(server)
    }

    async fn is_ready(&self) -> bool {
        Client::new(self.address).get("/readyz").await.is_ok_and(|answer| answer.status == 200)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// The body of an answer that has to be a 2xx.
    pub(crate) async fn body(&self, path: &str) -> Result<Vec<u8>> {
        let mut client = Client::new(self.address);
        let answer = client.get(path).await?;
        ensure!(answer.is_ok(), "GET {path}: {}", answer.status);
        Ok(client.body().to_vec())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing of it stays.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
