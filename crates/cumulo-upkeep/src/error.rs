//! Why something was not done.

use cumulo_core::store;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such bucket.
    #[error("there is no bucket '{0}'")]
    NoBucket(String),
    /// There is no such collection, by its URI.
    #[error("there is no collection {0}")]
    NoCollection(String),
    /// There is such a collection, by its URI.
    #[error("there is a collection {0} already")]
    Taken(String),
    /// There is no such collection, but something lies where its records would be.
    #[error("there is no collection {0}, but records of it are left; `cumulo check` tells more")]
    Leftovers(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// The result of upkeep.
pub type Result<T> = std::result::Result<T, Error>;
