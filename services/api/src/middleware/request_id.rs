//! `x-request-id`: the client's own where it sends a usable one, else a new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use tower_http::request_id::{MakeRequestId, RequestId};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longer ids are replaced: they end up in logs.
const LONGEST: usize = 128;

/// 128-bit ids: the upper half is random for each process, the lower half counts. Unique without a random number for each
/// request.
#[derive(Clone)]
pub(crate) struct Ids {
    process: u64,
    next: Arc<AtomicU64>,
}

impl Default for Ids {
    fn default() -> Ids {
        Ids { process: rand::random(), next: Arc::default() }
    }
}

impl MakeRequestId for Ids {
    fn make_request_id<B>(&mut self, _: &axum::http::Request<B>) -> Option<RequestId> {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        // `format!` would take a tenth of the time that a cached answer takes.
        let mut id = [0; 32];
        let (process, request) = id.split_at_mut(16);
        for (half, number) in [(process, self.process), (request, count)] {
            half.iter_mut().rev().enumerate().for_each(|(place, digit)| {
                *digit = b"0123456789abcdef"[(number >> (4 * place) & 15) as usize];
            });
        }
        HeaderValue::from_bytes(&id).ok().map(RequestId::new)
    }
}

/// Takes an id away that is not fit for headers and logs, so that a new one is made.
pub(crate) fn without_unusable_id(mut request: Request) -> Request {
    if request.headers().get(X_REQUEST_ID).is_some_and(|id| !is_usable(id.as_bytes())) {
        request.headers_mut().remove(X_REQUEST_ID);
    }
    request
}

fn is_usable(id: &[u8]) -> bool {
    (1..=LONGEST).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_32_hex_digits_and_differ() {
        let id =
            |ids: &mut Ids| ids.make_request_id(&axum::http::Request::new(())).unwrap().into_header_value();
        let (mut one, mut other) = (Ids::default(), Ids::default());
        let ids = [id(&mut one), id(&mut one.clone()), id(&mut other), id(&mut other)];
        for (i, id) in ids.iter().enumerate() {
            assert_eq!(id.len(), 32);
            assert!(id.as_bytes().iter().all(u8::is_ascii_hexdigit), "{id:?}");
            assert!(ids[..i].iter().all(|earlier| earlier != id), "{ids:?}");
        }
    }

    #[test]
    fn only_short_plain_ids_of_clients_are_kept() {
        for (id, expected) in [
            ("0191d8a4-9d1c-7c33-b5ab-5a5d4cf3a1ee", true),
            ("Root=1-67891233-abcdef012345678912345678", true),
            ("", false),
            ("two words", false),
            ("quote\"", false),
            ("<script>", false),
        ] {
            assert_eq!(is_usable(id.as_bytes()), expected, "{id}");
        }
        assert!(!is_usable(&[b'a'; LONGEST + 1]));
    }
}
