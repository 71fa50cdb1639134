//! The timestamps that were seen in collections.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard};

use anyhow::{Result, ensure};

/// One clock per collection, which all writers share.
#[derive(Debug)]
pub(crate) struct Clocks(Vec<Mutex<Clock>>);

#[derive(Debug, Default)]
struct Clock {
    latest: u64,
    seen: HashSet<u64>,
}

impl Clocks {
    pub(crate) fn new(collections: usize) -> Self {
        Self((0..collections).map(|_| Mutex::default()).collect())
    }

    /// The newest timestamps that were acknowledged.
    pub(crate) fn latest(&self) -> Vec<u64> {
        (0..self.0.len()).map(|collection| self.clock(collection).latest).collect()
    }

    /// A new timestamp: greater than all that were known when its request was sent.
    pub(crate) fn record(&self, collection: usize, modified: u64, known_before: u64) -> Result<()> {
        ensure!(
            modified > known_before,
            "timestamp {modified} comes after {known_before} of the same collection"
        );
        let mut clock = self.clock(collection);
        ensure!(clock.seen.insert(modified), "timestamp {modified} is given twice");
        clock.latest = clock.latest.max(modified);
        Ok(())
    }

    /// The collection's own timestamp does not go back.
    pub(crate) fn check_collection(&self, collection: usize, timestamp: u64) -> Result<()> {
        let latest = self.clock(collection).latest;
        ensure!(timestamp >= latest, "collection {collection} is at {timestamp}, after {latest}");
        Ok(())
    }

    fn clock(&self, collection: usize) -> MutexGuard<'_, Clock> {
        self.0[collection].lock().expect("no writer panicked")
    }
}
