//! Gets the servers that this machine lacks.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use rustix::process::geteuid;

use crate::find;

/// Makes sure that the servers asked for can be started: found, or installed with apt-get or Homebrew.
///
/// # Errors
/// None of these works; the error says what to install.
pub(crate) fn ensure(database: bool, redis: bool) -> Result<()> {
    for installer in [with_apt, with_homebrew] {
        let (database, redis) = missing(database, redis);
        if (database || redis)
            && let Err(error) = installer(database, redis)
        {
            eprintln!("farmlokal-dev: {error:#}");
        }
    }
    ensure!(
        missing(database, redis) == (false, false),
        "no MariaDB and MySQL, or no Redis and Valkey here: install them (`sudo apt-get install mariadb-server-core \
         mariadb-client-core redis-tools`, or `brew install mariadb redis`), or set DATABASE_URL and REDIS_URL, such as \
         those of containers"
    );
    Ok(())
}

fn missing(database: bool, redis: bool) -> (bool, bool) {
    (database && find::database().is_none(), redis && find::redis().is_none())
}

/// As root, or with a `sudo` that asks for no password: packages that bring the servers and nothing that the system would
/// start by itself.
fn with_apt(database: bool, redis: bool) -> Result<()> {
    let is_root = geteuid().is_root();
    let may_install = || is_root || succeed(Command::new("sudo").args(["-n", "true"])).is_ok();
    if find::program(&["apt-get"]).is_none() || !may_install() {
        return Ok(());
    }
    let apt_get = |args: &[&str]| {
        let mut command = Command::new(if is_root { "env" } else { "sudo" });
        command.args(if is_root { [].as_slice() } else { &["-n", "env"] });
        succeed(command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(args))
    };
    eprintln!("farmlokal-dev: installing what is missing with apt-get");
    apt_get(&["update", "-qq"])?;
    let mut args =
        vec!["install", "-qq", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"];
    if database {
        args.extend(["mariadb-server-core", "mariadb-client-core"]);
    }
    args.extend(redis.then_some("redis-tools"));
    apt_get(&args)
}

fn with_homebrew(database: bool, redis: bool) -> Result<()> {
    if find::program(&["brew"]).is_none() {
        return Ok(());
    }
    eprintln!("farmlokal-dev: installing what is missing with Homebrew");
    let formulae = [(database, "mariadb"), (redis, "redis")];
    let formulae = formulae.iter().filter(|(missing, _)| *missing).map(|(_, name)| *name);
    succeed(Command::new("brew").arg("install").args(formulae))
}

fn succeed(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot run {name}"))?;
    ensure!(status.success(), "{name} failed ({status})");
    Ok(())
}
