use std::time::Duration;

/// Why a load stopped. Starting it again goes on where it stopped.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Another load, or the server's rest of a killed one, was still at work.
    #[error("another seed run, or what the server still does for a killed one, was not done within {} s", .0.as_secs())]
    Locked(Duration),
    /// The database has no table `products`.
    #[error("the database has no catalogue: run the migrations first")]
    NotMigrated,
    /// An earlier load was interrupted after its rows became the catalogue.
    #[error("an earlier load is unfinished")]
    Unfinished,
    /// A migration ran while rows were loaded.
    #[error("the table was migrated during the load: run it again")]
    SchemaChanged,
    /// Transactions of others kept the table in use.
    #[error("the catalogue was in use by long transactions for {} s", .0.as_secs())]
    InUse(Duration),
    /// The server could not be reached, or failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}
