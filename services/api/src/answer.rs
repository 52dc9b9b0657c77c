//! An answer as the cache holds it: the body's bytes, and what its headers need. A hit is never parsed again.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{AGE, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, LINK, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use farmlokal_cache::{Lookup, Source, Value};

use crate::encoding::{Compressible, Encoding};
use crate::entity_tag::{Comparison, EntityTag};
use crate::problem::Problem;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const REVALIDATE: HeaderValue = HeaderValue::from_static("public, no-cache");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const VARY_BY: HeaderValue = HeaderValue::from_static("accept-encoding");

/// What the catalogue says to a request: a document, or that there is none. Clones are cheap.
#[derive(Clone, Debug)]
pub(crate) struct Answer(Option<Arc<Document>>);

#[derive(Debug)]
struct Document {
    body: Compressible,
    etag: EntityTag,
    /// The target of `Link: rel="next"`.
    next: Option<HeaderValue>,
    is_stale: bool,
}

impl Answer {
    /// There is no such thing. That is an answer as well, worth caching like any other.
    pub(crate) const MISSING: Self = Self(None);

    /// A JSON document, and the value of its `Link` header where a next page follows.
    pub(crate) fn document(body: impl Into<Bytes>, next: Option<HeaderValue>) -> Self {
        Self::of_search(body, next, false)
    }

    /// The same, which may lack changes from before it was asked for.
    pub(crate) fn of_search(body: impl Into<Bytes>, next: Option<HeaderValue>, is_stale: bool) -> Self {
        let body = Compressible { plain: body.into(), ..Default::default() };
        let etag = EntityTag::of(&body.plain);
        Self(Some(Arc::new(Document { body, etag, next, is_stale })))
    }
}

// The stored form: a byte for the kind, the link, the end of that line, the body.
const STORED_MISSING: u8 = 0;
const STORED_DOCUMENT: u8 = 1;

impl Value for Answer {
    type Error = Problem;

    fn encode(&self) -> Vec<u8> {
        let Some(document) = &self.0 else { return vec![STORED_MISSING] };
        let link = document.next.as_ref().map_or(&b""[..], HeaderValue::as_bytes);
        [&[STORED_DOCUMENT], link, b"\n", &document.body.plain].concat()
    }

    fn decode(bytes: Bytes) -> Option<Self> {
        match *bytes.first()? {
            STORED_MISSING => Some(Self::MISSING),
            STORED_DOCUMENT => {
                let end = bytes.iter().position(|byte| *byte == b'\n')?;
                let link = bytes.slice(1..end);
                let next =
                    (!link.is_empty()).then(|| HeaderValue::from_maybe_shared(link)).transpose().ok()?;
                Some(Self::document(bytes.slice(end + 1..), next))
            }
            _ => None,
        }
    }

    fn weight(&self) -> u32 {
        let Some(document) = &self.0 else { return 64 };
        // The compressed forms come later and together are smaller than the body.
        let bytes = 256 + 2 * document.body.plain.len() + document.next.as_ref().map_or(0, HeaderValue::len);
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    fn is_stale(&self) -> bool {
        self.0.as_ref().is_some_and(|document| document.is_stale)
    }
}

/// For how many seconds clients and shared caches may keep an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Freshness(u64);

impl Freshness {
    /// A `max_age` of zero seconds makes everybody revalidate each time, which an `ETag` makes cheap.
    pub(crate) fn new(max_age: std::time::Duration) -> Self {
        Self(max_age.as_secs())
    }

