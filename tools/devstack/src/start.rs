//! Starting a server on a free port, whichever kind it is.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tempfile::TempDir;

use crate::supervise::{End, POLL, Supervised};
use crate::{interrupt, port};

/// What starting needs to know of a kind of server.
pub(crate) trait Start {
    const NAME: &str;
    /// How long it may take to answer.
    const PATIENCE: Duration;

    fn log(&self) -> PathBuf;
    fn command(&self, port: u16) -> Command;
    fn end(&self) -> End;
    /// Whether this very server, and no other, answers on the port.
    fn answers(&self, port: u16) -> bool;

    /// Starts the server and waits until it answers.
    fn start(&self, port: u16) -> Result<Supervised> {
        let mut server = Supervised::start(&self.command(port), &self.log(), self.end())?;
        let patience = Instant::now() + Self::PATIENCE;
        while !self.answers(port) {
            interrupt::check()?;
            self.check(&mut server)?;
            if Instant::now() > patience {
                bail!("{} does not answer:\n{}", Self::NAME, self.last_words());
            }
            sleep(POLL);
        }
        Ok(server)
    }

    /// # Errors
    /// The server has ended by itself.
    fn check(&self, server: &mut Supervised) -> Result<()> {
        match server.ended()? {
            Some(status) => bail!("{} ended ({status}):\n{}", Self::NAME, self.last_words()),
            None => Ok(()),
        }
    }

    fn last_words(&self) -> String {
        let bytes = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }
}

/// Another process may take a port between the moment it was found free and the server's start: then another one.
pub(crate) fn start_on_a_free_port(server: &impl Start) -> Result<(Supervised, u16)> {
    let mut attempts = 0;
    loop {
        let port = port::free()?;
        match server.start(port) {
            Ok(started) => return Ok((started, port)),
            Err(error) if attempts < 5 && port_was_taken(&server.last_words()) => {
                attempts += 1;
                drop(error);
            }
            Err(error) => return Err(error),
        }
    }
}

fn port_was_taken(log: &str) -> bool {
    let log = log.to_lowercase();
    log.contains("address already in use") || log.contains("port is already allocated")
}

/// In /tmp and not in `TMPDIR`, which may be too long for a Unix socket's path (104 bytes).
pub(crate) fn temporary_directory() -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("farmlokal-").tempdir_in("/tmp")?)
}
