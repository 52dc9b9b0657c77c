#![allow(clippy::doc_markdown, reason = "the help texts are for terminals")]

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// Where the database is: `DATABASE_URL`, or the `DB_*` variables.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Database")]
pub struct DatabaseArgs {
    /// The database as a URL, such as mysql://user:password@host:3306/farmlokal; takes the place of the DB_* settings
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<SecretString>,
    /// Host of the MySQL or MariaDB server
    #[arg(long, env = "DB_HOST", default_value = "127.0.0.1")]
    db_host: String,
    /// Its TCP port
    #[arg(long, env = "DB_PORT", default_value_t = 3306)]
    db_port: u16,
    /// User to log in as
    #[arg(long, env = "DB_USER", default_value = "farmlokal")]
    db_user: String,
    /// The user's password
    #[arg(long, env = "DB_PASS", default_value = "", hide_env_values = true)]
    db_pass: SecretString,
    /// Name of the database
    #[arg(long, env = "DB_NAME", default_value = "farmlokal")]
    db_name: String,
}

impl DatabaseArgs {
    /// The database as a URL, whichever way it was given. It holds the password: never log it.
    ///
    /// # Errors
    /// A setting that makes no URL of a MySQL database.
    pub fn url(&self) -> Result<Url, InvalidDatabase> {
        if let Some(url) = &self.database_url {
            return mysql_url(url.expose_secret());
        }
        let is_ipv6 = self.db_host.parse::<std::net::Ipv6Addr>().is_ok();
        let host = if is_ipv6 { format!("[{}]", self.db_host) } else { self.db_host.clone() };
        let built = || {
            let mut url = Url::parse("mysql://localhost").ok()?;
            url.set_host(Some(&host)).ok()?;
            url.set_port(Some(self.db_port)).ok()?;
            url.set_username(&self.db_user).ok()?;
            url.set_password(Some(self.db_pass.expose_secret())).ok()?;
            url.path_segments_mut().ok()?.clear().push(&self.db_name);
            Some(url)
        };
        built().ok_or_else(|| InvalidDatabase::Host(self.db_host.clone()))
    }
}

/// Why a setting makes no URL of a database. The text never repeats a URL: it may hold a password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDatabase {
    /// Not a URL at all.
    #[error("DATABASE_URL: {0}; write mysql://user:password@host:3306/farmlokal")]
    Url(#[from] url::ParseError),
    /// A URL of something else.
    #[error("DATABASE_URL: the scheme is {0}, not mysql")]
    Scheme(String),
    /// A server, but no database on it.
    #[error("DATABASE_URL: it names no database: end it with /farmlokal")]
    NoDatabase,
    /// A host that cannot stand in a URL.
    #[error("DB_HOST: {0:?} is not a host name or address")]
    Host(String),
}

fn mysql_url(text: &str) -> Result<Url, InvalidDatabase> {
    let url = Url::parse(text)?;
    match url.scheme() {
        "mysql" | "mariadb" if url.path().len() > 1 => Ok(url),
        "mysql" | "mariadb" => Err(InvalidDatabase::NoDatabase),
        other => Err(InvalidDatabase::Scheme(other.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        database: DatabaseArgs,
    }

    fn url(args: &[&str]) -> String {
        let cli = crate::parse_flags::<Cli>(args).unwrap();
        cli.database.url().unwrap().to_string()
    }

    #[test]
    fn single_settings_make_a_url_with_every_special_character_escaped() {
        let args = ["--db-host", "db.internal", "--db-pass", "p@ss/w:rd#%", "--db-user", "a@b"];
        assert_eq!(url(&args), "mysql://a%40b:p%40ss%2Fw%3Ard%23%@db.internal:3306/farmlokal");
    }

    #[test]
    fn an_ipv6_address_is_a_host() {
        assert_eq!(url(&["--db-host", "::1"]), "mysql://farmlokal@[::1]:3306/farmlokal");
    }

    #[test]
    fn a_url_wins_over_single_settings() {
        let args = ["--database-url", "mysql://u:p@h:1/d", "--db-host", "other"];
        assert_eq!(url(&args), "mysql://u:p@h:1/d");
    }

    #[test]
    fn no_password_is_in_debug_output() {
        for secret in [["--db-pass", "hunter2"], ["--database-url", "mysql://u:hunter2@h/d"]] {
            let cli = crate::parse_flags::<Cli>(&secret).unwrap();
            assert!(cli.database.url().unwrap().as_str().contains("hunter2"));
            let debug = format!("{cli:?} {cli:#?}");
            assert!(debug.contains("REDACTED") && !debug.contains("hunter2"), "{debug}");
        }
    }

    #[test]
    fn a_url_of_another_kind_is_refused_without_repeating_it() {
        for bad in ["postgres://u:secret@h/d", "mysql://u:secret@h", "u:secret@h"] {
            let cli = crate::parse_flags::<Cli>(&["--database-url", bad]).unwrap();
            let error = cli.database.url().unwrap_err().to_string();
            assert!(error.starts_with("DATABASE_URL: ") && !error.contains("secret"), "{error}");
        }
    }
}
