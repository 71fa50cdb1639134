//! What writers know of their records, and what is found of them later.
//!
//! Each writer has records of its own, in collections that all of them share. What was
//! acknowledged must be found as it was; a request without an answer has happened as a whole or
//! not at all.
//!
//! `changes` are what a writer does, a `snapshot` is what is found, and `clock` knows which
//! timestamps were given.

mod changes;
mod clock;
mod snapshot;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::http::Connection;

pub(crate) use changes::{Change, responses};
pub(crate) use clock::Clocks;
pub(crate) use snapshot::{Object, Snapshot, etag, next_page, rows};

/// The bucket of all journals.
pub(crate) const BUCKET: &str = "/v1/buckets/journals";

pub(crate) fn collection_path(index: usize) -> String {
    format!("{BUCKET}/collections/c{index}")
}

pub(crate) fn records_path(index: usize) -> String {
    format!("{BUCKET}/collections/c{index}/records")
}

/// Create the bucket and its collections.
pub(crate) fn set_up(connection: &mut Connection, collections: usize) -> Result<()> {
    connection.json("PUT", BUCKET, None)?.succeeded()?;
    for index in 0..collections {
        connection.json("PUT", &collection_path(index), None)?.succeeded()?;
    }
    Ok(())
}

/// All collections as they are, when nobody writes.
pub(crate) fn read(connection: &mut Connection, collections: usize) -> Result<Vec<Snapshot>> {
    connection.json("GET", BUCKET, None)?.succeeded().context("the bucket is lost")?;
    (0..collections).map(|index| Snapshot::read(connection, index)).collect()
}

/// Check the journals of all who write to these collections.
pub(crate) fn check(
    journals: &mut [Journal],
    clocks: &Clocks,
    snapshots: &[Snapshot],
) -> Result<Settled> {
    let mut snapshots = snapshots.to_vec();
    for (index, snapshot) in snapshots.iter().enumerate() {
        clocks.check_collection(index, snapshot.timestamp)?;
    }
    let mut settled = Settled::default();
    for journal in journals.iter_mut() {
        journal.settle(&snapshots, clocks, &mut settled)?;
        journal.check(&mut snapshots)?;
    }
    for (index, snapshot) in snapshots.iter().enumerate() {
        if let Some((id, object)) = snapshot.objects.first_key_value() {
            bail!("nobody wrote {id} in collection {index}: {object:?}");
        }
    }
    Ok(settled)
}

/// What became of requests that were not answered.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) kept: usize,
    pub(crate) lost: usize,
}

/// A record of the writer, as the server has last acknowledged it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It has the content of this token.
    Present {
        /// What it was written with.
        token: u64,
        /// The server's timestamp.
        modified: u64,
    },
    /// It has left a tombstone.
    Deleted {
        /// The server's timestamp.
        modified: u64,
    },
}

/// Where a record is: its collection and its id.
pub(crate) type Place = (usize, String);

/// All that a writer knows.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) writer: usize,
    pub(crate) records: BTreeMap<Place, State>,
    /// In how many collections it writes.
    collections: usize,
    /// Requests that were not answered. Their records are not touched again.
    in_flight: Vec<Vec<Change>>,
    last_token: u64,
}

impl Journal {
    pub(crate) fn new(writer: usize, collections: usize) -> Self {
        let (records, in_flight) = (BTreeMap::new(), Vec::new());
        Self { writer, records, collections, in_flight, last_token: 0 }
    }

    /// The places of the records that exist, as far as it is known.
    pub(crate) fn present(&self) -> Vec<&Place> {
        let is_present = |(place, state): &(&Place, &State)| {
            matches!(state, State::Present { .. }) && !self.is_in_flight(place)
        };
        self.records.iter().filter(is_present).map(|(place, _)| place).collect()
    }

    fn is_in_flight(&self, (collection, id): &Place) -> bool {
        let is_same =
            |it: &Change| it.collection == *collection && it.id.as_deref() == Some(id.as_str());
        self.in_flight.iter().flatten().any(is_same)
    }

    /// A request is about to be sent.
    pub(crate) fn begin(&mut self, changes: &[Change]) {
        self.in_flight.push(changes.to_vec());
    }

    /// The latest request was refused: it has changed nothing.
    pub(crate) fn refuse(&mut self) {
        self.in_flight.pop();
    }

    /// The latest request was answered with these objects. `known_before` are the timestamps that
    /// were known when it was sent.
    pub(crate) fn acknowledge(
        &mut self,
        results: &[Value],
        mut known_before: Vec<u64>,
        clocks: &Clocks,
    ) -> Result<usize> {
        let changes = self.in_flight.pop().unwrap_or_default();
        ensure!(results.len() == changes.len(), "{} results for {changes:?}", results.len());
        let count = changes.len();
        for (change, result) in changes.into_iter().zip(results) {
            let modified = result["last_modified"].as_u64();
            let modified = modified.with_context(|| format!("no timestamp in {result}"))?;
            let id = result["id"].as_str().with_context(|| format!("no id in {result}"))?;
            ensure!(change.id.is_none_or(|asked| asked == id), "another record: {result}");
            clocks.record(change.collection, modified, known_before[change.collection])?;
            known_before[change.collection] = modified;
            let state = match change.token {
                Some(token) => State::Present { token, modified },
                None => State::Deleted { modified },
            };
            self.records.insert((change.collection, id.to_owned()), state);
        }
        Ok(count)
    }

