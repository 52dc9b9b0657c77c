use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::geteuid;
use tempfile::TempDir;

use crate::find::{self, DatabaseBinary};
use crate::server::{Kind, Server, temporary_directory};
use crate::settings;
use crate::supervise::Supervised;
use crate::tls::TlsFiles;

/// Run by the server at each start.
const INIT: &str = "SET sql_log_bin = 0;\n\
                    CREATE DATABASE IF NOT EXISTS farmlokal CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;\n\
                    CREATE USER IF NOT EXISTS farmlokal@'%' IDENTIFIED BY 'farmlokal';\n\
                    GRANT ALL ON *.* TO farmlokal@'%';\n";

const ONLY_WITH_CERTIFICATE: &str = "ALTER USER farmlokal@'%' REQUIRE X509;\n";

/// What a server is to others.
#[derive(Clone, Copy, Debug)]
enum Role {
    Alone,
    Primary,
    /// Of the server on this port.
    Replica(u16),
}

/// A private MariaDB or MySQL server on a free port of 127.0.0.1, with an empty database `farmlokal` and a user
/// `farmlokal` (password `farmlokal`) who may do anything. It ends with this value, and also when this process is killed.
pub type Database = Server<DatabaseServer>;

impl Database {
    /// Starts a server that forgets everything at its end and waits until it answers. It survives a SIGKILL of its own
    /// like any other, but not a power cut.
    ///
    /// # Errors
    /// The machine has none, or it does not start; the error ends with the server's own last words.
    pub fn start() -> Result<Database> {
        Database::start_as(None, Role::Alone)
    }

    /// The same, for a server that [replicas](Database::start_replica) can follow.
    ///
    /// # Errors
    /// As [`start`](Database::start).
    pub fn start_primary() -> Result<Database> {
        Database::start_as(None, Role::Primary)
    }

    /// A server that follows this one from its beginning, and does so again when it is
    /// [started again](Server::start_again).
    ///
    /// # Errors
    /// As [`start`](Database::start).
    pub fn start_replica(&self) -> Result<Database> {
        Database::start_as(None, Role::Replica(self.port()))
    }

    /// Whether it is MariaDB, and not MySQL.
    #[must_use]
    pub fn is_mariadb(&self) -> bool {
        self.kind().binary.is_mariadb
    }

    /// The same, for a server that takes connections with TLS only, and the user only with a certificate of the same CA.
    ///
    /// # Errors
    /// As [`start`](Database::start).
    pub fn start_with_tls(files: TlsFiles) -> Result<Database> {
        Database::start_as(Some(files), Role::Alone)
    }

    fn start_as(tls: Option<TlsFiles>, role: Role) -> Result<Database> {
        let run = temporary_directory()?;
        let (data, log) = (run.path().join("data"), run.path().join("database.log"));
        Database::prepare(DatabaseServer { binary: found()?, data, log, run, lasting: false, tls, role })
    }

    /// Starts a server whose data last, in a directory of its own for each version under `directory`.
    pub(crate) fn start_lasting(directory: &Path) -> Result<Database> {
        let binary = found()?;
        let (data, log) = (directory.join(binary.name()), directory.join("database.log"));
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let run = temporary_directory()?;
        let role = Role::Alone;
        Database::prepare(DatabaseServer { binary, data, log, run, lasting: true, tls: None, role })
    }

    fn prepare(server: DatabaseServer) -> Result<Database> {
        let mut init = INIT.to_owned() + if server.tls.is_some() { ONLY_WITH_CERTIFICATE } else { "" };
        if let Role::Replica(port) = server.role {
            init += &following(server.binary.is_mariadb, port);
        }
        fs::write(server.file("init.sql"), init)?;
        if !server.data.exists() {
            server.lay_out()?;
        }
        Server::launch(server)
    }

    /// Such as `mysql://farmlokal:farmlokal@127.0.0.1:15306/farmlokal`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mysql://farmlokal:farmlokal@127.0.0.1:{}/farmlokal", self.port())
    }

    /// SIGKILL, as a crash: the server is gone when this returns, its data stay.
    ///
    /// # Errors
    /// It is not running.
    pub fn kill9(&mut self) -> Result<()> {
        self.kill()
    }
}

fn found() -> Result<DatabaseBinary> {
    find::database().context("no MariaDB or MySQL server: `make run` and `make test` get one")
}

/// How a database is started.
#[derive(Debug)]
pub struct DatabaseServer {
    binary: DatabaseBinary,
    data: PathBuf,
    log: PathBuf,
    /// Socket and process id file; for a server that does not last, everything.
    run: TempDir,
    lasting: bool,
    tls: Option<TlsFiles>,
    role: Role,
}

impl DatabaseServer {
    fn file(&self, name: &str) -> PathBuf {
        self.run.path().join(name)
    }

