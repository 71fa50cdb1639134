//! Why a move did not come to its end.

use std::io;

use cumulo_core::store;

/// Why a move did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input can't be read.
    #[error("can't read the export")]
    Read(#[source] io::Error),
    /// The output can't be written.
    #[error("can't write the export")]
    Write(#[source] io::Error),
    /// The input is not what an export writes.
    #[error("line {line} of the export: {reason}")]
    Damaged {
        /// Counted from one.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// The store holds something, and nobody said that this is all right.
    #[error("the storage is not empty; --merge adds to what it holds, the newer version wins")]
    NotEmpty,
    /// The store was left in the middle of another import.
    #[error("the storage is in the middle of another import: {0}")]
    Unfinished(String),
    /// The store does not hold what was moved into it.
    #[error("what the storage holds is not what was moved: {0}")]
    Unverified(String),
    /// An object of the store is not what a store holds.
    #[error("object '{id}' under '{parent}' is damaged: {reason}")]
    Object {
        /// The URI of what holds its list.
        parent: String,
        /// Its id.
        id: String,
        /// What is wrong.
        reason: String,
    },
    /// The other server can't be reached, or does not answer as Kinto does.
    #[error("{url}: {reason}")]
    Remote {
        /// What was asked for, without credentials.
        url: String,
        /// What came of it.
        reason: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// The result of a move.
pub type Result<T> = std::result::Result<T, Error>;
