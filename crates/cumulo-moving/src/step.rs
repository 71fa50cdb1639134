//! What a move does to the store that it moves into, one row at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::Arc,
};

use cumulo_core::{
    object::{Acl, List, Object, Timestamp},
    query::Query,
    resource::{Target, uri_of},
    store::{Error, Membership, Result, Transaction},
};
use serde::Deserialize;

/// One change.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The list exists and has at least this timestamp.
    List(Arc<List>, Timestamp),
    /// The object or tombstone is in the list.
    Entry(Arc<List>, Object, Acl),
    /// The member belongs to the group.
    Join(Membership),
}

/// What has come of objects and tombstones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Written as they were.
    pub written: u64,
    /// Left out, because the store has a newer version of them or of what holds them.
    pub older: u64,
    /// Written with a new timestamp, because another object has theirs.
    pub restamped: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.written += other.written;
        self.older += other.older;
        self.restamped += other.restamped;
    }
}

/// Takes the steps in a store that holds nothing else.
pub(crate) fn restore(tx: &mut dyn Transaction, steps: &[Step]) -> Result<Counts> {
    let mut counts = Counts::default();
    for step in steps {
        match step {
            Step::List(list, timestamp) => tx.restore_list(list, *timestamp)?,
            Step::Entry(list, object, acl) => {
                tx.restore(list, object.as_row(), acl)?;
                counts.written += 1;
            }
            Step::Join(membership) => tx.join(&membership.member, &membership.group)?,
        }
    }
    Ok(counts)
}

/// Takes the steps in a store that holds something. The newer version of an object wins, and a
/// deletion reaches what lies below. Memberships follow from the groups.
pub(crate) fn merge(tx: &mut dyn Transaction, steps: &[Step]) -> Result<Counts> {
    let present = timestamps(tx, steps)?;
    let mut counts = Counts::default();
    let mut held: BTreeMap<&List, bool> = BTreeMap::new();
    for step in steps {
        let (Step::List(list, _) | Step::Entry(list, ..)) = step else { continue };
        let is_held = match held.get(&**list) {
            Some(&is_held) => is_held,
            None => is_held_by_something(tx, list)?,
        };
        held.insert(list, is_held);
        match step {
            Step::List(list, timestamp) if is_held => tx.restore_list(list, *timestamp)?,
            Step::Entry(list, object, acl) => {
                let present = present.get(&**list).and_then(|list| list.get(&object.id));
                if !is_held || present.is_some_and(|present| *present > object.last_modified) {
                    counts.older += 1;
                } else if put(tx, list, object, acl)? {
                    counts.written += 1;
                } else {
                    counts.restamped += 1;
                }
            }
            _ => {}
        }
    }
    Ok(counts)
}

/// Whether the steps that [`merge`] has taken are there, or newer versions of them: the first
/// object that is missing, if any.
pub(crate) fn missing(tx: &mut dyn Transaction, steps: &[Step]) -> Result<Option<String>> {
    let present = timestamps(tx, steps)?;
    for step in steps {
        let Step::Entry(list, object, acl) = step else { continue };
        let at = present.get(&**list).and_then(|list| list.get(&object.id));
        let is_there = match at {
            Some(at) if *at == object.last_modified && !object.deleted => tx
                .get(list, &object.id)?
                .is_some_and(|entry| *entry.acl == *acl && same(&entry.object.data, &object.data)),
            Some(at) => *at >= object.last_modified,
            None => !is_held_by_something(tx, list)?,
        };
        if !is_there {
            return Ok(Some(uri_of(list, &object.id)));
        }
    }
    Ok(None)
}

fn same(one: &str, other: &str) -> bool {
    let canonical = |json| {
        let mut out = Vec::new();
        crate::digest::canonical(json, &mut out).map(|()| out).ok()
    };
    one == other || canonical(one) == canonical(other)
}

type Timestamps<'a> = BTreeMap<&'a List, BTreeMap<String, Timestamp>>;

/// The timestamps that the objects of the steps have in the store.
fn timestamps<'a>(tx: &mut dyn Transaction, steps: &'a [Step]) -> Result<Timestamps<'a>> {
    let mut ids: BTreeMap<&List, BTreeSet<String>> = BTreeMap::new();
    for step in steps {
        if let Step::Entry(list, object, _) = step {
            ids.entry(list).or_default().insert(object.id.clone());
        }
    }
    let mut found = Timestamps::new();
    for (list, ids) in ids {
        let ids = ids.into_iter().collect();
        let query = Query { ids: Some(ids), tombstones: true, ..Query::default() };
        let known = found.entry(list).or_default();
        tx.list(list, &query, &mut |row| {
            known.insert(row.id.to_owned(), row.last_modified);
            Ok(ControlFlow::Continue(()))
        })?;
    }
    Ok(found)
}

/// Whether what holds a list is there; root lists, and those of unknown kinds, need nothing.
fn is_held_by_something(tx: &mut dyn Transaction, list: &List) -> Result<bool> {
    match Target::parse(&list.parent) {
        Some(Target { list, id: Some(id), .. }) => Ok(tx.acl(&list, &id)?.is_some()),
        _ => Ok(true),
    }
}

/// Writes one object or tombstone with what follows from it; tells whether it has its timestamp.
fn put(tx: &mut dyn Transaction, list: &List, object: &Object, acl: &Acl) -> Result<bool> {
    let uri = uri_of(list, &object.id);
    match (list.resource, object.deleted) {
        ("bucket" | "collection", true) => tx.delete_below(&uri)?,
        ("group", _) => set_members(tx, &uri, object)?,
        _ => {}
    }
    match tx.restore(list, object.as_row(), acl) {
        Ok(()) => return Ok(true),
        Err(Error::TimestampTaken(_)) => {}
        Err(error) => return Err(error),
    }
    tx.put(list, &object.id, None, &object.data, Some(acl))?;
    if object.deleted {
        tx.delete(list, &object.id, None)?;
    }
    Ok(false)
}

fn set_members(tx: &mut dyn Transaction, group: &str, object: &Object) -> Result<()> {
    #[derive(Deserialize)]
    struct Data {
        #[serde(default)]
        members: Vec<String>,
    }
    tx.disband(group)?;
    let data = serde_json::from_str::<Data>(&object.data);
    let members = data.map(|data| data.members).unwrap_or_default();
    members.iter().filter(|_| !object.deleted).try_for_each(|member| tx.join(member, group))
}
