//! Transactions that read: a pool of connections, each on its own snapshot.

use std::{
    ops::Deref,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use cumulo_core::{
    object::{Acl, List, Row, Timestamp},
    query::Query,
    store::{Entry, Error, Grant, Result, Transaction, Work},
};

use super::{
    Shared,
    cache::{Generation, ListRow},
    connection::{Reader, failed},
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

    fn take(&self, shared: &Shared) -> Result<Reader> {
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
    fn give_back(&self, reader: Option<Reader>) {
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
    pool: &'a Pool,
}

impl<'a> Snapshot<'a> {
    fn begin(shared: &'a Shared) -> Result<Self> {
        let reader = shared.pool.take(shared)?;
        let generation = shared.cache.generation();
        let begun = Self { reader: Some(reader), generation, pool: &shared.pool };
        begun.execute("BEGIN").map_err(failed)?;
        Ok(begun)
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
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
        let ended = self.execute("COMMIT").or_else(|_| self.execute("ROLLBACK")).is_ok();
        self.pool.give_back(self.reader.take().filter(|_| ended));
    }
}

/// A transaction that reads. Its snapshot begins when the caches don't know an answer.
pub(super) struct ReadTx<'a> {
    shared: &'a Shared,
    snapshot: Option<Snapshot<'a>>,
    savepoints: usize,
}

/// Runs `work` in one.
pub(super) fn run(shared: &Shared, work: &mut Work) -> Result<()> {
    let mut tx = ReadTx { shared, snapshot: None, savepoints: 0 };
    run::guarded(work, &mut tx).map(drop)
}

impl<'a> ReadTx<'a> {
    /// The database, on a snapshot that begins now if none has.
    fn rows(&mut self) -> Result<(Rows<'_>, Generation)> {
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

    fn list(
        &mut self,
        list: &List,
        query: &Query,
        visit: &mut dyn FnMut(Row<'_>) -> Result<()>,
    ) -> Result<()> {
        self.rows()?.0.visit(sql::select(Source::Named(list), query), visit)
    }

    fn count(&mut self, list: &List, query: &Query) -> Result<u64> {
        if query.filters.is_empty() && query.ids.is_none() {
            return Ok(self.list_row(list)?.map_or(0, |row| row.live));
        }
        self.rows()?.0.count(sql::count(Source::Named(list), query))
    }

    fn shared(
        &mut self,
        list: &List,
        principals: &[String],
        permissions: &[&str],
    ) -> Result<Vec<String>> {
        self.rows()?.0.shared(list, principals, permissions)
    }

    fn granted(&mut self, principals: &[String]) -> Result<Vec<Grant>> {
        self.rows()?.0.granted(principals)
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
}
