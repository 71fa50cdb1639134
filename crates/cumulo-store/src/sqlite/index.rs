//! Indexes that are made because queries ask for them.
//!
//! A listing that had to look into much data asks the writer for an index on each field that it
//! compared or sorted by. The index covers the live objects of that one list, so it costs the
//! others nothing. Queries on a list that has indexes name it by its id, for the engine to see that
//! they apply.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use cumulo_core::query::{Field, Filter, Op, Query};
use rusqlite::{Connection, params};
use serde_json::Value;

use super::sql;

/// How often a statement may look into data, beyond what it returns, before it asks for an index.
pub(super) const PATIENCE: u64 = 2_000;

/// How many indexes one list may have.
const MAX_PER_LIST: usize = 8;

/// How many indexes there may be.
const MAX: usize = 256;

/// The indexes that there are, and those that were asked for.
#[derive(Default)]
pub(super) struct Indexes(Mutex<State>);

#[derive(Default)]
struct State {
    /// Paths by list. What could not be made stays here too, so that nobody asks again.
    known: BTreeMap<i64, BTreeSet<Vec<String>>>,
    total: usize,
}

impl Indexes {
    /// Reads which indexes the file has.
    pub(super) fn load(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement = connection.prepare("SELECT list, path FROM field_index")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
        for row in rows {
            let (list, path) = row?;
            if let Ok(path) = serde_json::from_str(&path) {
                self.state().add(list, path);
            }
        }
        Ok(())
    }

    /// Whether queries on this list may find an index of use.
    pub(super) fn cover(&self, list: i64) -> bool {
        self.state().known.contains_key(&list)
    }

    /// Notes that `query` was slow, and returns the fields that should get an index now.
    pub(super) fn wanted(&self, list: i64, query: &Query) -> Vec<Vec<String>> {
        let mut state = self.state();
        let paths = fields(query).into_iter();
        paths.filter(|path| state.add(list, path.clone())).collect()
    }

    /// Forgets the indexes of a list that is gone.
    pub(super) fn forget(&self, list: i64) {
        let mut state = self.state();
        state.total -= state.known.remove(&list).map_or(0, |paths| paths.len());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Adds an index unless it is there or there are too many; says whether it was added.
    fn add(&mut self, list: i64, path: Vec<String>) -> bool {
        let here = self.known.get(&list).map_or(0, BTreeSet::len);
        if self.total >= MAX || here >= MAX_PER_LIST {
            return false;
        }
        let added = self.known.entry(list).or_default().insert(path);
        self.total += usize::from(added);
        added
    }
}

/// The fields that an index can serve: compared for equality, bounded on both sides, or the first
/// of the order. A single bound leaves too much: there, the scan in the order of the answer, which
/// can stop at the limit, is the better plan.
fn fields(query: &Query) -> BTreeSet<Vec<String>> {
    let equal = query.filters.iter().filter(|filter| is_equality(&filter.op));
    let bounded = query.filters.iter().filter(|lower| {
        let is_upper = |upper: &&Filter| matches!(upper.op, Op::Lt(_) | Op::Max(_));
        matches!(lower.op, Op::Gt(_) | Op::Min(_))
            && query.filters.iter().filter(is_upper).any(|upper| upper.field == lower.field)
    });
    let sorted = query.sort.first().map(|sort| &sort.field);
    let compared = equal.chain(bounded).map(|filter| &filter.field);
    compared.chain(sorted).filter_map(path).cloned().collect()
}

fn is_equality(op: &Op) -> bool {
    matches!(op, Op::Eq(_) | Op::In(_) | Op::Has(false))
}

fn path(field: &Field) -> Option<&Vec<String>> {
    match field {
        Field::Data(path) => Some(path),
        Field::Id | Field::LastModified => None,
    }
}

/// Makes an index, unless the list is gone by now.
pub(super) fn create(connection: &Connection, list: i64, path: &[String]) -> rusqlite::Result<()> {
    let tx = connection.unchecked_transaction()?;
    if !tx.prepare("SELECT 1 FROM list WHERE id = ?1")?.exists([list])? {
        return Ok(());
    }
    let text = Value::from(path).to_string();
    tx.execute("INSERT INTO field_index (list, path) VALUES (?1, ?2)", params![list, text])?;
    let name = name(tx.last_insert_rowid());
    let key = sql::json_key(path);
    tx.execute_batch(&format!(
        "CREATE INDEX {name} ON object ({key}, last_modified) WHERE list = {list} AND deleted = 0;
         INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('object', '{name}', '10000 10 1');
         ANALYZE sqlite_schema;"
    ))?;
    tx.commit()
}

/// Drops the indexes of a list.
pub(super) fn drop_all(connection: &Connection, list: i64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("SELECT id FROM field_index WHERE list = ?1")?;
    let ids: Vec<i64> = statement.query_map([list], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for id in ids {
        connection.execute_batch(&format!("DROP INDEX {}", name(id)))?;
        connection.execute("DELETE FROM field_index WHERE id = ?1", [id])?;
    }
    Ok(())
}

fn name(id: i64) -> String {
    format!("object_field_{id}")
}
