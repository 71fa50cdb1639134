//! Why a store can't be opened.

use std::path::PathBuf;

/// Why a store can't be opened. Errors of an open store are [`cumulo_core::store::Error`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has the file open.
    #[error("{} is in use by another process", path.display())]
    InUse {
        /// The database file.
        path: PathBuf,
    },
    /// The file was written by a later version of this program.
    #[error("{} has schema {found}, but this program knows only {known}", path.display())]
    TooNew {
        /// The database file.
        path: PathBuf,
        /// The schema version of the file.
        found: u32,
        /// The latest schema version that is understood.
        known: u32,
    },
    /// The file was written by an earlier version, and must not be changed.
    #[error("{} has schema {found}, but {known} is needed: run `cumulo migrate` first", path.display())]
    TooOld {
        /// The database file.
        path: PathBuf,
        /// The schema version of the file; zero if it is empty.
        found: u32,
        /// The schema version of this program.
        known: u32,
    },
    /// The file is a database of another program.
    #[error("{} is not a Cumulo database", path.display())]
    Foreign {
        /// The database file.
        path: PathBuf,
    },
    /// The file can't be created, read or written.
    #[error("cannot open {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The URL of a database is not one.
    #[error("{0}")]
    Url(#[from] crate::postgres::BadUrl),
    /// The database is not as it must be.
    #[error(transparent)]
    Schema(#[from] crate::postgres::SchemaError),
    /// The server of a database can't be reached, or refuses us.
    #[error("cannot connect to PostgreSQL")]
    Server(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The engine failed.
    #[error("cannot open {} as a database", path.display())]
    Engine {
        /// The database file.
        path: PathBuf,
        /// What the engine said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The result of opening a store.
pub type Result<T> = std::result::Result<T, Error>;
