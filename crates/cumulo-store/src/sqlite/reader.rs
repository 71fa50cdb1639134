//! Transactions that read: a pool of connections, each on its own snapshot.
//!
//! A connection keeps its snapshot for the next transaction as long as nothing is committed: to
//! begin one costs two system calls, as much as a point read.

use std::{
    ops::Deref,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use cumulo_core::{
    object::{Acl, List, Row, Timestamp},
    query::Query,
    store::{
        Entry, Error, Flaw, Grant, Membership, Recount, Result, Tombstones, Total, Transaction,
        Visit, VisitEntry, Work,
    },
};

use super::{
    Shared,
    cache::{Generation, ListRow},
    connection::{Reader, failed},
    index, inspect,
    rows::Rows,
    sql::{self, Source},
};
use crate::run;

/// The connections that read. They are opened when they are needed first.
#[derive(Default)]
pub(super) struct Pool {
    state: Mutex<PoolState>,
    returned: Condvar,
}

#[derive(Default)]
struct PoolState {
    idle: Vec<Reader>,
    open: usize,
    closed: bool,
}

impl Pool {
    /// Closes all connections; waits for those that are in use.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        self.returned.notify_all();
        loop {
            state.open -= state.idle.drain(..).count();
            if state.open == 0 {
                return;
            }
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the snapshots of idle connections, so that the log can be written back and reused.
    pub(super) fn end_snapshots(&self) {
        let mut state = self.state();
        let before = state.idle.len();
        state.idle.retain_mut(|reader| reader.end().is_ok());
        state.open -= before - state.idle.len();
    }

    pub(super) fn take(&self, shared: &Shared) -> Result<Reader> {
        let mut state = self.state();
        loop {
            if state.closed {
                return Err(run::closed());
            }
            if let Some(reader) = state.idle.pop() {
                return Ok(reader);
            }
            if state.open < shared.options.readers.max(1) {
                state.open += 1;
                break;
            }
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        Reader::open(&shared.path, &shared.options).map_err(|error| {
            self.give_back(None);
            failed(error)
        })
    }

    /// Takes back a connection, or the place of one that is no more.
    pub(super) fn give_back(&self, reader: Option<Reader>) {
        let mut state = self.state();
        match reader {
            Some(reader) => state.idle.push(reader),
            None => state.open -= 1,
        }
        drop(state);
        self.returned.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection on a snapshot.
struct Snapshot<'a> {
    reader: Option<Reader>,
    /// The cache's state before the snapshot began.
    generation: Generation,
    shared: &'a Shared,
}

impl<'a> Snapshot<'a> {
    /// Takes a connection, whose last snapshot will do if nothing was committed since.
    fn begin(shared: &'a Shared) -> Result<Self> {
        let reader = shared.pool.take(shared)?;
        let generation = reader.snapshot.unwrap_or_else(|| shared.cache.generation());
        let mut snapshot = Self { reader: Some(reader), generation, shared };
        snapshot.refresh().map_err(failed)?;
        Ok(snapshot)
    }

    fn refresh(&mut self) -> rusqlite::Result<()> {
        let reader = self.reader.as_mut().expect("it is given back in drop only");
        if reader.snapshot.is_some() && self.shared.cache.is_current(self.generation) {
            return Ok(());
        }
        reader.end()?;
        self.generation = self.shared.cache.generation();
        reader.begin(self.generation)
    }
}

impl Deref for Snapshot<'_> {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        self.reader.as_ref().expect("it is given back in drop only")
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        // The engine ends a transaction by itself only when it is in trouble.
        let mut reader = self.reader.take().filter(|reader| !reader.connection.is_autocommit());
        if !self.shared.cache.is_current(self.generation) {
            reader = reader.and_then(|mut reader| reader.end().is_ok().then_some(reader));
        }
        self.shared.pool.give_back(reader);
    }
}

/// A transaction that reads. Its snapshot begins when the caches don't know an answer.
pub(super) struct ReadTx<'a> {
    shared: &'a Shared,
    snapshot: Option<Snapshot<'a>>,
    savepoints: usize,
    slow: Vec<Slow>,
}

/// A query that had to look into much data of a list.
pub(super) struct Slow {
    pub(super) list: i64,
    pub(super) query: Query,
}

/// Runs `work` in one, and tells what was slow.
pub(super) fn run(shared: &Shared, work: &mut Work) -> (Result<()>, Vec<Slow>) {
    let mut tx = ReadTx { shared, snapshot: None, savepoints: 0, slow: Vec::new() };
    let result = run::guarded(work, &mut tx).map(drop);
    (result, tx.slow)
}

impl<'a> ReadTx<'a> {
    /// The database, on a snapshot that begins now if none has.
    pub(super) fn rows(&mut self) -> Result<(Rows<'_>, Generation)> {
        let shared = self.shared;
        let snapshot = match self.snapshot.take() {
            Some(snapshot) => snapshot,
            None => Snapshot::begin(shared)?,
        };
        let snapshot: &Snapshot<'a> = self.snapshot.insert(snapshot);
        Ok((Rows { connection: &snapshot.connection, shared }, snapshot.generation))
    }

    fn generation(&self) -> Option<Generation> {
        self.snapshot.as_ref().map(|snapshot| snapshot.generation)
    }

    /// Asks one list. `ask` returns how many rows it met and a value.
    fn query<T>(
        &mut self,
        list: &List,
        query: &Query,
        ask: impl FnOnce(Rows<'_>, Source<'_>) -> Result<(u64, T)>,
    ) -> Result<T> {
        if !sql::looks_into_data(query) {
            return Ok(ask(self.rows()?.0, Source::Named(list))?.1);
        }
        // The id must be of the same state as the objects.
        self.rows()?;
        let Some(row) = self.list_row(list)? else {
            return Ok(ask(self.rows()?.0, Source::Named(list))?.1);
        };
        let covered = self.shared.indexes.cover(row.id);
        let source = if covered { Source::Id(row.id) } else { Source::Named(list) };
        let before = self.looked();
        let (met, value) = ask(self.rows()?.0, source)?;
        let looked = self.looked().saturating_sub(before);
        if self.shared.options.auto_index && looked > met.saturating_add(index::PATIENCE) {
            self.slow.push(Slow { list: row.id, query: query.clone() });
        }
        Ok(value)
    }

    fn looked(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |snapshot| snapshot.looked())
    }

    fn list_row(&mut self, list: &List) -> Result<Option<ListRow>> {
        if let Some(row) = self.shared.cache.list(list, self.generation()) {
            return Ok(Some(row));
        }
        let (rows, generation) = self.rows()?;
        let row = rows.list_row(list)?;
        if let Some(row) = row {
            rows.shared.cache.add_list(list, row, generation);
        }
        Ok(row)
    }
}

