use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;

/// Reads a JSON object. serde would take an array in its place. A member that is there twice is an error: two readers
/// could take different ones.
pub(crate) fn object<T: DeserializeOwned>(text: &[u8]) -> Option<T> {
    text.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(text).ok())?
}

/// Decodes base64url as JOSE writes it: without padding, and with zeros for the bits that are left over.
pub(crate) fn base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
