//! Which servers this machine has.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

/// The two families of servers that speak the same protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flavour {
    /// mariadbd
    MariaDb,
    /// Oracle's mysqld
    MySql,
}

/// A database server that can be started.
#[derive(Clone, Debug)]
pub(crate) enum DatabaseServer {
    Native { binary: PathBuf, flavour: Flavour, version: String },
    Docker,
}

/// A Redis or Valkey server that can be started.
#[derive(Clone, Debug)]
pub(crate) enum RedisServer {
    Native(PathBuf),
    /// The server's binary under the name of a tool: which of them it is depends on the name it's called by. Debian
    /// packs it so in `redis-tools`, which, unlike `redis-server`, brings no system service along.
    Renamed(PathBuf),
    Docker,
}

pub(crate) fn has_database() -> bool {
    native_database().is_some()
}

pub(crate) fn has_redis() -> bool {
    native_redis().is_some()
}

pub(crate) fn database() -> Option<DatabaseServer> {
    native_database().or_else(|| docker_answers().then_some(DatabaseServer::Docker))
}

pub(crate) fn redis() -> Option<RedisServer> {
    native_redis().or_else(|| docker_answers().then_some(RedisServer::Docker))
}

fn native_database() -> Option<DatabaseServer> {
    program(&["mariadbd", "mysqld"]).and_then(|binary| describe(binary).ok())
}

fn native_redis() -> Option<RedisServer> {
    program(&["redis-server", "valkey-server"])
        .map(RedisServer::Native)
        .or_else(|| program(&["redis-check-rdb", "valkey-check-rdb"]).map(RedisServer::Renamed))
}

pub(crate) fn docker_answers() -> bool {
    quietly(Command::new("docker").arg("info"))
}

/// Runs a command to its end, and tells whether it succeeded.
pub(crate) fn quietly(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// The first of `names` on the PATH or where servers lie that are not on it.
pub(crate) fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    directories.extend(["/usr/sbin", "/usr/local/sbin", "/usr/local/mysql/bin"].map(PathBuf::from));
    directories.extend(homebrew_directories());
    directories
        .iter()
        .flat_map(|directory| names.iter().map(move |name| directory.join(name)))
        .find(|path| path.is_file())
}

/// Homebrew links a versioned formula, such as mysql@8.4, only into its own directory.
fn homebrew_directories() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for prefix in ["/opt/homebrew", "/usr/local", "/home/linuxbrew/.linuxbrew"] {
        let Ok(formulae) = Path::new(prefix).join("opt").read_dir() else { continue };
        found.extend(formulae.flatten().map(|formula| formula.path().join("bin")).filter(|bin| {
            let formula = bin.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
            ["mariadb", "mysql", "redis", "valkey"].iter().any(|name| formula.starts_with(name))
        }));
    }
    found
}

fn describe(binary: PathBuf) -> Result<DatabaseServer> {
    let output = Command::new(&binary).arg("--version").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    // "mariadbd  Ver 10.11.8-MariaDB-..." and "/usr/sbin/mysqld  Ver 8.4.0 for Linux ..."
    let version = text.split_whitespace().skip_while(|word| *word != "Ver").nth(1).context("no version")?;
    let flavour = if text.contains("MariaDB") { Flavour::MariaDb } else { Flavour::MySql };
    let version = version.split('.').take(2).collect::<Vec<_>>().join(".");
    Ok(DatabaseServer::Native { binary, flavour, version })
}
