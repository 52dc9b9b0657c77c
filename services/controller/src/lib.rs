//! The controller: flushes the cache when a `ProductCatalog` asks for it, once for each change. `docs/controller.md`
//! explains how.

pub mod crd;
