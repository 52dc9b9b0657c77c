#![allow(clippy::doc_markdown, reason = "the help texts are for terminals")]

use std::{fs, time::Duration};

use clap::Args;
use farmlokal_settings::{certificates, duration, nonzero_duration, server_url};
use secrecy::SecretString;

use crate::{Language, Synonyms};

/// The search index: each process holds one in memory, unless OpenSearch has it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Search")]
pub struct SearchConfig {
    /// OpenSearch, such as https://user:password@host:9200/farmlokal: the indices are named after the path. Without it each
    /// process holds an index of its own. With it SEARCH_MEMORY, SEARCH_THREADS, SEARCH_QUEUE and SEARCH_READY_TIMEOUT count for nothing
    #[arg(long = "search-url", env = "SEARCH_URL", hide_env_values = true, value_parser = opensearch)]
    pub url: Option<SecretString>,
    /// PEM file of CAs that OpenSearch's certificate may be of, beside those that the machine trusts
    #[arg(long = "search-tls-ca", env = "SEARCH_TLS_CA", value_name = "FILE", value_parser = certificates)]
    pub tls_ca: Option<SecretString>,
    /// How long a search waits, beside SEARCH_DEADLINE, until OpenSearch has all changes from before it began; then its answer is
    /// marked as stale, and not cached
    #[arg(long = "search-wait", env = "SEARCH_WAIT", default_value = "1s", value_parser = duration)]
    pub wait: Duration,
    /// Memory that the index may take, such as 256MiB or 1GiB; with a catalogue that needs more there is no search
    #[arg(long = "search-memory", env = "SEARCH_MEMORY", value_name = "BYTES", default_value = "256MiB", value_parser = bytes)]
    pub memory: u64,
    /// Threads that search
    #[arg(long = "search-threads", env = "SEARCH_THREADS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: u16,
    /// Searches that may wait for a thread; further ones get 503 at once
    #[arg(long = "search-queue", env = "SEARCH_QUEUE", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub queue: u16,
    /// How long a search may take before it is refused with 503
    #[arg(long = "search-deadline", env = "SEARCH_DEADLINE", default_value = "500ms", value_parser = nonzero_duration)]
    pub deadline: Duration,
    /// The language of which words and their plurals find the same, such as english or german; none for no language
    #[arg(long = "search-language", env = "SEARCH_LANGUAGE", default_value = "english")]
    pub language: Language,
    /// A file of synonyms: a group on a line, words separated by commas, # before a comment
    #[arg(long = "search-synonyms", env = "SEARCH_SYNONYMS", value_name = "FILE", value_parser = synonyms)]
    pub synonyms: Option<Synonyms>,
    /// After this time from the start /readyz is 200 without an index too: lists are served, searches get 503
    #[arg(long = "search-ready-timeout", env = "SEARCH_READY_TIMEOUT", default_value = "60s", value_parser = duration)]
    pub ready_timeout: Duration,
    /// How often the database is asked for changes that no message from Redis told of
    #[arg(long = "search-poll", env = "SEARCH_POLL", default_value = "1s", value_parser = nonzero_duration)]
    pub poll: Duration,
}

/// A number of bytes above zero, with its unit.
fn bytes(text: &str) -> Result<u64, &'static str> {
    let parsed = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)].iter().find_map(|(unit, bytes)| {
        let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        number.checked_mul(*bytes).filter(|bytes| *bytes > 0)
    });
    parsed.ok_or("write 256MiB or 1GiB")
}

/// The names of its indices begin with the path, which is `farmlokal` unless the URL has one.
fn opensearch(text: &str) -> Result<SecretString, String> {
    let url = server_url(text, "https://user:password@host:9200/farmlokal")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("the scheme is {}, not https", url.scheme()));
    }
    let prefix = url.path().trim_start_matches('/');
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_prefix = prefix.len() <= 100 && prefix.bytes().all(is_name) && !prefix.starts_with('-');
    if url.query().is_some() || !is_prefix {
        return Err("behind the host may be one name of a-z, 0-9 and -, such as /farmlokal".into());
    }
    Ok(text.into())
}

fn synonyms(path: &str) -> Result<Synonyms, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read it: {error}"))?;
    text.parse().map_err(|error| format!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::{bytes, opensearch};

    #[test]
    fn a_url_of_opensearch_has_a_host_and_perhaps_a_prefix() {
        for good in ["http://h:9200", "http://[::1]:9200/", "https://u:p%40@h/shop-2"] {
            assert!(opensearch(good).is_ok(), "{good}");
        }
        for bad in
            ["h:9200", "ftp://h", "http://h/a/b", "http://h/A", "http://h/-a", "http://h/a?b", "http://h#a"]
        {
            let error = opensearch(&bad.replace("//", "//u:hunter2@")).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn bytes_have_a_unit() {
        assert_eq!(
            [bytes("73728KiB"), bytes("256 MiB"), bytes("2GiB")],
            [Ok(72 << 20), Ok(256 << 20), Ok(2 << 30)]
        );
        for bad in
            ["", "256", "0MiB", "MiB", "1.5GiB", "-1MiB", "1MB", "99999999999999999999GiB", "17179869184GiB"]
        {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
