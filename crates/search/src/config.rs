#![allow(clippy::doc_markdown, reason = "the help texts are for terminals")]

use std::{fs, time::Duration};

use clap::Args;
use farmlokal_settings::{duration, nonzero_duration};

use crate::{Language, Synonyms};

/// The search index, which each process holds in memory.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Search")]
pub struct SearchConfig {
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

fn synonyms(path: &str) -> Result<Synonyms, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read it: {error}"))?;
    text.parse().map_err(|error| format!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::bytes;

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
