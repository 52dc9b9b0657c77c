//! Our callback is registered with the partner at every start, in the background, until the partner has taken it.

use std::future::pending;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use metrics::gauge;
use tracing::{debug, info, warn};

use url::Url;

const TIMEOUT: Duration = Duration::from_secs(10);
/// Between two attempts, with jitter up to twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Registers the callback. Registering it again changes nothing at the partner. Does not end: the end of a background task
/// is taken for a failure.
pub(super) async fn run(client: reqwest::Client, partner: Url, callback: Url) {
    let registered = gauge!("farmlokal_webhook_registered");
    registered.set(0.0);
    let pauses = ExponentialBuilder::new().with_jitter().without_max_times();
    let mut is_first = true;
    let taken = (|| register(&client, &partner, &callback))
        .retry(pauses.with_min_delay(FIRST_PAUSE).with_max_delay(LONGEST_PAUSE))
        .notify(|error, _| {
            if std::mem::take(&mut is_first) {
                warn!(%error, "the webhook is not registered with API B yet: trying again until it is");
            } else {
                debug!(%error, "the webhook is still not registered with API B");
            }
        });
    if taken.await.is_ok() {
        registered.set(1.0);
        info!("the webhook is registered with API B");
    }
    pending::<()>().await;
}

/// The error never holds a URL: either may have a secret in it.
async fn register(client: &reqwest::Client, partner: &Url, callback: &Url) -> Result<(), String> {
    let body = serde_json::json!({ "url": callback.as_str() }).to_string();
    let request = client
        .post(partner.clone())
        .timeout(TIMEOUT)
        .header(reqwest::header::CONTENT_TYPE, "application/json")
        .body(body);
    let response =
        request.send().await.map_err(|error| format!("{:#}", anyhow::Error::from(error.without_url())))?;
    let status = response.status();
    if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
}
