//! The names of the keys in Redis, and what they say about the validity of an entry.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

/// Hash tags that the keys are spread over, so that an entry and what it is valid under share a hash slot. All processes
/// must agree on it.
pub(crate) const TAGS: u64 = 8;

/// Changes of single products are announced by writes to so many keys, and products that share one are dropped from
/// memory together. A multiple of [`TAGS`], so that all that belongs to a product has one hash tag.
pub(crate) const SLOTS: usize = 4096;

/// Every entry, and nothing else, matches this pattern.
pub(crate) const ENTRY_PATTERN: &str = "products:*";

/// Answers of another version may look otherwise. While an upgrade replaces pods, old and new ones each have their own.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The keys whose writes the in-process layers hear of. They lie outside [`ENTRY_PATTERN`], or a flush would remove
/// the generations that it has just set.
pub(crate) const TRACKED_PREFIXES: [&str; 2] = ["farmlokal:generation:", CHANGED];

const LIST_GENERATION: &str = "farmlokal:generation:lists:";
const ITEM_GENERATION: &str = "farmlokal:generation:items:";
const CHANGED: &str = "farmlokal:changed:";

/// Holds the `run_id` of the server that the generations with this hash tag were made for.
pub(crate) fn server_key(tag: u64) -> String {
    format!("farmlokal:server:{{{tag}}}")
}

/// What an answer is the answer to. A change of one product makes every list invalid, and of the items its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A list, or anything else that depends on many products, by its canonical query.
    List(Arc<str>),
    /// The product with this id.
    Item(u64),
}

/// The keys that an answer needs.
pub(crate) struct RedisKeys {
    pub(crate) entry: String,
    pub(crate) generation: String,
    /// Items only. Outside the tracked prefixes, or the first reader of each product would disturb all processes.
    pub(crate) token: Option<String>,
}

impl RedisKeys {
    pub(crate) fn of(key: &Key) -> Self {
        match key {
            Key::List(query) => {
                let tag = xxh3_64(query.as_bytes()) % TAGS;
                let entry = format!("products:{{{tag}}}:{VERSION}:list:{query}");
                Self { entry, generation: list_generation(tag), token: None }
            }
            Key::Item(id) => {
                let tag = id % TAGS;
                let entry = format!("products:{{{tag}}}:{VERSION}:item:{id}");
                Self { entry, generation: item_generation(tag), token: Some(token_key(*id)) }
            }
        }
    }
}

/// The generation of the lists with this hash tag. Every change renews it.
pub(crate) fn list_generation(tag: u64) -> String {
    format!("{LIST_GENERATION}{{{tag}}}")
}

/// The generation of the items with this hash tag. Only flushes renew it.
pub(crate) fn item_generation(tag: u64) -> String {
    format!("{ITEM_GENERATION}{{{tag}}}")
}

/// Holds the token of one product, which a change of the product removes.
pub(crate) fn token_key(id: u64) -> String {
    format!("farmlokal:item:{{{}}}:{id}", id % TAGS)
}

/// Written when a product of this slot has changed.
pub(crate) fn changed_key(slot: usize) -> String {
    format!("{CHANGED}{{{}}}:{slot}", slot as u64 % TAGS)
}

/// Written by a flush that somebody asked for. It tells those from a server that was found to be a new one.
pub(crate) const FLUSHED_KEY: &str = "farmlokal:changed:{0}:everything";

/// The slot of a product.
pub(crate) fn slot(id: u64) -> usize {
    usize::try_from(id % SLOTS as u64).unwrap_or_default()
}

/// What a change makes invalid in the in-process layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scope {
    Everything,
    Lists,
    Items,
    Slot(usize),
}

impl Scope {
    /// What is invalid after a write to this tracked key.
    pub(crate) fn of_tracked(key: &[u8]) -> Self {
        let Ok(key) = std::str::from_utf8(key) else { return Self::Everything };
        if key.starts_with(LIST_GENERATION) {
            return Self::Lists;
        }
        if key.starts_with(ITEM_GENERATION) {
            return Self::Items;
        }
        let changed = key.strip_prefix(CHANGED).and_then(|rest| rest.rsplit(':').next()?.parse().ok());
        changed.filter(|slot| *slot < SLOTS).map_or(Self::Everything, Self::Slot)
    }
}

