#![allow(clippy::doc_markdown, clippy::struct_field_names, reason = "the help texts are for terminals")]

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

use crate::server_url::{check_options, host, parse};

/// Where Redis is: `REDIS_URL`, or `REDIS_HOST` and `REDIS_PORT`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Redis")]
pub struct RedisArgs {
    /// Redis as a URL, such as redis://:password@host:6379/0 or rediss:// for TLS; takes the place of the other two
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_parser = redis_url)]
    redis_url: Option<SecretString>,
    /// Host of the Redis or Valkey server
    #[arg(long, env = "REDIS_HOST", default_value = "127.0.0.1", value_parser = host)]
    redis_host: String,
    /// Its TCP port
    #[arg(long, env = "REDIS_PORT", default_value_t = 6379)]
    redis_port: u16,
}

impl RedisArgs {
    /// Redis as a URL, whichever way it was given. It may hold a password: never log it.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.redis_url {
            Some(url) => url.expose_secret().to_owned(),
            None => format!("redis://{}:{}", self.redis_host, self.redis_port),
        }
    }
}

fn redis_url(text: &str) -> Result<SecretString, String> {
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
    Ok(text.into())
}

/// Redis has a limit of its own, and names it on the first connection.
fn is_database(number: &str) -> Result<(), String> {
    let is_number = number.is_empty() || number.parse::<u16>().is_ok();
    if is_number { Ok(()) } else { Err("the database must be a number, such as redis://host/0".into()) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        redis: RedisArgs,
    }

    #[test]
    fn no_password_is_in_debug_output() {
        let cli = crate::tests::parse_flags::<Cli>(&["--redis-url", "redis://:hunter2@h:1"]).unwrap();
        assert_eq!(cli.redis.url(), "redis://:hunter2@h:1");
        let debug = format!("{cli:?} {cli:#?}");
        assert!(debug.contains("REDACTED") && !debug.contains("hunter2"), "{debug}");
    }

    #[test]
    fn host_and_port_make_a_url_and_a_url_wins() {
        let url = |args: &[&str]| crate::tests::parse_flags::<Cli>(args).unwrap().redis.url();
        assert_eq!(url(&["--redis-host", "cache", "--redis-port", "7"]), "redis://cache:7");
        assert_eq!(url(&["--redis-host", "::1"]), "redis://[::1]:6379");
        assert_eq!(url(&["--redis-host", "cache", "--redis-url", "rediss://h:1"]), "rediss://h:1");
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
        for good in ["redis://h", "rediss://u:p@h:1/15", "valkeys://h/0", "unix:///run/redis?db=1&pass=x"] {
            crate::tests::parse_flags::<Cli>(&["--redis-url", good]).unwrap();
        }
    }
}