impl Transaction for ReadTx<'_> {
    fn timestamp(&mut self, list: &List) -> Result<Timestamp> {
        self.list_row(list)?.map(|row| row.timestamp).ok_or(Error::ReadOnly)
    }

    fn get(&mut self, list: &List, id: &str) -> Result<Option<Entry>> {
        self.rows()?.0.get(list, id)
    }

    fn acl(&mut self, list: &List, id: &str) -> Result<Option<Arc<Acl>>> {
        if let Some(acl) = self.shared.cache.acl(list, id, self.generation()) {
            return Ok(Some(acl));
        }
        let (rows, generation) = self.rows()?;
        let acl = rows.acl(list, id)?;
        if let Some(acl) = &acl {
            rows.shared.cache.add_acl(list, id, acl, generation);
        }
        Ok(acl)
    }

    fn list(&mut self, list: &List, query: &Query, visit: &mut Visit<'_>) -> Result<()> {
        self.query(list, query, |rows, source| {
            let mut returned = 0;
            let sql = sql::select(source, query);
            rows.visit(sql, &mut |row| {
                returned += 1;
                visit(row)
            })?;
            Ok((returned, ()))
        })
    }

    fn list_all(
        &mut self,
        resource: &'static str,
        query: &Query,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        self.rows()?.0.visit(sql::select(Source::All(resource), query), visit)
    }

    fn count(&mut self, list: &List, query: &Query) -> Result<u64> {
        if query.filters.is_empty() && query.ids.is_none() {
            return Ok(self.list_row(list)?.map_or(0, |row| row.live));
        }
        self.query(list, query, |rows, source| {
            let count = rows.count(sql::count(source, query))?;
            Ok((count, count))
        })
    }

    fn totals(&mut self) -> Result<Vec<Total>> {
        self.rows()?.0.totals()
    }

    fn shared(
        &mut self,
        list: &List,
        principals: &[String],
        permissions: &[&str],
    ) -> Result<Vec<String>> {
        self.rows()?.0.shared(list, principals, permissions)
    }

    fn granted(&mut self, principals: &[String], resources: Option<&[&str]>) -> Result<Vec<Grant>> {
        self.rows()?.0.granted(principals, resources)
    }

    fn revoke(&mut self, _: &str) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn groups(&mut self, members: &[&str]) -> Result<Arc<Vec<String>>> {
        if let Some(groups) = self.shared.cache.groups(members, self.generation()) {
            return Ok(groups);
        }
        let (rows, generation) = self.rows()?;
        let groups = rows.groups(members)?;
        rows.shared.cache.add_groups(members, &groups, generation);
        Ok(groups)
    }

    fn lists(&mut self, after: Option<&List>, limit: usize) -> Result<Vec<(List, Timestamp)>> {
        self.rows()?.0.lists(after, limit)
    }

    fn entries(
        &mut self,
        list: &List,
        after: Option<Timestamp>,
        visit: &mut VisitEntry<'_>,
    ) -> Result<()> {
        self.rows()?.0.entries(list, after, visit)
    }

    fn memberships(&mut self, after: Option<&Membership>, limit: usize) -> Result<Vec<Membership>> {
        self.rows()?.0.memberships(after, limit)
    }

    fn tombstones(
        &mut self,
        list: &List,
        keep: usize,
        before: Option<Timestamp>,
    ) -> Result<Option<Tombstones>> {
        self.rows()?.0.tombstones(list, keep, before)
    }

    fn inspect(&mut self, found: &mut dyn FnMut(Flaw)) -> Result<()> {
        inspect::run(self.rows()?.0, found)
    }

    fn savepoint(&mut self) -> Result<()> {
        self.savepoints += 1;
        Ok(())
    }

    fn release(&mut self) -> Result<()> {
        self.savepoints = self.savepoints.checked_sub(1).ok_or_else(run::no_savepoint)?;
        Ok(())
    }

    fn rollback(&mut self) -> Result<()> {
        self.release()
    }

    fn put(
        &mut self,
        _: &List,
        _: &str,
        _: Option<Timestamp>,
        _: &str,
        _: Option<&Acl>,
    ) -> Result<Timestamp> {
        Err(Error::ReadOnly)
    }

    fn set_acl(&mut self, _: &List, _: &str, _: &Acl) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn delete(&mut self, _: &List, _: &str, _: Option<Timestamp>) -> Result<Option<Timestamp>> {
        Err(Error::ReadOnly)
    }

    fn erase(&mut self, _: &List, _: &[String]) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn delete_below(&mut self, _: &str) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn join(&mut self, _: &str, _: &str) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn leave(&mut self, _: &str, _: &str) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn disband(&mut self, _: &str) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn leave_all(&mut self, _: &str) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn flush(&mut self) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn restore(&mut self, _: &List, _: Row<'_>, _: &Acl) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn restore_list(&mut self, _: &List, _: Timestamp) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn purge(&mut self, _: &List, _: Timestamp, _: usize) -> Result<u64> {
        Err(Error::ReadOnly)
    }

    fn move_below(&mut self, _: &str, _: &str) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn recount(&mut self, _: &List) -> Result<Option<Recount>> {
        Err(Error::ReadOnly)
    }

    fn mend(&mut self, _: usize) -> Result<u64> {
        Err(Error::ReadOnly)
    }
}
