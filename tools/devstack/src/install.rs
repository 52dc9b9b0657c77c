//! Gets the servers that this machine lacks.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use rustix::process::geteuid;

use crate::find::{self, quietly};

/// Packages that bring the servers and nothing that the system would start by itself.
const APT_REDIS: &str = "redis-tools";
const APT_DATABASES: [(&str, &str); 2] =
    [("mariadb-server-core", "mariadb-client-core"), ("mysql-server-core", "mysql-client-core")];

/// What is needed and not there.
struct Missing {
    database: bool,
    redis: bool,
}

/// Makes sure that the servers asked for can be started: found, or installed with apt-get or Homebrew, or by way of
/// Docker.
///
/// # Errors
/// None of these works; the error says what to install.
pub(crate) fn ensure(database: bool, redis: bool) -> Result<()> {
    let missing =
        || Missing { database: database && !find::has_database(), redis: redis && !find::has_redis() };
    for installer in [with_apt, with_homebrew] {
        let missing = missing();
        if !missing.anything() {
            return Ok(());
        }
        if let Err(error) = installer(&missing) {
            eprintln!("farmlokal-dev: {error:#}");
        }
    }
    let missing = missing();
    if !missing.anything() {
        return Ok(());
    }
    if find::docker_answers() {
        eprintln!("farmlokal-dev: no {} on this machine: using Docker containers", missing.names());
        return Ok(());
    }
    bail!(
        "no {} here: install MariaDB and Redis (`sudo apt-get install mariadb-server-core mariadb-client-core \
         redis-tools`, or `brew install mariadb redis`), start Docker, or set DATABASE_URL and REDIS_URL",
        missing.names()
    )
}

impl Missing {
    fn anything(&self) -> bool {
        self.database || self.redis
    }

    fn names(&self) -> String {
        let names = [(self.database, "MariaDB or MySQL server"), (self.redis, "Redis or Valkey server")];
        names
            .iter()
            .filter(|(missing, _)| *missing)
            .map(|(_, name)| *name)
            .collect::<Vec<_>>()
            .join(" and no ")
    }
}

fn with_apt(missing: &Missing) -> Result<()> {
    if find::program(&["apt-get"]).is_none() || !may_install() {
        return Ok(());
    }
    eprintln!("farmlokal-dev: no {}: installing with apt-get", missing.names());
    as_root("apt-get", &["update", "-qq"])?;
    let mut packages = Vec::new();
    if missing.database {
        packages.extend(database_packages()?);
    }
    if missing.redis {
        packages.push(APT_REDIS.to_owned());
    }
    let options = ["install", "-qq", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"];
    let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
    as_root("apt-get", &[&options, packages.as_slice()].concat())
}

/// Older releases have the version in the packages' names, such as mariadb-server-core-10.6.
fn database_packages() -> Result<[String; 2]> {
    for (server, client) in APT_DATABASES {
        let output =
            Command::new("apt-cache").args(["pkgnames", server]).output().context("cannot run apt-cache")?;
        let names = String::from_utf8_lossy(&output.stdout);
        if let Some(name) = names.lines().min_by_key(|name| name.len()) {
            return Ok([name.to_owned(), name.replace(server, client)]);
        }
    }
    bail!("apt-get knows neither MariaDB nor MySQL")
}

fn may_install() -> bool {
    geteuid().is_root() || quietly(Command::new("sudo").args(["-n", "true"]))
}

fn as_root(program: &str, args: &[&str]) -> Result<()> {
    let mut command = Command::new(if geteuid().is_root() { "env" } else { "sudo" });
    if !geteuid().is_root() {
        command.args(["-n", "env"]);
    }
    command.args(["DEBIAN_FRONTEND=noninteractive", program]).args(args);
    succeed(&mut command, program)
}

fn with_homebrew(missing: &Missing) -> Result<()> {
    if find::program(&["brew"]).is_none() {
        return Ok(());
    }
    eprintln!("farmlokal-dev: no {}: installing with Homebrew", missing.names());
    let formulae = [(missing.database, "mariadb"), (missing.redis, "redis")];
    let formulae = formulae.iter().filter(|(missing, _)| *missing).map(|(_, name)| *name);
    succeed(Command::new("brew").arg("install").args(formulae), "brew")
}

fn succeed(command: &mut Command, name: &str) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot run {name}"))?;
    if !status.success() {
        bail!("{name} failed ({status})");
    }
    Ok(())
}
