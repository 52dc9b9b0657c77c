#![allow(clippy::doc_markdown, clippy::struct_field_names, reason = "the help texts are for terminals")]

use anyhow::ensure;
use clap::Args;
use farmlokal_redis::{ClientTlsConfig, Nodes, RedisConfig, TlsCertificates, nodes};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};

use crate::pem::{certificates, identity, private_key};
use crate::server_url::{check_options, host, parse};

/// Where Redis is: `REDIS_URL`, or the other `REDIS_*` variables; and how far it is trusted.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Redis")]
pub struct RedisArgs {
    /// Redis as a URL, such as redis://user:password@host:6379/0, or rediss:// for TLS; takes the place of REDIS_HOST,
    /// REDIS_PORT, REDIS_USERNAME and REDIS_PASSWORD. Behind Sentinels: redis+sentinel://user:password@host,host/SERVICE/0, with
    /// ?sentinel_login=user:password for their own; a Redis Cluster: redis+cluster://user:password@host,host
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_parser = redis_url)]
    redis_url: Option<SecretString>,
    /// Host of the Redis or Valkey server
    #[arg(long, env = "REDIS_HOST", default_value = "127.0.0.1", value_parser = host)]
    redis_host: String,
    /// Its TCP port
    #[arg(long, env = "REDIS_PORT", default_value_t = 6379)]
    redis_port: u16,
    /// User to log in as; without it, Redis's default one
    #[arg(long, env = "REDIS_USERNAME", default_value = "")]
    redis_username: String,
    /// The user's password
    #[arg(long, env = "REDIS_PASSWORD", hide_env_values = true)]
    redis_password: Option<SecretString>,
    /// Speak TLS, and check that the certificate is of this host and a known CA; with one of the files below, always. With a
    /// REDIS_URL, this and they count too
    #[arg(long, env = "REDIS_TLS", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    redis_tls: Option<bool>,
    /// PEM file of the CAs that are known, instead of the public ones. Files are read at the start: restart after a change
    #[arg(long, env = "REDIS_TLS_CA", value_name = "FILE", value_parser = certificates)]
    redis_tls_ca: Option<SecretString>,
    /// PEM file of our certificate, where the server wants one
    #[arg(long, env = "REDIS_TLS_CERT", value_name = "FILE", value_parser = certificates)]
    redis_tls_cert: Option<SecretString>,
    /// PEM file of its private key
    #[arg(long, env = "REDIS_TLS_KEY", value_name = "FILE", value_parser = private_key)]
    redis_tls_key: Option<SecretString>,
}

impl RedisArgs {
    /// How to reach Redis, whichever way it was given.
    ///
    /// # Errors
    /// Settings that contradict each other, by their names.
    pub fn config(&self) -> anyhow::Result<RedisConfig> {
        let has_login = self.redis_username.is_empty() || self.redis_password.is_some();
        ensure!(has_login, "REDIS_USERNAME needs REDIS_PASSWORD");
        let url = if let Some(url) = &self.redis_url {
            url.expose_secret().to_owned()
        } else {
            let login = self.redis_password.as_ref().map(|password| {
                let login = [&self.redis_username, password.expose_secret()];
                let [user, password] = login.map(|text| utf8_percent_encode(text, NON_ALPHANUMERIC));
                format!("{user}:{password}@")
            });
            format!("redis://{}{}:{}", login.unwrap_or_default(), self.redis_host, self.redis_port)
        };
        let identity = identity("REDIS_TLS", [&self.redis_tls_cert, &self.redis_tls_key])?;
        let client_tls =
            identity.map(|[cert, key]| ClientTlsConfig { client_cert: cert.into(), client_key: key.into() });
        let root_cert = self.redis_tls_ca.as_ref().map(|ca| ca.expose_secret().into());
        let has_files = client_tls.is_some() || root_cert.is_some();
        let (is_on, is_off) = (self.redis_tls == Some(true) || has_files, self.redis_tls == Some(false));
        let scheme = url.split([':', '+']).next().unwrap_or_default();
        let is_tls_url = ["rediss", "valkeys"].iter().any(|tls| scheme.eq_ignore_ascii_case(tls));
        ensure!(!(is_off && has_files), "REDIS_TLS=false, and REDIS_TLS_CA or REDIS_TLS_CERT is set");
        ensure!(!(is_off && is_tls_url), "REDIS_TLS=false, and REDIS_URL is rediss://");
        let tls = is_on.then_some(TlsCertificates { client_tls, root_cert });
        Ok(RedisConfig { tls, ..RedisConfig::new(url) })
    }
}

