//! Our callback is registered with the partner at every start, in the background, until the partner has taken it.

use std::error::Error as _;
use std::time::Duration;

use metrics::gauge;
use tracing::{debug, info, warn};

use super::config::Registration;

const TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Registers the callback, and returns when the partner has taken it. Registering it again changes nothing there.
pub(super) async fn run(client: reqwest::Client, registration: Registration) {
    let registered = gauge!("farmlokal_webhook_registered");
    registered.set(0.0);
    let mut pause = FIRST_PAUSE;
    for attempt in 1_u64.. {
        match register(&client, &registration).await {
            Ok(()) => {
                registered.set(1.0);
                info!(attempt, "the webhook is registered with API B");
                return;
            }
            Err(reason) if attempt == 1 => {
                warn!(reason, "the webhook is not registered with API B yet: trying again until it is");
            }
            Err(reason) => debug!(reason, attempt, "the webhook is still not registered with API B"),
        }
        tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The reason of a failure never holds a URL: either may have a secret in it.
async fn register(client: &reqwest::Client, registration: &Registration) -> Result<(), String> {
    let body = serde_json::json!({ "url": registration.callback.as_str() }).to_string();
    let request = client
        .post(registration.partner.clone())
        .timeout(TIMEOUT)
        .header(reqwest::header::CONTENT_TYPE, "application/json")
        .body(body);
    let response = request.send().await.map_err(|error| {
        let error = error.without_url();
        error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
    })?;
    let status = response.status();
    if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
}
