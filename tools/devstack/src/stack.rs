use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::database::Database;
use crate::install;
use crate::partners::Partners;
use crate::redis::Redis;
use crate::supervise::{Supervised, run};

/// The settings of the API's rate limits.
pub const RATE_LIMITS: [&str; 4] =
    ["RATE_LIMIT", "RATE_LIMIT_SEARCH", "RATE_LIMIT_WEBHOOK", "RATE_LIMIT_WRITE"];
/// What they are on a developer's machine, where all requests come from one client: the highest rate there is.
pub const RATE_LIMIT: &str = "1000000/1";

/// A database whose data last in `.devstack/` and a Redis, for a developer's own machine. Where `DATABASE_URL` or
/// `REDIS_URL` is set, that server is used and none is started. Both end with this value.
#[derive(Debug)]
pub struct Stack {
    database_url: String,
    redis_url: String,
    database: Option<Database>,
    redis: Option<Redis>,
}

impl Stack {
    /// Starts the servers, migrates, and seeds this many products where they are not there yet. The first time it takes
    /// minutes: servers are installed where there are none, and the binaries are built for release.
    ///
    /// # Errors
    /// Any of these steps fails, or another process uses `.devstack/`.
    pub fn up(rows: u64) -> Result<Stack> {
        let stack = Stack::start()?;
        Stack::build()?;
        stack.migrate()?;
        let status = stack.seed(rows)?.wait()?;
        ensure!(status.success(), "farmlokal-seed failed ({status})");
        Ok(stack)
    }

    /// Starts the servers only.
    ///
    /// # Errors
    /// There are none and none can be had, they do not start, or another process uses `.devstack/`.
    pub fn start() -> Result<Stack> {
        Stack::start_with(|| Database::start_lasting(&repository().join(".devstack")))
    }

    /// Like [`start`](Stack::start), with a database that is empty and forgets everything: for a run of the tests.
    ///
    /// # Errors
    /// There are no servers and none can be had, or they do not start.
    pub fn start_for_tests() -> Result<Stack> {
        Stack::start_with(Database::start)
    }

    fn start_with(start_database: impl FnOnce() -> Result<Database>) -> Result<Stack> {
        let (database_url, redis_url) = (given("DATABASE_URL"), given("REDIS_URL"));
        install::ensure(database_url.is_none(), redis_url.is_none())?;
        let mut stack =
            Stack { database_url: String::new(), redis_url: String::new(), database: None, redis: None };
        stack.database_url = match database_url {
            Some(url) => url,
            None => stack.database.insert(start_database()?).url(),
        };
        stack.redis_url = match redis_url {
            Some(url) => url,
            None => stack.redis.insert(Redis::start()?).url(),
        };
        Ok(stack)
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
        let mut migrate = self.command("farmlokal-api");
        migrate.arg("migrate");
        run(&migrate)
    }

    /// Starts the seed job's release build beside whatever else runs.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn seed(&self, rows: u64) -> Result<Supervised> {
        let mut seed = self.command("farmlokal-seed");
        seed.args(["--rows", &rows.to_string()]);
        Supervised::start_in_foreground(&seed)
    }

    /// Starts the release build of the partners' sandbox, on `SANDBOX_PORT` or a free port. `None` where the environment
    /// names real partners.
    ///
    /// # Errors
    /// It cannot be started, or `SANDBOX_PORT` is no port.
    pub fn partners(&self) -> Result<Option<Partners>> {
        Partners::start(self.command("farmlokal-sandbox"), given)
    }

    /// Starts the API's release build on this port with these partners; all else is the environment's. Rate limits are
    /// [`RATE_LIMIT`] where the environment has none.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn serve(&self, port: u16, partners: Option<&Partners>) -> Result<Supervised> {
        let mut serve = self.command("farmlokal-api");
        serve.args(["serve", "--port", &port.to_string()]);
        // The webhook's key is public here: nobody else's machine may send events.
        let defaults = RATE_LIMITS.map(|name| (name, RATE_LIMIT)).into_iter().chain([("HOST", "127.0.0.1")]);
        for (name, value) in defaults {
            if env::var_os(name).is_none() {
                serve.env(name, value);
            }
        }
        if let Some(partners) = partners {
            partners.configure(&mut serve, port);
        }
        Supervised::start_in_foreground(&serve)
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

    /// A program of this workspace, built for release.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        // This is target/debug/farmlokal-dev or target/release/farmlokal-bench: wherever the target directory is.
        let this = env::current_exe().unwrap_or_default();
        this.ancestors().nth(2).unwrap_or(Path::new("target")).join("release").join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.program(program));
        command.current_dir(repository());
        self.configure(&mut command);
        if env::var_os("LOG_FORMAT").is_none() {
            command.env("LOG_FORMAT", "text");
        }
        command
    }
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
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
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
