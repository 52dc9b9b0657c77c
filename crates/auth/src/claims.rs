use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::Refused;

/// What a verified token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Who it speaks for (`sub`). Never empty.
    pub subject: String,
    /// The client that it was issued to (`client_id`, or else `azp`).
    pub client_id: Option<String>,
    /// What it may be used for: `scope`, `scp` and `permissions` together.
    pub scopes: Vec<String>,
}

impl Claims {
    /// Whether the token has this scope.
    #[must_use]
    pub fn has(&self, scope: &str) -> bool {
        self.scopes.iter().any(|other| other == scope)
    }
}

/// What tokens are held against.
pub(crate) struct Rules {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    pub(crate) leeway: Duration,
    pub(crate) scope: String,
}

/// The claims of a token that nobody has verified yet. Times are seconds since 1970, with fractions where the issuer
/// writes them.
#[derive(Deserialize)]
pub(crate) struct RawClaims {
    iss: Option<String>,
    sub: Option<String>,
    #[serde(default)]
    aud: Value,
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
    client_id: Option<String>,
    azp: Option<String>,
    #[serde(default)]
    scope: Value,
    #[serde(default)]
    scp: Value,
    #[serde(default)]
    permissions: Value,
}

impl RawClaims {
    /// # Errors
    /// The token is of another issuer.
    pub(crate) fn check_issuer(&self, rules: &Rules) -> Result<(), Refused> {
        if self.iss.as_ref() == Some(&rules.issuer) { Ok(()) } else { Err(Refused::Issuer) }
    }

    /// Checks all the rest. `now` is the time since 1970.
    ///
    /// # Errors
    /// The rule that the token breaks.
    pub(crate) fn check(self, rules: &Rules, now: Duration) -> Result<Claims, Refused> {
        if !texts(&self.aud).any(|audience| audience == rules.audience) {
            return Err(Refused::Audience);
        }
        let (now, leeway) = (now.as_secs_f64(), rules.leeway.as_secs_f64());
        if self.exp.is_none_or(|expires| now >= expires + leeway) {
            return Err(Refused::Expired);
        }
        if [self.nbf, self.iat].into_iter().flatten().any(|begins| now + leeway < begins) {
            return Err(Refused::NotYet);
        }
        let subject = self.sub.filter(|subject| !subject.is_empty()).ok_or(Refused::Malformed)?;
        let lists = [&self.scope, &self.scp, &self.permissions];
        let scopes = lists.into_iter().flat_map(texts).flat_map(str::split_whitespace);
        let scopes = scopes.map(str::to_owned).collect();
        Ok(Claims { subject, client_id: self.client_id.or(self.azp), scopes })
    }
}

/// A text or a list of texts. Anything else has none: it gives no right.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    value.as_str().into_iter().chain(list)
}
