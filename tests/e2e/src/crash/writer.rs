//! Writes through one connection until the server is killed.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::journal::{Change, Journal, State};
use super::{content, records_path};
use crate::http::Connection;

/// A writer stops creating records above this number, so that a check stays quick.
const MAX_RECORDS: usize = 150;

/// What the writers share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Set just before the server is killed: from then on, connections may break.
    pub(super) killed: AtomicBool,
    clocks: Vec<Mutex<Clock>>,
}

/// The timestamps that were seen in one collection.
#[derive(Debug, Default)]
pub(super) struct Clock {
    latest: u64,
    seen: HashSet<u64>,
}

impl Clock {
    /// A new timestamp: greater than all that were known when its request was sent.
    pub(super) fn record(&mut self, modified: u64, known_before: u64) -> Result<()> {
        ensure!(
            modified > known_before,
            "timestamp {modified} comes after {known_before} of the same collection"
        );
        ensure!(self.seen.insert(modified), "timestamp {modified} is given twice");
        self.latest = self.latest.max(modified);
        Ok(())
    }

    /// The collection's own timestamp does not go back.
    pub(super) fn check_collection(&self, timestamp: u64) -> Result<()> {
        let latest = self.latest;
        ensure!(timestamp >= latest, "the collection is at {timestamp}, after {latest}");
        Ok(())
    }
}

impl Shared {
    pub(super) fn new(collections: usize) -> Self {
        let clocks = (0..collections).map(|_| Mutex::default()).collect();
        Self { killed: AtomicBool::new(false), clocks }
    }

    pub(super) fn clock(&mut self, collection: usize) -> &mut Clock {
        self.clocks[collection].get_mut().expect("no writer panicked")
    }

    fn latest(&self) -> Vec<u64> {
        self.clocks.iter().map(|clock| clock.lock().expect("no writer panicked").latest).collect()
    }

    fn record(&self, collection: usize, modified: u64, known_before: u64) -> Result<()> {
        let mut clock = self.clocks[collection].lock().expect("no writer panicked");
        clock.record(modified, known_before)
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
            let changes = self.choose();
            self.journal.in_flight.clone_from(&changes);
            let known_before = self.shared.latest();
            let results = match self.send(&changes) {
                Ok(results) => results,
                Err(_) if self.shared.killed.load(Ordering::SeqCst) => break,
                Err(error) => return Err(error.context(format!("not answered: {changes:?}"))),
            };
            ensure!(results.len() == changes.len(), "{} results for {changes:?}", results.len());
            acknowledged += changes.len();
            self.acknowledge(changes, &results, known_before)?;
        }
        Ok(acknowledged)
    }

    /// One change, or a batch of some that do not touch the same record.
    fn choose(&mut self) -> Vec<Change> {
        let size = if self.random.random_bool(0.3) { self.random.random_range(2..=25) } else { 1 };
        let mut changes: Vec<Change> = Vec::new();
        while changes.len() < size {
            let change = self.choose_one();
            let same = |other: &Change| {
                other.collection == change.collection && other.id == change.id && other.id.is_some()
            };
            if !changes.iter().any(same) {
                changes.push(change);
            }
        }
        changes
    }

    fn choose_one(&mut self) -> Change {
        let present = self.journal.present();
        let create = present.len() < 10 || self.random.random_bool(0.4);
        if create && present.len() < MAX_RECORDS {
            self.journal.last_token += 1;
            let token = self.journal.last_token;
            let id = format!("w{}-{token}", self.journal.writer);
            let id = self.random.random_bool(0.7).then_some(id);
            let collection = self.random.random_range(0..super::COLLECTIONS);
            return Change { collection, id, token: Some(token) };
        }
        let (collection, id) = present[self.random.random_range(0..present.len())].clone();
        let token = self.random.random_bool(0.85).then(|| {
            self.journal.last_token += 1;
            self.journal.last_token
        });
        Change { collection, id: Some(id), token }
    }

    /// Returns the resulting objects.
    fn send(&mut self, changes: &[Change]) -> Result<Vec<Value>> {
        let requests: Vec<Value> = changes.iter().map(|change| self.request(change)).collect();
        if let [request] = requests.as_slice() {
            let (method, path) = (&request["method"], &request["path"]);
            let (method, path) = (method.as_str().unwrap_or(""), path.as_str().unwrap_or(""));
            let response = self.connection.json(method, path, request.get("body"))?.succeeded()?;
            return Ok(vec![response.json()?["data"].take()]);
        }
        let body = json!({"requests": requests});
        let response = self.connection.json("POST", "/v1/batch", Some(&body))?.succeeded()?;
        let Value::Array(responses) = response.json()?["responses"].take() else {
            anyhow::bail!("a batch without responses: {}", response.text());
        };
        let results = responses.into_iter().map(|mut it| {
            let status = it["status"].as_u64().unwrap_or_default();
            ensure!((200..300).contains(&status), "in a batch: {it}");
            Ok(it["body"]["data"].take())
        });
        results.collect()
    }

    fn request(&mut self, change: &Change) -> Value {
        let mut path = records_path(change.collection);
        if let Some(id) = &change.id {
            path = format!("{path}/{id}");
        }
        let Some(token) = change.token else {
            return json!({"method": "DELETE", "path": path});
        };
        let exists = change
            .id
            .as_ref()
            .is_some_and(|id| self.journal.records.contains_key(&(change.collection, id.clone())));
        let method = match &change.id {
            None => "POST",
            Some(_) if exists && self.random.random_bool(0.5) => "PATCH",
            Some(_) => "PUT",
        };
        let data = content(self.journal.writer, token);
        json!({"method": method, "path": path, "body": {"data": data}})
    }

    fn acknowledge(
        &mut self,
        changes: Vec<Change>,
        results: &[Value],
        mut known_before: Vec<u64>,
    ) -> Result<()> {
        for (change, result) in changes.into_iter().zip(results) {
            let modified = result["last_modified"].as_u64();
            let modified = modified.with_context(|| format!("no timestamp in {result}"))?;
            let id = result["id"].as_str().with_context(|| format!("no id in {result}"))?;
            self.shared.record(change.collection, modified, known_before[change.collection])?;
            known_before[change.collection] = modified;
            let state = match change.token {
                Some(token) => State::Present { token, modified },
                None => State::Deleted { modified },
            };
            self.journal.records.insert((change.collection, id.to_owned()), state);
        }
        self.journal.in_flight.clear();
        Ok(())
    }
}
