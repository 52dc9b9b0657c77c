//! A private server of either kind: started on a free port, killed, paused and started again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tempfile::TempDir;

use crate::supervise::{POLL, Supervised};
use crate::{interrupt, port};

/// What starting needs to know of a kind of server.
pub trait Kind {
    /// What errors call it.
    const NAME: &str;
    /// How long it may take to answer.
    const PATIENCE: Duration;

    /// Its log.
    fn log(&self) -> PathBuf;
    /// Its command line.
    fn command(&self, port: u16) -> Command;
    /// Time between SIGTERM and SIGKILL at the end; zero kills at once.
    fn grace(&self) -> Duration;
    /// Is removed at the end.
    fn directory(&self) -> &Path;
    /// Whether this very server, and no other, answers on the port.
    fn answers(&self, port: u16) -> bool;
}

/// A private server on a free port of 127.0.0.1. It ends with this value, and also when this process is killed.
#[derive(Debug)]
pub struct Server<K> {
    process: Supervised,
    port: u16,
    kind: K,
}

impl<K: Kind> Server<K> {
    /// Another process may take a port between the moment it was found free and the server's start: then another one is
    /// tried.
    pub(crate) fn launch(kind: K) -> Result<Self> {
        let mut attempts = 0;
        loop {
            let port = port::free()?;
            match start(&kind, port) {
                Ok(process) => return Ok(Server { process, port, kind }),
                Err(_) if attempts < 5 && last_words(&kind).to_lowercase().contains("already in use") => {
                    attempts += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The TCP port on 127.0.0.1; the same after [`start_again`](Server::start_again).
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn kind(&self) -> &K {
        &self.kind
    }

    /// Starts a server that was killed on the same port and waits until it answers. A database has its data still, a Redis
    /// is empty.
    ///
    /// # Errors
    /// Another process has taken the port, or the server does not start.
    pub fn start_again(&mut self) -> Result<()> {
        self.process = start(&self.kind, self.port)?;
        Ok(())
    }

    /// SIGSTOP: connections stay open and nothing answers.
    ///
    /// # Errors
    /// It is not running.
    pub fn pause(&self) -> Result<()> {
        self.process.pause()
    }

    /// SIGCONT, after [`pause`](Server::pause).
    ///
    /// # Errors
    /// It is not running.
    pub fn resume(&self) -> Result<()> {
        self.process.resume()
    }

    /// SIGKILL: the server is gone when this returns.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// # Errors
    /// The server has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        check(&self.kind, &mut self.process)
    }
}

fn start<K: Kind>(kind: &K, port: u16) -> Result<Supervised> {
    let mut process = Supervised::start(&kind.command(port), &kind.log(), kind.grace(), kind.directory())?;
    let patience = Instant::now() + K::PATIENCE;
    while !kind.answers(port) {
        interrupt::check()?;
        check(kind, &mut process)?;
        if Instant::now() > patience {
            bail!("{} does not answer:\n{}", K::NAME, last_words(kind));
        }
        sleep(POLL);
    }
    Ok(process)
}

fn check<K: Kind>(kind: &K, process: &mut Supervised) -> Result<()> {
    match process.ended()? {
        Some(status) => bail!("{} ended ({status}):\n{}", K::NAME, last_words(kind)),
        None => Ok(()),
    }
}

fn last_words(kind: &impl Kind) -> String {
    let bytes = fs::read(kind.log()).unwrap_or_default();
    let log = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// In /tmp and not in `TMPDIR`, which may be too long for a Unix socket's path (104 bytes).
pub(crate) fn temporary_directory() -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("farmlokal-").tempdir_in("/tmp")?)
}
