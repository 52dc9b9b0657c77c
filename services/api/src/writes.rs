//! Writes over HTTP by those who may: who asks is verified, what they ask takes effect once, and it is visible everywhere
//! before the answer. `docs/writes.md` explains the protocol.
//!
//! token -> body -> transaction in the database -> cache made invalid -> answer.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use farmlokal_auth::{Claims, Refused, Verifier};
use farmlokal_catalog::{Action, Batch, Catalog, Done, Error, Idempotency, Operation, Refusal, Written};
use metrics::{counter, describe_counter};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::info;

use crate::body::{BodyLimits, require_json};
use crate::detached::Detached;
use crate::health::Health;
use crate::invalidation::Invalidation;
use crate::problem::{Code, InvalidParam, Problem};
use crate::query;

const WRITES: &str = "farmlokal_writes_total";
/// What a write can come to, separated by spaces.
const OUTCOMES: &str = "applied repeated invalid_parameter invalid_body malformed_body body_too_large body_too_slow \
    unsupported_media_type not_found precondition_failed batch_refused write_in_flight idempotency_conflict no_id_left \
    invalidation_failed database_unavailable overloaded timed_out internal";
/// Writes under way at the same time. They outlive their requests, and so the limits on those.
const MAX_WRITES: usize = 512;
/// Batches in memory at the same time: one of 2 MiB may take 20 while it is read.
const MAX_BATCHES: usize = 4;
/// The longest idempotency key, in characters.
const MAX_KEY: usize = 255;
/// Products in one line of the audit: container runtimes cut lines of 16 KiB.
const PRODUCTS_A_LINE: usize = 200;
/// When a client should try again, and how long a batch may wait for those before it.
const RETRY: Duration = Duration::from_secs(1);

/// What is to be done, as metrics and the log name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Create,
    Put,
    Patch,
    Delete,
    Batch,
}

impl Kind {
    const ALL: [Kind; 5] = [Kind::Create, Kind::Put, Kind::Patch, Kind::Delete, Kind::Batch];

    fn label(self) -> &'static str {
        match self {
            Kind::Create => "create",
            Kind::Put => "put",
            Kind::Patch => "patch",
            Kind::Delete => "delete",
            Kind::Batch => "batch",
        }
    }

    /// The types that its body may have.
    fn content_types(self) -> &'static str {
        match self {
            Kind::Patch => "application/merge-patch+json, application/json",
            _ => "application/json",
        }
    }
}

/// Takes writes.
pub(crate) struct Writes {
    verifier: Verifier,
    catalog: Catalog,
    health: Health,
    invalidation: Invalidation,
    body_limits: Arc<BodyLimits>,
    /// Bytes of a batch at the most.
    max_batch_body: usize,
    batches: Arc<Semaphore>,
    /// What is under way, whether or not its client still waits.
    under_way: Detached,
}

impl Writes {
    /// Call it after the metrics recorder was installed.
    pub(crate) fn new(
        verifier: Verifier,
        catalog: Catalog,
        health: Health,
        invalidation: Invalidation,
        body_limits: Arc<BodyLimits>,
        max_batch_body: usize,
    ) -> Arc<Writes> {
        describe_metrics();
        let (batches, under_way) = (Arc::new(Semaphore::new(MAX_BATCHES)), Detached::new(MAX_WRITES));
        Arc::new(Writes {
            verifier,
            catalog,
            health,
            invalidation,
            body_limits,
            max_batch_body,
            batches,
            under_way,
        })
    }

