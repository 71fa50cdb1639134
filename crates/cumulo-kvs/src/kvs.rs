//! The trait.

use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;

/// How long a value still lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// There is no such value.
    Missing,
    /// It has no expiry.
    Unlimited,
    /// It expires after this time.
    Left(Duration),
}

/// A store of values under keys. Every operation is atomic.
///
/// Keys are any text, values any bytes. A key holds what [`set`](Self::set) gave it, or a counter
/// of [`increment`](Self::increment); whether one can be used as the other depends on the engine.
///
/// A value with a time to live is not returned after it, to the millisecond; a counter of
/// memcached may live up to two seconds longer. A time to live of zero removes the key.
#[async_trait]
pub trait Kvs: Send + Sync + 'static {
    /// The value; of a counter, its decimal digits.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>>;

    /// Sets a value, whatever was there; without a time to live, for good.
    async fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<()>;

    /// Removes a key. Whether it was there.
    async fn delete(&self, key: &str) -> Result<bool> {
        Ok(self.take(key).await?.is_some())
    }

    /// Removes a key and returns its value. Of several who take one value, one gets it.
    async fn take(&self, key: &str) -> Result<Option<Vec<u8>>>;

    /// Adds to a counter and returns the sum. A missing counter starts at zero and expires after
    /// `ttl`, which later increments do not prolong.
    async fn increment(&self, key: &str, by: u32, ttl: Option<Duration>) -> Result<i64>;

    /// How long a key still lives.
    async fn ttl(&self, key: &str) -> Result<Lifetime>;

    /// The keys that begin so, in no order. Keys that the engine can't hold as they are, such as
    /// very long ones, are left out.
    async fn keys(&self, prefix: &str) -> Result<Vec<String>>;

    /// Removes all keys of this store; of no other one, if it has a prefix.
    async fn flush(&self) -> Result<()>;

    /// Fails if the engine does not answer.
    async fn ping(&self) -> Result<()>;
}

/// The number of a counter.
#[cfg(any(feature = "memory", feature = "sqlite"))]
pub(crate) fn counter(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}
