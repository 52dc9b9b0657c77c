//! The client's address: the peer's, or what trusted proxies say of it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Once;

use axum::http::header::FORWARDED;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use tracing::warn;

use crate::Client;

/// Finds out who sent a request.
///
/// Every proxy adds the address that it sees to the right end of the header. So the header is read from the right, and only
/// as far as those who wrote it are trusted; what stands further to the left may be anybody's invention.
#[derive(Clone, Debug)]
pub struct ClientAddress {
    /// Who is trusted; empty: anybody, for `hops`.
    pub networks: Vec<IpNet>,
    /// How many proxies are trusted at the most.
    pub hops: usize,
    /// Where they write: `Forwarded` of [RFC 7239](https://www.rfc-editor.org/rfc/rfc7239), or a list of addresses such as
    /// `X-Forwarded-For`.
    pub header: HeaderName,
    /// Bits of an IPv6 address that distinguish clients.
    pub ipv6_prefix: u8,
}

impl ClientAddress {
    /// The client behind a connection from `peer` that sent these headers. Allocates nothing.
    #[must_use]
    pub fn resolve(&self, peer: IpAddr, headers: &HeaderMap) -> Client {
        if self.hops == 0 {
            warn_of_untrusted(headers);
        }
        // Several fields of one name are one list. What a client put to the left of it may be no text at all.
        let lines = headers.get_all(&self.header).iter().rev().map(HeaderValue::as_bytes);
        let entries = lines.flat_map(|line| line.rsplit(|byte| *byte == b','));
        let mut address = peer.to_canonical();
        for entry in entries.take(self.hops) {
            if !self.trusts(address) {
                break;
            }
            // What a trusted proxy wrote and nobody can read leaves the proxy as the one to answer for it.
            let Some(before) = self.parse(entry) else { break };
            address = before;
        }
        Client::new(address, self.ipv6_prefix)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&address))
    }

    /// An address as proxies write it: `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::7`, `[2001:db8::7]`,
    /// `[2001:db8::7]:4711`.
    fn parse(&self, entry: &[u8]) -> Option<IpAddr> {
        let mut node = std::str::from_utf8(entry).ok()?.trim();
        if self.header == FORWARDED {
            let pairs = node.split(';').filter_map(|pair| pair.split_once('='));
            let mut nodes = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
            node = nodes.next()?.1.trim().trim_matches('"').trim();
        }
        let bare = node.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(node);
        let address = bare.parse().ok().or_else(|| Some(node.parse::<SocketAddr>().ok()?.ip()));
        address.map(|address: IpAddr| address.to_canonical())
    }
}

