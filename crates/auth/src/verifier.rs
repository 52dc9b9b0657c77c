use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::task::JoinSet;

use crate::claims::Rules;
use crate::fetch::Source;
use crate::keys::{self, Keys};
use crate::token::Token;
use crate::{AuthConfig, Claims, Refused, metrics};

/// The client that fetches keys cannot be made: the machine has no trusted certificate.
#[derive(Debug, thiserror::Error)]
#[error("the client for the token issuer: {0}")]
pub struct NoClient(#[from] reqwest::Error);

/// Verifies the tokens of one issuer. A clone is the same verifier.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    rules: Rules,
    keys: Keys,
}

impl Verifier {
    /// Starts a verifier, with the task that fetches the issuer's keys in `tasks`. It does not wait for them. `None`
    /// where no issuer is set.
    ///
    /// # Errors
    /// See [`NoClient`].
    pub fn spawn(config: &AuthConfig, tasks: &mut JoinSet<()>) -> Result<Option<Verifier>, NoClient> {
        let (Some(issuer), Some(audience)) = (&config.issuer, &config.audience) else {
            return Ok(None);
        };
        metrics::register();
        let source = Arc::new(Source::new(config, issuer.clone())?);
        let (keys, refresh) = keys::keep(move || {
            let source = Arc::clone(&source);
            async move { source.fetch().await }
        });
        tasks.spawn(refresh);
        let rules = Rules {
            issuer: issuer.text.clone(),
            audience: audience.clone(),
            leeway: config.leeway,
            scope: config.scope.clone(),
        };
        Ok(Some(Verifier::new(rules, keys)))
    }

    pub(crate) fn new(rules: Rules, keys: Keys) -> Verifier {
        Verifier(Arc::new(Inner { rules, keys }))
    }

    /// Whose `token` is; an empty one counts as missing. A token with a key that is not known waits up to 3 s for
    /// the issuer.
    ///
    /// # Errors
    /// Why it is refused, which is counted.
    pub async fn verify(&self, token: &str) -> Result<Claims, Refused> {
        self.check(token).await.inspect_err(|refused| metrics::count_refused(*refused))
    }

    /// As [`Verifier::verify`], for a token that must have the scope `AUTH_SCOPE`.
    ///
    /// # Errors
    /// As [`Verifier::verify`], and [`Refused::Scope`].
    pub async fn authorize(&self, token: &str) -> Result<Claims, Refused> {
        let claims = self.verify(token).await?;
        if claims.has(&self.0.rules.scope) {
            return Ok(claims);
        }
        metrics::count_refused(Refused::Scope);
        Err(Refused::Scope)
    }

    async fn check(&self, token: &str) -> Result<Claims, Refused> {
        let Inner { rules, keys } = &*self.0;
        let token = Token::read(token)?;
        // Before its key is looked for: tokens of others have nobody fetch ours.
        token.claims.check_issuer(rules)?;
        let key = keys.find(token.algorithm, token.kid.as_deref()).await?;
        key.verify(token.signed, &token.signature)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        token.claims.check(rules, now)
    }
}
