//! Content codings: which one a client gets, and bodies compressed once.
//!
//! By hand: tower-http compresses each response anew, on the threads that serve requests.

use std::io::{self, Write as _};

use axum::body::Body;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH};
use axum::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use tokio::sync::OnceCell;

use crate::list_header;

/// Below this many bytes a compressed body saves nothing worth its cost: it fits into one packet anyway.
const WORTH_COMPRESSING: usize = 1024;
/// From this many bytes on, compressing takes longer than the threads that serve requests may be kept.
const LARGE: usize = 16 * 1024;

/// What a client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The coding that it prefers; `None` is the plain body.
    pub(crate) coding: Option<Encoding>,
    /// Whether the plain body will do.
    pub(crate) identity: bool,
}

/// A content coding that the service offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Zstd,
    Brotli,
    Gzip,
}

impl Encoding {
    /// In the order of preference: the fastest for its size first.
    pub(crate) const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// As `Accept-Encoding` and `Content-Encoding` have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// The coding that the client prefers among those offered, by
    /// [RFC 9110, section 12.5.3](https://www.rfc-editor.org/rfc/rfc9110#section-12.5.3).
    pub(crate) fn negotiate(headers: &HeaderMap) -> Accepted {
        let items: Vec<_> = list_header::items(headers, ACCEPT_ENCODING).map(item).collect();
        let weight_of = |name: &str| {
            let mut named = items.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
            named.next_back().map(|(_, weight)| *weight)
        };
        let (any, identity) = (weight_of("*"), weight_of("identity"));
        let weighed = Self::ALL.map(|coding| (coding, weight_of(coding.name()).or(any).unwrap_or(0)));
        // `max_by_key` keeps the last of equals, hence the reversal: the first of equals is the preferred one.
        let best =
            weighed.into_iter().rev().filter(|(_, weight)| *weight > 0).max_by_key(|(_, weight)| *weight);
        // Without a weight of its own the plain body is acceptable, and the least preferred; of equals it is shorter to
        // compress.
        let preferred = best.filter(|(_, weight)| identity.is_none_or(|identity| *weight >= identity));
        Accepted {
            coding: preferred.map(|(coding, _)| coding),
            identity: identity.or(any).is_none_or(|weight| weight > 0),
        }
    }

    /// Compresses `body`, a large one on a thread for blocking work.
    ///
    /// # Errors
    /// None in practice: the compressors write into memory.
    async fn compress(self, body: &Bytes) -> io::Result<Bytes> {
        let compressed = if body.len() < LARGE {
            self.compress_now(body)?
        } else {
            let body = body.clone();
            tokio::task::spawn_blocking(move || self.compress_now(&body)).await??
        };
        Ok(compressed.into_boxed_slice().into())
    }

    fn compress_now(self, body: &[u8]) -> io::Result<Vec<u8>> {
        let out = Vec::with_capacity(body.len() / 4);
        match self {
            Self::Zstd => zstd::encode_all(body, 3),
            Self::Brotli => {
                let mut writer = brotli::CompressorWriter::new(out, 4096, 4, 18);
                writer.write_all(body)?;
                Ok(writer.into_inner())
            }
            Self::Gzip => {
                let mut writer = flate2::write::GzEncoder::new(out, flate2::Compression::new(6));
                writer.write_all(body)?;
                writer.finish()
            }
        }
    }
}

/// A body and its compressed forms, each made when the first client asks for it.
#[derive(Debug, Default)]
pub(crate) struct Compressible {
    pub(crate) plain: Bytes,
    pub(crate) compressed: [OnceCell<Bytes>; Encoding::ALL.len()],
}

impl Compressible {
    /// The body as the client accepts it, with its coding in `headers`, and that coding. A small body is sent as it is, unless
    /// the client refuses that.
    pub(crate) async fn encoded(
        &self,
        accepted: Accepted,
        headers: &mut HeaderMap,
    ) -> (Body, Option<Encoding>) {
        let is_small = accepted.identity && self.plain.len() < WORTH_COMPRESSING;
        if let Some(coding) = accepted.coding.filter(|_| !is_small) {
            let cell = &self.compressed[coding as usize];
            // Empty where that failed, which no compressed body is.
            let compressed = async || coding.compress(&self.plain).await.unwrap_or_default();
            let compressed = cell.get_or_init(compressed).await;
            let is_of_use = compressed.len() < self.plain.len() || !accepted.identity;
            if is_of_use && !compressed.is_empty() {
                headers.remove(CONTENT_LENGTH);
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
                return (Body::from(compressed.clone()), Some(coding));
            }
        }
        (Body::from(self.plain.clone()), None)
    }
}