fn redis_url(text: &str) -> Result<SecretString, String> {
    // A Secret made with echo ends in a new line.
    let Nodes { servers, sentinels, .. } = nodes(text.trim()).map_err(|error| error.to_string())?;
    servers.iter().chain(&sentinels).try_for_each(|url| check_one(url))?;
    Ok(text.trim().into())
}

fn check_one(text: &str) -> Result<(), String> {
    let url = parse(text, "redis://:password@host:6379/0")?;
    let is_socket = match url.scheme() {
        "redis" | "rediss" | "valkey" | "valkeys" => false,
        "unix" | "redis+unix" | "valkey+unix" => true,
        other => return Err(format!("the scheme is {other}, not redis or rediss")),
    };
    // redis 1.8 understands these options, and ignores all others.
    check_options(&url, |name, value| match name {
        "protocol" => Err("protocol is set by the service itself; leave it out".into()),
        "db" if is_socket => is_database(value),
        "user" | "pass" if is_socket => Ok(()),
        _ => Err(format!(
            "unknown option {name}; write the number of the database as the path, user and password before the host, and \
             rediss:// for TLS; a socket takes db, user and pass"
        )),
    })?;
    if !is_socket {
        url.host_str().filter(|host| !host.is_empty()).ok_or("it names no host")?;
        is_database(url.path().trim_matches('/'))?;
    }
    Ok(())
}

