#![allow(clippy::doc_markdown, reason = "the help texts are for terminals")]

use anyhow::{Context as _, ensure};
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};

use crate::pem::{certificates, identity, private_key};
use crate::server_url::{check_options, host, parse};

/// Where the database is: `DATABASE_URL`, or the `DB_*` variables; and how far it is trusted.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Database")]
pub struct DatabaseArgs {
    /// The database as a URL, such as mysql://user:password@host:3306/farmlokal; takes the place of DB_HOST, DB_PORT, DB_USER,
    /// DB_PASS and DB_NAME
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
    /// TLS: DISABLED, PREFERRED (where the server has it), REQUIRED, VERIFY_CA (with a certificate of a known CA) or
    /// VERIFY_IDENTITY (and of this host). By default what DATABASE_URL says, else VERIFY_IDENTITY with one of the files below,
    /// else PREFERRED
    #[arg(long, env = "DB_TLS", value_name = "MODE", value_parser = tls_mode)]
    db_tls: Option<MySqlSslMode>,
    /// PEM file of CAs that are known beside the public ones; with a DATABASE_URL too. Files are read at the start: restart
    /// after a change
    #[arg(long, env = "DB_TLS_CA", value_name = "FILE", value_parser = certificates)]
    db_tls_ca: Option<SecretString>,
    /// PEM file of our certificate, where the server wants one
    #[arg(long, env = "DB_TLS_CERT", value_name = "FILE", value_parser = certificates)]
    db_tls_cert: Option<SecretString>,
    /// PEM file of its private key
    #[arg(long, env = "DB_TLS_KEY", value_name = "FILE", value_parser = private_key)]
    db_tls_key: Option<SecretString>,
}

impl DatabaseArgs {
    /// How to reach the database, whichever way it was given. Never log it: it holds the password.
    ///
    /// # Errors
    /// Settings that contradict each other, by their names.
    pub fn options(&self) -> anyhow::Result<MySqlConnectOptions> {
        let mut options = match &self.database_url {
            Some(url) => url.expose_secret().parse()?,
            None => MySqlConnectOptions::new()
                .host(&self.db_host)
                .port(self.db_port)
                .username(&self.db_user)
                .password(self.db_pass.expose_secret())
                .database(&self.db_name),
        };
        // A certificate names an IPv6 address without the brackets that it has in a URL.
        let host = options.get_host().trim_matches(['[', ']']).to_owned();
        options = options.host(&host);
        let (is_socket, has_files) =
            (options.get_socket().is_some(), self.db_tls_ca.is_some() || self.db_tls_cert.is_some());
        let mode = match (self.db_tls, options.get_ssl_mode()) {
            (None, MySqlSslMode::Preferred) if has_files => MySqlSslMode::VerifyIdentity,
            (Some(MySqlSslMode::Preferred), _) | (None, MySqlSslMode::Preferred) if is_socket => {
                MySqlSslMode::Disabled
            }
            (set, of_url) => set.unwrap_or(of_url),
        };
        let is_disabled = matches!(mode, MySqlSslMode::Disabled);
        ensure!(is_disabled || !is_socket, "DATABASE_URL names a socket, which has no TLS: leave DB_TLS out");
        ensure!(!(is_disabled && has_files), "TLS is DISABLED, and DB_TLS_CA or DB_TLS_CERT is set");
        if let Some(ca) = &self.db_tls_ca {
            // sqlx adds the CA to the public ones, and VERIFY_CA takes a certificate of theirs for any name.
            let verifies = matches!(mode, MySqlSslMode::VerifyIdentity);
            ensure!(verifies, "DB_TLS_CA needs DB_TLS=VERIFY_IDENTITY");
            options = options.ssl_ca_from_pem(ca.expose_secret().into());
        }
        options = options.ssl_mode(mode);
        if let Some([certificate, key]) = identity("DB_TLS", [&self.db_tls_cert, &self.db_tls_key])? {
            options = options.ssl_client_cert_from_pem(certificate).ssl_client_key_from_pem(key);
        }
        Ok(options)
    }
}

/// Where reads may go, beside the database itself.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Database")]
pub struct ReplicaArgs {
    /// A read replica of the database: mysql://replica:3306 where only the server differs, else a whole URL like DATABASE_URL.
    /// Reads go there if it has every change that they must see
    #[arg(long, env = "DATABASE_READ_URL", hide_env_values = true, value_parser = replica_url)]
    database_read_url: Option<SecretString>,
}

