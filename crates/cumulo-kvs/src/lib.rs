//! Key-value stores with expiry: one trait, five engines.
//!
//! ```
//! use std::time::Duration;
//!
//! use cumulo_kvs::{Kvs, Memory, Options};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let cache = Memory::new(512 * 1024, Options::default())?;
//! cache.set("greeting", b"hello", Some(Duration::from_secs(60))).await?;
//! assert_eq!(cache.take("greeting").await?, Some(b"hello".to_vec()));
//! assert_eq!(cache.get("greeting").await?, None);
//! # cumulo_kvs::Result::Ok(())
//! # }).unwrap();
//! ```
//!
//! - [`Kvs`]: what a store does; [`Options`]: what all of them need to know; [`Error`]
//! - [`Memory`], [`Sqlite`], [`Postgresql`], [`Redis`], [`Memcached`]: the engines, each a feature
//!
//! Nothing here depends on the rest of Cumulo. An engine that runs elsewhere connects when it is
//! first used, and again after it was gone.

#[cfg(any(feature = "memcached", feature = "sqlite"))]
mod clock;
mod error;
#[cfg(any(feature = "memcached", feature = "postgresql"))]
mod json;
mod kvs;
#[cfg(feature = "memcached")]
mod memcached;
#[cfg(feature = "memory")]
mod memory;
#[cfg_attr(not(feature = "default"), allow(dead_code, reason = "each engine uses its part"))]
mod options;
#[cfg(any(feature = "memcached", feature = "postgresql"))]
mod pool;
#[cfg(feature = "postgresql")]
mod postgresql;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use error::{Error, Result};
pub use kvs::{Kvs, Lifetime};
#[cfg(feature = "memcached")]
pub use memcached::Memcached;
#[cfg(feature = "memory")]
pub use memory::Memory;
pub use options::Options;
#[cfg(feature = "postgresql")]
pub use postgresql::Postgresql;
#[cfg(feature = "redis")]
pub use redis::Redis;
#[cfg(feature = "sqlite")]
pub use sqlite::Sqlite;