    /// Does what a request asks for, as `read` finds it in its head and its body. A client that goes away stops nothing.
    ///
    /// # Errors
    /// Whatever keeps it from taking effect, and `invalidation_failed`, after which it has.
    pub(crate) async fn take(
        self: &Arc<Self>,
        kind: Kind,
        request: Request,
        read: impl FnOnce(&Parts, &[u8]) -> Result<Vec<Operation>, Problem>,
    ) -> Result<Vec<Done>, Problem> {
        let (parts, body) = request.into_parts();
        let claims = self.authorize(&parts.headers).await?;
        let reading = async {
            query::refuse_parameters(&parts.uri)?;
            if matches!(kind, Kind::Create | Kind::Batch) {
                refuse_conditions(&parts.headers)?;
            }
            // The body of a DELETE says nothing, and is not read.
            if kind != Kind::Delete {
                require_json(&parts.headers, kind.content_types())?;
            }
            let (body, permit) = match kind {
                Kind::Delete => (Bytes::new(), None),
                Kind::Batch => {
                    let permit = timeout(RETRY, Arc::clone(&self.batches).acquire_owned()).await;
                    let permit = permit.ok().and_then(Result::ok).ok_or_else(too_many)?;
                    (self.body_limits.read_up_to(self.max_batch_body, body).await?, Some(permit))
                }
                _ => (self.body_limits.read(body).await?, None),
            };
            let idempotency = idempotency(&parts, &claims, &body)?;
            Ok((Batch { operations: read(&parts, &body)?, idempotency }, permit))
        };
        let (batch, permit) = reading.await.map_err(|problem| counted(kind, problem))?;
        let writes = Arc::clone(self);
        let work = async move {
            let done = writes.apply(kind, &claims, &batch).await;
            // The batch is in memory until now.
            drop((batch, permit));
            done.map_err(|problem| counted(kind, problem))
        };
        self.under_way.run(work).await.unwrap_or_else(|| Err(counted(kind, too_many())))
    }

    /// Waits for the writes under way. Call it when no more can come.
    pub(crate) async fn close(&self) {
        self.under_way.close().await;
    }

    /// Who asks, if he may write.
    async fn authorize(&self, headers: &HeaderMap) -> Result<Claims, Problem> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let token = match (values.next(), values.next()) {
            (None, _) => "",
            (Some(value), None) => bearer_token(value).unwrap_or_default(),
            // Which of them counts is nobody's to guess: no token looks like this.
            (Some(_), Some(_)) => ",",
        };
        // The client learns no more than this: details help whoever forges tokens.
        self.verifier.authorize(token).await.map_err(|refused| match refused {
            Refused::Missing => Problem::new(Code::MissingToken, "The request has no bearer token."),
            Refused::Scope => {
                Problem::new(Code::InsufficientScope, "The token does not have the scope to write.")
            }
            Refused::Unavailable => {
                let detail = "The keys of the tokens' issuer are not known yet.";
                Problem::new(Code::IssuerUnavailable, detail).retry_after(RETRY)
            }
            _ => Problem::new(Code::InvalidToken, "The bearer token is not valid."),
        })
    }

    async fn apply(&self, kind: Kind, claims: &Claims, batch: &Batch) -> Result<Vec<Done>, Problem> {
        self.health.require_database()?;
        let written = self.catalog.write(batch).await;
        log(kind, claims, batch, &written);
        let written = written?;
        let products: Vec<_> = match &written {
            Written::New(done) | Written::Again(done) => done.iter().map(Done::product).collect(),
            // It may be of a client that asks again for what has taken effect, and whose process was killed before it could tell
            // the cache.
            Written::Refused(_) => {
                batch.operations.iter().filter_map(|operation| operation.action.product()).collect()
            }
            Written::InFlight | Written::Conflict => Vec::new(),
        };
        let is_visible = products.is_empty() || self.invalidation.of_products(products).await;
        let (done, outcome) = match written {
            Written::New(done) => (done, "applied"),
            Written::Again(done) => (done, "repeated"),
            Written::Refused(refused) => return Err(refusal(kind, &refused)),
            Written::InFlight => {
                let detail = "Another request with this Idempotency-Key is under way.";
                return Err(Problem::new(Code::WriteInFlight, detail).retry_after(RETRY));
            }
            Written::Conflict => {
                let detail = "Another request with this Idempotency-Key has taken effect.";
                return Err(Problem::new(Code::IdempotencyConflict, detail));
            }
        };
        if !is_visible {
            let detail = "The write has taken effect, but answers from before it may still be cached.";
            return Err(Problem::new(Code::InvalidationFailed, detail).retry_after(RETRY));
        }
        counter!(WRITES, "operation" => kind.label(), "outcome" => outcome).increment(1);
        Ok(done)
    }
}

