//! `/metrics` of the job: its progress.

use std::net::SocketAddr;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use farmlokal_telemetry::Metrics;
use metrics::{describe_gauge, gauge};
use tokio::task::JoinSet;

const ROWS: &str = "farmlokal_seed_rows";
const TARGET: &str = "farmlokal_seed_rows_target";
const PHASE: &str = "farmlokal_seed_phase";

/// The phases of a run, in order.
pub(crate) const PHASES: [&str; 4] = ["loading", "indexes", "swap", "flush"];

/// Registers all metrics at the values of a run that has not begun. `target` is the number of products to seed.
pub(crate) fn start(target: u64) {
    farmlokal_cache::describe_metrics();
    describe_gauge!(ROWS, "Products that are in the database by now, those of interrupted runs among them");
    describe_gauge!(TARGET, "Products that there will be");
    describe_gauge!(PHASE, "1 for the phase that the run is in; none while it waits for another run");
    gauge!(TARGET).set(count(target));
    rows(0);
    phase(None);
}

/// Sets the number of products in the database.
pub(crate) fn rows(present: u64) {
    gauge!(ROWS).set(count(present));
}

/// Sets the current phase.
pub(crate) fn phase(current: Option<&str>) {
    for phase in PHASES {
        gauge!(PHASE, "phase" => phase).set(f64::from(u8::from(current == Some(phase))));
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
fn count(rows: u64) -> f64 {
    rows as f64
}

/// Answers `/metrics` in a task of `tasks`, which never ends.
///
/// # Errors
/// The port cannot be had.
pub(crate) fn serve(metrics: Metrics, address: SocketAddr, tasks: &mut JoinSet<()>) -> anyhow::Result<()> {
    let listener = farmlokal_http_server::bind(address)
        .map_err(|error| farmlokal_settings::cannot_listen(&error, address, "MANAGEMENT_PORT"))?;
    tracing::info!(address = %listener.local_addr()?, "listening for operators");
    let page = async move || ([(CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render());
    let routes = Router::new().route("/metrics", get(page));
    tasks.spawn(farmlokal_http_server::serve_operators(listener, routes));
    Ok(())
}
