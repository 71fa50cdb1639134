//! The port's transaction over the memory store's state.

use std::{
    collections::BTreeMap,
    ops::{Bound, ControlFlow},
    sync::Arc,
};

use cumulo_core::{
    clock::Clock,
    object::{Acl, List, Row, TOMBSTONE, Timestamp},
    query::Query,
    store::{
        Access, Entry, Error, Flaw, Grant, Membership, Recount, Result, Tombstones, Total,
        Transaction, Visit, VisitEntry,
    },
};

use super::state::{self, Objects, State, Stored};
use crate::{bounds::Bounds, run};

/// One transaction; the caller commits it or undoes its changes.
pub(super) struct Tx<'a> {
    pub(super) state: &'a mut State,
    clock: &'a dyn Clock,
    access: Access,
    /// For each open savepoint, how many changes came before it.
    savepoints: Vec<usize>,
}

impl<'a> Tx<'a> {
    pub(super) fn new(state: &'a mut State, clock: &'a dyn Clock, access: Access) -> Self {
        Self { state, clock, access, savepoints: Vec::new() }
    }

    /// The state, to be changed.
    pub(super) fn write(&mut self) -> Result<&mut State> {
        if self.access == Access::Write { Ok(self.state) } else { Err(Error::ReadOnly) }
    }

    fn live(&self, list: &List, id: &str) -> Option<&Stored> {
        self.state.lists.get(list)?.get(id).filter(|stored| !stored.deleted)
    }

    /// An access control list for an object: most objects of a list share that of the newest.
    fn share_acl(&self, list: &List, acl: &Acl) -> Arc<Acl> {
        let newest = self.state.lists.get(list).and_then(|objects| objects.by_time.values().last());
        match newest {
            Some(stored) if *stored.acl == *acl => Arc::clone(&stored.acl),
            _ => Arc::new(acl.clone()),
        }
    }

    /// The timestamp that a list has when it starts now.
    fn start(&self) -> Timestamp {
        self.clock.now().max(self.state.floor.next())
    }

    /// Chooses the timestamp of a change to the object `id`, and notes it in the list.
    fn stamp(&mut self, list: &List, id: &str, asked: Option<Timestamp>) -> Result<Timestamp> {
        let now = self.clock.now();
        let (start, floor) = (self.start(), self.state.floor);
        let Some(objects) = self.state.lists.get(list) else {
            let stamp = asked.unwrap_or(start);
            self.state.create_list(list, stamp.max(floor.next()));
            return Ok(stamp);
        };
        let end = objects.timestamp;
        let stamp = match asked.filter(|&asked| asked != end) {
            Some(asked) => {
                if objects.by_time.get(&asked).is_some_and(|other| &*other.id != id) {
                    return Err(Error::TimestampTaken(asked));
                }
                asked
            }
            None if end.next() == end => return Err(Error::TimestampTaken(end)),
            None => now.max(end.next()),
        };
        if stamp > end {
            self.state.set_timestamp(list, stamp);
        }
        Ok(stamp)
    }
}

