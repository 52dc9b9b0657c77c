//! The names of the keys in Redis, and the generation that ties an entry to its flush.

use xxhash_rust::xxh3::xxh3_64;

/// Hash tags that the keys are spread over, so that a Redis Cluster spreads them over its nodes while an entry
/// and its generation stay in one slot. All processes must agree on it.
pub(crate) const TAGS: u64 = 8;

/// Every entry, and nothing else, matches this pattern.
pub(crate) const ENTRY_PATTERN: &str = "products:*";

/// Every entry, and nothing else, starts with this.
pub(crate) const ENTRY_PREFIX: &str = "products:";

/// Every generation key, and nothing else, starts with this. It lies outside [`ENTRY_PATTERN`], or a flush would
/// remove the generations that it has just set.
pub(crate) const GENERATION_PREFIX: &str = "farmlokal:generation:";

/// Holds the `run_id` of the server that the generations were made for.
pub(crate) const SERVER_KEY: &str = "farmlokal:server";

/// The two keys that an answer needs.
pub(crate) struct Keys {
    pub(crate) entry: String,
    pub(crate) generation: String,
}

impl Keys {
    pub(crate) fn of(key: &str) -> Self {
        let tag = xxh3_64(key.as_bytes()) % TAGS;
        Self { entry: format!("products:{{{tag}}}:{key}"), generation: generation_key(tag) }
    }
}

pub(crate) fn generation_key(tag: u64) -> String {
    format!("{GENERATION_PREFIX}{{{tag}}}")
}

/// A value that no flush has used before. A counter would not do: Redis may lose it and count from one again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Generation([u8; Self::LEN]);

impl Generation {
    pub(crate) const LEN: usize = 16;

    pub(crate) fn new() -> Self {
        Self(rand::random())
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_shares_its_hash_tag_with_its_generation() {
        let keys = Keys::of("list:sort=id&limit=20");
        let tag = |key: &str| key[key.find('{').unwrap()..=key.find('}').unwrap()].to_owned();
        assert_eq!(tag(&keys.entry), tag(&keys.generation));
        assert!(keys.entry.starts_with("products:{"));
        assert!(keys.entry.ends_with("}:list:sort=id&limit=20"));
        assert!(!keys.generation.starts_with("products:"));
    }

    #[test]
    fn a_brace_in_the_key_does_not_change_its_hash_tag() {
        let keys = Keys::of("list:search={x}");
        // Redis hashes what is between the first `{` and the first `}` after it.
        assert_eq!(keys.entry.find('{'), Some("products:".len()));
    }

    #[test]
    fn keys_use_every_tag() {
        let used: std::collections::HashSet<_> =
            (0..200).map(|n| Keys::of(&format!("item:{n}")).generation).collect();
        assert_eq!(used.len() as u64, TAGS);
    }
}