/// A coding and its `q` in thousandths: 1000 where there is none, 0 where it is malformed.
fn item(text: &str) -> (&str, u16) {
    let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
    let q = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
    let weight = match q.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("q")) {
        None => 1000,
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
        Some((_, q)) => match q.trim().parse::<f32>() {
            Ok(q) if (0.0..=1.0).contains(&q) => (q * 1000.0) as u16,
            _ => 0,
        },
    };
    let name = name.trim();
    (if name.eq_ignore_ascii_case("x-gzip") { "gzip" } else { name }, weight)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A runtime of one thread, and how many more it has started: for what blocks.
    pub(crate) fn one_thread() -> (tokio::runtime::Runtime, Arc<AtomicUsize>) {
        let started = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&started);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .on_thread_start(move || {
                count.fetch_add(1, Ordering::SeqCst);
            })
            .build();
        (runtime.unwrap(), started)
    }

    fn accepted(value: &str) -> Accepted {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, value.parse().unwrap());
        Encoding::negotiate(&headers)
    }

    #[test]
    fn the_client_prefers_and_ties_go_to_the_fastest() {
        for (value, expected) in [
            ("gzip, deflate, br, zstd", Some(Encoding::Zstd)),
            ("gzip, deflate, br", Some(Encoding::Brotli)),
            ("GZIP", Some(Encoding::Gzip)),
            ("x-gzip", Some(Encoding::Gzip)),
            ("gzip;q=1.0, br;q=0.5", Some(Encoding::Gzip)),
            ("*", Some(Encoding::Zstd)),
            ("*;q=0.1, zstd;q=0", Some(Encoding::Brotli)),
            ("identity", None),
            ("gzip;q=0", None),
            ("gzip;q=banana", None),
            ("gzip; Q = 0.5", Some(Encoding::Gzip)),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0.5, gzip", Some(Encoding::Gzip)),
            ("identity;q=0.5, gzip;q=0.5", Some(Encoding::Gzip)),
            ("identity;q=0.5, br;q=0.4, *;q=0.3", None),
            ("identity;q=0, gzip;q=0.1", Some(Encoding::Gzip)),
            ("", None),
            (";,,=", None),
        ] {
            assert_eq!(accepted(value).coding, expected, "{value:?}");
        }
        assert_eq!(Encoding::negotiate(&HeaderMap::new()), Accepted { coding: None, identity: true });
    }

    #[test]
    fn the_plain_body_is_acceptable_unless_it_is_refused() {
        for (value, expected) in [
            ("gzip", true),
            ("", true),
            ("gzip;q=0", true),
            ("identity", true),
            ("identity;q=0", false),
            ("gzip, Identity;q=0.000", false),
            ("gzip, *;q=0", false),
            ("*;q=0, identity;q=0.1", true),
            ("*", true),
        ] {
            assert_eq!(accepted(value).identity, expected, "{value:?}");
        }
    }

    #[test]
    fn every_coding_gives_the_body_back() {
        use std::io::Read as _;
        let body = "Käse ".repeat(5_000).into_bytes();
        let mut plain = Vec::new();
        zstd::Decoder::new(&*Encoding::Zstd.compress_now(&body).unwrap())
            .unwrap()
            .read_to_end(&mut plain)
            .unwrap();
        assert_eq!(plain, body);
        plain.clear();
        brotli::Decompressor::new(&*Encoding::Brotli.compress_now(&body).unwrap(), 4096)
            .read_to_end(&mut plain)
            .unwrap();
        assert_eq!(plain, body);
        plain.clear();
        flate2::read::GzDecoder::new(&*Encoding::Gzip.compress_now(&body).unwrap())
            .read_to_end(&mut plain)
            .unwrap();
        assert_eq!(plain, body);
    }
}
