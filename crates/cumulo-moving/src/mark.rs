//! How far a move into a store has come, kept in the store itself, in the transactions that move:
//! wherever the process is killed, rows and mark are of the same moment.
//!
//! Marks are objects of one list that no URL leads to; they are removed without trace at the end.

use std::ops::ControlFlow;

use cumulo_core::{
    object::{Acl, List, Row, Timestamp},
    store::{Result, Transaction},
};

const PARENT: &str = "/moving";

fn marks() -> List {
    List::new(PARENT, "mark")
}

/// Whether a list holds marks.
pub(crate) fn is_mark(list: &List) -> bool {
    list.parent == PARENT
}

/// Whether the store is in the middle of a move.
pub(crate) fn any(tx: &mut dyn Transaction) -> Result<bool> {
    let mut found = false;
    tx.entries(&marks(), None, &mut |_, _| {
        found = true;
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

/// The mark with this name, as it was written.
pub(crate) fn get(tx: &mut dyn Transaction, name: &str) -> Result<Option<String>> {
    Ok(tx.get(&marks(), name)?.map(|entry| entry.object.data))
}

/// Writes a mark; `data` is a JSON object.
pub(crate) fn set(tx: &mut dyn Transaction, name: &str, data: &str) -> Result<()> {
    // Not the clock's time, so that the end of the list stays far in the past and its removal
    // leaves nothing.
    let next = latest(tx)?.next();
    let row = Row { id: name, last_modified: next, deleted: false, data };
    tx.restore(&marks(), row, &Acl::default())
}

/// Removes all marks.
pub(crate) fn clear(tx: &mut dyn Transaction) -> Result<()> {
    tx.delete_below(PARENT)
}

/// The timestamp of the latest mark, zero if there is none.
fn latest(tx: &mut dyn Transaction) -> Result<Timestamp> {
    let before = List::new(PARENT, "");
    let lists = tx.lists(Some(&before), 1)?;
    Ok(lists.first().filter(|(list, _)| is_mark(list)).map_or(Timestamp(0), |(_, end)| *end))
}
