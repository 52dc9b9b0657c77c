use std::{path::PathBuf, time::Duration};

/// Settings of a [`Search`](crate::Search).
#[derive(Clone, Debug)]
pub struct SearchConfig {
    /// Bytes that the index may take. Default 256 MiB.
    pub memory: u64,
    /// Threads that search at the same time. Default 2.
    pub threads: usize,
    /// Searches that may wait for one of them. Default 64.
    pub queue: usize,
    /// How long a search may wait for a thread, and for an index that has its rows as they are now. Default 500 ms.
    pub deadline: Duration,
    /// The language whose word endings are ignored, in lower case; `None` for none. Default `english`.
    pub language: Option<String>,
    /// A file of synonyms: a group on each line, its words separated by commas. Default none.
    pub synonyms: Option<PathBuf>,
    /// How often the database is asked for changes that nobody has told of. Default 1 s.
    pub poll: Duration,
}

impl Default for SearchConfig {
    fn default() -> SearchConfig {
        SearchConfig {
            memory: 256 << 20,
            threads: 2,
            queue: 64,
            deadline: Duration::from_millis(500),
            language: Some("english".to_owned()),
            synonyms: None,
            poll: Duration::from_secs(1),
        }
    }
}
