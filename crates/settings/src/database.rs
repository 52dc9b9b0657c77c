#![allow(clippy::doc_markdown, reason = "the help texts are for terminals")]

use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::server_url::{check_options, host, parse};

/// Where the database is: `DATABASE_URL`, or the `DB_*` variables.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Database")]
pub struct DatabaseArgs {
    /// The database as a URL, such as mysql://user:password@host:3306/farmlokal?ssl-mode=VERIFY_IDENTITY; takes the place
    /// of the DB_* settings
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_parser = database_url)]
    database_url: Option<SecretString>,
    /// Host of the MySQL or MariaDB server
    #[arg(long, env = "DB_HOST", default_value = "127.0.0.1", value_parser = host)]
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
    /// Settings that do not make a URL together.
    pub fn url(&self) -> Result<Url, url::ParseError> {
        if let Some(url) = &self.database_url {
            return Url::parse(url.expose_secret());
        }
        // `Url::set_password` would leave % as it is.
        let [user, password, name] = [&*self.db_user, self.db_pass.expose_secret(), &*self.db_name]
            .map(|text| utf8_percent_encode(text, NON_ALPHANUMERIC));
        Url::parse(&format!("mysql://{user}:{password}@{}:{}/{name}", self.db_host, self.db_port))
    }
}

fn database_url(text: &str) -> Result<SecretString, String> {
    let url = parse(text, "mysql://user:password@host:3306/farmlokal")?;
    if !matches!(url.scheme(), "mysql" | "mariadb") {
        return Err(format!("the scheme is {}, not mysql", url.scheme()));
    }
    check_options(&url, check_option)?;
    if url.path().trim_start_matches('/').is_empty() {
        return Err("it names no database: end it with /farmlokal".into());
    }
    Ok(text.into())
}