/// Bytes of a generation and of a token.
const TOKEN: usize = 16;

/// A value that was never used before: a generation, or the token of a product. A counter would not do: Redis may lose
/// it and count from one again.
pub(crate) fn new_token() -> [u8; TOKEN] {
    rand::random()
}

/// What an entry is valid under: a generation and, for an item, its token, both as they are in Redis now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Stamp(pub(crate) [u8; Self::LEN]);

impl Stamp {
    pub(crate) const LEN: usize = 2 * TOKEN;
    /// In the place of the token that a list does not have.
    pub(crate) const NO_TOKEN: [u8; TOKEN] = [0; TOKEN];

    /// `None` if Redis has something else under these keys.
    pub(crate) fn new(generation: &[u8], token: &[u8]) -> Option<Self> {
        [generation, token].concat().try_into().ok().map(Self)
    }

    pub(crate) fn generation(&self) -> &[u8] {
        &self.0[..TOKEN]
    }

    pub(crate) fn token(&self) -> &[u8] {
        &self.0[TOKEN..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str) -> &str {
        &key[key.find('{').unwrap()..=key.find('}').unwrap()]
    }

    #[test]
    fn an_entry_shares_its_hash_tag_with_what_it_is_valid_under() {
        let list = RedisKeys::of(&Key::List("sort=id&limit=20".into()));
        assert_eq!(tag(&list.entry), tag(&list.generation));
        assert!(list.entry.starts_with("products:{") && list.entry.ends_with(":list:sort=id&limit=20"));
        for id in [1, 4095, 4096, 4097, u64::MAX] {
            let item = RedisKeys::of(&Key::Item(id));
            assert_eq!(tag(&item.entry), tag(&item.generation));
            assert_eq!(tag(&item.entry), tag(&item.token.unwrap()));
            assert_eq!(tag(&item.entry), tag(&changed_key(slot(id))));
            assert!(item.entry.ends_with(&format!(":item:{id}")));
        }
    }

    #[test]
    fn a_brace_in_the_query_does_not_change_its_hash_tag() {
        let keys = RedisKeys::of(&Key::List("search={x}".into()));
        // Redis hashes what is between the first `{` and the first `}` after it.
        assert_eq!(keys.entry.find('{'), Some("products:".len()));
    }

    #[test]
    fn keys_use_every_tag() {
        let list = |n: u64| RedisKeys::of(&Key::List(n.to_string().into())).generation;
        let item = |n: u64| RedisKeys::of(&Key::Item(n)).generation;
        let used: std::collections::HashSet<_> = (0..200).flat_map(|n| [list(n), item(n)]).collect();
        assert_eq!(used.len() as u64, 2 * TAGS);
    }

    #[test]
    fn tracked_keys_say_what_they_make_invalid() {
        assert_eq!(Scope::of_tracked(list_generation(3).as_bytes()), Scope::Lists);
        assert_eq!(Scope::of_tracked(item_generation(3).as_bytes()), Scope::Items);
        assert_eq!(Scope::of_tracked(changed_key(slot(8191)).as_bytes()), Scope::Slot(4095));
        for other in
            [FLUSHED_KEY.as_bytes(), b"farmlokal:changed:{1}:4096", b"farmlokal:changed:x", b"\xff", b""]
        {
            assert_eq!(Scope::of_tracked(other), Scope::Everything);
        }
        for tracked in [list_generation(0), item_generation(0), changed_key(0)] {
            assert!(TRACKED_PREFIXES.iter().any(|prefix| tracked.starts_with(prefix)), "{tracked}");
        }
        assert!(!TRACKED_PREFIXES.iter().any(|prefix| token_key(1).starts_with(prefix)));
    }
}
