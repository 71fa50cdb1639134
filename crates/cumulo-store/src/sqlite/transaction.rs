//! The port's transaction over a group: what work may do on the writer thread.

use std::{collections::HashSet, sync::Arc};

use cumulo_core::{
    object::{Acl, List, Row, TOMBSTONE, Timestamp},
    query::Query,
    store::{
        Entry, Error, Flaw, Grant, Membership, Recount, Result, Tombstones, Total, Transaction,
        Visit, VisitEntry,
    },
};
use rusqlite::{OptionalExtension, ToSql, params};

use super::{
    cache::{ListRow, Touched},
    connection::failed,
    group::{Savepoint, Undo, WriteTx},
    index, inspect,
    rows::{acl_text, bound},
    sql::{self, Source},
};
use crate::run;

/// How many ids of access control lists the writer remembers.
const MAX_ACL_IDS: usize = 10_000;

/// An object or a tombstone that is there before a write.
struct Before {
    deleted: bool,
    last_modified: i64,
    acl: Option<i64>,
}

impl Transaction for WriteTx<'_> {
    fn timestamp(&mut self, list: &List) -> Result<Timestamp> {
        if let Some(row) = self.list_row(list)? {
            return Ok(row.timestamp);
        }
        let start = self.shared.clock.now().max(self.floor()?.next());
        Ok(self.create_list(list, start)?.timestamp)
    }

    fn get(&mut self, list: &List, id: &str) -> Result<Option<Entry>> {
        match self.list_row(list)? {
            Some(row) => self.rows().get_in(row.id, id),
            None => Ok(None),
        }
    }

    fn acl(&mut self, list: &List, id: &str) -> Result<Option<Arc<Acl>>> {
        if self.is_touched(list, id) {
            return self.rows().acl(list, id);
        }
        if let Some(acl) = self.shared.cache.acl(list, id, Some(self.generation)) {
            return Ok(Some(acl));
        }
        let acl = self.rows().acl(list, id)?;
        if let Some(acl) = acl.as_ref().filter(|_| !self.changes.lists.contains_key(list)) {
            self.shared.cache.add_acl(list, id, acl, self.generation);
        }
        Ok(acl)
    }

    fn list(&mut self, list: &List, query: &Query, visit: &mut Visit<'_>) -> Result<()> {
        let sql = sql::select(self.source(list, query)?, query);
        self.rows().visit(sql, visit)
    }

    fn list_all(
        &mut self,
        resource: &'static str,
        query: &Query,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        self.rows().visit(sql::select(Source::All(resource), query), visit)
    }

    fn count(&mut self, list: &List, query: &Query) -> Result<u64> {
        if query.filters.is_empty() && query.ids.is_none() {
            return Ok(self.list_row(list)?.map_or(0, |row| row.live));
        }
        let sql = sql::count(self.source(list, query)?, query);
        self.rows().count(sql)
    }

    fn totals(&mut self) -> Result<Vec<Total>> {
        self.write_lists()?;
        self.rows().totals()
    }

    fn put(
        &mut self,
        list: &List,
        id: &str,
        last_modified: Option<Timestamp>,
        data: &str,
        acl: Option<&Acl>,
    ) -> Result<Timestamp> {
        self.write_undoable()?;
        let (row, stamp) = self.stamp(list, id, last_modified)?;
        let given = acl.map_or(Ok(None), |acl| self.acl_id(acl))?;
        // What comes with an access control list is mostly new: one look into the index will do.
        let inserted = acl.is_some() && self.insert(row.id, id, (0, stamp, given, data))?;
        let is_new = inserted
            || match self.before(row.id, id)? {
                None => self.insert(row.id, id, (0, stamp, given, data))?,
                Some(before) => {
                    let acl = if acl.is_some() { given } else { before.acl };
                    self.write()?;
                    self.replace(row.id, &before, (0, stamp, acl, data))?;
                    if !before.deleted && before.acl != acl {
                        self.touch(list, id);
                    }
                    before.deleted
                }
            };
        let timestamp = row.timestamp.max(stamp);
        let live = row.live + u64::from(is_new);
        self.set_list_row(list, Some(ListRow { timestamp, live, ..row }));
        Ok(stamp)
    }

    fn set_acl(&mut self, list: &List, id: &str, acl: &Acl) -> Result<()> {
        let Some((row, before)) = self.live(list, id)? else { return Ok(()) };
        self.write()?;
        let acl = self.acl_id(acl)?;
        self.execute(
            "UPDATE object SET acl = ?1 WHERE list = ?2 AND deleted = 0 AND last_modified = ?3",
            params![acl, row.id, before.last_modified],
        )?;
        self.touch(list, id);
        Ok(())
    }

    fn delete(
        &mut self,
        list: &List,
        id: &str,
        last_modified: Option<Timestamp>,
    ) -> Result<Option<Timestamp>> {
        let Some((row, before)) = self.live(list, id)? else { return Ok(None) };
        self.write()?;
        let (_, stamp) = self.stamp(list, id, last_modified)?;
        self.replace(row.id, &before, (1, stamp, None, TOMBSTONE))?;
        self.touch(list, id);
        let timestamp = row.timestamp.max(stamp);
        self.set_list_row(list, Some(ListRow { timestamp, live: row.live - 1, ..row }));
        Ok(Some(stamp))
    }

    fn erase(&mut self, list: &List, ids: &[String]) -> Result<()> {
        for id in ids {
            let Some((row, before)) = self.live(list, id)? else { continue };
            self.write()?;
            self.execute(
                "DELETE FROM object WHERE list = ?1 AND deleted = 0 AND last_modified = ?2",
                params![row.id, before.last_modified],
            )?;
            self.touch(list, id);
            self.set_list_row(list, Some(ListRow { live: row.live - 1, ..row }));
        }
        Ok(())
    }

    fn delete_below(&mut self, uri: &str) -> Result<()> {
        self.write()?;
        self.remove_lists(Some(uri))?;
        self.change_members(
            "DELETE FROM membership WHERE group_uri >= ?1 || '/' AND group_uri < ?1 || '0'",
            params![uri],
        )
    }

    fn shared(
        &mut self,
        list: &List,
        principals: &[String],
        permissions: &[&str],
    ) -> Result<Vec<String>> {
        self.rows().shared(list, principals, permissions)
    }

    fn granted(&mut self, principals: &[String], resources: Option<&[&str]>) -> Result<Vec<Grant>> {
        self.rows().granted(principals, resources)
    }

    fn revoke(&mut self, principal: &str) -> Result<()> {
        self.write()?;
        for id in self.rows().acls_naming(principal)? {
            for list in self.rows().lists_with(id)? {
                self.changes.touched.insert(list, Touched::All);
            }
            let mut acl = Acl::clone(&*self.rows().interned(Some(id))?);
            acl.remove_principal(principal);
            let left = self.acl_id(&acl)?;
            self.execute("UPDATE object SET acl = ?1 WHERE acl = ?2", params![left, id])?;
        }
        Ok(())
    }

    fn groups(&mut self, members: &[&str]) -> Result<Arc<Vec<String>>> {
        if self.changes.memberships {
            return self.rows().groups(members);
        }
        if let Some(groups) = self.shared.cache.groups(members, Some(self.generation)) {
            return Ok(groups);
        }
        let groups = self.rows().groups(members)?;
        self.shared.cache.add_groups(members, &groups, self.generation);
        Ok(groups)
    }

    fn join(&mut self, member: &str, group: &str) -> Result<()> {
        self.change_members(
            "INSERT OR IGNORE INTO membership (member, group_uri) VALUES (?1, ?2)",
            params![member, group],
        )
    }

    fn leave(&mut self, member: &str, group: &str) -> Result<()> {
        self.change_members(
            "DELETE FROM membership WHERE member = ?1 AND group_uri = ?2",
            params![member, group],
        )
    }

    fn disband(&mut self, group: &str) -> Result<()> {
        self.change_members("DELETE FROM membership WHERE group_uri = ?1", params![group])
    }

    fn leave_all(&mut self, member: &str) -> Result<()> {
        self.change_members("DELETE FROM membership WHERE member = ?1", params![member])
    }

    fn flush(&mut self) -> Result<()> {
        self.write()?;
        self.remove_lists(None)?;
        self.execute("DELETE FROM acl", &[])?;
        self.execute("DELETE FROM access", &[])?;
        self.execute("DELETE FROM message", &[])?;
        self.memo.acl_ids.clear();
        self.change_members("DELETE FROM membership", &[])
    }

    fn lists(&mut self, after: Option<&List>, limit: usize) -> Result<Vec<(List, Timestamp)>> {
        let mut lists = self.rows().lists(after, limit)?;
        for (list, timestamp) in &mut lists {
            if let Some(Some(row)) = self.changes.lists.get(list) {
                *timestamp = row.timestamp;
            }
        }
        Ok(lists)
    }

    fn entries(
        &mut self,
        list: &List,
        after: Option<Timestamp>,
        visit: &mut VisitEntry<'_>,
    ) -> Result<()> {
        self.rows().entries(list, after, visit)
    }

    fn memberships(&mut self, after: Option<&Membership>, limit: usize) -> Result<Vec<Membership>> {
        self.rows().memberships(after, limit)
    }

    fn restore(&mut self, list: &List, row: Row<'_>, acl: &Acl) -> Result<()> {
        self.write()?;
        let stamp = row.last_modified;
        let list_row = self.list_from(list, stamp)?;
        self.check_free(list_row.id, row.id, stamp)?;
        let state = if row.deleted {
            (1, stamp, None, TOMBSTONE)
        } else {
            (0, stamp, self.acl_id(acl)?, row.data)
        };
        let before = self.before(list_row.id, row.id)?;
        let was_live = before.as_ref().is_some_and(|before| !before.deleted);
        match before {
            Some(before) => _ = self.replace(list_row.id, &before, state)?,
            None => _ = self.insert(list_row.id, row.id, state)?,
        }
        if was_live {
            self.touch(list, row.id);
        }
        let timestamp = list_row.timestamp.max(stamp);
        let live = list_row.live + u64::from(!row.deleted) - u64::from(was_live);
        self.set_list_row(list, Some(ListRow { timestamp, live, ..list_row }));
        Ok(())
    }

    fn restore_list(&mut self, list: &List, timestamp: Timestamp) -> Result<()> {
        self.write()?;
        let row = self.list_from(list, timestamp)?;
        if row.timestamp < timestamp {
            self.set_list_row(list, Some(ListRow { timestamp, ..row }));
        }
        Ok(())
    }

    fn tombstones(
        &mut self,
        list: &List,
        keep: usize,
        before: Option<Timestamp>,
    ) -> Result<Option<Tombstones>> {
        self.rows().tombstones(list, keep, before)
    }

    fn purge(&mut self, list: &List, latest: Timestamp, limit: usize) -> Result<u64> {
        self.write()?;
        let Some(row) = self.list_row(list)? else { return Ok(0) };
        let purged = self.execute(
            "DELETE FROM object WHERE list = ?1 AND deleted = 1 AND last_modified IN (
                SELECT last_modified FROM object
                WHERE list = ?1 AND deleted = 1 AND last_modified <= ?2
                ORDER BY last_modified LIMIT ?3)",
            params![row.id, latest.0, bound(limit)],
        )?;
        Ok(purged as u64)
    }

    fn move_below(&mut self, from: &str, to: &str) -> Result<()> {
        self.delete_below(to)?;
        let (start, now) = (self.floor()?.next(), self.shared.clock.now());
        for (list, id, end) in self.lists_below(Some(from))? {
            let parent = to.to_owned() + list.parent.strip_prefix(from).unwrap_or_default();
            self.move_list(&list, &List::new(parent, list.resource), (id, end), start)?;
            self.leave_end(&list, end, now)?;
        }
        self.change_members(
            "UPDATE membership SET group_uri = ?2 || substr(group_uri, length(?1) + 1)
             WHERE group_uri >= ?1 || '/' AND group_uri < ?1 || '0'",
            params![from, to],
        )
    }

    fn recount(&mut self, list: &List) -> Result<Option<Recount>> {
        self.write()?;
        let Some(row) = self.list_row(list)? else { return Ok(None) };
        let counted = self.rows().count(sql::count(Source::Id(row.id), &Query::default()))?;
        if counted != row.live {
            self.set_list_row(list, Some(ListRow { live: counted, ..row }));
        }
        Ok(Some(Recount { kept: row.live, counted }))
    }

    fn inspect(&mut self, found: &mut dyn FnMut(Flaw)) -> Result<()> {
        self.write_lists()?;
        inspect::run(self.rows(), found)
    }

    fn mend(&mut self, limit: usize) -> Result<u64> {
        self.write()?;
        let orphans = inspect::orphans(self.rows(), limit)?;
        for orphan in &orphans {
            self.leave(&orphan.member, &orphan.group)?;
        }
        Ok(orphans.len() as u64)
    }

    fn savepoint(&mut self) -> Result<()> {
        self.savepoints.push(Savepoint { opened: None, undo: self.undo.len() });
        Ok(())
    }

    fn release(&mut self) -> Result<()> {
        if self.savepoints.len() == 1 { Err(run::no_savepoint()) } else { self.keep() }
    }

    fn rollback(&mut self) -> Result<()> {
        if self.savepoints.len() == 1 { Err(run::no_savepoint()) } else { self.undo() }
    }
}

