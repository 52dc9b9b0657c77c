//! What a client may ask: the settings, the classes of requests, and the 429. `crates/rate_limit` does the rest.

#![allow(clippy::doc_markdown, reason = "the help texts are for terminals")]

use std::net::IpAddr;
use std::time::Duration;

use axum::http::{HeaderName, Method, Uri};
use axum::response::{IntoResponse as _, Response};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use farmlokal_rate_limit::{ClientAddress, Config, Policy, Rate};
use ipnet::IpNet;

use crate::problem::{Code, Problem};

const DEFAULT: usize = 0;
const SEARCH: usize = 1;
const WEBHOOK: usize = 2;
const WRITE: usize = 3;

/// What a client may ask, and who is one.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Rate limits")]
pub(crate) struct RateLimitArgs {
    /// Requests of one client in so many seconds, over all replicas; as many at once
    #[arg(long, env = "RATE_LIMIT", value_name = "REQUESTS/SECONDS", default_value = "1200/60")]
    pub(crate) rate_limit: Rate,
    /// The same for lists with a search
    #[arg(long, env = "RATE_LIMIT_SEARCH", value_name = "REQUESTS/SECONDS", default_value = "120/60")]
    pub(crate) rate_limit_search: Rate,
    /// The same for /webhook
    #[arg(long, env = "RATE_LIMIT_WEBHOOK", value_name = "REQUESTS/SECONDS", default_value = "6000/60")]
    pub(crate) rate_limit_webhook: Rate,
    /// The same for writes of products; a batch is one
    #[arg(long, env = "RATE_LIMIT_WRITE", value_name = "REQUESTS/SECONDS", default_value = "600/60")]
    pub(crate) rate_limit_write: Rate,
    /// How far each replica may run ahead of what Redis knows of a client, in percent of the quota; more costs Redis less
    #[arg(long = "rate-limit-ahead", env = "RATE_LIMIT_AHEAD", value_name = "PERCENT", default_value_t = 2,
        value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) ahead: u8,
    /// Clients that each replica distinguishes, some 300 bytes each; with more of them, they share quotas
    #[arg(long = "rate-limit-clients", env = "RATE_LIMIT_CLIENTS", value_name = "COUNT", default_value_t = 50_000,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) clients: u32,
    /// Bits of an IPv6 address that make a client: one subscriber has a whole network
    #[arg(long = "rate-limit-ipv6-prefix", env = "RATE_LIMIT_IPV6_PREFIX", value_name = "BITS", default_value_t = 64,
        value_parser = clap::value_parser!(u8).range(1..=128))]
    pub(crate) ipv6_prefix: u8,
    /// Networks or addresses of the proxies in front, such as 10.0.0.0/8,192.0.2.1: they are believed when they say for
    /// whom they ask. Set this or TRUSTED_HOPS behind an ingress, where otherwise all clients are one
    #[arg(long, env = "TRUSTED_PROXIES", value_name = "NETWORKS", value_delimiter = ',', value_parser = network)]
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// How many proxies are in front; with TRUSTED_PROXIES, how many of those at the most
    #[arg(long, env = "TRUSTED_HOPS", value_name = "COUNT", value_parser = clap::value_parser!(u8).range(0..=32))]
    pub(crate) trusted_hops: Option<u8>,
    /// The header in which they say it: x-forwarded-for, as nginx, Envoy, Traefik and the load balancers of the clouds do, or
    /// forwarded of RFC 7239
    #[arg(long, env = "FORWARDED_HEADER", value_name = "NAME", default_value = "x-forwarded-for",
        value_parser = PossibleValuesParser::new(["x-forwarded-for", "forwarded"]).try_map(|name| name.parse::<HeaderName>()))]
    pub(crate) forwarded_header: HeaderName,
}

impl RateLimitArgs {
    /// The limits that the settings describe.
    pub(crate) fn config(&self) -> Config {
        // In the order of their indexes.
        let policies = [
            ("default", self.rate_limit),
            ("search", self.rate_limit_search),
            ("webhook", self.rate_limit_webhook),
            ("write", self.rate_limit_write),
        ];
        let all_trusted = if self.trusted_proxies.is_empty() { 0 } else { usize::MAX };
        Config {
            policies: policies.map(|(name, rate)| Policy::new(name, rate, self.ahead)).into(),
            classify: class,
            refuse,
            address: ClientAddress {
                networks: self.trusted_proxies.clone(),
                hops: self.trusted_hops.map_or(all_trusted, usize::from),
                header: self.forwarded_header.clone(),
                ipv6_prefix: self.ipv6_prefix,
            },
            clients: self.clients,
        }
    }
}

fn refuse(retry_after: Duration) -> Response {
    let problem = Problem::new(Code::RateLimited, "This client has used up its quota of requests.");
    problem.retry_after(retry_after).into_response()
}

/// The index of the policy for such requests: those that cost alike share a quota.
fn class(method: &Method, uri: &Uri) -> usize {
    match uri.path() {
        path if path.starts_with("/products") && !method.is_safe() => WRITE,
        // A search costs more than a list.
        "/products" if uri.query().is_some_and(searches) => SEARCH,
        // Few senders, many requests.
        "/webhook" => WEBHOOK,
        _ => DEFAULT,
    }
}

/// Whether a query has the parameter `search`. A name that is written with escapes may be that: no honest client does it.
fn searches(query: &str) -> bool {
    query.as_bytes().split(|byte| *byte == b'&').any(|pair| {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or(pair);
        name == b"search" || name.contains(&b'%')
    })
}

/// A network in CIDR notation, or one address.
fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let network: Result<IpNet, _> = text.parse();
    let network = network.or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network
        .map_err(|_| "write networks as 10.0.0.0/8, addresses as 192.0.2.1, with commas between them".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_addresses_are_read() {
        assert_eq!(network("10.1.0.0/16").unwrap().to_string(), "10.1.0.0/16");
        assert_eq!(network(" 192.0.2.1 ").unwrap().to_string(), "192.0.2.1/32");
        assert_eq!(network("fd00::/8").unwrap().to_string(), "fd00::/8");
        for bad in ["", "10.0.0.0/33", "ingress", "10.0.0"] {
            assert!(network(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        let response = refuse(Duration::from_millis(5_500));
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "6");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }

    #[test]
    fn a_search_is_a_search_however_it_is_written() {
        let class = |uri: &'static str| super::class(&Method::GET, &Uri::from_static(uri));
        for uri in
            ["/products?search=x", "/products?limit=1&search=x", "/products?se%61rch=x", "/products?search"]
        {
            assert_eq!(class(uri), SEARCH, "{uri}");
        }
        for uri in
            ["/products", "/products?category=a%26search", "/products/1?search=x", "/search", "/x?search=x"]
        {
            assert_eq!(class(uri), DEFAULT, "{uri}");
        }
        assert_eq!(class("/webhook?x"), WEBHOOK);
    }

    #[test]
    fn a_write_is_what_may_change_a_product() {
        for (method, uri, expected) in [
            (Method::POST, "/products", WRITE),
            (Method::POST, "/products/batch", WRITE),
            (Method::DELETE, "/products/1?search=x", WRITE),
            (Method::HEAD, "/products/1", DEFAULT),
            (Method::OPTIONS, "/products", DEFAULT),
            (Method::POST, "/webhook", WEBHOOK),
            (Method::POST, "/categories", DEFAULT),
        ] {
            assert_eq!(class(&method, &Uri::from_static(uri)), expected, "{method} {uri}");
        }
    }
}
