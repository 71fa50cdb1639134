//! The port, on top of what a transaction knows, asks and keeps back.

use std::{collections::BTreeSet, sync::Arc};

use cumulo_core::{
    object::{Acl, List, Object, Row as ObjectRow, TOMBSTONE, Timestamp},
    query::Query,
    resource::{singular, uri_of},
    store::{
        Entry, Flaw, Grant, Membership, Recount, Result, Tombstones, Total, Transaction, Visit,
        VisitEntry,
    },
};

use super::Tx;
use crate::{
    postgres::{
        command::{Command, Row},
        inspect,
        json::compact,
        sql,
        statements::{self as statement, Lock, Wish},
    },
    run,
};

impl Transaction for Tx<'_> {
    fn timestamp(&mut self, list: &List) -> Result<Timestamp> {
        if let Some(timestamp) = self.list_state(list)?.timestamp() {
            return Ok(timestamp);
        }
        self.lock_list(list)?;
        if let Some(timestamp) = self.list_state(list)?.timestamp() {
            return Ok(timestamp);
        }
        let start = self.start()?.max(self.shared.clock.now());
        self.store_timestamp(list, start)?;
        Ok(start)
    }

    fn get(&mut self, list: &List, id: &str) -> Result<Option<Entry>> {
        self.require_object(list, id)?;
        Ok(self.known.object(list, id).cloned())
    }

    fn acl(&mut self, list: &List, id: &str) -> Result<Option<Arc<Acl>>> {
        self.require_object(list, id)?;
        Ok(self.known.object(list, id).map(|entry| Arc::clone(&entry.acl)))
    }

    fn list(&mut self, list: &List, query: &Query, visit: &mut Visit<'_>) -> Result<()> {
        self.scan(list);
        self.visit(sql::select(list, query), visit)
    }

    fn list_all(
        &mut self,
        resource: &'static str,
        query: &Query,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        self.visit(sql::select_all(resource, query), visit)
    }

    fn count(&mut self, list: &List, query: &Query) -> Result<u64> {
        self.require_snapshot()?;
        self.scan(list);
        let mut count = 0;
        self.send(vec![sql::count(list, query)], &mut |_, mut row| {
            count = row.int()?.unsigned_abs();
            Ok(())
        })?;
        Ok(count)
    }

    fn totals(&mut self) -> Result<Vec<Total>> {
        self.require_snapshot()?;
        let mut totals = Vec::new();
        self.send(vec![statement::totals()], &mut |_, mut row| {
            let resource = row.owned()?;
            let (live, tombstones) = (row.int()?.unsigned_abs(), row.int()?.unsigned_abs());
            totals.push(Total { resource, live, tombstones });
            Ok(())
        })?;
        Ok(totals)
    }

    fn put(
        &mut self,
        list: &List,
        id: &str,
        last_modified: Option<Timestamp>,
        data: &str,
        acl: Option<&Acl>,
    ) -> Result<Timestamp> {
        self.lock_list(list)?;
        let at = self.stamp(list, id, last_modified)?;
        let is_known = self.known.knows(list, id);
        let old_acl = self.known.object(list, id).map(|entry| Arc::clone(&entry.acl));
        let row = ObjectRow { id, last_modified: at, deleted: false, data };
        let put = if old_acl.is_some() { statement::replace } else { statement::put };
        self.keep(put(list, row))?;
        match (acl, &old_acl) {
            (Some(acl), Some(old)) if acl == &**old => {}
            (Some(acl), _) => self.keep(statement::set_acl(uri_of(list, id), acl))?,
            // Something else may have left entries behind.
            (None, None) if is_known => self.keep(statement::drop_acl(uri_of(list, id)))?,
            (None, _) => {}
        }
        self.moved(list, at)?;
        let acl = acl.map(|acl| Arc::new(acl.clone())).or(old_acl);
        match acl {
            Some(acl) => {
                let (id, data) = (id.to_owned(), data.to_owned());
                let object = Object { id, last_modified: at, deleted: false, data };
                let id = object.id.clone();
                self.known.set_object(list, &id, Some(Entry { object, acl }));
            }
            None => self.known.forget_object(list, id),
        }
        Ok(at)
    }

    fn set_acl(&mut self, list: &List, id: &str, acl: &Acl) -> Result<()> {
        self.require_object(list, id)?;
        if self.known.object(list, id).is_none() {
            return Ok(());
        }
        self.lock_list(list)?;
        self.keep(statement::set_acl(uri_of(list, id), acl))?;
        self.known.set_acl(list, id, acl.clone());
        Ok(())
    }

    fn delete(
        &mut self,
        list: &List,
        id: &str,
        last_modified: Option<Timestamp>,
    ) -> Result<Option<Timestamp>> {
        self.require_object(list, id)?;
        if self.known.object(list, id).is_none() {
            return Ok(None);
        }
        self.lock_list(list)?;
        let at = self.stamp(list, id, last_modified)?;
        let row = ObjectRow { id, last_modified: at, deleted: true, data: TOMBSTONE };
        self.keep(statement::replace(list, row))?;
        self.keep(statement::drop_acl(uri_of(list, id)))?;
        self.moved(list, at)?;
        self.known.set_object(list, id, None);
        Ok(Some(at))
    }

    fn erase(&mut self, list: &List, ids: &[String]) -> Result<()> {
        self.lock_list(list)?;
        // The newest may go.
        if let Some(end) = self.list_state(list)?.timestamp() {
            self.store_timestamp(list, end)?;
        }
        for id in ids {
            self.known.forget_object(list, id);
        }
        let [entries, objects] = statement::erase(list, ids);
        self.keep(entries)?;
        self.keep(objects)
    }

    fn delete_below(&mut self, uri: &str) -> Result<()> {
        self.require_write()?;
        let lock = Lock::Remove(uri.to_owned());
        if !self.held.contains(&lock) {
            self.take(BTreeSet::from([lock]));
        }
        for command in statement::remove_below(uri, self.shared.clock.now()) {
            self.keep(command)?;
        }
        self.known.forget_below(uri);
        Ok(())
    }

    fn shared(
        &mut self,
        list: &List,
        principals: &[String],
        permissions: &[&str],
    ) -> Result<Vec<String>> {
        self.require_snapshot()?;
        self.scan(list);
        self.texts(statement::shared(list, principals, permissions))
    }

    fn granted(&mut self, principals: &[String], resources: Option<&[&str]>) -> Result<Vec<Grant>> {
        const CHUNK: usize = 1000;
        let wants = |kind: &str| resources.is_none_or(|kinds| kinds.contains(&kind));
        let uris = self.texts(statement::granted(principals, wants("history")))?;
        let mut grants = Vec::with_capacity(uris.len());
        for chunk in uris.chunks(CHUNK) {
            let places = chunk.iter().flat_map(|uri| self.places(uri));
            let places: Vec<_> = places.filter(|(list, _)| wants(list.resource)).collect();
            let objects = places.iter().map(|(list, id)| (list, id.as_str())).collect();
            self.fetch(&Wish { objects, ..Wish::default() })?;
            for (list, id) in places {
                if let Some(acl) = self.acl(&list, &id)? {
                    grants.push(Grant { list, id, acl });
                }
            }
        }
        Ok(grants)
    }

    fn revoke(&mut self, principal: &str) -> Result<()> {
        self.require_write()?;
        self.known.forget_objects();
        self.keep(statement::revoke(principal))
    }

    fn groups(&mut self, members: &[&str]) -> Result<Arc<Vec<String>>> {
        if let Some(groups) = self.known.groups(members) {
            return Ok(Arc::new(groups));
        }
        let members: BTreeSet<_> = members.iter().copied().collect();
        self.fetch(&Wish { members: members.clone(), ..Wish::default() })?;
        let members: Vec<_> = members.into_iter().collect();
        Ok(Arc::new(self.known.groups(&members).unwrap_or_default()))
    }

    fn join(&mut self, member: &str, group: &str) -> Result<()> {
        self.change_groups(statement::join(member, group))
    }

    fn leave(&mut self, member: &str, group: &str) -> Result<()> {
        self.change_groups(statement::leave(member, group))
    }

    fn disband(&mut self, group: &str) -> Result<()> {
        self.change_groups(statement::disband(group))
    }

    fn leave_all(&mut self, member: &str) -> Result<()> {
        self.change_groups(statement::leave_all(member))
    }

    fn flush(&mut self) -> Result<()> {
        self.require_write()?;
        for command in statement::remove_all(self.shared.clock.now()) {
            self.keep(command)?;
        }
        self.forget_messages()?;
        self.known.clear();
        Ok(())
    }

    fn lists(&mut self, after: Option<&List>, limit: usize) -> Result<Vec<(List, Timestamp)>> {
        self.require_snapshot()?;
        let (mut lists, resources) = (Vec::new(), &self.shared.resources);
        self.send(vec![statement::all_lists(after, limit)], &mut |_, mut row| {
            let (parent, resource) = (row.owned()?, resources.intern(row.text()?));
            lists.push((List::new(parent, resource), row.time()?));
            Ok(())
        })?;
        Ok(lists)
    }

    fn entries(
        &mut self,
        list: &List,
        after: Option<Timestamp>,
        visit: &mut VisitEntry<'_>,
    ) -> Result<()> {
        self.require_snapshot()?;
        let (mut scratch, mut is_done) = (String::new(), false);
        self.send(vec![statement::entries(list, after)], &mut |_, mut row| {
            if !is_done {
                let object = borrowed(&mut row, &mut scratch)?;
                let acl = row.optional_json()?.map(parse_acl).transpose()?.unwrap_or_default();
                is_done = visit(object, &acl)?.is_break();
            }
            Ok(())
        })
    }

    fn memberships(&mut self, after: Option<&Membership>, limit: usize) -> Result<Vec<Membership>> {
        self.require_snapshot()?;
        let mut memberships = Vec::new();
        self.send(vec![statement::memberships(after, limit)], &mut |_, mut row| {
            memberships.push(Membership { member: row.owned()?, group: row.owned()? });
            Ok(())
        })?;
        Ok(memberships)
    }

    fn restore(&mut self, list: &List, row: ObjectRow<'_>, acl: &Acl) -> Result<()> {
        self.lock_list(list)?;
        let at = row.last_modified;
        self.check_free(list, row.id, at)?;
        let before = self.list_state(list)?.timestamp();
        self.hold(list, at)?;
        let data = if row.deleted { TOMBSTONE } else { row.data };
        self.keep(statement::put(list, ObjectRow { data, ..row }))?;
        if before == Some(at) {
            self.keep(statement::redate(list, row.id, at))?;
        }
        let uri = uri_of(list, row.id);
        let is_bare = row.deleted || acl.0.is_empty();
        self.keep(if is_bare { statement::drop_acl(uri) } else { statement::set_acl(uri, acl) })?;
        self.moved(list, at)?;
        self.known.forget_object(list, row.id);
        Ok(())
    }

    fn restore_list(&mut self, list: &List, timestamp: Timestamp) -> Result<()> {
        self.lock_list(list)?;
        match self.list_state(list)?.timestamp() {
            Some(current) if current >= timestamp => Ok(()),
            Some(_) => self.store_timestamp(list, timestamp),
            None => {
                let start = self.start()?;
                self.store_timestamp(list, timestamp.max(start))
            }
        }
    }

    fn tombstones(
        &mut self,
        list: &List,
        keep: usize,
        before: Option<Timestamp>,
    ) -> Result<Option<Tombstones>> {
        self.require_snapshot()?;
        self.scan(list);
        let mut found = None;
        self.send(vec![statement::tombstones(list, keep, before)], &mut |_, mut row| {
            let count = row.int()?.unsigned_abs();
            found = row.optional_time()?.map(|latest| Tombstones { count, latest });
            Ok(())
        })?;
        Ok(found)
    }

    fn purge(&mut self, list: &List, latest: Timestamp, limit: usize) -> Result<u64> {
        self.lock_list(list)?;
        let state = self.list_state(list)?;
        // The newest row of the list may be among them.
        if let Some(timestamp) = state.timestamp().filter(|_| state.newest <= Some(latest)) {
            self.store_timestamp(list, timestamp)?;
        }
        self.changed(statement::purge(list, latest, limit))
    }

    fn move_below(&mut self, from: &str, to: &str) -> Result<()> {
        self.require_write()?;
        let records = |parent: &str| Lock::List(List::new(parent, "record"));
        let locks = [Lock::Remove(from.into()), Lock::Remove(to.into()), records(from)];
        let missing = locks.into_iter().filter(|lock| !self.held.contains(lock)).collect();
        self.take(missing);
        let now = self.shared.clock.now();
        let removal = statement::remove_below(to, now);
        for command in removal.into_iter().chain(statement::move_below(from, to, now)) {
            self.keep(command)?;
        }
        self.known.clear();
        Ok(())
    }

    fn recount(&mut self, _: &List) -> Result<Option<Recount>> {
        self.require_write().map(|()| None)
    }

    fn inspect(&mut self, found: &mut dyn FnMut(Flaw)) -> Result<()> {
        self.require_snapshot()?;
        self.send(inspect::questions(), &mut |_, mut row| {
            found(Flaw { place: row.owned()?, problem: row.owned()? });
            Ok(())
        })
    }

    fn mend(&mut self, limit: usize) -> Result<u64> {
        self.require_write()?;
        self.known.clear();
        let mut mended = 0;
        for command in inspect::remedies(limit) {
            mended += self.changed(command)?;
        }
        Ok(mended)
    }

    fn savepoint(&mut self) -> Result<()> {
        self.push_mark();
        Ok(())
    }

    fn release(&mut self) -> Result<()> {
        self.require_mark()?;
        self.pop_kept();
        Ok(())
    }

    fn rollback(&mut self) -> Result<()> {
        self.require_mark()?;
        self.pop_undone();
        Ok(())
    }
}

