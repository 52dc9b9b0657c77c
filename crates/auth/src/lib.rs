//! The resource server's half of OAuth2: says whose a bearer token is, or why it is refused.
//!
//! A token is a JWT ([RFC 7519](https://www.rfc-editor.org/rfc/rfc7519)) of one issuer for one audience, verified as
//! [RFC 9068](https://www.rfc-editor.org/rfc/rfc9068) and [RFC 8725](https://www.rfc-editor.org/rfc/rfc8725) ask. Three
//! algorithms are taken: RS256, ES256 and `EdDSA` with Ed25519. A key is for the one that its type has; what the token says
//! must be the same, and chooses nothing.
//!
//! A [`Verifier`] has the issuer's keys in memory and a task that keeps them up to date. A token of a known key is
//! verified without I/O.

mod claims;
mod config;
mod fetch;
mod json;
mod key;
mod keys;
mod metrics;
mod refused;
mod token;
mod verifier;

#[cfg(test)]
mod tests;

pub use claims::Claims;
pub use config::{AuthConfig, Issuer};
pub use metrics::describe_metrics;
pub use refused::Refused;
pub use verifier::{NoClient, Verifier};
