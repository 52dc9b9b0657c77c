//! The HTTP servers under test, each a process of its own.

use std::fs::{File, read_to_string};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use farmlokal_devstack::{RATE_LIMIT, RATE_LIMITS, free_port};
use tokio::process::Child;
use tokio::time::sleep;

use crate::environment::Environment;
use farmlokal_testing::http::Client;

/// Ticks a second in `/proc/<pid>/stat`: `USER_HZ`, the same on every architecture of today.
const TICKS: f64 = 100.0;

/// A running server on a port of its own; killed when this value goes.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From the start of the process until `/readyz` answered 200.
    pub(crate) ready_after: Duration,
}

impl Server {
    /// The API, with `settings` of its own.
    pub(crate) async fn api(environment: &Environment, settings: &[(&str, &str)]) -> Result<Server> {
        let port = free_port()?;
        let mut command = Command::new(&environment.api);
        command.env("HOST", "127.0.0.1").env("PORT", port.to_string()).env_remove("MANAGEMENT_PORT");
        environment.stack.configure(&mut command);
        // All load comes from one client: the limits are there and count, and none is reached.
        command.envs(RATE_LIMITS.map(|name| (name, RATE_LIMIT)));
        // Ready means with its index, however long that takes.
        command.env("SEARCH_READY_TIMEOUT", "1h");
        command.envs(settings.iter().copied());
        Server::start(command, port, &environment.scratch("bench-api.log")).await
    }

    /// A bare axum route that serves the bytes of a file at `/products`.
    pub(crate) async fn bare(environment: &Environment, file: &Path) -> Result<Server> {
        let port = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bare", "--port", &port.to_string(), "--file"]).arg(file);
        Server::start(command, port, &environment.scratch("bench-bare.log")).await
    }

    async fn start(command: Command, port: u16, log: &Path) -> Result<Server> {
        let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = tokio::process::Command::from(command);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).kill_on_drop(true);
        let started = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut server = Server { child, address, ready_after: Duration::ZERO };
        while !server.is_ready().await {
            if let Some(status) = server.child.try_wait()? {
                bail!("a server ended ({status}): see {}", log.display());
            }
            ensure!(started.elapsed() < Duration::from_secs(300), "not ready: see {}", log.display());
            sleep(Duration::from_millis(1)).await;
        }
        server.ready_after = started.elapsed();
        Ok(server)
    }

    async fn is_ready(&self) -> bool {
        Client::new(self.address).get("/readyz").await.is_ok_and(|answer| answer.status == 200)
    }

    /// Where wrk and k6 find it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// CPU time so far in seconds, user and system, of all threads.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let stat = self.proc("stat")?;
        // The second field is the program's name in parentheses and may hold spaces; utime and stime are 14 and 15.
        let (_, rest) = stat.rsplit_once(')').context("no name in /proc/<pid>/stat")?;
        let mut ticks = rest.split_whitespace().skip(11).map(str::parse::<u32>);
        let mut next = || ticks.next().context("/proc/<pid>/stat is short")?.context("/proc/<pid>/stat");
        Ok(f64::from(next()? + next()?) / TICKS)
    }

    /// Resident memory in bytes, now and at its peak since the process started.
    pub(crate) fn memory(&self) -> Result<[u64; 2]> {
        let status = self.proc("status")?;
        let kilobytes = |field: &str| -> Result<u64> {
            let line =
                status.lines().find_map(|line| line.strip_prefix(field)).context("no memory in /proc")?;
            Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
        };
        Ok([kilobytes("VmRSS:")?, kilobytes("VmHWM:")?])
    }

    /// A file of the process under `/proc`.
    fn proc(&self, file: &str) -> Result<String> {
        let id = self.child.id().context("the process has ended")?;
        Ok(read_to_string(format!("/proc/{id}/{file}"))?)
    }
}
