use serde::Deserialize;
use serde_json::Value;

use crate::Refused;
use crate::claims::RawClaims;
use crate::json::{base64url, object};
use crate::key::Algorithm;

/// Bytes of a token at the most.
const LONGEST: usize = 16 * 1024;

/// A signed JWT that nobody has verified yet.
pub(crate) struct Token<'t> {
    pub(crate) algorithm: Algorithm,
    /// The name of the key.
    pub(crate) kid: Option<String>,
    pub(crate) claims: RawClaims,
    /// What the signature is of.
    pub(crate) signed: &'t [u8],
    pub(crate) signature: Vec<u8>,
}

/// Other members say where a key might be, or hold one (`jku`, `jwk`, `x5c`): nobody looks at them.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    cty: Option<Value>,
    crit: Option<Value>,
}

impl Token<'_> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// It is none, or none of those that are taken here.
    pub(crate) fn read(text: &str) -> Result<Token<'_>, Refused> {
        if text.is_empty() {
            return Err(Refused::Missing);
        }
        if text.len() > LONGEST {
            return Err(Refused::TooLarge);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Refused::Malformed)?;
        // An encrypted token has five parts. Its other dots are no base64.
        let (header, claims) = signed.split_once('.').ok_or(Refused::Malformed)?;
        let header: Header = base64url(header).and_then(|json| object(&json)).ok_or(Refused::Malformed)?;
        let algorithm = Algorithm::named(&header.alg).ok_or(Refused::Algorithm)?;
        // `cty` is for a token within the token, and `crit` for extensions, of which none is known here.
        if header.cty.is_some() || header.crit.is_some() || !is_access_token(header.typ.as_deref()) {
            return Err(Refused::Type);
        }
        // Claims that are a token themselves are no object.
        let claims = base64url(claims).and_then(|json| object(&json)).ok_or(Refused::Malformed)?;
        let signature = base64url(signature).ok_or(Refused::Malformed)?;
        Ok(Token { algorithm, kid: header.kid, claims, signed: signed.as_bytes(), signature })
    }
}

/// Whether `typ` may be that of an access token.
///
/// RFC 9068 wants `at+jwt`, and Auth0, Entra and Keycloak write `JWT` unless told otherwise; Okta writes none. They are
/// taken too: an ID token, which RFC 9068 guards against, is for the audience of a client and has no scope.
/// Tokens with a type of their own, such as logout tokens, are not taken.
fn is_access_token(typ: Option<&str>) -> bool {
    let known = ["at+jwt", "application/at+jwt", "JWT"];
    typ.is_none_or(|typ| known.iter().any(|known| typ.eq_ignore_ascii_case(known)))
}