    /// The response to a request with these headers; `None` where there is no such thing.
    pub(crate) async fn respond(&self, lookup: &Lookup<Answer>, request: &HeaderMap) -> Option<Response> {
        let document = lookup.value.0.as_deref()?;
        let mut response = Response::new(Body::empty());
        let mut headers = HeaderMap::with_capacity(12);
        let age = if lookup.source == Source::Miss { 0 } else { lookup.age.as_secs() };
        let cache_control = if lookup.source == Source::Stale || self.0 == 0 {
            REVALIDATE
        } else {
            // Clients compare it with `Age`: https://www.rfc-editor.org/rfc/rfc9111#section-4.2
            let max_age = self.0.saturating_add(age);
            HeaderValue::try_from(format!("public, max-age={max_age}")).unwrap_or(REVALIDATE)
        };
        headers.insert(CACHE_CONTROL, cache_control);
        headers.insert(VARY, VARY_BY);
        headers.insert(CACHE_STATUS, cache_status(lookup));
        if lookup.source != Source::Miss {
            headers.insert(AGE, HeaderValue::from(age));
        }
        if let Some(etag) = tag_of_client(request, &document.etag) {
            headers.insert(ETAG, etag.header());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            headers.insert(CONTENT_TYPE, JSON);
            if let Some(next) = &document.next {
                headers.insert(LINK, next.clone());
            }
            let accepted = Encoding::negotiate(request);
            let (body, coding) = document.body.encoded(accepted, &mut headers).await;
            *response.body_mut() = body;
            let etag = coding.map(|coding| document.etag.in_coding(coding).header());
            headers.insert(ETAG, etag.unwrap_or_else(|| document.etag.header()));
        }
        *response.headers_mut() = headers;
        Some(response)
    }
}

/// `Cache-Status` of [RFC 9211](https://www.rfc-editor.org/rfc/rfc9211).
fn cache_status(lookup: &Lookup<Answer>) -> HeaderValue {
    HeaderValue::from_static(match lookup.source {
        Source::InProcess => "FarmLokal; hit; detail=memory",
        Source::Redis => "FarmLokal; hit; detail=redis",
        Source::Miss => "FarmLokal; fwd=miss",
        Source::Stale => "FarmLokal; hit; detail=stale",
    })
}

/// The tag that `If-None-Match` has of the document, in whatever coding the client keeps it:
/// <https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2>
fn tag_of_client(request: &HeaderMap, etag: &EntityTag) -> Option<EntityTag> {
    let mut values = request.get_all(IF_NONE_MATCH).iter();
    values.find_map(|value| etag.found_in(value.as_bytes(), Comparison::Weak))
}

#[cfg(test)]
mod tests {
    use axum::http::header::CONTENT_ENCODING;

    use super::*;

    fn lookup(body: &str, next: Option<&'static str>) -> Lookup<Answer> {
        let value = Answer::document(body.to_owned(), next.map(HeaderValue::from_static));
        Lookup { value, source: Source::Miss, age: std::time::Duration::ZERO }
    }

