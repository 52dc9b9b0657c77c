//! An entry as it lies in Redis: a header of fixed size, then the value's own bytes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::{Value, keys::Stamp};

/// The first byte. Another layout gets another number, so that two versions of the program take each other's entries
/// for misses.
const LAYOUT: u8 = 3;
const READ_AT: usize = 1 + Stamp::LEN;
const HEADER: usize = READ_AT + 8;

/// A valid entry, as seen at the time of reading.
pub(crate) struct Entry<V> {
    pub(crate) value: V,
    /// Time since it was read from the database.
    pub(crate) age: Duration,
    /// Time for which it is still fresh; zero if it has expired.
    pub(crate) remaining: Duration,
}

/// Lays out `value`, read from the database at `read_at` under `stamp`.
pub(crate) fn encode(value: &impl Value, stamp: Stamp, read_at: SystemTime) -> Vec<u8> {
    let body = value.encode();
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.push(LAYOUT);
    bytes.extend_from_slice(&stamp.0);
    bytes.extend_from_slice(&unix_millis(read_at).to_be_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

/// Reads an entry back; `None` if it is not valid under `current` or of another layout.
///
/// It is fresh for `fresh` from when it was read, by the clock of the process that filled it. A clock that runs ahead makes
/// no entry fresh for longer than that; Redis's own expiry limits the rest.
pub(crate) fn decode<V: Value>(
    bytes: Vec<u8>,
    current: Stamp,
    now: SystemTime,
    fresh: Duration,
) -> Option<Entry<V>> {
    let bytes = Bytes::from(bytes);
    if bytes.len() < HEADER || bytes[0] != LAYOUT || bytes[1..READ_AT] != current.0 {
        return None;
    }
    let read_at = u64::from_be_bytes(bytes[READ_AT..HEADER].try_into().ok()?);
    let age = Duration::from_millis(unix_millis(now).saturating_sub(read_at));
    Some(Entry { value: V::decode(bytes.slice(HEADER..))?, age, remaining: fresh.saturating_sub(age) })
}

fn unix_millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::new_token;

    const FRESH: Duration = Duration::from_mins(1);

    #[derive(Clone)]
    struct Text(Bytes);

    impl Value for Text {
        type Error = ();

        fn encode(&self) -> Vec<u8> {
            self.0.to_vec()
        }
        fn decode(bytes: Bytes) -> Option<Self> {
            Some(Self(bytes))
        }
        fn weight(&self) -> u32 {
            0
        }
    }

    fn new_stamp() -> Stamp {
        Stamp::new(&new_token(), &new_token()).unwrap()
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn an_entry_comes_back_with_its_age_and_what_is_left_of_it() {
        let stamp = new_stamp();
        let bytes = encode(&Text(Bytes::from_static(b"milk")), stamp, at(1000));
        let entry: Entry<Text> = decode(bytes.clone(), stamp, at(1010), FRESH).unwrap();
        assert_eq!(&entry.value.0[..], b"milk");
        assert_eq!(entry.age, Duration::from_secs(10));
        assert_eq!(entry.remaining, Duration::from_secs(50));

        let entry: Entry<Text> = decode(bytes, stamp, at(1070), FRESH).unwrap();
        assert_eq!(entry.remaining, Duration::ZERO);
    }

    #[test]
    fn another_stamp_or_layout_is_no_entry() {
        let stamp = new_stamp();
        let bytes = encode(&Text(Bytes::new()), stamp, at(1000));
        for other in [
            Stamp::new(&new_token(), stamp.token()).unwrap(),
            Stamp::new(stamp.generation(), &new_token()).unwrap(),
            Stamp::new(stamp.generation(), &Stamp::NO_TOKEN).unwrap(),
        ] {
            assert!(decode::<Text>(bytes.clone(), other, at(1000), FRESH).is_none(), "{other:?}");
        }
        assert!(decode::<Text>(bytes[..HEADER - 1].to_vec(), stamp, at(1000), FRESH).is_none());
        let mut other = bytes;
        other[0] = LAYOUT + 1;
        assert!(decode::<Text>(other, stamp, at(1000), FRESH).is_none());
    }

    #[test]
    fn a_clock_ahead_cannot_make_an_entry_fresh_for_longer() {
        let stamp = new_stamp();
        let bytes = encode(&Text(Bytes::new()), stamp, at(5000));
        let entry: Entry<Text> = decode(bytes, stamp, at(1000), FRESH).unwrap();
        assert_eq!(entry.age, Duration::ZERO);
        assert_eq!(entry.remaining, FRESH);
    }
}
