//! What can go wrong.

/// Why an operation was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine does not answer, or not as it should: try again later. It is not known whether
    /// the operation was carried out.
    #[error("the {engine} cache is not available")]
    Unavailable {
        /// Which engine.
        engine: &'static str,
        /// What happened.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The engine can't do this.
    #[error("{engine} can't {operation}")]
    Unsupported {
        /// Which engine.
        engine: &'static str,
        /// What it can't do.
        operation: &'static str,
    },
    /// The value is too large.
    #[error("a value of {size} bytes is too large for the cache")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// What is to be incremented is not a counter, or its sum would not fit.
    #[error("the value of '{key}' can't be incremented")]
    NotACounter {
        /// Its key.
        key: String,
    },
    /// The store can't be opened like this.
    #[error("{0}")]
    Configuration(String),
}

impl Error {
    #[cfg(any(
        feature = "memcached",
        feature = "postgresql",
        feature = "redis",
        feature = "sqlite"
    ))]
    pub(crate) fn unavailable(
        engine: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Unavailable { engine, source: source.into() }
    }
}

/// The result of an operation.
pub type Result<T> = std::result::Result<T, Error>;
