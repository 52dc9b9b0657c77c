use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::database::Database;
use crate::install;
use crate::partners::Partners;
use crate::redis::Redis;
use crate::supervise::{End, Supervised, run};

/// The settings of the API's rate limits.
pub const RATE_LIMITS: [&str; 3] = ["RATE_LIMIT", "RATE_LIMIT_SEARCH", "RATE_LIMIT_WEBHOOK"];
/// What they are on a developer's machine, where all requests come from one client: the highest rate there is.
pub const RATE_LIMIT: &str = "1000000/1";

/// What a development stack holds.
#[derive(Clone, Debug)]
pub struct StackOptions {
    /// How many products are seeded, where they are not yet.
    pub rows: u64,
}

impl Default for StackOptions {
    fn default() -> Self {
        StackOptions { rows: 1_000_000 }
    }
}

/// A database whose data last in `.devstack/` and a Redis, for a developer's own machine. Where `DATABASE_URL` or
/// `REDIS_URL` is set, that server is used and none is started. Both end with this value.
#[derive(Debug)]
pub struct Stack {
    database_url: String,
    redis_url: String,
    database: Option<Database>,
    redis: Option<Redis>,
    /// Held for as long as the data directory is in use.
    _lock: Option<File>,
}

impl Stack {
    /// Starts the servers, migrates, and seeds what is not there yet, full-text index included. The first time it takes
    /// minutes: servers are installed where there are none, and the binaries are built for release.
    ///
    /// # Errors
    /// Any of these steps fails, or another process uses `.devstack/`.
    pub fn up(options: &StackOptions) -> Result<Stack> {
        let stack = Stack::start()?;
        Stack::build()?;
        stack.migrate()?;
        let mut seed = stack.seed(options.rows)?;
        let status = seed.wait()?;
        if !status.success() {
            bail!("farmlokal-seed failed ({status})");
        }
        Ok(stack)
    }

    /// Starts the servers only.
    ///
    /// # Errors
    /// There are none and none can be had, they do not start, or another process uses `.devstack/`.
    pub fn start() -> Result<Stack> {
        let directory = devstack();
        let lock = if given("DATABASE_URL").is_none() { Some(lock(&directory)?) } else { None };
        let stack = Stack::start_with(|| Database::start_lasting(&directory))?;
        Ok(Stack { _lock: lock, ..stack })
    }

    /// Like [`start`](Stack::start), with a database that is empty and forgets everything: for a run of the tests.
    ///
    /// # Errors
    /// There are no servers and none can be had, or they do not start.
    pub fn start_for_tests() -> Result<Stack> {
        Stack::start_with(Database::start)
    }

    fn start_with(database: impl FnOnce() -> Result<Database>) -> Result<Stack> {
        let (database_url, redis_url) = (given("DATABASE_URL"), given("REDIS_URL"));
        install::ensure(database_url.is_none(), redis_url.is_none())?;
        let database = if database_url.is_none() { Some(database()?) } else { None };
        let redis = if redis_url.is_none() { Some(Redis::start()?) } else { None };
        Ok(Stack {
            database_url: database_url.or_else(|| database.as_ref().map(Database::url)).unwrap_or_default(),
            redis_url: redis_url.or_else(|| redis.as_ref().map(Redis::url)).unwrap_or_default(),
            database,
            redis,
            _lock: None,
        })
    }

    /// The database's URL, password included.
    #[must_use]
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// Redis's URL.
    #[must_use]
    pub fn redis_url(&self) -> &str {
        &self.redis_url
    }

    /// Whether the database was there before, by `DATABASE_URL`.
    #[must_use]
    pub fn uses_a_given_database(&self) -> bool {
        self.database.is_none()
    }

    /// Builds the API, the seed job and the partners' sandbox for release.
    ///
    /// # Errors
    /// The build fails.
    pub fn build() -> Result<()> {
        let mut cargo = cargo();
        cargo.args(["build", "--release"]);
        cargo.args(["-p", "farmlokal-api", "-p", "farmlokal-seed", "-p", "farmlokal-sandbox"]);
        run(&cargo)
    }

