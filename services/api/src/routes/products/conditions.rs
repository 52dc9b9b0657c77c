//! `If-Match` and `If-None-Match` of writes, by [RFC 9110, section 13](https://www.rfc-editor.org/rfc/rfc9110#section-13).

use axum::http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue};
use farmlokal_catalog::{Precondition, Product};

use super::response::product_json;
use crate::entity_tag::{Comparison, EntityTag};

/// The precondition of a request with these headers.
pub(super) fn of_request(headers: &HeaderMap) -> Option<Precondition> {
    let list = |name: HeaderName| {
        let values: Vec<_> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        (!values.is_empty()).then(|| values.join(&b", "[..]))
    };
    precondition(list(IF_MATCH), list(IF_NONE_MATCH))
}

/// The precondition that lists of tags make. A product has the tag that a GET of it would send, whatever its coding.
pub(super) fn precondition(
    if_match: Option<Vec<u8>>,
    if_none_match: Option<Vec<u8>>,
) -> Option<Precondition> {
    if if_match.is_none() && if_none_match.is_none() {
        return None;
    }
    Some(Box::new(move |product: Option<&Product>| {
        let json = product.and_then(|product| product_json(product).ok());
        let tag = json.map(|json| EntityTag::of(&json));
        let is_in = |list: &[u8], comparison| {
            tag.as_ref().is_some_and(|tag| tag.found_in(list, comparison).is_some())
        };
        if_match.as_ref().is_none_or(|list| is_in(list, Comparison::Strong))
            && !if_none_match.as_ref().is_some_and(|list| is_in(list, Comparison::Weak))
    }))
}
