//! The controller: flushes the cache when a `ProductCatalog` asks for it, once for each change. It serves its own namespace
//! and the one Redis of its settings.

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
