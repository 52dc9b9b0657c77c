//! The default settings of a catalogue. The catalogue's own tests compile this file too, for their own types.

use std::time::Duration;

use super::catalog::CatalogConfig;

/// The defaults.
#[must_use]
pub fn catalog_config() -> CatalogConfig {
    CatalogConfig {
        max_connections: 4,
        queue_timeout: Duration::from_millis(500),
        acquire_timeout: Duration::from_secs(1),
        list_deadline: Duration::from_secs(1),
        replica_timeout: Duration::from_millis(100),
        write_connections: 2,
        write_deadline: Duration::from_secs(3),
    }
}
