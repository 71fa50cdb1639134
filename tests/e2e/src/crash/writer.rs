//! Writes through one connection until the server is killed.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::http::Connection;
use crate::journal::{Change, Clocks, Journal, responses};

/// What the writers share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Set just before the server is killed: from then on, connections may break.
    pub(super) killed: AtomicBool,
    pub(super) clocks: Clocks,
}

impl Shared {
    pub(super) fn new(collections: usize) -> Self {
        Self { killed: AtomicBool::new(false), clocks: Clocks::new(collections) }
    }
}

/// One connection and its journal.
pub(super) struct Writer<'a> {
    connection: Connection,
    journal: &'a mut Journal,
    shared: &'a Shared,
    random: StdRng,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        connection: Connection,
        journal: &'a mut Journal,
        shared: &'a Shared,
        seed: u64,
    ) -> Self {
        Self { connection, journal, shared, random: StdRng::seed_from_u64(seed) }
    }

    /// Returns how many changes were acknowledged.
    pub(super) fn write_until_killed(mut self) -> Result<usize> {
        let mut acknowledged = 0;
        while !self.shared.killed.load(Ordering::SeqCst) {
            let changes = self.journal.choose(&mut self.random);
            self.journal.begin(&changes);
            let known_before = self.shared.clocks.latest();
            let results = match self.send(&changes) {
                Ok(results) => results,
                Err(_) if self.shared.killed.load(Ordering::SeqCst) => break,
                Err(error) => return Err(error.context(format!("not answered: {changes:?}"))),
            };
            acknowledged +=
                self.journal.acknowledge(&results, known_before, &self.shared.clocks)?;
        }
        Ok(acknowledged)
    }

    /// Returns the resulting objects.
    fn send(&mut self, changes: &[Change]) -> Result<Vec<Value>> {
        let journal = &*self.journal;
        let requests = changes.iter().map(|it| journal.request(it, &mut self.random));
        let requests: Vec<Value> = requests.collect();
        if let [request] = requests.as_slice() {
            let (method, path) = (&request["method"], &request["path"]);
            let (method, path) = (method.as_str().unwrap_or(""), path.as_str().unwrap_or(""));
            let response = self.connection.json(method, path, request.get("body"))?.succeeded()?;
            return Ok(vec![response.json()?["data"].take()]);
        }
        let body = json!({"requests": requests});
        let response = self.connection.json("POST", "/v1/batch", Some(&body))?.succeeded()?;
        let results = responses(&response)?.into_iter().map(|mut it| {
            let status = it["status"].as_u64().unwrap_or_default();
            ensure!((200..300).contains(&status), "in a batch: {it}");
            Ok(it["body"]["data"].take())
        });
        results.collect()
    }
}
