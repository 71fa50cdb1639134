//! The tables of the database, and how older files get them.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::connection::engine;
use crate::{Error, error::Result};

/// Numbered from one; never edited after release.
const MIGRATIONS: [&str; 3] = [
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
];

/// The schema that this program reads and writes.
#[expect(clippy::cast_possible_truncation, reason = "there are few")]
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

/// Marks the file as ours, for `file(1)` and for a check before anything is written.
const APPLICATION: i32 = i32::from_be_bytes(*b"Cumu");

/// What was done to a file's schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// The version that was found; zero for a new file.
    pub from: u32,
    /// The version that the file has now.
    pub to: u32,
}

/// Brings the schema of the database at `path` to [`VERSION`], all or nothing.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<Migration> {
    let from = version(connection, path)?;
    if from > VERSION {
        return Err(Error::TooNew { path: path.into(), found: from, known: VERSION });
    }
    if from < VERSION {
        apply(connection, from).map_err(|source| engine(path, source))?;
    }
    Ok(Migration { from, to: VERSION })
}

/// Fails unless the database at `path` has the schema [`VERSION`].
pub(super) fn require_current(connection: &Connection, path: &Path) -> Result<()> {
    match version(connection, path)? {
        VERSION => Ok(()),
        found if found > VERSION => Err(Error::TooNew { path: path.into(), found, known: VERSION }),
        found => Err(Error::TooOld { path: path.into(), found, known: VERSION }),
    }
}

fn apply(connection: &mut Connection, from: u32) -> rusqlite::Result<()> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.pragma_update(None, "application_id", APPLICATION)?;
    for migration in &MIGRATIONS[from as usize..] {
        tx.execute_batch(migration)?;
    }
    tx.execute("INSERT OR REPLACE INTO metadata VALUES ('schema', ?1)", [VERSION])?;
    tx.commit()
}

/// The schema version of the file, zero if it is empty.
fn version(connection: &Connection, path: &Path) -> Result<u32> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let application = pragma("application_id").map_err(|source| engine(path, source))?;
    let tables = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, u32>(0))
        .map_err(|source| engine(path, source))?;
    match (application, tables) {
        (0, 0) => Ok(0),
        (APPLICATION, _) => connection
            .query_row("SELECT value FROM metadata WHERE name = 'schema'", [], |row| row.get(0))
            .optional()
            .map(Option::unwrap_or_default)
            .map_err(|source| engine(path, source)),
        _ => Err(Error::Foreign { path: path.into() }),
    }
}