    fn request(headers: &[(HeaderName, &'static str)]) -> HeaderMap {
        headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_stored_form_gives_the_same_answer_back() {
        for (body, next) in
            [("{}", None), ("", None), ("{\"a\":1}", Some("</products?cursor=x>; rel=\"next\""))]
        {
            let answer = lookup(body, next).value;
            let back = Answer::decode(answer.encode().into()).unwrap().0.unwrap();
            let document = answer.0.unwrap();
            assert_eq!(
                (&back.body.plain, &back.etag, &back.next),
                (&document.body.plain, &document.etag, &document.next)
            );
        }
        assert!(Answer::decode(Answer::MISSING.encode().into()).unwrap().0.is_none());
    }

    #[test]
    fn what_another_version_stored_is_no_answer() {
        for bytes in [&b""[..], &[1], &[1, 0], &[1, 0, 5, b'x'], &[9, 0, 0], &[1, 0, 1, b'\n', b'{']] {
            assert!(Answer::decode(Bytes::copy_from_slice(bytes)).is_none(), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn every_form_of_if_none_match_is_understood() {
        let freshness = Freshness::new(std::time::Duration::ZERO);
        let answer = lookup("{}", None);
        let tag = answer.value.0.as_ref().unwrap().etag.as_str().to_owned();
        for (value, status) in [
            (tag.clone(), 304),
            (format!("W/{tag}"), 304),
            (format!("\"other\", {tag}"), 304),
            ("*".to_owned(), 304),
            ("\"other\"".to_owned(), 200),
            (String::new(), 200),
        ] {
            let headers = HeaderMap::from_iter([(IF_NONE_MATCH, value.parse().unwrap())]);
            let response = freshness.respond(&answer, &headers).await.unwrap();
            assert_eq!(response.status(), status, "{value}");
            assert_eq!(response.headers()[ETAG], tag);
        }
    }

    #[tokio::test]
    async fn small_bodies_and_clients_that_do_not_ask_get_the_plain_body() {
        let freshness = Freshness::new(std::time::Duration::from_secs(5));
        let large = "x".repeat(5_000);
        let asks = request(&[(axum::http::header::ACCEPT_ENCODING, "gzip")]);
        let coding = async |body: &str, headers: &HeaderMap| {
            let response = freshness.respond(&lookup(body, None), headers).await.unwrap();
            assert_eq!(response.headers()[CACHE_CONTROL], "public, max-age=5");
            response.headers().get(CONTENT_ENCODING).cloned()
        };
        assert_eq!(coding("{}", &asks).await, None);
        assert_eq!(coding(&large, &HeaderMap::new()).await, None);
        assert_eq!(coding(&large, &asks).await, Some(HeaderValue::from_static("gzip")));
        let insists = request(&[(axum::http::header::ACCEPT_ENCODING, "gzip, identity;q=0")]);
        assert_eq!(coding("{}", &insists).await, Some(HeaderValue::from_static("gzip")));
        let prefers_plain = request(&[(axum::http::header::ACCEPT_ENCODING, "identity, gzip;q=0.5")]);
        assert_eq!(coding(&large, &prefers_plain).await, None);
    }

    #[tokio::test]
    async fn an_answer_from_a_cache_says_how_old_it_is_and_may_be_kept_from_now_on() {
        let freshness = Freshness::new(std::time::Duration::from_secs(5));
        let age = std::time::Duration::from_millis(7_900);
        for (source, expected, cache_control) in [
            (Source::Miss, None, "public, max-age=5"),
            // Five seconds from now on.
            (Source::InProcess, Some("7"), "public, max-age=12"),
            (Source::Redis, Some("7"), "public, max-age=12"),
            (Source::Stale, Some("7"), "public, no-cache"),
        ] {
            let answer = Lookup { source, age, ..lookup("{}", None) };
            for (request, status) in [(HeaderMap::new(), 200), (request(&[(IF_NONE_MATCH, "*")]), 304)] {
                let response = freshness.respond(&answer, &request).await.unwrap();
                assert_eq!(response.status(), status);
                let age = response.headers().get(AGE).map(|age| age.to_str().unwrap());
                assert_eq!(age, expected, "{source:?} {status}");
                assert_eq!(response.headers()[CACHE_CONTROL], cache_control, "{source:?} {status}");
            }
        }
    }

    #[test]
    fn a_large_body_is_compressed_once_and_on_another_thread() {
        let (runtime, started) = crate::encoding::tests::one_thread();
        runtime.block_on(async {
            let freshness = Freshness::new(std::time::Duration::ZERO);
            let answer = lookup(&"x".repeat(150_000), None);
            let asks = request(&[(axum::http::header::ACCEPT_ENCODING, "br")]);
            let body = async || {
                let response = freshness.respond(&answer, &asks).await.unwrap();
                assert_eq!(response.headers()[CONTENT_ENCODING], "br");
                axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap()
            };
            let (one, two) = tokio::join!(body(), body());
            assert_eq!(one.as_ptr(), two.as_ptr(), "compressed twice");
        });
        assert_eq!(
            started.load(std::sync::atomic::Ordering::SeqCst),
            1,
            "threads beside that of the request"
        );
    }
}
