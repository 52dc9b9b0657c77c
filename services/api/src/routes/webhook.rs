//! `/webhook`

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use utoipa::ToSchema;

use super::not_stored;
use crate::app::App;
use crate::problem::{Problem, ProblemBody};
use crate::query;
use crate::webhook::Delivery;

/// An event about a product, for the OpenAPI document; `webhook::event` reads and checks it.
#[derive(ToSchema)]
#[schema(as = Event, rename_all = "camelCase", example = json!({
    "eventId": "evt_2Y9QvX", "type": "product.price_changed", "occurredAt": "2025-03-01T09:30:00.120Z",
    "data": {"id": 1001, "price": 12.50}
}))]
#[expect(dead_code, reason = "documentation")]
struct EventBody {
    /// Identifies the event. It may be in `webhook-id` or `x-event-id` instead; where there are several, they must be equal.
    #[schema(min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    event_id: Option<String>,
    #[schema(inline)]
    r#type: EventType,
    /// When it happened: RFC 3339, counted in microseconds. It orders the events of one product, so an older event that
    /// comes late changes nothing. At most 30 days ago (`WEBHOOK_RETENTION`).
    occurred_at: chrono::DateTime<chrono::Utc>,
    data: EventData,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "documentation")]
enum EventType {
    #[schema(rename = "product.upserted")]
    Upserted,
    #[schema(rename = "product.price_changed")]
    PriceChanged,
    #[schema(rename = "product.deleted")]
    Deleted,
}

/// What the type needs: for an upsert everything, for a price change `id` and `price`, for a delete `id`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documentation")]
struct EventData {
    /// The product.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_i64)]
    id: u64,
    /// Texts are stored in Unicode's form NFC, without white space around them. They have no control characters, and
    /// something to see.
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    #[schema(max_length = 1000)]
    description: Option<String>,
    #[schema(min_length = 1, max_length = 64)]
    category: Option<String>,
    /// At most two decimals.
    #[schema(minimum = 0, maximum = 99_999_999.99)]
    price: Option<f64>,
}

/// Take an event
///
/// For partners. Signed as [Standard Webhooks](https://www.standardwebhooks.com) has it. Each event takes effect exactly
/// once, however often it is delivered: deliver it until the answer is a 200, and not again after a 400 or 422. After a
/// 200, no answer from before the event is served any more.
#[utoipa::path(
    post,
    path = "/webhook",
    tag = "partners",
    params(
        ("webhook-id" = Option<String>, Header, description = "The event's id; signed, and there if the event is"),
        ("webhook-timestamp" = Option<String>, Header, description = "When it was sent, in seconds since 1970; signed"),
        ("webhook-signature" = Option<String>, Header, description = "`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; several with spaces between"),
        ("x-event-id" = Option<String>, Header, description = "The event's id, where it is nowhere else"),
    ),
    request_body(content = EventBody, content_type = "application/json", description = "At most 256 KiB, unless `MAX_BODY` says otherwise"),
    responses(
        (status = 200, description = "The event has taken effect, now or before", body = Delivery),
        (status = 400, description = "Invalid event; each bad field is named", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "The signature is missing, wrong, or too old", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "The service has no keys to verify events with", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Another delivery of it is being applied", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "The body is compressed, or is not JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "Another event with this id has taken effect", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached, the cache was not invalidated, or the service is overloaded", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn receive_event(
    State(app): State<Arc<App>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    query::refuse_parameters(&uri)?;
    let body = app.body_limits.read(body).await?;
    Ok(not_stored(app.webhook.receive(headers, body).await?))
}