/// The token of an `Authorization` header: <https://www.rfc-editor.org/rfc/rfc6750#section-2.1>
fn bearer_token(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
}

/// A new product and a batch have no current state that these could be held against; a batch has conditions of its own.
fn refuse_conditions(headers: &HeaderMap) -> Result<(), Problem> {
    let given = [IF_MATCH, IF_NONE_MATCH].into_iter().filter(|name| headers.contains_key(name));
    let params =
        given.map(|name| InvalidParam::new(name.as_str(), "unknown_parameter", "has no meaning here"));
    let params: Vec<_> = params.collect();
    if params.is_empty() { Ok(()) } else { Err(Problem::naming(Code::InvalidParameter, params)) }
}

/// What makes the request take effect once, where it has an `Idempotency-Key`: a string of
/// [RFC 9651](https://www.rfc-editor.org/rfc/rfc9651), as
/// [the draft](https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/) has it, or the same without its quotes.
fn idempotency(parts: &Parts, claims: &Claims, body: &[u8]) -> Result<Option<Idempotency>, Problem> {
    const NAME: &str = "idempotency-key";
    let invalid =
        |code, detail| Problem::naming(Code::InvalidParameter, vec![InvalidParam::new(NAME, code, detail)]);
    let mut values = parts.headers.get_all(NAME).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid("repeated_parameter", "must be given once".to_owned()));
    }
    let text = value.to_str().unwrap_or_default();
    let key = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let is_key = (1..=MAX_KEY).contains(&key.len()) && !key.contains(['"', '\\', '\t']);
    if !is_key {
        let detail =
            format!("must be 1 to {MAX_KEY} characters of ASCII in double quotes, without \" and \\ in them");
        return Err(invalid("malformed", detail));
    }
    let conditions = [IF_MATCH, IF_NONE_MATCH].map(|name| {
        let values = parts.headers.get_all(name).iter().map(HeaderValue::as_bytes);
        values.map(<[u8]>::to_vec).collect::<Vec<_>>()
    });
    // Written as JSON, no two requests are the same.
    let owner = query::json(&(&claims.subject, &claims.client_id, key))?;
    let head = query::json(&(parts.method.as_str(), parts.uri.path(), conditions))?;
    let request = Sha256::new().chain_update(head).chain_update(body);
    Ok(Some(Idempotency { key_hash: Sha256::digest(owner).into(), request_hash: request.finalize().into() }))
}

/// The problem of operations that cannot be done.
fn refusal(kind: Kind, refused: &[(usize, Refusal)]) -> Problem {
    let reason = |refusal| match refusal {
        Refusal::NotFound => (Code::NotFound, "There is no product with this id."),
        Refusal::PreconditionFailed => {
            (Code::PreconditionFailed, "The product is not as the precondition wants it.")
        }
        Refusal::NoIdLeft => (Code::NoIdLeft, "No id is left for a new product."),
    };
    match refused {
        [(_, refusal)] if kind != Kind::Batch => {
            let (code, detail) = reason(*refusal);
            Problem::new(code, detail)
        }
        _ => {
            let params = refused.iter().map(|(index, refusal)| {
                let (code, detail) = reason(*refusal);
                InvalidParam::new(format!("operations[{index}]"), code.documentation().name, detail)
            });
            Problem::naming(Code::BatchRefused, params.collect())
        }
    }
}

