//! Headers that are lists: <https://www.rfc-editor.org/rfc/rfc9110#section-5.6.1>

use axum::http::{HeaderMap, HeaderName};

/// The items of all lines of a header, as they are written between the commas. A line that is not ASCII has none.
pub(crate) fn items(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(','))
}