/// sqlx 0.9 understands these options, and ignores all others. Some are refused: every connection sets them anew.
fn check_option(name: &str, value: &str) -> Result<(), String> {
    const SSL_MODES: [&str; 5] = ["DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"];
    match name {
        "ssl-mode" | "sslmode" if SSL_MODES.iter().any(|mode| mode.eq_ignore_ascii_case(value)) => Ok(()),
        "ssl-mode" | "sslmode" => Err(format!("{name} must be one of {}", SSL_MODES.join(", "))),
        "ssl-ca" | "sslca" | "ssl-cert" | "sslcert" | "ssl-key" | "sslkey" => {
            let is_pem = value.trim_start().starts_with("-----BEGIN");
            let opened = if is_pem { Ok(()) } else { std::fs::File::open(value).map(drop) };
            opened.map_err(|error| format!("{name}: {error}"))
        }
        "charset" | "collation" | "time-zone" | "timezone" | "statement-cache-capacity" => {
            Err(format!("{name} is set by the service itself; leave it out"))
        }
        "socket" => Ok(()),
        _ => Err(format!(
            "unknown option {name}; write ssl-mode=VERIFY_IDENTITY for TLS; there are ssl-ca, ssl-cert, ssl-key and socket too"
        )),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use percent_encoding::percent_decode_str;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        database: DatabaseArgs,
    }

    fn url(args: &[&str]) -> Url {
        crate::tests::parse_flags::<Cli>(args).unwrap().database.url().unwrap()
    }

    #[test]
    fn single_settings_are_what_comes_out_of_the_url_whatever_is_in_them() {
        for text in ["%41", "p@ss/w:rd#%", "a?b&c=d", "100%", "ä %zz", "+", "[::1]"] {
            let url =
                url(&["--db-host", "db.internal", "--db-user", text, "--db-pass", text, "--db-name", text]);
            assert_eq!((url.host_str(), url.port()), (Some("db.internal"), Some(3306)));
            assert_eq!((url.query(), url.fragment()), (None, None));
            for part in [url.username(), url.password().unwrap(), url.path().strip_prefix('/').unwrap()] {
                assert_eq!(percent_decode_str(part).decode_utf8().unwrap(), text, "{url}");
            }
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address() {
        assert_eq!(url(&["--db-host", "::1"]).host_str(), Some("[::1]"));
        assert_eq!(url(&["--db-host", "my_db"]).host_str(), Some("my_db"));
        for bad in ["mysql://db", "db:3306", "a b"] {
            let error = crate::tests::parse_flags::<Cli>(&["--db-host", bad]).unwrap_err();
            assert!(error.contains("--db-host") && error.contains("a host name or an IP address"), "{error}");
        }
    }

    #[test]
    fn a_url_wins_over_single_settings() {
        let args = ["--database-url", "mysql://u:p@h:1/d", "--db-host", "other"];
        assert_eq!(url(&args).as_str(), "mysql://u:p@h:1/d");
    }

    #[test]
    fn no_password_is_in_debug_output() {
        for secret in [["--db-pass", "hunter2"], ["--database-url", "mysql://u:hunter2@h/d"]] {
            let cli = crate::tests::parse_flags::<Cli>(&secret).unwrap();
            assert!(cli.database.url().unwrap().as_str().contains("hunter2"));
            let debug = format!("{cli:?} {cli:#?}");
            assert!(debug.contains("REDACTED") && !debug.contains("hunter2"), "{debug}");
        }
    }

    #[test]
    fn a_url_that_sqlx_would_read_in_part_is_refused_without_repeating_it() {
        for (bad, reason) in [
            ("postgres://u:secret@h/d", "the scheme is postgres"),
            ("mysql://u:secret@h", "it names no database"),
            ("mysql://u:secret@h//", "it names no database"),
            ("u:secret@h", "the scheme is u"),
            ("mysql://u:secret@h/d#x", "write # as %23"),
            ("mysql://u:%FFsecret@h/d", "not UTF-8"),
            ("mysql://u:secret@h/d?ssl_mode=REQUIRED", "unknown option ssl_mode; write ssl-mode"),
            ("mysql://u:secret@h/d?sslMode=REQUIRED", "unknown option sslMode; write ssl-mode"),
            ("mysql://u:secret@h/d?useSSL=true", "unknown option useSSL; write ssl-mode=VERIFY_IDENTITY"),
            (
                "mysql://u:secret@h/d?socket=/run/db&tls=1",
                "unknown option tls; write ssl-mode=VERIFY_IDENTITY",
            ),
            (
                "mysql://u:secret@h/d?connect_timeout=1",
                "unknown option connect_timeout; write ssl-mode=VERIFY_IDENTITY for TLS; there are ssl-ca, ",
            ),
            ("mysql://u:1/d?secret@h/d", "write ? as %3F"),
            ("mysql://u:secret@h/d?ssl-mode=verify-full", "ssl-mode must be one of DISABLED, "),
            ("mysql://u:secret@h/d?ssl-mode", "ssl-mode must be one of "),
            ("mysql://u:secret@h/d?ssl-ca=/nowhere/ca.pem", "ssl-ca: No such file"),
            ("mysql://u:secret@h/d?charset=utf8mb4", "charset is set by the service itself"),
            ("mysql://u:secret@h/d?collation=utf8mb4_bin", "collation is set by the service itself"),
            ("mysql://u:secret@h/d?time-zone=%2B01:00", "time-zone is set by the service itself"),
            ("mysql://u:secret@h/d?timezone=%2B01:00", "timezone is set by the service itself"),
            (
                "mysql://u:secret@h/d?statement-cache-capacity=1",
                "statement-cache-capacity is set by the service",
            ),
        ] {
            let error = crate::tests::parse_flags::<Cli>(&["--database-url", bad]).unwrap_err();
            assert!(error.starts_with("--database-url") && error.contains(reason), "{bad}: {error}");
            assert!(!error.contains("secret") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn what_sqlx_understands_is_accepted() {
        for good in ["ssl-mode=REQUIRED", "sslmode=verify_ca", "socket=/run/db"] {
            url(&["--database-url", &format!("mariadb://u:p@h/d?{good}")]);
        }
    }
}