    /// Makes the data directory, under another name until it is whole: one cut short is never taken for a data directory.
    fn lay_out(&self) -> Result<()> {
        let partial = self.data.with_extension("partial");
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        fs::create_dir_all(&partial)?;
        let mut command;
        if self.binary.is_mariadb {
            command = Command::new(installer(&self.binary.path)?);
            command.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
            command.args(["--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0"]);
            // Several at a time take each other's files in /tmp for their own.
            command.arg(format!("--tmpdir={}", self.run.path().display()));
            // A machine that does not know its own name will do.
            command.arg("--force");
        } else {
            command = Command::new(&self.binary.path);
            command.args(["--no-defaults", "--initialize-insecure"]);
        }
        command.args(as_root()).arg(format!("--datadir={}", partial.display()));
        let log = self.file("initialise.log");
        let status = Supervised::start(&command, &log, Duration::ZERO, self.run.path())?.wait()?;
        if !status.success() {
            bail!("cannot lay out {} ({status}):\n{}", self.data.display(), fs::read_to_string(log)?);
        }
        Ok(fs::rename(partial, &self.data)?)
    }
}

impl Kind for DatabaseServer {
    const NAME: &str = "the database server";
    const PATIENCE: Duration = Duration::from_mins(2);

    fn log(&self) -> PathBuf {
        self.log.clone()
    }

    fn command(&self, port: u16) -> Command {
        // Left by a server that was killed; its presence says that this one has its port.
        fs::remove_file(self.file("database.pid")).ok();
        let run = self.run.path();
        let mut command = Command::new(&self.binary.path);
        command.arg("--no-defaults").args(as_root());
        command.args([format!("--port={port}"), "--bind-address=127.0.0.1".into()]);
        let paths = [
            ("datadir", self.data.clone()),
            ("socket", self.file("database.sock")),
            ("pid-file", self.file("database.pid")),
            ("init-file", self.file("init.sql")),
            ("tmpdir", run.to_owned()),
            ("secure-file-priv", run.to_owned()),
        ];
        command.args(paths.map(|(name, path)| format!("--{name}={}", path.display())));
        if let Some(TlsFiles { ca, cert, key }) = &self.tls {
            let files = [("ca", ca), ("cert", cert), ("key", key)];
            command.args(files.map(|(name, path)| format!("--ssl-{name}={}", path.display())));
            command.arg("--require-secure-transport=ON");
        }
        match self.role {
            Role::Alone => command.arg("--skip-log-bin"),
            // The ports differ, so the ids do.
            Role::Primary | Role::Replica(_) => {
                command.args(settings::REPLICATION).arg(format!("--server-id={port}"))
            }
        };
        command.args(settings::COMMON);
        command.args(if self.lasting { settings::DEVELOPMENT } else { settings::TESTS });
        command
    }

    fn grace(&self) -> Duration {
        if self.lasting { Duration::from_mins(1) } else { Duration::ZERO }
    }

    fn directory(&self) -> &Path {
        self.run.path()
    }

    /// A server greets its clients once it has run the init file.
    fn answers(&self, port: u16) -> bool {
        let greets = || -> std::io::Result<bool> {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            // Three bytes of length, one of sequence number, then the version of the protocol.
            let mut greeting = [0; 5];
            stream.read_exact(&mut greeting)?;
            Ok(greeting[4] == 10)
        };
        self.file("database.pid").exists() && greets().unwrap_or(false)
    }
}

/// Statements that make a server follow the one on this port.
fn following(is_mariadb: bool, port: u16) -> String {
    let (statement, source, rest) = if is_mariadb {
        ("CHANGE MASTER", "MASTER", "MASTER_USE_GTID=slave_pos")
    } else {
        ("CHANGE REPLICATION SOURCE", "SOURCE", "SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1")
    };
    format!(
        "{statement} TO {source}_HOST='127.0.0.1', {source}_PORT={port}, {source}_USER='farmlokal', \
         {source}_PASSWORD='farmlokal', {source}_CONNECT_RETRY=1, {rest};\nSTART REPLICA;\n"
    )
}

/// MariaDB's script for a new data directory: beside the server, or where else programs lie.
fn installer(server: &Path) -> Result<PathBuf> {
    let names = ["mariadb-install-db", "mysql_install_db"];
    let prefix =
        server.canonicalize()?.parent().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
    let beside = ["bin", "scripts"].iter().flat_map(|part| names.map(|name| prefix.join(part).join(name)));
    let found = beside.into_iter().find(|path| path.is_file()).or_else(|| find::program(&names));
    found.context("mariadb-install-db is missing: install the whole of MariaDB's server package")
}

/// The servers refuse to run as root unless told to.
fn as_root() -> Option<&'static str> {
    geteuid().is_root().then_some("--user=root")
}