    /// Brings the schema up to date, with the release build.
    ///
    /// # Errors
    /// `farmlokal-api migrate` fails.
    pub fn migrate(&self) -> Result<()> {
        let mut migrate = self.command("farmlokal-api")?;
        migrate.arg("migrate");
        run(&migrate)
    }

    /// Starts the seed job's release build beside whatever else runs.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn seed(&self, rows: u64) -> Result<Supervised> {
        let mut seed = self.command("farmlokal-seed")?;
        seed.args(["--rows", &rows.to_string()]);
        Supervised::start_in_foreground(&seed, End { grace: Duration::from_secs(10), ..End::default() })
    }

    /// Starts the release build of the partners' sandbox, on `SANDBOX_PORT` or a free port. `None` where the environment
    /// names real partners.
    ///
    /// # Errors
    /// It cannot be started, or `SANDBOX_PORT` is no port.
    pub fn partners(&self) -> Result<Option<Partners>> {
        Partners::start(self.command("farmlokal-sandbox")?, given)
    }

    /// Starts the API's release build on this port with these partners; all else is the environment's. Rate limits are
    /// [`RATE_LIMIT`] where the environment has none.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn serve(&self, port: u16, partners: Option<&Partners>) -> Result<Supervised> {
        let mut serve = self.command("farmlokal-api")?;
        serve.args(["serve", "--port", &port.to_string()]);
        for name in RATE_LIMITS {
            if env::var_os(name).is_none() {
                serve.env(name, RATE_LIMIT);
            }
        }
        if let Some(partners) = partners {
            partners.configure(&mut serve, port);
        }
        Supervised::start_in_foreground(&serve, End { grace: Duration::from_secs(30), ..End::default() })
    }

    /// # Errors
    /// One of the servers has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        if let Some(database) = &mut self.database {
            database.check()?;
        }
        if let Some(redis) = &mut self.redis {
            redis.check()?;
        }
        Ok(())
    }

    /// Sets `DATABASE_URL` and `REDIS_URL` for a command.
    pub fn configure(&self, command: &mut Command) {
        command.env("DATABASE_URL", &self.database_url).env("REDIS_URL", &self.redis_url);
    }

    fn command(&self, program: &str) -> Result<Command> {
        // target/debug/farmlokal-dev or target/release/farmlokal-bench: wherever the target directory is.
        let this = env::current_exe()?;
        let target = this.ancestors().nth(2).context("a binary outside a target directory")?;
        let mut command = Command::new(target.join("release").join(program));
        command.current_dir(repository());
        self.configure(&mut command);
        if env::var_os("LOG_FORMAT").is_none() {
            command.env("LOG_FORMAT", "text");
        }
        Ok(command)
    }
}

/// Removes the data of the development stack.
///
/// # Errors
/// The stack is in use, or the directory cannot be removed.
pub fn remove_data() -> Result<()> {
    let directory = devstack();
    if !directory.exists() {
        return Ok(());
    }
    let _lock = lock(&directory)?;
    fs::remove_dir_all(&directory).with_context(|| format!("cannot remove {}", directory.display()))
}

/// One process at a time uses the data directory.
fn lock(directory: &Path) -> Result<File> {
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let path = directory.join("lock");
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    if file.try_lock().is_err() {
        let mut owner = String::new();
        file.read_to_string(&mut owner)?;
        bail!("the development database is in use by `{}`: end that first", owner.trim());
    }
    file.set_len(0)?;
    let command = env::args().map(|arg| arg.rsplit('/').next().unwrap_or_default().to_owned());
    writeln!(file, "{}, process {}", command.collect::<Vec<_>>().join(" "), std::process::id())?;
    Ok(file)
}

fn given(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}

/// Cargo, the one that runs this, in the repository.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(repository());
    // `cargo run` has set them for this program, and some build scripts watch them: with them, and again without, ring and
    // all that depends on it would be built anew.
    for (name, _) in env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// The repository that this was built in.
#[must_use]
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

fn devstack() -> PathBuf {
    repository().join(".devstack")
}
