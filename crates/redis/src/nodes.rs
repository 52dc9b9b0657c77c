//! URLs that name several servers, taken apart into one URL for each.

use crate::InvalidUrl;

/// What a URL names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Nodes {
    /// The URLs of the server, or of nodes of the cluster. Behind Sentinels: one that is right for the primary but for its host.
    pub servers: Vec<String>,
    /// The URLs of the Sentinels, if there are any, with their own login.
    pub sentinels: Vec<String>,
    /// The Sentinels' name for the primary.
    pub service: String,
    /// Whether the servers are a Redis Cluster.
    pub is_cluster: bool,
}

/// Takes a URL apart: `redis+sentinel://login@host,host/SERVICE/0?sentinel_login=login`, `redis+cluster://login@host,host`, or any
/// other, which names one server. What is left of it is for redis-rs to parse.
///
/// # Errors
/// Several hosts without either scheme, or what such a URL cannot have.
pub fn nodes(url: &str) -> Result<Nodes, InvalidUrl> {
    let refused = |reason: &str| Err(InvalidUrl(reason.to_owned()));
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let scheme = scheme.to_ascii_lowercase();
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (login, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    let hosts: Vec<_> = hosts.split(',').collect();
    match scheme.split_once('+') {
        Some((_, "sentinel" | "cluster")) if login.matches('@').count() > 1 => {
            refused("write the login once, and an @ in it as %40")
        }
        Some((scheme, "sentinel")) => {
            let (path, option) = tail.split_once('?').unwrap_or((tail, ""));
            let path = path.trim_start_matches('/');
            let (service, database) = path.split_once('/').unwrap_or((path, ""));
            let is_right = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            if service.is_empty() || !service.chars().all(is_right) {
                return refused("it names no service, of A-Za-z0-9._-: redis+sentinel://host,host/SERVICE");
            }
            let own = match option.strip_prefix("sentinel_login=") {
                Some(login) => format!("{login}@"),
                None if option.is_empty() => String::new(),
                None => return refused("the option is sentinel_login=user:password"),
            };
            let port = |host: &str| {
                if host[host.rfind(']').unwrap_or(0)..].contains(':') { "" } else { ":26379" }
            };
            let sentinels =
                hosts.iter().map(|host| format!("{scheme}://{own}{host}{}", port(host))).collect();
            let servers = vec![format!("{scheme}://{login}{}/{database}", hosts[0])];
            Ok(Nodes { servers, sentinels, service: service.to_owned(), is_cluster: false })
        }
        Some((scheme, "cluster")) => {
            let database = tail.split(['?', '#']).next().unwrap_or_default();
            if !matches!(database.trim_matches('/'), "" | "0") {
                return refused("a Redis Cluster has database 0 only");
            }
            let servers = hosts.iter().map(|host| format!("{scheme}://{login}{host}{tail}")).collect();
            Ok(Nodes { servers, is_cluster: true, ..Nodes::default() })
        }
        _ if hosts.len() > 1 => refused("several hosts: write redis+sentinel:// or redis+cluster://"),
        _ => Ok(Nodes { servers: vec![url.to_owned()], ..Nodes::default() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        for (url, servers) in [
            ("redis://h", "redis://h"),
            ("unix:///run/a,b?db=1", "unix:///run/a,b?db=1"),
            ("redis://u:a,b@h:1/2", "redis://u:a,b@h:1/2"),
        ] {
            assert_eq!(nodes(url).unwrap(), Nodes { servers: texts(&[servers]), ..Nodes::default() });
        }
        let servers = texts(&["rediss://u:p@a", "rediss://u:p@b:7"]);
        let cluster = Nodes { servers, is_cluster: true, ..Nodes::default() };
        assert_eq!(nodes("REDISS+Cluster://u:p@a,b:7").unwrap(), cluster);
        for (url, server, sentinels) in [
            (
                "redis+sentinel://u:p@a,[::1]:7,[::2]/my.master/3",
                "redis://u:p@a/3",
                &["redis://a:26379", "redis://[::1]:7", "redis://[::2]:26379"][..],
            ),
            (
                "rediss+sentinel://h/my.master?sentinel_login=me:p%40",
                "rediss://h/",
                &["rediss://me:p%40@h:26379"],
            ),
        ] {
            let (servers, sentinels) = (texts(&[server]), texts(sentinels));
            let service = "my.master".to_owned();
            assert_eq!(nodes(url).unwrap(), Nodes { servers, sentinels, service, is_cluster: false });
        }
    }

    #[test]
    fn what_cannot_be_is_refused_without_repeating_it() {
        for (url, reason) in [
            ("redis://:secret@a,b", "several hosts: write redis+sentinel:// or redis+cluster://"),
            ("redis+sentinel://:secret@a,b", "it names no service"),
            ("redis+sentinel://a/m?password=secret", "sentinel_login=user:password"),
            ("redis+sentinel://a/m#secret", "it names no service"),
            ("redis+sentinel://a/secret\n", "it names no service"),
            ("redis+sentinel://u:secret@a,u:secret@b/m", "write the login once"),
            ("redis+cluster://u:secret@a,u:secret@b", "write the login once"),
            ("redis+cluster://:secret@a/3", "database 0 only"),
        ] {
            let error = nodes(url).unwrap_err().to_string();
            assert!(error.contains(reason) && !error.contains("secret"), "{error}");
        }
    }
}
