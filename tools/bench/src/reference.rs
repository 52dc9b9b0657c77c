//! The reference that the API is measured against: one axum route that serves bytes from memory, and nothing else.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::routing::get;
use clap::Args;
use tokio::net::TcpListener;

/// The path that is always refused.
pub(crate) const REFUSAL: &str = "/refusal";
/// As long as the API's own refusal.
const REFUSED: &str = r#"{"type":"/problems#overloaded","title":"The service is overloaded","status":503,"code":"overloaded","detail":"Every database connection is in use."}"#;

/// What the reference serves.
#[derive(Args, Debug)]
pub(crate) struct ReferenceArgs {
    #[arg(long)]
    port: u16,
    /// The body of every answer
    #[arg(long)]
    file: PathBuf,
}

/// Serves the file's bytes at `/products`, a refusal, and `/readyz`, on the loopback address until the process is killed.
pub(crate) async fn serve(args: ReferenceArgs) -> Result<()> {
    let body = std::fs::read(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let body = Bytes::from(body);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await?;
    let list = get(async move || ([(CONTENT_TYPE, "application/json")], body.clone()));
    let refuse = get(async || (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], REFUSED));
    let routes =
        Router::new().route("/products", list).route(REFUSAL, refuse).route("/readyz", get(async || "ready"));
    Ok(axum::serve(listener, routes).await?)
}
