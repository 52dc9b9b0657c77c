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
    // The options that redis 1.8 understands; it ignores all others.
    let options: &[_] = match url.scheme() {
        "redis" | "rediss" | "valkey" | "valkeys" => &["protocol"],
        "unix" | "redis+unix" | "valkey+unix" => &["db", "user", "pass", "protocol"],
        other => return Err(format!("the scheme is {other}, not redis or rediss")),
    };
    let is_socket = options.len() > 1;
    check_options(&url, options, instead_of, check_option)?;
    if is_socket {
        return Ok(text.into());
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("it names no host; write redis://:password@host:6379/0".into());
    }
    match url.path().trim_matches('/') {
        "" => Ok(text.into()),
        number => is_database(number).map(|()| text.into()),
    }
}

/// What other clients call an option.
fn instead_of(unknown: &str) -> Option<&'static str> {
    match unknown {
        "ssl" | "tls" | "usessl" | "usetls" => Some("rediss:// for TLS"),
        "db" | "database" | "dbnumber" => Some("the number of the database as the path, such as /0"),
        "user" | "username" | "pass" | "password" | "auth" => Some("redis://user:password@host"),
        _ => None,
    }
}

fn check_option(name: &str, value: &str) -> Result<(), String> {
    match name {
        "protocol" if !["2", "resp2", "3", "resp3"].contains(&value) => Err("must be resp2 or resp3".into()),
        "db" => is_database(value),
        _ => Ok(()),
    }
}

fn is_database(number: &str) -> Result<(), String> {
    // Redis has them up to a number of its own, and says so on the first connection.
    let is_number = number.parse::<u16>().is_ok();
    if is_number { Ok(()) } else { Err("the path must be the number of a database, such as /0".into()) }
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
        let cli = crate::parse_flags::<Cli>(&["--redis-url", "redis://:hunter2@h:1"]).unwrap();
        assert_eq!(cli.redis.url(), "redis://:hunter2@h:1");
        let debug = format!("{cli:?} {cli:#?}");
        assert!(debug.contains("REDACTED") && !debug.contains("hunter2"), "{debug}");
    }

    #[test]
    fn host_and_port_make_a_url_and_a_url_wins() {
        let url = |args: &[&str]| crate::parse_flags::<Cli>(args).unwrap().redis.url();
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
            ("redis://:secret@h/one", "the path must be the number of a database"),
            ("redis://:secret@h/-1", "the path must be the number of a database"),
            ("rediss://:secret@h/0#insecure", "write # as %23"),
            ("redis://:secret@h?db=1", "unknown option db; write the number of the database as the path"),
            ("redis://:secret@h?tls=true", "unknown option tls; write rediss:// for TLS"),
            ("redis://h?password=secret", "unknown option password; write redis://user:password@host"),
            ("redis://:secret@h?timeout=1", "unknown option timeout; there are protocol"),
            ("redis://:secret@h?protocol=4", "the option protocol: must be resp2 or resp3"),
            ("unix:///run/redis?db=x", "the option db: "),
            ("unix:///run/redis?tls=1", "unknown option tls"),
        ] {
            let error = crate::parse_flags::<Cli>(&["--redis-url", bad]).unwrap_err();
            assert!(error.starts_with("--redis-url") && error.contains(reason), "{bad}: {error}");
            assert!(!error.contains("secret") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn what_the_client_understands_is_accepted() {
        for good in [
            "redis://h",
            "rediss://u:p@h:1/15",
            "valkeys://h/0?protocol=resp3",
            "unix:///run/redis?db=1&pass=x",
        ] {
            crate::parse_flags::<Cli>(&["--redis-url", good]).unwrap();
        }
    }
}
