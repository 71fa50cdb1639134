//! A group of works that the writer commits together.
//!
//! Savepoints of the engine are opened when something is written, not before, so work that only
//! looks costs nothing. A new object needs none: it is undone by its removal. Timestamps and counts of lists are kept in [`Changes`] and written once,
//! before the commit.

use std::{collections::HashMap, sync::Arc};

use cumulo_core::{
    object::{Acl, List, Timestamp},
    store::{Outcome, Result, Work},
};
use rusqlite::{Connection, ToSql, params};

use super::{
    Shared,
    cache::{Changes, Generation, ListRow},
    connection::failed,
    rows::Rows,
};
use crate::run;

/// What the writer remembers from one group to the next.
pub(super) struct Memo {
    /// Ids of access control lists that are in the database.
    pub(super) acl_ids: HashMap<Arc<Acl>, i64>,
    /// Ids that were never given out, even by what was rolled back.
    pub(super) next_list: i64,
    pub(super) next_acl: i64,
}

/// A group of works that commit together.
pub(super) struct WriteTx<'a> {
    pub(super) connection: &'a Connection,
    pub(super) shared: &'a Shared,
    pub(super) memo: &'a mut Memo,
    pub(super) generation: Generation,
    pub(super) changes: Changes,
    pub(super) undo: Vec<Undo>,
    /// The open savepoints; the first is that of the work itself.
    pub(super) savepoints: Vec<Savepoint>,
    begun: bool,
    /// Whether the work of one could not be told from that of others.
    broken: bool,
}

/// How to undo a change that is not in the engine, or that it can't undo by itself.
pub(super) enum Undo {
    /// This list has a new object with this timestamp.
    Inserted(i64, Timestamp),
    /// The list had this row, or none, by an earlier change.
    List(List, Option<ListRow>),
    /// The list was not changed before.
    Unchanged(List),
    AclId(Arc<Acl>),
    Emptied,
}

pub(super) struct Savepoint {
    /// How many changes came before the engine was told of it, if it was.
    pub(super) opened: Option<usize>,
    /// How many changes came before it.
    pub(super) undo: usize,
}

impl<'a> WriteTx<'a> {
    pub(super) fn new(connection: &'a Connection, shared: &'a Shared, memo: &'a mut Memo) -> Self {
        Self {
            connection,
            shared,
            memo,
            generation: shared.cache.generation(),
            changes: Changes::default(),
            undo: Vec::new(),
            savepoints: Vec::new(),
            begun: false,
            broken: false,
        }
    }

    /// Runs one work of the group; if it fails, only its own changes are undone.
    pub(super) fn run(&mut self, work: &mut Work) -> Result<()> {
        self.savepoints = vec![Savepoint { opened: None, undo: self.undo.len() }];
        let outcome = run::guarded(work, self);
        self.savepoints.truncate(1);
        let ended = match outcome {
            Ok(Outcome::Commit) => self.keep(),
            Ok(Outcome::Rollback) | Err(_) => self.undo(),
        };
        self.broken |= ended.is_err();
        outcome.and(ended)
    }

    /// Whether the group can't be committed: the engine may have rolled back all of it, as it does
    /// when it is in trouble.
    pub(super) fn is_lost(&self) -> bool {
        self.broken || self.begun && self.connection.is_autocommit()
    }

    /// Whether anything was begun that must be ended.
    pub(super) fn is_begun(&self) -> bool {
        self.begun
    }

    /// Commits the group; its changes are then to be applied to the cache.
    pub(super) fn commit(mut self) -> Result<Changes> {
        self.write_lists()?;
        self.execute("COMMIT", &[])?;
        Ok(self.changes)
    }

