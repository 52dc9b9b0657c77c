//! [RFC 9112, section 3.2](https://www.rfc-editor.org/rfc/rfc9112#section-3.2): a request of HTTP/1.1 without `Host`, with
//! two, or with a malformed one is a 400. hyper leaves this to its users: <https://github.com/hyperium/hyper/issues/3777>.

use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{Request, Version};

/// Why a request is refused, for its client.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidHost(pub &'static str);

/// Lets requests with one valid `Host` pass: a filter for `tower::ServiceBuilder`.
///
/// # Errors
/// The others have to be answered with status 400.
pub fn require_host<B>(request: Request<B>) -> Result<Request<B>, InvalidHost> {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() < Version::HTTP_11 => Ok(request),
        (None, _) => Err(InvalidHost("There is no Host header field.")),
        (Some(_), Some(_)) => Err(InvalidHost("There are several Host header fields.")),
        (Some(host), None) if is_valid(host.as_bytes()) => Ok(request),
        (Some(_), None) => Err(InvalidHost("The Host header field is malformed.")),
    }
}

/// `uri-host [ ":" port ]`. `Authority` takes user information and any port as well.
fn is_valid(host: &[u8]) -> bool {
    // Nearly all are a name or an IPv4 address: `Authority` takes ten times as long.
    let (name, port) = host.split_at(host.iter().position(|byte| *byte == b':').unwrap_or(host.len()));
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    if !name.is_empty() && name.iter().all(is_plain) && port.iter().skip(1).all(u8::is_ascii_digit) {
        return true;
    }
    let Ok(authority) = Authority::try_from(host) else { return host.is_empty() };
    let port = authority.as_str().strip_prefix(authority.host()).and_then(|rest| rest.strip_prefix(':'));
    !host.contains(&b'@') && port.unwrap_or_default().bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_valid_host_is_required_of_http_1_1() {
        let check = |version, hosts: &[&'static str]| {
            let request = hosts
                .iter()
                .fold(Request::builder().version(version), |request, host| request.header(HOST, *host));
            require_host(request.body(()).unwrap()).is_ok()
        };
        for valid in ["a", "a.example:80", "a.example:", "127.0.0.1:5000", "[::1]", "[::1]:5000", ""] {
            assert!(check(Version::HTTP_11, &[valid]), "{valid}");
        }
        for malformed in ["a b", "a/b", "u@a", "a:b", "a:1:2", "[::1", "a,b c", "a?b", "http://a"] {
            assert!(!check(Version::HTTP_11, &[malformed]), "{malformed}");
            assert!(!check(Version::HTTP_10, &[malformed]), "{malformed}");
        }
        assert!(!check(Version::HTTP_11, &[]));
        assert!(!check(Version::HTTP_11, &["a", "a"]));
        assert!(check(Version::HTTP_10, &[]));
    }
}