impl ReplicaArgs {
    /// How to reach the replica of this database, if there is one. Never log it: it holds the password.
    ///
    /// # Errors
    /// Settings that contradict each other, by their names.
    pub fn options(&self, database: &DatabaseArgs) -> anyhow::Result<Option<MySqlConnectOptions>> {
        let Some(url) = &self.database_read_url else { return Ok(None) };
        let own: MySqlConnectOptions = url.expose_secret().parse()?;
        ensure!(own.get_socket().is_none(), "DATABASE_READ_URL needs a host, not a socket");
        if own.get_database().is_some() {
            let replica = DatabaseArgs { database_url: Some(url.clone()), ..database.clone() };
            return replica.options().map(Some).context("DATABASE_READ_URL");
        }
        let options = database.options()?;
        ensure!(options.get_socket().is_none(), "DATABASE_READ_URL needs a DATABASE_URL with a host");
        Ok(Some(options.host(own.get_host().trim_matches(['[', ']'])).port(own.get_port())))
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

fn replica_url(text: &str) -> Result<SecretString, String> {
    let url = parse(text, "mysql://replica:3306")?;
    let is_server = matches!(url.scheme(), "mysql" | "mariadb") && !url.authority().contains('@');
    let is_server = is_server && matches!(url.path(), "" | "/") && url.query().is_none();
    let is_server = is_server && !url.host_str().unwrap_or_default().is_empty();
    if is_server { Ok(text.into()) } else { database_url(text) }
}

/// sqlx 0.9 ignores options that it does not understand. Of those that it does, some are refused: every connection sets them
/// anew, and files for TLS have settings, which are checked.
fn check_option(name: &str, value: &str) -> Result<(), String> {
    let checked = match name {
        "ssl-mode" | "sslmode" => tls_mode(value).map(drop),
        "charset" | "collation" | "time-zone" | "timezone" | "statement-cache-capacity" => {
            Err("it is set by the service itself; leave it out".into())
        }
        "socket" => Ok(()),
        _ => Err("unknown option; for TLS write ssl-mode=VERIFY_IDENTITY, or set DB_TLS, DB_TLS_CA".into()),
    };
    checked.map_err(|reason| format!("{name}: {reason}"))
}

fn tls_mode(text: &str) -> Result<MySqlSslMode, String> {
    text.parse().map_err(|_| "must be DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY".into())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use farmlokal_devstack::Authority;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        database: DatabaseArgs,
        #[command(flatten)]
        replica: ReplicaArgs,
    }

    fn replica(args: &[&str]) -> anyhow::Result<Option<MySqlConnectOptions>> {
        let cli = crate::tests::parse_flags::<Cli>(args).unwrap();
        cli.replica.options(&cli.database)
    }

    fn options(args: &[&str]) -> anyhow::Result<MySqlConnectOptions> {
        crate::tests::parse_flags::<Cli>(args).unwrap().database.options()
    }

    #[test]
    fn single_settings_come_out_whatever_is_in_them() {
        for text in ["%41", "p@ss/w:rd#%", "a?b&c=d", "100%", "ä %zz", "+", "[::1]"] {
            let args = ["--db-host", "db.internal", "--db-user", text, "--db-pass", text, "--db-name", text];
            let options = options(&args).unwrap();
            assert_eq!((options.get_host(), options.get_port()), ("db.internal", 3306));
            assert_eq!((options.get_username(), options.get_database()), (text, Some(text)));
            assert!(format!("{options:?}").contains(&format!("password: Some({text:?})")));
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address() {
        assert_eq!(options(&["--db-host", "::1"]).unwrap().get_host(), "::1");
        assert_eq!(options(&["--db-host", "my_db"]).unwrap().get_host(), "my_db");
        assert_eq!(options(&["--database-url", "mysql://u@[::1]/d"]).unwrap().get_host(), "::1");
        for bad in ["mysql://db", "db:3306", "a b"] {
            let error = crate::tests::parse_flags::<Cli>(&["--db-host", bad]).unwrap_err();
            assert!(error.contains("--db-host") && error.contains("a host name or an IP address"), "{error}");
        }
    }

    #[test]
    fn a_url_wins_over_single_settings() {
        let args = ["--database-url", "mysql://u:p%40@h:1/d", "--db-host", "other", "--db-pass", "other"];
        let options = options(&args).unwrap();
        assert_eq!((options.get_host(), options.get_port(), options.get_username()), ("h", 1, "u"));
        assert!(format!("{options:?}").contains("password: Some(\"p@\")"));
    }

    #[test]
    fn a_certificate_is_checked_unless_somebody_says_otherwise() {
        let authority = Authority::create().unwrap();
        let files = authority.client();
        let [ca, cert, key] = [&files.ca, &files.cert, &files.key].map(|path| path.to_str().unwrap());
        let url = ["--database-url", "mysql://u@h/d"];
        let with_ca = ["--db-tls-ca", ca];
        let with_cert = ["--db-tls-cert", cert, "--db-tls-key", key];
        for (args, mode) in [
            ([].as_slice(), MySqlSslMode::Preferred),
            (&url, MySqlSslMode::Preferred),
            (&["--db-tls", "required"], MySqlSslMode::Required),
            (&["--db-tls", "DISABLED"], MySqlSslMode::Disabled),
            (&["--database-url", "mysql://u@h/d?ssl-mode=REQUIRED"], MySqlSslMode::Required),
            (&with_ca, MySqlSslMode::VerifyIdentity),
            (&with_cert, MySqlSslMode::VerifyIdentity),
            (&[url.as_slice(), &with_ca].concat(), MySqlSslMode::VerifyIdentity),
            (&["--database-url", "mysql://u@h/d?ssl-mode=VERIFY_CA"], MySqlSslMode::VerifyCa),
            (
                &["--database-url", "mysql://u@h/d?ssl-mode=VERIFY_IDENTITY", "--db-tls-ca", ca],
                MySqlSslMode::VerifyIdentity,
            ),
            (
                &["--database-url", "mysql://u@h/d?ssl-mode=VERIFY_CA", "--db-tls", "disabled"],
                MySqlSslMode::Disabled,
            ),
            (&[with_ca.as_slice(), &with_cert].concat(), MySqlSslMode::VerifyIdentity),
            (&[with_cert.as_slice(), &["--db-tls", "REQUIRED"]].concat(), MySqlSslMode::Required),
        ] {
            let found = options(args).unwrap().get_ssl_mode();
            assert_eq!(format!("{found:?}"), format!("{mode:?}"), "{args:?}");
        }
    }

    #[test]
    fn tls_settings_that_contradict_each_other_are_refused() {
        let authority = Authority::create().unwrap();
        let files = authority.client();
        let ca = files.ca.to_str().unwrap();
        for arg in [["--db-tls-cert", files.cert.to_str().unwrap()], ["--db-tls-ca", ca]] {
            let key = ["--db-tls-key", files.key.to_str().unwrap()];
            let key = if arg[0] == "--db-tls-cert" { &key[..] } else { &[] };
            let error =
                options(&[&["--db-tls", "DISABLED"][..], &arg, key].concat()).unwrap_err().to_string();
            assert_eq!(error, "TLS is DISABLED, and DB_TLS_CA or DB_TLS_CERT is set");
        }
        for mode in ["PREFERRED", "REQUIRED", "VERIFY_CA"] {
            let error = options(&["--db-tls", mode, "--db-tls-ca", ca]).unwrap_err().to_string();
            assert_eq!(error, "DB_TLS_CA needs DB_TLS=VERIFY_IDENTITY");
        }
        for (mode, reason) in [("REQUIRED", "DB_TLS_CA needs"), ("DISABLED", "TLS is DISABLED, and")] {
            let url = format!("mysql://u@h/d?ssl-mode={mode}");
            let error = options(&["--database-url", &url, "--db-tls-ca", ca]).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
            let of_replica = replica(&["--database-read-url", &url, "--db-tls-ca", ca]).unwrap_err();
            assert_eq!(format!("{of_replica:#}"), format!("DATABASE_READ_URL: {error}"));
        }
        for (bad, reason) in [("on", "must be DISABLED, PREFERRED"), ("verify", "or VERIFY_IDENTITY")] {
            let error = crate::tests::parse_flags::<Cli>(&["--db-tls", bad]).unwrap_err();
            assert!(error.contains("--db-tls") && error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_socket_has_no_tls() {
        let authority = Authority::create().unwrap();
        let ca = authority.client().ca;
        let url = ["--database-url", "mysql://u@h/d?socket=/run/db"];
        for args in [&[][..], &["--db-tls", "PREFERRED"], &["--db-tls", "DISABLED"]] {
            let mode = options(&[&url, args].concat()).unwrap().get_ssl_mode();
            assert!(matches!(mode, MySqlSslMode::Disabled), "{args:?}");
        }
        for args in [["--db-tls", "REQUIRED"], ["--db-tls-ca", ca.to_str().unwrap()]] {
            let error = options(&[url, args].concat()).unwrap_err().to_string();
            assert!(error.contains("names a socket, which has no TLS"), "{error}");
        }
    }

    #[test]
    fn a_replica_is_reached_as_the_database_unless_its_url_says_otherwise() {
        let password = |options: &MySqlConnectOptions| {
            let debug = format!("{options:?}");
            let (_, rest) = debug.split_once("password: ").unwrap();
            rest.split_once(", ").unwrap().0.to_owned()
        };
        assert!(replica(&[]).unwrap().is_none());
        let settings: Vec<_> =
            "--db-host h --db-user ü%41 --db-pass p@/:% --db-name a%b --db-tls REQUIRED".split(' ').collect();
        let url = ["--database-url", "mysql://%C3%BC%2541:p%40%2F%3A%25@h:1/a%25b?ssl-mode=REQUIRED"];
        for primary in [&settings[..], &url[..]] {
            let of = |url| replica(&[primary, &["--database-read-url", url]].concat()).unwrap().unwrap();
            let bare = of("mysql://r:3307");
            assert_eq!((bare.get_host(), bare.get_port(), bare.get_username()), ("r", 3307, "ü%41"));
            assert_eq!((bare.get_database(), password(&bare)), (Some("a%b"), "Some(\"p@/:%\")".to_owned()));
            assert!(matches!(bare.get_ssl_mode(), MySqlSslMode::Required));
            let own = of("mysql://reader:x@[::1]/other?ssl-mode=VERIFY_CA");
            assert_eq!((own.get_host(), own.get_port(), own.get_username()), ("::1", 3306, "reader"));
            assert_eq!((own.get_database(), password(&own)), (Some("other"), "Some(\"x\")".to_owned()));
        }
        for contradiction in [
            ["--database-url", "mysql:///a?socket=/s", "--database-read-url", "mysql://r"],
            ["--db-tls", "DISABLED", "--database-read-url", "mysql://u@r/a?socket=/s"],
        ] {
            let error = format!("{:#}", replica(&contradiction).unwrap_err());
            assert!(error.starts_with("DATABASE_READ_URL"), "{error}");
        }
        // Whole or the server alone.
        for bad in [
            "postgres://h",
            "mysql://",
            "mysql:///",
            "mysql://h?ssl-mode=REQUIRED",
            "mysql://reader@h",
            "mysql://:x@h",
        ] {
            let error = crate::tests::parse_flags::<Cli>(&["--database-read-url", bad]).unwrap_err();
            assert!(error.starts_with("--database-read-url"), "{error}");
        }
    }

    #[test]
    fn no_password_is_in_debug_output() {
        for secret in [["--db-pass", "hunter2"], ["--database-url", "mysql://u:hunter2@h/d"]] {
            let cli = crate::tests::parse_flags::<Cli>(&secret).unwrap();
            assert!(format!("{:?}", cli.database.options().unwrap()).contains("hunter2"));
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
            ("mysql://u:secret@h/d?ssl_mode=REQUIRED", "ssl_mode: unknown option; for TLS write ssl-mode"),
            ("mysql://u:secret@h/d?sslMode=REQUIRED", "sslMode: unknown option; for TLS write ssl-mode"),
            (
                "mysql://u:secret@h/d?useSSL=true",
                "useSSL: unknown option; for TLS write ssl-mode=VERIFY_IDENTITY",
            ),
            (
                "mysql://u:secret@h/d?socket=/run/db&tls=1",
                "tls: unknown option; for TLS write ssl-mode=VERIFY_IDENTITY",
            ),
            (
                "mysql://u:secret@h/d?connect_timeout=1",
                "connect_timeout: unknown option; for TLS write ssl-mode=VERIFY_IDENTITY, or set DB_TLS, DB_TLS_CA",
            ),
            ("mysql://u:1/d?secret@h/d", "write ? as %3F"),
            ("mysql://u:secret@h/d?ssl-mode=verify-full", "ssl-mode: must be DISABLED, "),
            ("mysql://u:secret@h/d?ssl-mode", "ssl-mode: must be "),
            (
                "mysql://u:secret@h/d?ssl-ca=/ca.pem",
                "ssl-ca: unknown option; for TLS write ssl-mode=VERIFY_IDENTITY, or set DB_TLS, DB_TLS_CA",
            ),
            ("mysql://u:secret@h/d?sslkey=/key.pem", "sslkey: unknown option; "),
            ("mysql://u:secret@h/d?charset=utf8mb4", "charset: it is set by the service itself"),
            ("mysql://u:secret@h/d?collation=utf8mb4_bin", "collation: it is set by the service itself"),
            ("mysql://u:secret@h/d?time-zone=%2B01:00", "time-zone: it is set by the service itself"),
            ("mysql://u:secret@h/d?timezone=%2B01:00", "timezone: it is set by the service itself"),
            (
                "mysql://u:secret@h/d?statement-cache-capacity=1",
                "statement-cache-capacity: it is set by the service",
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
            options(&["--database-url", &format!("mariadb://u:p@h/d?{good}")]).unwrap();
        }
    }
}
