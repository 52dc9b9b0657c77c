//! `/external`

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::not_stored;
use crate::app::App;
use crate::problem::{CallBody, Code, Problem, ProblemBody};
use crate::query;

/// What came of a call to API A.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TestApiAResponse {
    #[serde(flatten)]
    call: CallBody,
    /// Why there is no fresh answer: the `code` of the problem that there would be without the fallback.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "partner_timed_out")]
    reason: Option<&'static str>,
    /// How old a fallback is, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 12.5)]
    age_seconds: Option<f64>,
    /// API A's own answer.
    #[schema(value_type = Object, example = json!({"service": "api-a", "sequence": 7}))]
    data: Box<RawValue>,
}

/// Call API A
///
/// With retries, a circuit breaker, and the last good answer as a fallback, which is marked as such.
#[utoipa::path(
    get,
    path = "/external/test-api-a",
    tag = "partners",
    responses(
        (status = 200, description = "API A's answer: `fresh`, or a `fallback` of this age", body = TestApiAResponse),
        (status = 404, description = "API A is not configured", body = ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "API A or the token endpoint fails or refuses, and there is no fallback", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The circuit breaker is open and there is no fallback, or the service is overloaded", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "API A or the token endpoint does not answer in time, and there is no fallback", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn test_api_a(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    query::refuse_parameters(request.uri())?;
    let Some(api_a) = &app.partners.api_a else {
        return Err(Problem::new(Code::NotConfigured, "API A is not configured."));
    };
    let report = api_a.status().await;
    let (outcome, breaker) = (report.outcome(), report.breaker.name());
    let call = CallBody { outcome, attempts: report.attempts, breaker };
    let (answer, error) = match report.result {
        Ok(answer) => answer,
        Err(error) => return Err(Problem::from(error).with_call(call)),
    };
    Ok(not_stored(TestApiAResponse {
        call,
        reason: error.as_ref().map(|error| error.code.documentation().name),
        age_seconds: error.map(|_| query::rounded(answer.age().as_secs_f64())),
        data: answer.body,
    }))
}
