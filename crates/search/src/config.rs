use std::{fs, io, path::PathBuf, time::Duration};

use crate::{EngineConfig, InvalidSynonyms, Synonyms, UnknownLanguage};

/// Settings of a [`Search`](crate::Search).
#[derive(Clone, Debug)]
pub struct SearchConfig {
    /// Bytes that the index may take. Default 256 MiB.
    pub memory: u64,
    /// Threads that search at the same time. Default 2.
    pub threads: usize,
    /// Searches that may wait for one of them. Default 64.
    pub queue: usize,
    /// How long a search may take. Default 500 ms.
    pub deadline: Duration,
    /// The language whose word endings are ignored, in lower case; `None` for none. Default `english`.
    pub language: Option<String>,
    /// A file of synonyms: a group on each line, its words separated by commas. Default none.
    pub synonyms: Option<PathBuf>,
    /// How often the database is asked for changes that nobody has told of. Default 1 s.
    pub poll: Duration,
}

/// Why a [`SearchConfig`] is not valid.
#[derive(Debug, thiserror::Error)]
pub enum InvalidConfig {
    /// Of [`SearchConfig::language`].
    #[error("SEARCH_LANGUAGE {0}")]
    Language(#[from] UnknownLanguage),
    /// [`SearchConfig::synonyms`] cannot be read.
    #[error("SEARCH_SYNONYMS: cannot read {0}: {1}")]
    Unreadable(PathBuf, #[source] io::Error),
    /// [`SearchConfig::synonyms`] has something else in it.
    #[error("SEARCH_SYNONYMS: {0}, {1}")]
    Synonyms(PathBuf, #[source] InvalidSynonyms),
}

impl SearchConfig {
    /// What of it is the engine's. Reads the file of synonyms.
    pub(crate) fn engine(&self) -> Result<EngineConfig, InvalidConfig> {
        let synonyms = match &self.synonyms {
            None => Synonyms::default(),
            Some(path) => {
                let text = fs::read_to_string(path);
                let text = text.map_err(|error| InvalidConfig::Unreadable(path.clone(), error))?;
                text.parse().map_err(|error| InvalidConfig::Synonyms(path.clone(), error))?
            }
        };
        let language = self.language.as_deref().map(str::parse).transpose()?;
        let SearchConfig { memory, threads, queue, .. } = *self;
        Ok(EngineConfig { memory, threads, queue, language, synonyms })
    }
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