/// Behind a proxy that nobody trusts, all clients are one. That is worth a line.
fn warn_of_untrusted(headers: &HeaderMap) {
    static SAID: Once = Once::new();
    if !SAID.is_completed() && headers.contains_key("x-forwarded-for") {
        SAID.call_once(|| {
            warn!("requests carry X-Forwarded-For and no proxy is trusted: behind a proxy, set TRUSTED_PROXIES or TRUSTED_HOPS");
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const XFF: &str = "x-forwarded-for";

    fn address(networks: &[&str], hops: usize) -> ClientAddress {
        let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
        ClientAddress { networks, hops, header: HeaderName::from_static(XFF), ipv6_prefix: 64 }
    }

    #[track_caller]
    fn assert_client(
        address: &ClientAddress,
        peer: &str,
        headers: &[(&'static str, &'static str)],
        client: &str,
    ) {
        let headers = headers.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        });
        // Not collected, which would keep one of each name only.
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value);
        }
        let found = address.resolve(peer.parse().unwrap(), &map);
        assert_eq!(found, Client::new(client.parse().unwrap(), 64), "{map:?}");
    }

    #[test]
    fn without_trust_the_peer_is_the_client() {
        let nobody = address(&[], 0);
        assert_client(&nobody, "203.0.113.7", &[(XFF, "1.1.1.1")], "203.0.113.7");
        let others = address(&["10.0.0.0/8"], usize::MAX);
        assert_client(&others, "203.0.113.7", &[(XFF, "1.1.1.1")], "203.0.113.7");
    }

    #[test]
    fn trusted_networks_are_passed_from_the_right() {
        let ours = address(&["10.0.0.0/8", "fd00::/8"], usize::MAX);
        assert_client(&ours, "10.0.0.1", &[(XFF, "203.0.113.7")], "203.0.113.7");
        assert_client(&ours, "10.0.0.1", &[(XFF, "203.0.113.7, 10.9.9.9")], "203.0.113.7");
        assert_client(&ours, "10.0.0.1", &[(XFF, "203.0.113.7"), (XFF, "fd00::1,10.9.9.9")], "203.0.113.7");
        assert_client(&ours, "::ffff:10.0.0.1", &[(XFF, "::ffff:203.0.113.7")], "203.0.113.7");
        assert_client(&ours, "10.0.0.1", &[], "10.0.0.1");
        // All are proxies of ours: the farthest is as near to the client as can be known.
        assert_client(&ours, "10.0.0.1", &[(XFF, "10.0.0.3, 10.0.0.2")], "10.0.0.3");
    }

    #[test]
    fn what_a_client_invents_changes_nothing() {
        let networks = address(&["10.0.0.0/8"], usize::MAX);
        let hops = address(&[], 2);
        for invented in [
            "",
            "1.1.1.1, ",
            "10.0.0.5, ",
            "junk, 1.1.1.1, 10.1.1.1, ",
            "\", ",
            "1.1.1.1;for=2.2.2.2, ",
            "ü, ",
        ] {
            let value: &'static str = Box::leak(format!("{invented}203.0.113.7, 10.0.0.2").into_boxed_str());
            assert_client(&networks, "10.0.0.1", &[(XFF, value)], "203.0.113.7");
            assert_client(&hops, "10.0.0.1", &[(XFF, value)], "203.0.113.7");
        }
        assert_client(
            &networks,
            "10.0.0.1",
            &[("forwarded", "for=1.1.1.1"), (XFF, "203.0.113.7")],
            "203.0.113.7",
        );
        assert_client(
            &networks,
            "10.0.0.1",
            &[("x-real-ip", "1.1.1.1"), (XFF, "203.0.113.7")],
            "203.0.113.7",
        );
    }

    #[test]
    fn hops_are_counted_from_the_right() {
        let header = [(XFF, "4.4.4.4, 3.3.3.3, 2.2.2.2, 1.1.1.1")];
        assert_client(&address(&[], 1), "10.0.0.1", &header, "1.1.1.1");
        assert_client(&address(&[], 3), "10.0.0.1", &header, "3.3.3.3");
        assert_client(&address(&[], 9), "10.0.0.1", &header, "4.4.4.4");
        // Both: never beyond a stranger.
        assert_client(&address(&["10.0.0.0/8"], 3), "10.0.0.1", &header, "1.1.1.1");
    }

    #[test]
    fn ports_and_brackets_are_read_and_the_unreadable_stops_at_its_proxy() {
        let one = address(&[], 1);
        for (value, client) in [
            ("203.0.113.7:4711", "203.0.113.7"),
            ("2001:db8::7", "2001:db8::"),
            ("[2001:db8::7]", "2001:db8::"),
            ("[2001:db8::7]:4711", "2001:db8::"),
            ("unknown", "10.0.0.1"),
            ("", "10.0.0.1"),
        ] {
            assert_client(&one, "10.0.0.1", &[(XFF, value)], client);
        }
    }

    #[test]
    fn forwarded_is_read_where_it_is_the_one() {
        let rfc7239 = ClientAddress { header: FORWARDED, ..address(&["10.0.0.0/8"], 9) };
        for value in [
            "for=203.0.113.7",
            "For=\"203.0.113.7:4711\";proto=https;by=10.0.0.2",
            "for=1.1.1.1, for=203.0.113.7, for=10.0.0.3",
            "for=\"1.1.1.1, for=203.0.113.7",
        ] {
            assert_client(&rfc7239, "10.0.0.1", &[("forwarded", value), (XFF, "9.9.9.9")], "203.0.113.7");
        }
        assert_client(&rfc7239, "10.0.0.1", &[("forwarded", "for=\"[2001:db8::7]:1\"")], "2001:db8::");
        assert_client(&rfc7239, "10.0.0.1", &[("forwarded", "for=_hidden")], "10.0.0.1");
    }
}
