//! What the API is measured against: one axum route that serves bytes from memory, and nothing else.

use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::net::TcpListener;

/// Serves the file's bytes at `/products` on the loopback address until the process is killed.
pub(crate) async fn serve(port: u16, file: &Path) -> Result<()> {
    let body = Bytes::from(std::fs::read(file)?);
    let list = get(async move || ([(CONTENT_TYPE, "application/json")], body));
    let router = Router::new().route("/products", list).route("/readyz", get(async || "ready"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    Ok(axum::serve(listener, router).await?)
}
