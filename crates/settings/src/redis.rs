#![allow(clippy::doc_markdown, clippy::struct_field_names, reason = "the help texts are for terminals")]

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

/// Where Redis is: `REDIS_URL`, or `REDIS_HOST` and `REDIS_PORT`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Redis")]
pub struct RedisArgs {
    /// Redis as a URL, such as redis://:password@host:6379/0 or rediss:// for TLS; takes the place of the other two
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    redis_url: Option<SecretString>,
    /// Host of the Redis or Valkey server
    #[arg(long, env = "REDIS_HOST", default_value = "127.0.0.1")]
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
            None if self.redis_host.contains(':') => {
                format!("redis://[{}]:{}", self.redis_host, self.redis_port)
            }
            None => format!("redis://{}:{}", self.redis_host, self.redis_port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

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
}