    /// Find out what became of the requests in flight: there as a whole, or not at all.
    fn settle(
        &mut self,
        snapshots: &[Snapshot],
        clocks: &Clocks,
        settled: &mut Settled,
    ) -> Result<()> {
        for changes in std::mem::take(&mut self.in_flight) {
            let found =
                changes.iter().map(|change| self.find(change, &snapshots[change.collection]));
            let found: Vec<_> = found.collect();
            let there = found.iter().flatten().count();
            ensure!(
                there == 0 || there == changes.len(),
                "half of a batch is there: {there} of {} changes: {changes:?}",
                changes.len()
            );
            for (change, (id, state)) in changes.iter().zip(found.into_iter().flatten()) {
                let (State::Present { modified, .. } | State::Deleted { modified }) = state;
                clocks.record(change.collection, modified, 0)?;
                self.records.insert((change.collection, id), state);
            }
            *if there > 0 { &mut settled.kept } else { &mut settled.lost } += 1;
        }
        Ok(())
    }

    /// The record that a change has made, if it has.
    fn find(&self, change: &Change, snapshot: &Snapshot) -> Option<(String, State)> {
        let is_result = |state: &State| match (change.token, state) {
            (Some(token), State::Present { token: found, .. }) => token == *found,
            (None, State::Deleted { .. }) => true,
            _ => false,
        };
        let mut candidates: Vec<(&String, &Object)> = match &change.id {
            Some(id) => snapshot.objects.get_key_value(id).into_iter().collect(),
            None => snapshot.objects.iter().collect(),
        };
        candidates.retain(|(_, object)| object.state(self.writer).as_ref().is_some_and(is_result));
        let (id, object) = candidates.first()?;
        Some(((*id).clone(), object.state(self.writer)?))
    }

    /// Everything acknowledged must be there; what is found is taken out of the snapshots.
    fn check(&self, snapshots: &mut [Snapshot]) -> Result<()> {
        for ((collection, id), expected) in &self.records {
            let Some(object) = snapshots[*collection].objects.remove(id) else {
                bail!("writer {}: {id} is lost, {expected:?} was acknowledged", self.writer);
            };
            ensure!(
                object.state(self.writer) == Some(*expected),
                "writer {}: {id} is {object:?}, but {expected:?} was acknowledged",
                self.writer
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::changes::content;
    use super::*;
    use serde_json::json;

    fn snapshot(objects: &[Value]) -> Vec<Snapshot> {
        let mut snapshot = Snapshot { timestamp: 100, ..Snapshot::default() };
        for object in objects {
            snapshot.add(object.clone()).unwrap();
        }
        vec![snapshot]
    }

    fn record(id: &str, token: u64, modified: u64) -> Value {
        let mut data = content(0, token);
        data["id"] = json!(id);
        data["last_modified"] = json!(modified);
        data
    }

    fn journal() -> Journal {
        let mut journal = Journal::new(0, 1);
        journal.records.insert((0, "a".into()), State::Present { token: 1, modified: 10 });
        journal
    }

    fn put(id: &str, token: u64) -> Change {
        Change { collection: 0, id: Some(id.into()), token: Some(token) }
    }

    #[test]
    fn an_acknowledged_record_must_be_there_as_it_was() {
        assert!(journal().check(&mut snapshot(&[record("a", 1, 10)])).is_ok());
        assert!(journal().check(&mut snapshot(&[record("a", 1, 11)])).is_err());
        assert!(journal().check(&mut snapshot(&[record("a", 2, 10)])).is_err());
        assert!(journal().check(&mut snapshot(&[])).is_err());
        let tombstone = json!({"id": "a", "last_modified": 10, "deleted": true});
        assert!(journal().check(&mut snapshot(&[tombstone])).is_err());
    }

    #[test]
    fn a_batch_in_flight_is_there_as_a_whole_or_not_at_all() {
        let settle = |objects: &[Value]| {
            let mut journal = journal();
            journal.begin(&[put("a", 2), put("b", 3)]);
            check(&mut [journal], &Clocks::new(1), &snapshot(objects))
        };
        let lost = Settled { kept: 0, lost: 1 };
        assert_eq!(settle(&[record("a", 1, 10)]).unwrap(), lost);
        let kept = Settled { kept: 1, lost: 0 };
        assert_eq!(settle(&[record("a", 2, 20), record("b", 3, 21)]).unwrap(), kept);
        assert!(settle(&[record("a", 2, 20)]).is_err());
        assert!(settle(&[record("a", 1, 10), record("b", 3, 21)]).is_err());
    }

    #[test]
    fn a_creation_in_flight_is_found_by_its_content() {
        let mut journal = journal();
        journal.begin(&[Change { collection: 0, id: None, token: Some(9) }]);
        let found = snapshot(&[record("a", 1, 10), record("made-by-the-server", 9, 30)]);
        let mut settled = Settled::default();
        journal.settle(&found, &Clocks::new(1), &mut settled).unwrap();
        assert_eq!(settled.kept, 1);
        assert!(journal.records.contains_key(&(0, "made-by-the-server".into())));
    }

    #[test]
    fn records_in_flight_are_left_alone() {
        let mut journal = journal();
        assert_eq!(journal.present().len(), 1);
        journal.begin(&[put("a", 2)]);
        assert!(journal.present().is_empty());
        journal.refuse();
        assert_eq!(journal.present().len(), 1);
    }
}
