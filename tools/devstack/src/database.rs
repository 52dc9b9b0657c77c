use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::geteuid;
use tempfile::TempDir;

use crate::find::{self, DatabaseServer, Flavour};
use crate::settings;
use crate::start::{Start, start_on_a_free_port, temporary_directory};
use crate::supervise::{End, Supervised};

const IMAGE: &str = "mariadb:11.8";
const PATIENCE: Duration = Duration::from_mins(2);

/// A private MariaDB or MySQL server on a free port of 127.0.0.1, with an empty database `farmlokal` and a user
/// `farmlokal` (password `farmlokal`) who may do anything. It ends with this value, and also when this process is killed.
#[derive(Debug)]
pub struct Database {
    server: Supervised,
    port: u16,
    launch: Launch,
}

impl Database {
    /// Starts a server that forgets everything at its end and waits until it answers. It survives a SIGKILL of its own
    /// like any other, but not a power cut.
    ///
    /// # Errors
    /// The machine has none, or it does not start; the error ends with the server's own last words.
    pub fn start() -> Result<Database> {
        let run = temporary_directory()?;
        let data = run.path().join("data");
        Database::launch(Launch {
            server: found()?,
            log: run.path().join("database.log"),
            data,
            run,
            lasting: false,
        })
    }

    /// Starts a server whose data last, in a directory of its own for each version under `directory`.
    pub(crate) fn start_lasting(directory: &Path) -> Result<Database> {
        let server = found()?;
        let name = match &server {
            DatabaseServer::Native { flavour: Flavour::MariaDb, version, .. } => format!("mariadb-{version}"),
            DatabaseServer::Native { flavour: Flavour::MySql, version, .. } => format!("mysql-{version}"),
            DatabaseServer::Docker => IMAGE.replace(':', "-"),
        };
        let (data, log) = (directory.join(name), directory.join("database.log"));
        Database::launch(Launch { server, log, data, run: temporary_directory()?, lasting: true })
    }

    fn launch(launch: Launch) -> Result<Database> {
        launch.prepare()?;
        let (server, port) = start_on_a_free_port(&launch)?;
        Ok(Database { server, port, launch })
    }

    /// Such as `mysql://farmlokal:farmlokal@127.0.0.1:15306/farmlokal`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mysql://farmlokal:farmlokal@127.0.0.1:{}/farmlokal", self.port)
    }

    /// The TCP port on 127.0.0.1; the same after [`start_again`](Database::start_again).
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Which kind of server it is.
    #[must_use]
    pub fn flavour(&self) -> Flavour {
        match self.launch.server {
            DatabaseServer::Native { flavour, .. } => flavour,
            DatabaseServer::Docker => Flavour::MariaDb,
        }
    }

    /// SIGKILL, as a crash: the server is gone when this returns, its data stay.
    ///
    /// # Errors
    /// It is not running.
    pub fn kill9(&mut self) -> Result<()> {
        self.server.kill()
    }

    /// Starts the server on the same data and port and waits until it answers.
    ///
    /// # Errors
    /// Another process has taken the port, or the server does not start.
    pub fn start_again(&mut self) -> Result<()> {
        self.server = self.launch.start(self.port)?;
        Ok(())
    }

    /// SIGSTOP: connections stay open and nothing answers.
    ///
    /// # Errors
    /// It is not running.
    pub fn pause(&self) -> Result<()> {
        self.server.pause()
    }

    /// SIGCONT, after [`pause`](Database::pause).
    ///
    /// # Errors
    /// It is not running.
    pub fn resume(&self) -> Result<()> {
        self.server.resume()
    }

    /// # Errors
    /// The server has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.launch.check(&mut self.server)
    }
}

fn found() -> Result<DatabaseServer> {
    find::database().context("no MariaDB or MySQL server: `make run` and `make test` get one")
}

#[derive(Debug)]
struct Launch {
    server: DatabaseServer,
    data: PathBuf,
    log: PathBuf,
    /// Socket and process id file; for a server that does not last, everything.
    run: TempDir,
    lasting: bool,
}

impl Launch {
    /// Lays out the data directory, where there is none yet.
    fn prepare(&self) -> Result<()> {
        let statements = "CREATE DATABASE IF NOT EXISTS farmlokal CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;\n\
             CREATE USER IF NOT EXISTS farmlokal@'%' IDENTIFIED BY 'farmlokal';\n\
             GRANT ALL ON *.* TO farmlokal@'%';\n";
        fs::write(self.init_file(), statements)?;
        if self.data.exists() {
            return Ok(());
        }
        // Under another name until it is whole, so that one cut short is never taken for a data directory.
        let partial = self.data.with_extension("partial");
        fs::remove_dir_all(&partial).or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        if let DatabaseServer::Native { binary, flavour, .. } = &self.server {
            initialise(binary, *flavour, &partial, self.run.path())?;
        } else {
            fs::create_dir_all(&partial)?;
        }
        fs::rename(partial, &self.data)?;
        Ok(())
    }