    pub(super) fn rows(&self) -> Rows<'_> {
        Rows { connection: self.connection, shared: self.shared }
    }

    pub(super) fn execute(&self, sql: &str, params: &[&dyn ToSql]) -> Result<usize> {
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        statement.execute(params).map_err(failed)
    }

    /// Makes the engine's transaction and savepoints what they are meant to be.
    pub(super) fn write(&mut self) -> Result<()> {
        self.open(self.savepoints.len())
    }

    /// The same without the innermost savepoint: enough for changes that [`Undo`] tells how to undo.
    /// The outer ones must not come later, or they would bring back what an inner one has undone.
    pub(super) fn write_undoable(&mut self) -> Result<()> {
        self.open(self.savepoints.len().saturating_sub(1))
    }

    /// Begins the engine's transaction, and opens this many savepoints there.
    fn open(&mut self, count: usize) -> Result<()> {
        if !self.begun {
            self.execute("BEGIN IMMEDIATE", &[])?;
            self.begun = true;
        }
        let known = self.savepoints.iter().rposition(|savepoint| savepoint.opened.is_some());
        for n in known.map_or(0, |n| n + 1)..count {
            self.execute(&format!("SAVEPOINT s{n}"), &[])?;
            self.savepoints[n].opened = Some(self.undo.len());
        }
        Ok(())
    }

    /// Ends the innermost savepoint and keeps its changes.
    pub(super) fn keep(&mut self) -> Result<()> {
        let savepoint = self.savepoints.pop().ok_or_else(run::no_savepoint)?;
        if savepoint.opened.is_some() {
            self.execute(&format!("RELEASE s{}", self.savepoints.len()), &[])?;
        }
        Ok(())
    }

    /// Ends the innermost savepoint and undoes its changes.
    pub(super) fn undo(&mut self) -> Result<()> {
        let savepoint = self.savepoints.pop().ok_or_else(run::no_savepoint)?;
        if savepoint.opened.is_some() {
            let name = self.savepoints.len();
            self.execute(&format!("ROLLBACK TO s{name}"), &[])?;
            self.execute(&format!("RELEASE s{name}"), &[])?;
        }
        let opened = savepoint.opened.unwrap_or(usize::MAX);
        while self.undo.len() > savepoint.undo {
            match self.undo.pop().expect("its length was just compared") {
                // The engine has done it.
                Undo::Inserted(..) if self.undo.len() >= opened => {}
                Undo::Inserted(list, at) => self.remove(list, at)?,
                Undo::List(list, before) => _ = self.changes.lists.insert(list, before),
                Undo::Unchanged(list) => _ = self.changes.lists.remove(&list),
                Undo::Emptied => _ = self.changes.emptied.pop(),
                Undo::AclId(acl) => _ = self.memo.acl_ids.remove(&acl),
            }
        }
        Ok(())
    }

    /// Undoes the creation of an object, unless the engine has undone everything.
    fn remove(&self, list: i64, at: Timestamp) -> Result<()> {
        const SQL: &str =
            "DELETE FROM object WHERE list = ?1 AND deleted = 0 AND last_modified = ?2";
        if self.is_lost() { Ok(()) } else { self.execute(SQL, params![list, at.0]).map(drop) }
    }

    pub(super) fn list_row(&mut self, list: &List) -> Result<Option<ListRow>> {
        if let Some(row) = self.changes.lists.get(list) {
            return Ok(*row);
        }
        if let Some(row) = self.shared.cache.list(list, Some(self.generation)) {
            return Ok(Some(row));
        }
        let row = self.rows().list_row(list)?;
        if let Some(row) = row {
            self.shared.cache.add_list(list, row, self.generation);
        }
        Ok(row)
    }

    pub(super) fn set_list_row(&mut self, list: &List, row: Option<ListRow>) {
        let undo = match self.changes.lists.insert(list.clone(), row) {
            Some(before) => Undo::List(list.clone(), before),
            None => Undo::Unchanged(list.clone()),
        };
        self.undo.push(undo);
    }

    pub(super) fn write_lists(&mut self) -> Result<()> {
        if !self.changes.lists.is_empty() {
            self.write()?;
        }
        for row in self.changes.lists.values().flatten() {
            let live = i64::try_from(row.live).unwrap_or(i64::MAX);
            let params = params![row.id, row.timestamp.0, live];
            self.execute("UPDATE list SET last_modified = ?2, live = ?3 WHERE id = ?1", params)?;
        }
        Ok(())
    }
}
