//! The controller: flushes the cache when a `ProductCatalog` asks for it, once for each change. It serves the objects of
//! its own namespace that name its release, and the one Redis of its settings.

mod catalog_metrics;
pub mod config;
pub mod crd;
mod decision;
mod error;
mod failure_log;
mod flush;
mod leader_election;
mod management;
mod metrics;
mod observed_status;
mod reconcile;
pub mod run;
mod status;
#[cfg(test)]
mod tests;
mod watch;