fn too_many() -> Problem {
    Problem::new(Code::Overloaded, "Too many writes are under way.").retry_after(RETRY)
}

fn counted(kind: Kind, problem: Problem) -> Problem {
    let outcome = problem.code().documentation().name;
    counter!(WRITES, "operation" => kind.label(), "outcome" => outcome).increment(1);
    problem
}

/// The audit's lines: who has changed what, or may have.
fn log(kind: Kind, claims: &Claims, batch: &Batch, written: &Result<Written, Error>) {
    let (outcome, products) = match written {
        Ok(Written::New(done)) => ("applied", done.iter().map(changed).collect::<Vec<_>>()),
        Ok(Written::Again(done)) => ("repeated", done.iter().map(changed).collect()),
        Err(Error::Deadline | Error::Unavailable(_) | Error::Internal(_)) => {
            let intended = batch.operations.iter().map(|operation| match &operation.action {
                Action::Create(_) => "new".to_owned(),
                Action::Put(id, _) | Action::Patch(id, _) | Action::Delete(id) => id.to_string(),
            });
            ("unknown", intended.collect())
        }
        _ => return,
    };
    let (subject, client) = (&claims.subject, claims.client_id.as_deref());
    for products in products.chunks(PRODUCTS_A_LINE) {
        let (operation, products) = (kind.label(), products.join(", "));
        info!(target: "farmlokal_audit", subject, client, operation, outcome, products, "written");
    }
}

fn changed(done: &Done) -> String {
    format!("{} {}", done.product(), done.label())
}

/// Says what the metric means, and shows counters from the start: a rate cannot see the first of what it has not seen at
/// zero.
fn describe_metrics() {
    for kind in Kind::ALL {
        for outcome in OUTCOMES.split_whitespace() {
            counter!(WRITES, "operation" => kind.label(), "outcome" => outcome).increment(0);
        }
    }
    describe_counter!(
        WRITES,
        "Writes by operation (create, put, patch, delete, batch) and outcome: applied; repeated, by its Idempotency-Key; or the \
         code of the problem"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_what_follows_the_scheme() {
        for (value, token) in [
            ("Bearer a.b.c", Some("a.b.c")),
            ("bearer  a.b.c", Some("a.b.c")),
            ("Bearer ", Some("")),
            ("Bearer", None),
            ("Basic a.b.c", None),
            ("a.b.c", None),
        ] {
            assert_eq!(bearer_token(&HeaderValue::from_static(value)), token, "{value}");
        }
    }

    fn idempotency_of(keys: &[&'static str], body: &str, subject: &str) -> Result<Option<Idempotency>, Code> {
        let mut request = Request::post("/products");
        for key in keys {
            request = request.header("idempotency-key", *key);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let claims = Claims { subject: subject.to_owned(), client_id: None, scopes: Vec::new() };
        idempotency(&parts, &claims, body.as_bytes()).map_err(|problem| problem.code())
    }

    #[test]
    fn a_key_is_its_owners_and_of_one_request() {
        let of = |key, body, subject| idempotency_of(&[key], body, subject).unwrap().unwrap();
        assert_eq!(idempotency_of(&[], "{}", "a"), Ok(None));
        let first = of("\"k1\"", "{}", "a");
        assert_eq!(of("k1", "{}", "a"), first);
        assert_eq!(of("k1", "{ }", "a").key_hash, first.key_hash);
        assert_ne!(of("k1", "{ }", "a").request_hash, first.request_hash);
        for other in [of("k2", "{}", "a"), of("k1", "{}", "b")] {
            assert_ne!(other.key_hash, first.key_hash);
            assert_eq!(other.request_hash, first.request_hash);
        }
        for bad in [&[""][..], &["\"\""], &["\"a"], &["a\"b"], &["a\\b"], &["k1", "k1"]] {
            assert_eq!(idempotency_of(bad, "{}", "a"), Err(Code::InvalidParameter), "{bad:?}");
        }
    }
}
