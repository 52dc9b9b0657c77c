use std::time::Duration;

use bytes::Bytes;

/// What the cache holds. A clone must be cheap (an `Arc` or [`Bytes`] inside): every hit clones.
pub trait Value: Clone + Send + Sync + 'static {
    /// Why a fill fails. All who wait for it share the error.
    type Error: Send + Sync + 'static;

    /// The bytes to store in Redis.
    fn encode(&self) -> Vec<u8>;

    /// The value of stored bytes; `None` if another version of the program wrote them, which makes it a miss.
    fn decode(bytes: Bytes) -> Option<Self>;

    /// Bytes of memory that the value takes in the in-process layer.
    fn weight(&self) -> u32;

    /// Whether it may lack changes from before it was asked for: such a value is served as [`Source::Stale`], and not stored.
    fn is_stale(&self) -> bool {
        false
    }
}

/// An answer of the cache.
#[derive(Clone, Debug)]
pub struct Lookup<V> {
    /// The answer itself.
    pub value: V,
    /// Where it came from.
    pub source: Source,
    /// Time since it was read from the database.
    pub age: Duration,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The in-process layer.
    InProcess,
    /// Redis.
    Redis,
    /// The fill, which this request ran or shared.
    Miss,
    /// An expired entry, served because the fill failed, or what the fill itself gave as stale.
    Stale,
}

impl Source {
    /// A stable word for a trace.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Source::InProcess => "local",
            Source::Redis => "redis",
            Source::Miss => "miss",
            Source::Stale => "stale",
        }
    }
}
