//! The same client for programs that wait: `send` gives the result, and lists are iterators.
//!
//! Such a client has a thread of its own that keeps its connections; clones, and clients made from
//! it by `to_builder`, share it. Any number of threads may use one client at the same time. Inside
//! async code, where waiting would stop everything else, its calls panic: use the async client
//! there, or `tokio::task::spawn_blocking`.

use crate::transport::Blocking;
pub use crate::transport::Items;

/// A [client](crate::Client) whose calls wait.
pub type Client = crate::Root<Blocking>;
/// A [batch](crate::Batch) that is waited for.
pub type Batch = crate::Batch<Blocking>;
/// A [bucket](crate::Bucket).
pub type Bucket = crate::Bucket<Blocking>;
/// A [collection](crate::Collection).
pub type Collection = crate::Collection<Blocking>;
/// [Objects](crate::Resource) of one kind.
pub type Resource<T = serde_json::Value> = crate::Resource<Blocking, T>;