impl Tx<'_> {
    fn change_groups(&mut self, command: Command) -> Result<()> {
        self.require_write()?;
        self.known.forget_groups();
        self.keep(command)
    }

    /// Makes a change at once, and returns the number that it tells.
    fn changed(&mut self, command: Command) -> Result<u64> {
        self.changes += 1;
        let mut number = 0;
        self.send(vec![command], &mut |_, mut row| {
            number = row.int()?.unsigned_abs();
            Ok(())
        })?;
        Ok(number)
    }

    /// Shows the rows of a list.
    fn visit(&mut self, command: Command, visit: &mut Visit<'_>) -> Result<()> {
        self.require_snapshot()?;
        let (mut scratch, mut is_done) = (String::new(), false);
        self.send(vec![command], &mut |_, mut row| {
            if !is_done {
                is_done = visit(borrowed(&mut row, &mut scratch)?)?.is_break();
            }
            Ok(())
        })
    }

    fn texts(&mut self, command: Command) -> Result<Vec<String>> {
        self.require_snapshot()?;
        let mut texts = Vec::new();
        self.send(vec![command], &mut |_, mut row| {
            texts.push(row.owned()?);
            Ok(())
        })?;
        Ok(texts)
    }

    /// Where the object with this URI can be: the list and the id. At the root, some kinds of
    /// objects are each in a list of its own, under its own id; see [`uri_of`].
    fn places(&self, uri: &str) -> Vec<(List, String)> {
        let split = || {
            let (list_uri, id) = uri.rsplit_once('/')?;
            let (parent, plural) = list_uri.rsplit_once('/')?;
            Some((parent, self.shared.resources.intern(singular(plural)?), id))
        };
        let Some((parent, resource, id)) = split() else { return Vec::new() };
        let mut parents = vec![parent];
        if parent.is_empty() {
            parents.push(id);
        }
        parents.into_iter().map(|parent| (List::new(parent, resource), id.to_owned())).collect()
    }
}

/// An access control list, out of an object of permissions and principals.
fn parse_acl(text: &str) -> Result<Acl> {
    let acl = serde_json::from_str(text);
    acl.map(Acl).map_err(|_| run::internal("an access control list is not one"))
}

/// A row of a list.
fn borrowed<'a, 'r: 'a>(row: &mut Row<'r>, scratch: &'a mut String) -> Result<ObjectRow<'a>> {
    let (id, last_modified, deleted) = (row.text()?, row.time()?, row.bool()?);
    compact(row.json()?, scratch);
    Ok(ObjectRow { id, last_modified, deleted, data: scratch })
}