    fn init_file(&self) -> PathBuf {
        self.run.path().join("init.sql")
    }

    fn pid_file(&self) -> PathBuf {
        self.run.path().join("database.pid")
    }

    fn container(&self) -> Option<String> {
        let name = self.run.path().file_name()?.to_string_lossy();
        matches!(self.server, DatabaseServer::Docker).then(|| format!("{name}-database"))
    }
}

impl Start for Launch {
    const NAME: &str = "the database server";
    const PATIENCE: Duration = PATIENCE;

    fn log(&self) -> PathBuf {
        self.log.clone()
    }

    fn command(&self, port: u16) -> Command {
        // Left by a server that was killed; its presence says that this one has its port.
        fs::remove_file(self.pid_file()).ok();
        let run = self.run.path();
        let mut command = match &self.server {
            DatabaseServer::Native { binary, .. } => {
                let mut command = Command::new(binary);
                command.arg("--no-defaults").args(as_root());
                command.args([format!("--port={port}"), "--bind-address=127.0.0.1".into()]);
                let paths = [
                    ("datadir", self.data.clone()),
                    ("socket", run.join("database.sock")),
                    ("pid-file", self.pid_file()),
                    ("init-file", self.init_file()),
                    ("tmpdir", run.to_owned()),
                    ("secure-file-priv", run.to_owned()),
                ];
                command.args(paths.map(|(name, path)| format!("--{name}={}", path.display())));
                command
            }
            DatabaseServer::Docker => {
                let mut command = Command::new("docker");
                command.args(["run", "--rm", "--publish", &format!("127.0.0.1:{port}:3306")]);
                command.args(self.container().map(|name| format!("--name={name}")));
                command.arg(format!("--volume={}:/var/lib/mysql", self.data.display()));
                command.arg(format!("--volume={}:/init.sql:ro", self.init_file().display()));
                command.arg(format!("--user={}", geteuid().as_raw()));
                command.args(["--env=MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1", IMAGE, "--init-file=/init.sql"]);
                command
            }
        };
        command.args(if self.lasting { settings::for_development() } else { settings::for_tests() });
        command
    }

    fn end(&self) -> End {
        let grace = if self.lasting { Duration::from_mins(1) } else { Duration::ZERO };
        End { grace, remove: Some(self.run.path().to_owned()), container: self.container() }
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
        let has_its_port = matches!(self.server, DatabaseServer::Docker) || self.pid_file().exists();
        has_its_port && greets().unwrap_or(false)
    }
}

fn initialise(binary: &Path, flavour: Flavour, data: &Path, run: &Path) -> Result<()> {
    let mut command = match flavour {
        Flavour::MySql => {
            let mut command = Command::new(binary);
            command.args(["--no-defaults", "--initialize-insecure"]);
            command
        }
        Flavour::MariaDb => {
            let mut command = Command::new(installer(binary)?);
            command.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
            command.args(["--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0"]);
            // Several at a time take each other's files in /tmp for their own.
            command.arg(format!("--tmpdir={}", run.display()));
            // A machine that does not know its own name will do.
            command.arg("--force");
            command
        }
    };
    fs::create_dir_all(data)?;
    command.args(as_root()).arg(format!("--datadir={}", data.display()));
    let log = run.join("initialise.log");
    let end = End { remove: Some(run.to_owned()), ..End::default() };
    let status = Supervised::start(&command, &log, end)?.wait()?;
    if !status.success() {
        bail!("cannot lay out {} ({status}):\n{}", data.display(), fs::read_to_string(log)?);
    }
    Ok(())
}

/// MariaDB's script for a new data directory: beside the server, or where else programs lie.
fn installer(server: &Path) -> Result<PathBuf> {
    let names = ["mariadb-install-db", "mysql_install_db"];
    let prefix =
        server.canonicalize()?.parent().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
    let beside = ["bin", "scripts"].iter().flat_map(|part| names.map(|name| prefix.join(part).join(name)));
    beside.into_iter().find(|path| path.is_file()).or_else(|| find::program(&names)).with_context(|| {
        format!(
            "{} is here, mariadb-install-db is not: install the whole of MariaDB's server package",
            server.display()
        )
    })
}

/// The servers refuse to run as root unless told to.
fn as_root() -> Option<&'static str> {
    geteuid().is_root().then_some("--user=root")
}
