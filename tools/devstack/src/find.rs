//! Which servers this machine has.

use std::path::PathBuf;
use std::process::Command;

/// A database server that can be started.
#[derive(Clone, Debug)]
pub(crate) struct DatabaseBinary {
    pub(crate) path: PathBuf,
    /// Otherwise Oracle's MySQL.
    pub(crate) is_mariadb: bool,
    /// Such as `10.11`.
    version: String,
}

impl DatabaseBinary {
    /// Such as `mariadb-10.11`.
    pub(crate) fn name(&self) -> String {
        format!("{}-{}", if self.is_mariadb { "mariadb" } else { "mysql" }, self.version)
    }
}

pub(crate) fn database() -> Option<DatabaseBinary> {
    let path = program(&["mariadbd", "mysqld"])?;
    let output = Command::new(&path).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    // "mariadbd  Ver 10.11.8-MariaDB-..." and "/usr/sbin/mysqld  Ver 8.4.0 for Linux ..."
    let version = text.split_whitespace().skip_while(|word| *word != "Ver").nth(1)?;
    let version = version.split('.').take(2).collect::<Vec<_>>().join(".");
    Some(DatabaseBinary { path, is_mariadb: text.contains("MariaDB"), version })
}

/// Redis or Valkey. Debian packs the server's binary under a tool's name in `redis-tools`, which, unlike `redis-server`,
/// brings no system service along.
pub(crate) fn redis() -> Option<PathBuf> {
    program(&["redis-server", "valkey-server"]).or_else(|| program(&["redis-check-rdb", "valkey-check-rdb"]))
}

/// The first of `names` on the PATH or where servers lie that are not on it.
pub(crate) fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    directories.extend(["/usr/sbin", "/usr/local/sbin", "/usr/local/mysql/bin"].map(PathBuf::from));
    let mut paths =
        directories.iter().flat_map(|directory| names.iter().map(move |name| directory.join(name)));
    paths.find(|path| path.is_file())
}
