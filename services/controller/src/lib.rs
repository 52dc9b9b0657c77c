//! The controller: flushes the cache when a `ProductCatalog` asks for it, once for each change. `docs/controller.md`
//! explains how.

pub mod config;
pub mod crd;
mod decision;
mod error;
mod events;
mod flush;
mod known;
pub mod leader;
mod management;
mod metrics;
mod outage;
mod reconcile;
pub mod run;
mod status;
#[cfg(test)]
mod testing;
mod work;
