//! What one writer knows of its records, and what was found of them after a crash.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::content;
use super::writer::Shared;

/// A record of the writer, as the server has last acknowledged it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
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

/// One write, alone or in a batch.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) collection: usize,
    /// Unknown when the server makes the id.
    pub(super) id: Option<String>,
    /// What is written; nothing is a deletion.
    pub(super) token: Option<u64>,
}

/// Where a record is: its collection and its id.
pub(super) type Place = (usize, String);

/// All that a writer knows.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) writer: usize,
    pub(super) records: BTreeMap<Place, State>,
    /// The request that was not answered, and that happens as a whole or not at all.
    pub(super) in_flight: Vec<Change>,
    pub(super) last_token: u64,
}

/// A collection as it was found.
#[derive(Debug, Default, Clone)]
pub(super) struct Snapshot {
    pub(super) timestamp: u64,
    pub(super) objects: BTreeMap<String, Object>,
}

/// A record or a tombstone that was found.
#[derive(Debug, Clone)]
pub(super) struct Object {
    modified: u64,
    deleted: bool,
    /// Without id and timestamp.
    data: Value,
}

impl Snapshot {
    pub(super) fn insert(&mut self, mut data: Value) -> Result<()> {
        let fields = data.as_object_mut().context("not an object")?;
        let id = fields.remove("id").context("no id")?;
        let id = id.as_str().context("id is no string")?.to_owned();
        let modified = fields.remove("last_modified").and_then(|it| it.as_u64());
        let modified = modified.with_context(|| format!("{id} has no timestamp"))?;
        let deleted = fields.contains_key("deleted");
        ensure!(
            modified <= self.timestamp,
            "{id} is newer ({modified}) than its collection ({})",
            self.timestamp
        );
        let known = self.objects.insert(id.clone(), Object { modified, deleted, data });
        ensure!(known.is_none(), "{id} is listed twice");
        Ok(())
    }
}

impl Object {
    fn state(&self, writer: usize) -> Option<State> {
        if self.deleted {
            return Some(State::Deleted { modified: self.modified });
        }
        let token = self.data["token"].as_u64()?;
        (self.data == content(writer, token))
            .then_some(State::Present { token, modified: self.modified })
    }
}

impl Journal {
    pub(super) fn new(writer: usize) -> Self {
        Self { writer, records: BTreeMap::new(), in_flight: Vec::new(), last_token: 0 }
    }

    /// The places of the records that exist.
    pub(super) fn present(&self) -> Vec<&Place> {
        let present = |state: &State| matches!(state, State::Present { .. });
        self.records.iter().filter(|(_, state)| present(state)).map(|(place, _)| place).collect()
    }

    /// Find out what became of the request in flight: there as a whole, or not at all.
    pub(super) fn settle(
        &mut self,
        snapshots: &[Snapshot],
        shared: &mut Shared,
    ) -> Result<Option<bool>> {
        let changes = std::mem::take(&mut self.in_flight);
        let mut found = Vec::new();
        for change in &changes {
            found.push(self.find(change, &snapshots[change.collection]));
        }
        let there = found.iter().flatten().count();
        ensure!(
            there == 0 || there == changes.len(),
            "half of a batch is there: {there} of {} changes: {changes:?}",
            changes.len()
        );
        for (change, (id, state)) in changes.iter().zip(found.into_iter().flatten()) {
            let (State::Present { modified, .. } | State::Deleted { modified }) = state;
            shared.clock(change.collection).record(modified, 0)?;
            self.records.insert((change.collection, id), state);
        }
        Ok((!changes.is_empty()).then_some(there > 0))
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
    pub(super) fn check(&self, snapshots: &mut [Snapshot]) -> Result<()> {
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
    use super::*;
    use serde_json::json;

    fn snapshot(objects: &[Value]) -> Vec<Snapshot> {
        let mut snapshot = Snapshot { timestamp: 100, ..Snapshot::default() };
        for object in objects {
            snapshot.insert(object.clone()).unwrap();
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
        let mut journal = Journal::new(0);
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
            journal.in_flight = vec![put("a", 2), put("b", 3)];
            journal.settle(&snapshot(objects), &mut Shared::new(1))
        };
        assert_eq!(settle(&[record("a", 1, 10)]).unwrap(), Some(false));
        assert_eq!(settle(&[record("a", 2, 20), record("b", 3, 21)]).unwrap(), Some(true));
        assert!(settle(&[record("a", 2, 20)]).is_err());
        assert!(settle(&[record("a", 1, 10), record("b", 3, 21)]).is_err());
    }

    #[test]
    fn a_creation_in_flight_is_found_by_its_content() {
        let mut journal = journal();
        journal.in_flight = vec![Change { collection: 0, id: None, token: Some(9) }];
        let found = snapshot(&[record("a", 1, 10), record("made-by-the-server", 9, 30)]);
        assert_eq!(journal.settle(&found, &mut Shared::new(1)).unwrap(), Some(true));
        assert!(journal.records.contains_key(&(0, "made-by-the-server".into())));
    }
}
