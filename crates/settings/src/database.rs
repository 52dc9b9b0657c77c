#![allow(clippy::doc_markdown, reason = "the help texts are for terminals")]

use clap::Args;
use url::Url;

/// Where the database is: `DATABASE_URL`, or the `DB_*` variables.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Database")]
pub struct DatabaseArgs {
    /// The database as a URL, such as mysql://user:password@host:3306/farmlokal; takes the place of the DB_* settings
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_parser = mysql_url)]
    database_url: Option<Url>,
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
    db_pass: String,
    /// Name of the database
    #[arg(long, env = "DB_NAME", default_value = "farmlokal")]
    db_name: String,
}

impl DatabaseArgs {
    /// The database as a URL, whichever way it was given. It holds the password: never log it.
    ///
    /// # Errors
    /// A host that cannot stand in a URL.
    pub fn url(&self) -> Result<Url, InvalidDatabase> {
        if let Some(url) = &self.database_url {
            return Ok(url.clone());
        }
        let mut url =
            Url::parse("mysql://localhost").map_err(|_| InvalidDatabase { host: self.db_host.clone() })?;
        let is_ipv6 = self.db_host.parse::<std::net::Ipv6Addr>().is_ok();
        let host = if is_ipv6 { format!("[{}]", self.db_host) } else { self.db_host.clone() };
        let built = url.set_host(Some(&host)).is_ok()
            && url.set_port(Some(self.db_port)).is_ok()
            && url.set_username(&self.db_user).is_ok()
            && url.set_password(Some(&self.db_pass)).is_ok();
        if !built {
            return Err(InvalidDatabase { host: self.db_host.clone() });
        }
        url.path_segments_mut()
            .map_err(|()| InvalidDatabase { host: self.db_host.clone() })?
            .clear()
            .push(&self.db_name);
        Ok(url)
    }
}

/// `DB_HOST` is not a host name or address.
#[derive(Debug, thiserror::Error)]
#[error("DB_HOST: {host:?} is not a host name or address")]
pub struct InvalidDatabase {
    host: String,
}

fn mysql_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    match url.scheme() {
        "mysql" | "mariadb" if url.path().len() > 1 => Ok(url),
        "mysql" | "mariadb" => Err("it names no database: end it with /farmlokal".into()),
        other => Err(format!("the scheme is {other}, not mysql")),
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
        let cli = Cli::try_parse_from([&["x"], args].concat()).unwrap();
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
    fn a_url_of_another_kind_is_refused() {
        for (bad, word) in [("postgres://h/d", "scheme"), ("mysql://h", "names no database"), ("nonsense", "")] {
            let error = Cli::try_parse_from(["x", "--database-url", bad]).unwrap_err().to_string();
            assert!(error.contains("--database-url") && error.contains(word), "{error}");
        }
    }
}
