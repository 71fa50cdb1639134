//! A cache that tells how long it takes, and whether it has what it is asked for.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use cumulo_core::metrics::Metrics;
use cumulo_kvs::{Kvs, Lifetime, Result};

pub(crate) struct MeteredCache {
    inner: Arc<dyn Kvs>,
    metrics: Arc<dyn Metrics>,
}

impl MeteredCache {
    pub(crate) fn new(inner: Arc<dyn Kvs>, metrics: Arc<dyn Metrics>) -> Self {
        Self { inner, metrics }
    }

    async fn timed<T>(&self, method: &str, work: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let done = work.await;
        self.metrics.timing("backend.cache.seconds", begun.elapsed(), &[("method", method)]);
        done
    }

    /// Counts whether a value was there.
    fn looked_up(&self, found: &Result<Option<Vec<u8>>>) {
        match found {
            Ok(Some(_)) => self.metrics.count("cache_hits", &[]),
            Ok(None) => self.metrics.count("cache_misses", &[]),
            Err(_) => {}
        }
    }
}

#[async_trait]
impl Kvs for MeteredCache {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let found = self.timed("get", self.inner.get(key)).await;
        self.looked_up(&found);
        found
    }

    async fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<()> {
        self.timed("set", self.inner.set(key, value, ttl)).await
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        self.timed("delete", self.inner.delete(key)).await
    }

    async fn take(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let found = self.timed("take", self.inner.take(key)).await;
        self.looked_up(&found);
        found
    }

    async fn increment(&self, key: &str, by: u32, ttl: Option<Duration>) -> Result<i64> {
        self.timed("increment", self.inner.increment(key, by, ttl)).await
    }

    async fn ttl(&self, key: &str) -> Result<Lifetime> {
        self.timed("ttl", self.inner.ttl(key)).await
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        self.timed("keys", self.inner.keys(prefix)).await
    }

    async fn flush(&self) -> Result<()> {
        self.timed("flush", self.inner.flush()).await
    }

    async fn ping(&self) -> Result<()> {
        self.timed("ping", self.inner.ping()).await
    }
}