impl Transaction for Tx<'_> {
    fn timestamp(&mut self, list: &List) -> Result<Timestamp> {
        if let Some(objects) = self.state.lists.get(list) {
            return Ok(objects.timestamp);
        }
        let start = self.start();
        self.write()?.create_list(list, start);
        Ok(start)
    }

    fn get(&mut self, list: &List, id: &str) -> Result<Option<Entry>> {
        Ok(self.live(list, id).map(|stored| Entry {
            object: stored.as_row().to_object(),
            acl: Arc::clone(&stored.acl),
        }))
    }

    fn acl(&mut self, list: &List, id: &str) -> Result<Option<Arc<Acl>>> {
        Ok(self.live(list, id).map(|stored| Arc::clone(&stored.acl)))
    }

    fn list(&mut self, list: &List, query: &Query, visit: &mut Visit<'_>) -> Result<()> {
        let Some(objects) = self.state.lists.get(list) else { return Ok(()) };
        let limit = query.limit.unwrap_or(usize::MAX);
        let matching = newest_first(objects, query).filter(|row| query.matches(*row));
        if query.is_newest_first() {
            return visit_all(matching.take(limit), visit);
        }
        let mut rows: Vec<_> = matching.collect();
        rows.sort_by(|a, b| query.compare(*a, *b));
        visit_all(rows.into_iter().take(limit), visit)
    }

    fn list_all(
        &mut self,
        resource: &'static str,
        query: &Query,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        let lists = self.state.lists.iter().filter(|(list, _)| list.resource == resource);
        let mut rows: Vec<_> = lists
            .flat_map(|(_, objects)| newest_first(objects, query))
            .filter(|row| query.matches(*row))
            .collect();
        rows.sort_by(|a, b| query.compare(*a, *b));
        visit_all(rows.into_iter().take(query.limit.unwrap_or(usize::MAX)), visit)
    }

    fn count(&mut self, list: &List, query: &Query) -> Result<u64> {
        let Some(objects) = self.state.lists.get(list) else { return Ok(0) };
        if query.filters.is_empty() && query.ids.is_none() {
            return Ok(objects.live);
        }
        let rows = objects.by_time.values().map(Stored::as_row);
        Ok(rows.filter(|row| !row.deleted && query.selects(*row)).count() as u64)
    }

    fn totals(&mut self) -> Result<Vec<Total>> {
        let mut totals: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (list, objects) in &self.state.lists {
            let (live, all) = totals.entry(list.resource).or_default();
            *live += objects.live;
            *all += objects.by_time.len() as u64;
        }
        let total = |(resource, (live, all)): (&str, (u64, u64))| Total {
            resource: resource.to_owned(),
            live,
            tombstones: all - live,
        };
        Ok(totals.into_iter().map(total).collect())
    }

    fn put(
        &mut self,
        list: &List,
        id: &str,
        last_modified: Option<Timestamp>,
        data: &str,
        acl: Option<&Acl>,
    ) -> Result<Timestamp> {
        self.write()?;
        let kept = self.live(list, id).map(|stored| Arc::clone(&stored.acl));
        let acl = acl.map(|acl| self.share_acl(list, acl)).or(kept).unwrap_or_default();
        let last_modified = self.stamp(list, id, last_modified)?;
        let stored =
            Stored { id: id.into(), last_modified, deleted: false, data: data.into(), acl };
        self.state.set_object(list, stored);
        Ok(last_modified)
    }

    fn set_acl(&mut self, list: &List, id: &str, acl: &Acl) -> Result<()> {
        self.write()?;
        if let Some(stored) = self.live(list, id) {
            let stored = Stored { acl: Arc::new(acl.clone()), ..stored.clone() };
            self.state.set_object(list, stored);
        }
        Ok(())
    }

    fn delete(
        &mut self,
        list: &List,
        id: &str,
        last_modified: Option<Timestamp>,
    ) -> Result<Option<Timestamp>> {
        self.write()?;
        if self.live(list, id).is_none() {
            return Ok(None);
        }
        let last_modified = self.stamp(list, id, last_modified)?;
        let stored = Stored {
            id: id.into(),
            last_modified,
            deleted: true,
            data: TOMBSTONE.into(),
            acl: Arc::default(),
        };
        self.state.set_object(list, stored);
        Ok(Some(last_modified))
    }

    fn erase(&mut self, list: &List, ids: &[String]) -> Result<()> {
        self.write()?;
        for id in ids {
            if let Some(id) = self.live(list, id).map(|stored| Arc::clone(&stored.id)) {
                self.state.remove_object(list, &id);
            }
        }
        Ok(())
    }

    fn delete_below(&mut self, uri: &str) -> Result<()> {
        let now = self.clock.now();
        let state = self.write()?;
        for list in &state.lists_below(uri) {
            state.remove_list(list, now);
        }
        state::below(&state.members, uri).iter().try_for_each(|group| self.disband(group))
    }

    fn shared(
        &mut self,
        list: &List,
        principals: &[String],
        permissions: &[&str],
    ) -> Result<Vec<String>> {
        let Some(objects) = self.state.lists.get(list) else { return Ok(Vec::new()) };
        let live = objects.by_time.values().filter(|stored| !stored.deleted);
        Ok(live
            .filter(|stored| permissions.iter().any(|held| stored.acl.grants(held, principals)))
            .map(|stored| stored.id.to_string())
            .collect())
    }

    fn granted(&mut self, principals: &[String], resources: Option<&[&str]>) -> Result<Vec<Grant>> {
        let is_asked = |list: &List| resources.is_none_or(|kinds| kinds.contains(&list.resource));
        let named = |stored: &&Stored| {
            stored.acl.0.keys().any(|permission| stored.acl.grants(permission, principals))
        };
        Ok(self
            .state
            .lists
            .iter()
            .filter(|(list, _)| is_asked(list))
            .flat_map(|(list, objects)| {
                objects.by_time.values().filter(named).map(|stored| Grant {
                    list: list.clone(),
                    id: stored.id.to_string(),
                    acl: Arc::clone(&stored.acl),
                })
            })
            .collect())
    }

    fn revoke(&mut self, principal: &str) -> Result<()> {
        self.write()?;
        for Grant { list, id, mut acl } in self.granted(&[principal.to_owned()], None)? {
            Arc::make_mut(&mut acl).remove_principal(principal);
            self.set_acl(&list, &id, &acl)?;
        }
        Ok(())
    }

    fn groups(&mut self, members: &[&str]) -> Result<Arc<Vec<String>>> {
        let groups = members.iter().filter_map(|&member| self.state.groups.get(member));
        let mut groups: Vec<_> = groups.flatten().cloned().collect();
        groups.sort_unstable();
        groups.dedup();
        Ok(Arc::new(groups))
    }

    fn join(&mut self, member: &str, group: &str) -> Result<()> {
        self.write()?.join(member, group);
        Ok(())
    }

    fn leave(&mut self, member: &str, group: &str) -> Result<()> {
        self.write()?.leave(member, group);
        Ok(())
    }

    fn disband(&mut self, group: &str) -> Result<()> {
        let state = self.write()?;
        let members = state.members.get(group).cloned().unwrap_or_default();
        for member in &members {
            state.leave(member, group);
        }
        Ok(())
    }

    fn leave_all(&mut self, member: &str) -> Result<()> {
        let state = self.write()?;
        let groups = state.groups.get(member).cloned().unwrap_or_default();
        for group in &groups {
            state.leave(member, group);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let now = self.clock.now();
        let state = self.write()?;
        let lists: Vec<_> = state.lists.keys().cloned().collect();
        for list in &lists {
            state.remove_list(list, now);
        }
        let messages: Vec<_> = state.messages.keys().cloned().collect();
        for id in &messages {
            state.set_message(id, None);
        }
        let groups: Vec<_> = state.members.keys().cloned().collect();
        groups.iter().try_for_each(|group| self.disband(group))
    }

    fn lists(&mut self, after: Option<&List>, limit: usize) -> Result<Vec<(List, Timestamp)>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let lists = self.state.lists.range::<List, _>((from, Bound::Unbounded)).take(limit);
        Ok(lists.map(|(list, objects)| (list.clone(), objects.timestamp)).collect())
    }

    fn entries(
        &mut self,
        list: &List,
        after: Option<Timestamp>,
        visit: &mut VisitEntry<'_>,
    ) -> Result<()> {
        let Some(objects) = self.state.lists.get(list) else { return Ok(()) };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        for stored in objects.by_time.range((from, Bound::Unbounded)).map(|(_, stored)| stored) {
            if visit(stored.as_row(), &stored.acl)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn memberships(&mut self, after: Option<&Membership>, limit: usize) -> Result<Vec<Membership>> {
        let from = after.map_or(Bound::Unbounded, |after| Bound::Included(after.member.as_str()));
        let members = self.state.groups.range::<str, _>((from, Bound::Unbounded));
        Ok(members
            .flat_map(|(member, groups)| groups.iter().map(move |group| (member, group)))
            .skip_while(|pair| after.is_some_and(|after| *pair <= (&after.member, &after.group)))
            .take(limit)
            .map(|(member, group)| Membership { member: member.clone(), group: group.clone() })
            .collect())
    }

    fn restore(&mut self, list: &List, row: Row<'_>, acl: &Acl) -> Result<()> {
        self.write()?;
        let stamp = row.last_modified;
        if let Some(objects) = self.state.lists.get(list)
            && objects.by_time.get(&stamp).is_some_and(|other| *other.id != *row.id)
        {
            return Err(Error::TimestampTaken(stamp));
        }
        self.restore_list(list, stamp)?;
        let (data, acl) = if row.deleted {
            (TOMBSTONE, Arc::default())
        } else {
            (row.data, Arc::new(acl.clone()))
        };
        let stored = Stored {
            id: row.id.into(),
            last_modified: stamp,
            deleted: row.deleted,
            data: data.into(),
            acl,
        };
        self.state.set_object(list, stored);
        Ok(())
    }

    fn restore_list(&mut self, list: &List, timestamp: Timestamp) -> Result<()> {
        let first = self.state.floor.next();
        let state = self.write()?;
        match state.lists.get(list).map(|objects| objects.timestamp) {
            Some(present) if present >= timestamp => {}
            Some(_) => state.set_timestamp(list, timestamp),
            None => state.create_list(list, timestamp.max(first)),
        }
        Ok(())
    }

    fn tombstones(
        &mut self,
        list: &List,
        keep: usize,
        before: Option<Timestamp>,
    ) -> Result<Option<Tombstones>> {
        let Some(objects) = self.state.lists.get(list) else { return Ok(None) };
        let dead = objects.by_time.values().rev().filter(|stored| stored.deleted).skip(keep);
        let mut old = dead
            .map(|stored| stored.last_modified)
            .filter(|at| before.is_none_or(|before| *at < before));
        let Some(latest) = old.next() else { return Ok(None) };
        Ok(Some(Tombstones { count: 1 + old.count() as u64, latest }))
    }

    fn purge(&mut self, list: &List, latest: Timestamp, limit: usize) -> Result<u64> {
        let state = self.write()?;
        let Some(objects) = state.lists.get(list) else { return Ok(0) };
        let old = objects.by_time.range(..=latest).map(|(_, stored)| stored);
        let ids: Vec<_> = old
            .filter(|stored| stored.deleted)
            .take(limit)
            .map(|stored| Arc::clone(&stored.id))
            .collect();
        for id in &ids {
            state.remove_object(list, id);
        }
        Ok(ids.len() as u64)
    }

    fn move_below(&mut self, from: &str, to: &str) -> Result<()> {
        self.delete_below(to)?;
        let now = self.clock.now();
        let state = self.write()?;
        let start = state.floor.next();
        for list in state.lists_below(from) {
            let parent = moved(&list.parent, from, to);
            state.move_list(&list, List::new(parent, list.resource), start, now);
        }
        for group in state::below(&state.members, from) {
            let uri = moved(&group, from, to);
            for member in state.members.get(&group).cloned().unwrap_or_default() {
                state.leave(&member, &group);
                state.join(&member, &uri);
            }
        }
        Ok(())
    }

    fn recount(&mut self, list: &List) -> Result<Option<Recount>> {
        self.write()?;
        let Some(objects) = self.state.lists.get(list) else { return Ok(None) };
        let counted = objects.by_time.values().filter(|stored| !stored.deleted).count() as u64;
        Ok(Some(Recount { kept: objects.live, counted }))
    }

    fn inspect(&mut self, _: &mut dyn FnMut(Flaw)) -> Result<()> {
        Ok(())
    }

    fn mend(&mut self, _: usize) -> Result<u64> {
        self.write().map(|_| 0)
    }

    fn savepoint(&mut self) -> Result<()> {
        self.savepoints.push(self.state.changes());
        Ok(())
    }

    fn release(&mut self) -> Result<()> {
        self.savepoints.pop().map(|_| ()).ok_or_else(run::no_savepoint)
    }

    fn rollback(&mut self) -> Result<()> {
        let changes = self.savepoints.pop().ok_or_else(run::no_savepoint)?;
        self.state.undo_to(changes);
        Ok(())
    }
}

/// What a URI at or below `from` becomes when that is moved.
fn moved(uri: &str, from: &str, to: &str) -> String {
    to.to_owned() + uri.strip_prefix(from).unwrap_or_default()
}

/// Hands over rows until `visit` breaks off.
fn visit_all<'a>(mut rows: impl Iterator<Item = Row<'a>>, visit: &mut Visit<'_>) -> Result<()> {
    rows.try_for_each(|row| match visit(row) {
        Ok(ControlFlow::Continue(())) => ControlFlow::Continue(()),
        Ok(ControlFlow::Break(())) => ControlFlow::Break(Ok(())),
        Err(error) => ControlFlow::Break(Err(error)),
    })
    .break_value()
    .unwrap_or(Ok(()))
}

/// The rows that the bounds on `last_modified` leave, newest first.
fn newest_first<'a>(objects: &'a Objects, query: &Query) -> impl Iterator<Item = Row<'a>> {
    let bounds = Bounds::of(query);
    let range = (!bounds.is_empty())
        .then_some((Bound::Included(bounds.min), Bound::Included(bounds.max)))
        .map(|range| objects.by_time.range(range));
    range.into_iter().flatten().rev().map(|(_, stored)| stored.as_row())
}