impl WriteTx<'_> {
    /// How a query names its list.
    fn source<'l>(&mut self, list: &'l List, query: &Query) -> Result<Source<'l>> {
        if !sql::looks_into_data(query) {
            return Ok(Source::Named(list));
        }
        let row = self.list_row(list)?.filter(|row| self.shared.indexes.cover(row.id));
        Ok(row.map_or(Source::Named(list), |row| Source::Id(row.id)))
    }

    fn create_list(&mut self, list: &List, timestamp: Timestamp) -> Result<ListRow> {
        self.write()?;
        let row = ListRow { id: self.memo.next_list, timestamp, live: 0 };
        self.memo.next_list += 1;
        self.shared.resources.note(list.resource);
        self.execute(
            "INSERT INTO list (id, parent, resource, last_modified, live) VALUES (?1, ?2, ?3, ?4, 0)",
            params![row.id, list.parent, list.resource, timestamp.0],
        )?;
        self.set_list_row(list, Some(row));
        Ok(row)
    }

    /// The row of a list, which starts with `timestamp` if it is new and may start so early.
    fn list_from(&mut self, list: &List, timestamp: Timestamp) -> Result<ListRow> {
        match self.list_row(list)? {
            Some(row) => Ok(row),
            None => self.create_list(list, timestamp.max(self.floor()?.next())),
        }
    }

    fn floor(&self) -> Result<Timestamp> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT value FROM metadata WHERE name = 'floor'")
            .map_err(failed)?;
        statement.query_row([], |row| row.get(0)).map(Timestamp).map_err(failed)
    }

    /// Chooses the timestamp of a change to the object `id`, creating the list if need be.
    fn stamp(
        &mut self,
        list: &List,
        id: &str,
        asked: Option<Timestamp>,
    ) -> Result<(ListRow, Timestamp)> {
        let now = self.shared.clock.now();
        let Some(row) = self.list_row(list)? else {
            let start = self.floor()?.next();
            let stamp = asked.unwrap_or_else(|| now.max(start));
            return Ok((self.create_list(list, stamp.max(start))?, stamp));
        };
        match asked.filter(|&asked| asked != row.timestamp) {
            Some(asked) => {
                self.check_free(row.id, id, asked)?;
                Ok((row, asked))
            }
            None if row.timestamp.next() == row.timestamp => {
                Err(Error::TimestampTaken(row.timestamp))
            }
            None => Ok((row, now.max(row.timestamp.next()))),
        }
    }

    /// Fails if another object of the list has this timestamp.
    fn check_free(&self, list: i64, id: &str, asked: Timestamp) -> Result<()> {
        const SQL: &str = "SELECT 1 FROM object
            WHERE list = ?1 AND deleted IN (0, 1) AND last_modified = ?2 AND id <> ?3";
        let mut statement = self.connection.prepare_cached(SQL).map_err(failed)?;
        if statement.exists(params![list, asked.0, id]).map_err(failed)? {
            return Err(Error::TimestampTaken(asked));
        }
        Ok(())
    }

    /// What has this id, dead or alive.
    fn before(&self, list: i64, id: &str) -> Result<Option<Before>> {
        const SQL: &str =
            "SELECT deleted, last_modified, acl FROM object WHERE list = ?1 AND id = ?2";
        let mut statement = self.connection.prepare_cached(SQL).map_err(failed)?;
        let before = statement.query_row(params![list, id], |row| {
            Ok(Before { deleted: row.get(0)?, last_modified: row.get(1)?, acl: row.get(2)? })
        });
        before.optional().map_err(failed)
    }

    /// The live object with this id, and its list.
    fn live(&mut self, list: &List, id: &str) -> Result<Option<(ListRow, Before)>> {
        let Some(row) = self.list_row(list)? else { return Ok(None) };
        let before = self.before(row.id, id)?.filter(|before| !before.deleted);
        Ok(before.map(|before| (row, before)))
    }

    /// The id of an access control list, which is stored if it is new.
    fn acl_id(&mut self, acl: &Acl) -> Result<Option<i64>> {
        if acl.0.is_empty() {
            return Ok(None);
        }
        if let Some(&id) = self.memo.acl_ids.get(acl) {
            return Ok(Some(id));
        }
        let text = acl_text(acl)?;
        let found = {
            let mut statement = self
                .connection
                .prepare_cached("SELECT id FROM acl WHERE text = ?1")
                .map_err(failed)?;
            statement.query_row([&text], |row| row.get(0)).optional().map_err(failed)?
        };
        let id = match found {
            Some(id) => id,
            None => self.store_acl(acl, &text)?,
        };
        let acl = Arc::new(acl.clone());
        self.shared.cache.intern(id, &acl);
        if self.memo.acl_ids.len() >= MAX_ACL_IDS {
            self.memo.acl_ids.clear();
        }
        self.memo.acl_ids.insert(Arc::clone(&acl), id);
        self.undo.push(Undo::AclId(acl));
        Ok(Some(id))
    }

    fn store_acl(&mut self, acl: &Acl, text: &str) -> Result<i64> {
        self.write()?;
        let id = self.memo.next_acl;
        self.memo.next_acl += 1;
        self.execute("INSERT INTO acl (id, text) VALUES (?1, ?2)", params![id, text])?;
        for (permission, principals) in &acl.0 {
            for principal in principals {
                self.execute(
                    "INSERT INTO access (principal, permission, acl) VALUES (?1, ?2, ?3)",
                    params![principal, permission, id],
                )?;
            }
        }
        Ok(id)
    }

    /// Notes that the access control list of an object is another than the cache may know.
    fn touch(&mut self, list: &List, id: &str) {
        let none = || Touched::Some(HashSet::new());
        if let Touched::Some(ids) = self.changes.touched.entry(list.clone()).or_insert_with(none) {
            ids.insert(id.to_owned());
        }
    }

    fn is_touched(&self, list: &List, id: &str) -> bool {
        match self.changes.touched.get(list) {
            None => false,
            Some(Touched::All) => true,
            Some(Touched::Some(ids)) => ids.contains(id),
        }
    }

    /// Empties a list and forgets it, or, if its timestamp is ahead of the clock, moves that.
    fn remove_list(&mut self, list: &List, id: i64, end: Timestamp, now: Timestamp) -> Result<()> {
        self.execute("DELETE FROM object WHERE list = ?1", params![id])?;
        self.changes.touched.insert(list.clone(), Touched::All);
        if self.shared.indexes.cover(id) {
            index::drop_all(self.connection, id).map_err(failed)?;
            self.changes.emptied.push(id);
            self.undo.push(Undo::Emptied);
        }
        if end > now {
            let row = ListRow { id, timestamp: end.next(), live: 0 };
            self.set_list_row(list, Some(row));
            return Ok(());
        }
        self.execute("DELETE FROM list WHERE id = ?1", params![id])?;
        self.leave_end(list, end, now)
    }

    /// Keeps a list that is gone from starting anew before its end.
    fn leave_end(&mut self, list: &List, end: Timestamp, now: Timestamp) -> Result<()> {
        if end > now {
            return self.create_list(list, end.next()).map(drop);
        }
        self.set_list_row(list, None);
        self.execute(
            "UPDATE metadata SET value = max(value, ?1) WHERE name = 'floor'",
            params![end.0],
        )?;
        Ok(())
    }

    /// Gives a list, which has this id and this timestamp, another name, in the place of an empty
    /// one; it is not earlier than that or than `start`.
    fn move_list(
        &mut self,
        from: &List,
        to: &List,
        (id, end): (i64, Timestamp),
        start: Timestamp,
    ) -> Result<()> {
        let mut timestamp = end.max(start);
        if let Some(present) = self.list_row(to)? {
            timestamp = timestamp.max(present.timestamp);
            self.execute("DELETE FROM list WHERE id = ?1", params![present.id])?;
        }
        let live = self.list_row(from)?.map_or(0, |row| row.live);
        self.execute("UPDATE list SET parent = ?2 WHERE id = ?1", params![id, to.parent])?;
        self.set_list_row(to, Some(ListRow { id, timestamp, live }));
        for list in [from, to] {
            self.changes.touched.insert(list.clone(), Touched::All);
        }
        Ok(())
    }

    /// Removes the lists of objects at or below `uri`, or all.
    fn remove_lists(&mut self, uri: Option<&str>) -> Result<()> {
        let (lists, now) = (self.lists_below(uri)?, self.shared.clock.now());
        lists.iter().try_for_each(|(list, id, end)| self.remove_list(list, *id, *end, now))
    }

    /// The lists of objects at or below `uri`, or all, with their ids and timestamps.
    fn lists_below(&mut self, uri: Option<&str>) -> Result<Vec<(List, i64, Timestamp)>> {
        const BELOW: &str = "SELECT parent, resource, id, last_modified FROM list
            WHERE parent = ?1 OR (parent >= ?1 || '/' AND parent < ?1 || '0')";
        const ALL: &str = "SELECT parent, resource, id, last_modified FROM list WHERE ?1 IS NULL";
        self.write_lists()?;
        let sql = if uri.is_some() { BELOW } else { ALL };
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let lists = statement.query_map([uri], |row| {
            let resource = self.shared.resources.intern(row.get_ref(1)?.as_str()?);
            let list = List::new(row.get::<_, String>(0)?, resource);
            Ok((list, row.get(2)?, Timestamp(row.get(3)?)))
        });
        lists.map_err(failed)?.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    /// Changes memberships.
    fn change_members(&mut self, sql: &str, params: &[&dyn ToSql]) -> Result<()> {
        self.write()?;
        if self.execute(sql, params)? > 0 {
            self.changes.memberships = true;
        }
        Ok(())
    }

    /// Adds an object or a tombstone, unless something has its id. That something has its timestamp
    /// is an error.
    fn insert(
        &mut self,
        list: i64,
        id: &str,
        (deleted, stamp, acl, data): (i64, Timestamp, Option<i64>, &str),
    ) -> Result<bool> {
        let inserted = self.execute(
            "INSERT INTO object (list, deleted, last_modified, id, acl, data)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (list, id) DO NOTHING",
            params![list, deleted, stamp.0, id, acl, data],
        )?;
        self.undo.extend((inserted > 0).then_some(Undo::Inserted(list, stamp)));
        Ok(inserted > 0)
    }

    /// Puts a new state in the place of what was before.
    fn replace(
        &self,
        list: i64,
        before: &Before,
        (deleted, stamp, acl, data): (i64, Timestamp, Option<i64>, &str),
    ) -> Result<usize> {
        self.execute(
            "UPDATE object SET deleted = ?1, last_modified = ?2, acl = ?3, data = ?4
             WHERE list = ?5 AND deleted = ?6 AND last_modified = ?7",
            params![deleted, stamp.0, acl, data, list, before.deleted, before.last_modified],
        )
    }
}