/// Redis has a limit of its own, and names it on the first connection.
fn is_database(number: &str) -> Result<(), String> {
    let is_number = number.is_empty() || number.parse::<u16>().is_ok();
    if is_number { Ok(()) } else { Err("the database must be a number, such as redis://host/0".into()) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use farmlokal_devstack::Authority;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        redis: RedisArgs,
    }

    fn config(args: &[&str]) -> RedisConfig {
        crate::tests::parse_flags::<Cli>(args).unwrap().redis.config().unwrap()
    }

    #[test]
    fn no_password_is_in_debug_output() {
        for secret in [["--redis-url", "redis://:hunter2@h:1"], ["--redis-password", "hunter2"]] {
            let cli = crate::tests::parse_flags::<Cli>(&secret).unwrap();
            assert!(cli.redis.config().unwrap().url.contains("hunter2"));
            let debug = format!("{cli:?} {cli:#?} {:?}", cli.redis.config().unwrap());
            assert!(debug.contains("REDACTED") && !debug.contains("hunter2"), "{debug}");
        }
    }

    #[test]
    fn single_settings_make_a_url_and_a_url_wins() {
        for (args, url) in [
            (["--redis-host", "cache", "--redis-port", "7"], "redis://cache:7"),
            (["--redis-host", "::1", "--redis-password", "p@/%"], "redis://:p%40%2F%25@[::1]:6379"),
            (["--redis-username", "me", "--redis-password", "p"], "redis://me:p@127.0.0.1:6379"),
            (["--redis-password", "p", "--redis-url", "rediss://h:1"], "rediss://h:1"),
        ] {
            assert_eq!(config(&args).url, url);
        }
        let cli = crate::tests::parse_flags::<Cli>(&["--redis-username", "me"]).unwrap();
        assert_eq!(cli.redis.config().unwrap_err().to_string(), "REDIS_USERNAME needs REDIS_PASSWORD");
    }

    #[test]
    fn a_file_of_tls_means_tls() {
        let authority = Authority::create().unwrap();
        let files = authority.client();
        let [ca, cert, key] = [&files.ca, &files.cert, &files.key].map(|path| path.to_str().unwrap());
        for args in [&["--redis-url", "redis://h"][..], &["--redis-tls=false"]] {
            assert!(config(args).tls.is_none(), "{args:?}");
        }
        for (args, (has_ca, has_cert)) in [
            (["--redis-tls"].as_slice(), (false, false)),
            (&["--redis-tls=true", "--redis-url", "rediss://h"], (false, false)),
            (&["--redis-tls-ca", ca], (true, false)),
            (&["--redis-tls-cert", cert, "--redis-tls-key", key], (false, true)),
            (&["--redis-url", "redis://h", "--redis-tls-ca", ca], (true, false)),
        ] {
            let tls = config(args).tls.unwrap();
            assert_eq!((tls.root_cert.is_some(), tls.client_tls.is_some()), (has_ca, has_cert), "{args:?}");
        }
    }

    #[test]
    fn tls_settings_that_contradict_each_other_are_refused() {
        let authority = Authority::create().unwrap();
        let files = authority.client();
        let [ca, cert, key] = [&files.ca, &files.cert, &files.key].map(|path| path.to_str().unwrap());
        for (args, reason) in [
            (["--redis-tls=false", "--redis-tls-ca", ca].as_slice(), "REDIS_TLS=false, and REDIS_TLS_CA or"),
            (
                &["--redis-tls=false", "--redis-tls-cert", cert, "--redis-tls-key", key],
                "or REDIS_TLS_CERT is set",
            ),
            (
                &["--redis-tls=false", "--redis-url", "REDISS://h"],
                "REDIS_TLS=false, and REDIS_URL is rediss://",
            ),
            (
                &["--redis-tls=false", "--redis-url", "REDISS+cluster://h"],
                "REDIS_TLS=false, and REDIS_URL is rediss://",
            ),
        ] {
            let error = crate::tests::parse_flags::<Cli>(args).unwrap().redis.config().unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn a_url_that_the_client_would_read_in_part_is_refused_without_repeating_it() {
        for (bad, reason) in [
            ("http://u:secret@h", "the scheme is http"),
            ("secret", "relative URL without a base; write redis://"),
            ("redis:///0", "it names no host"),
            ("redis://:secret@h/one", "the database must be a number"),
            ("redis://:secret@h/-1", "the database must be a number"),
            ("rediss://:secret@h/0#insecure", "write # as %23"),
            ("redis://:secret@h?db=1", "unknown option db; write the number of the database as the path"),
            (
                "redis://:secret@h?tls=true",
                "unknown option tls; write the number of the database as the path, user and password before",
            ),
            (
                "redis://h?password=secret",
                "unknown option password; write the number of the database as the path, user and password",
            ),
            ("redis://:secret@h?timeout=1", "unknown option timeout; write "),
            ("redis://:secret@h?protocol=resp3", "protocol is set by the service itself"),
            ("redis://:secret@a,b:1", "several hosts: write redis+sentinel:// or redis+cluster://"),
            ("redis+sentinel://:secret@a,b:1", "it names no service"),
            ("redis+sentinel://:secret@a,/shop", "empty host"),
            ("redis+sentinel://:secret@a/shop/one", "the database must be a number"),
            ("redis+sentinel://a/shop?password=secret", "the option is sentinel_login"),
            ("redis+cluster://:secret@a,b:port", "invalid port number"),
            ("redis+cluster://:secret@a?timeout=1", "unknown option timeout; write "),
            ("http+cluster://:secret@a,b", "the scheme is http"),
            ("unix:///run/redis?db=x", "the database must be a number"),
            ("unix:///run/redis?tls=1", "unknown option tls"),
        ] {
            let error = crate::tests::parse_flags::<Cli>(&["--redis-url", bad]).unwrap_err();
            assert!(error.starts_with("--redis-url") && error.contains(reason), "{bad}: {error}");
            assert!(!error.contains("secret") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn what_the_client_understands_is_accepted() {
        for good in [
            "redis://h",
            "rediss://u:p@h:1/15",
            "valkeys://h/0",
            "unix:///run/redis?db=1&pass=x",
            "redis+sentinel://u:p@a,[::1]:26379/shop/1?sentinel_login=:%40",
            " redis+sentinel://a/shop\n",
            "REDISS+cluster://:p@a,b:7000/0",
        ] {
            crate::tests::parse_flags::<Cli>(&["--redis-url", good]).unwrap();
        }
    }
}
