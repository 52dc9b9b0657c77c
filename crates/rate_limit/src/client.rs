use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};

/// Whom a limit counts for: an IPv4 address, or all of an IPv6 network, since one subscriber has a whole one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(IpNet);

impl Client {
    /// The client at `address`; of an IPv6 address only the first `prefix` bits count (0 to 128, more is 128).
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8) -> Client {
        let address = address.to_canonical();
        Client(match address {
            IpAddr::V4(_) => address.into(),
            IpAddr::V6(address) => Ipv6Net::new_assert(address, prefix.min(128)).trunc().into(),
        })
    }

    /// One of 65,536 clients that many addresses share, for when there are more addresses than can be counted one by one.
    #[must_use]
    pub fn shared(self) -> Client {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        #[expect(clippy::cast_possible_truncation, reason = "all bits of a hash are alike")]
        let number = hasher.finish() as u16;
        // In the discard prefix 100::/64 of RFC 6666, which no client has.
        Client(IpAddr::from(Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, number)).into())
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn client(address: &str) -> Client {
        Client::new(address.parse().unwrap(), 64)
    }

    #[test]
    fn an_ipv6_network_is_one_client_and_an_ipv4_address_is_one() {
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:0:0:1"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_ne!(client("203.0.113.7"), client("203.0.113.8"));
        assert_eq!(client("203.0.113.7"), client("::ffff:203.0.113.7"));
        let whole = |address: &str| Client::new(address.parse().unwrap(), 128);
        assert_ne!(whole("2001:db8::1"), whole("2001:db8::2"));
        let none = |address: &str| Client::new(address.parse().unwrap(), 0);
        assert_eq!(none("2001:db8::1"), none("3001:db8::1"));
        assert_ne!(none("2001:db8::1"), client("0.0.0.0"));
    }

    #[test]
    fn clients_read_as_what_they_stand_for() {
        assert_eq!(client("203.0.113.7").to_string(), "203.0.113.7/32");
        assert_eq!(client("2001:db8:1:2:3:4:5:6").to_string(), "2001:db8:1:2::/64");
    }

    #[test]
    fn neighbours_share_with_strangers() {
        let shared = |last: u32| Client::new(Ipv4Addr::from_bits(0x0a00_0000 + last).into(), 64).shared();
        let different: std::collections::HashSet<_> = (0..10_000).map(shared).collect();
        assert!(different.len() > 9_000, "{}", different.len());
        assert_eq!(shared(7), shared(7));
    }
}
