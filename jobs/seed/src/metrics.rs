//! `/metrics` for as long as the job runs: how far it is.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use farmlokal_telemetry::Metrics;
use metrics::{describe_gauge, gauge};

const ROWS: &str = "farmlokal_seed_rows";
const TARGET: &str = "farmlokal_seed_rows_target";
const PHASE: &str = "farmlokal_seed_phase";

/// The phases of a run, in order.
pub(crate) const PHASES: [&str; 6] = ["loading", "indexes", "swap", "price bands", "full text", "flush"];

/// Shows all metrics of a run that has not begun; `target` is how many products there are to be.
pub(crate) fn start(target: u64) {
    farmlokal_cache::describe_metrics();
    describe_gauge!(ROWS, "Products that are in the database by now, those of interrupted runs among them");
    describe_gauge!(TARGET, "Products that there will be");
    describe_gauge!(PHASE, "1 for the phase that the run is in; none while it waits for another run");
    gauge!(TARGET).set(count(target));
    rows(0);
    phase(None);
}

/// So many products are in the database.
pub(crate) fn rows(present: u64) {
    gauge!(ROWS).set(count(present));
}

/// The run is in this phase, or in none.
pub(crate) fn phase(current: Option<&str>) {
    for phase in PHASES {
        gauge!(PHASE, "phase" => phase).set(f64::from(u8::from(current == Some(phase))));
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
fn count(rows: u64) -> f64 {
    rows as f64
}

/// Answers `/metrics` until the job ends.
///
/// # Errors
/// The port cannot be had.
pub(crate) fn serve(metrics: Metrics, address: SocketAddr) -> anyhow::Result<()> {
    let listener = farmlokal_http_server::bind(address);
    let listener = listener.with_context(|| format!("MANAGEMENT_PORT: cannot listen on {address}"))?;
    tracing::info!(address = %listener.local_addr()?, "listening for operators");
    let page = async move || ([(CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render());
    let routes = Router::new().route("/metrics", get(page));
    tokio::spawn(farmlokal_http_server::serve_operators(listener, routes));
    Ok(())
}
