//! JSON objects. serde's derive also takes an array for a struct, in the order of its fields, which no API documents
//! (<https://github.com/serde-rs/serde/issues/1587>, open since 2019).

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Reads a JSON object.
///
/// # Errors
/// Anything else, a member of another type, and one that is there twice.
pub(crate) fn object<'b, T: Deserialize<'b>>(text: &'b [u8]) -> serde_json::Result<T> {
    if !text.trim_ascii_start().starts_with(b"{") {
        return Err(serde_json::Error::custom("not an object"));
    }
    serde_json::from_slice(text)
}

/// The members of an object as they were sent, those that are there twice included.
#[derive(Debug, Default)]
pub(crate) struct Members<'b>(Vec<(Cow<'b, str>, &'b RawValue)>);

impl<'b> Members<'b> {
    /// The values of all members with this name.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &'b RawValue> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| *value)
    }

    /// The names of all members, in their order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }
}

impl<'de: 'b, 'b> Deserialize<'de> for Members<'b> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Pair {
        one: u8,
        two: u8,
    }

    #[test]
    fn an_object_is_taken_and_an_array_in_its_place_is_not() {
        let pair: Pair = object(b" {\"two\": 2, \"one\": 1}").unwrap();
        assert_eq!((pair.one, pair.two), (1, 2));
        for text in ["[1, 2]", " [1,2]", "null", "1", "", "{\"one\":1,\"one\":1,\"two\":2}", "{} {}"] {
            assert!(object::<Pair>(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn members_are_told_apart_by_their_names_however_those_are_written() {
        let members: Members<'_> = object(br#"{"a":1,"\u0062":[2],"a":3}"#).unwrap();
        let all = |name| members.all(name).map(RawValue::get).collect::<Vec<_>>();
        assert_eq!((all("a"), all("b"), all("c")), (vec!["1", "3"], vec!["[2]"], vec![]));
        assert!(object::<Members<'_>>(b"[]").is_err());
    }
}
