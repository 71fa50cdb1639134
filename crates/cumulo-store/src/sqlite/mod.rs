//! A store in one SQLite file.
//!
//! ```text
//! submit ── Write ──► writer ──► transaction ─┐
//!        ── Read, Scan ──► reader ────────────┼──► rows, sql ──► the file
//!                             └──── cache ◄───┘ (after each commit)
//! ```
//!
//! - [`writer`]: one thread with one connection; commits once for all who wait
//! - [`group`], [`transaction`]: works that commit together, and what they may do
//! - [`reader`]: the pool of connections that read snapshots
//! - [`outbox`]: the queues of messages
//! - [`rows`], [`sql`], [`functions`]: reading, the query builder, and the SQL functions it needs
//! - [`cache`]: what is asked on every request
//! - [`index`]: indexes on fields, made on demand
//! - [`inspect`]: whether all is as it must be
//! - [`schema`], [`connection`]: tables, migrations, settings, errors

mod cache;
mod connection;
mod functions;
mod group;
mod index;
mod inspect;
mod outbox;
mod reader;
mod rows;
mod schema;
mod sql;
#[cfg(test)]
mod tests;
mod transaction;
mod writer;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use cumulo_core::{
    clock::Clock,
    object::Acl,
    store::{Access, BoxFuture, Error, Result, Store, Work},
};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

pub use self::schema::Migration;
use self::{
    cache::Cache, connection::engine, index::Indexes, reader::Pool, reader::Slow, writer::Writer,
};
use crate::{error, resources::Resources, run};

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A power cut.
    #[default]
    Full,
    /// The end of the process; a power cut may undo the last moments, in order.
    Normal,
    /// The end of the process; a power cut may destroy the file.
    Off,
}

/// How a file is used.
#[derive(Clone, Debug)]
pub struct Options {
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// How many reads run at once; more wait.
    pub readers: usize,
    /// Bytes of pages that the writing connection keeps.
    pub writer_cache: usize,
    /// Bytes of pages that each reading connection keeps.
    pub reader_cache: usize,
    /// Whether fields that are filtered or sorted by in long lists get indexes.
    pub auto_index: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            readers: 4,
            writer_cache: 8 << 20,
            reader_cache: 2 << 20,
            auto_index: true,
        }
    }
}

/// A store in one SQLite file, which it owns while it is open.
pub struct Sqlite {
    shared: Arc<Shared>,
    writer: Arc<Writer>,
    /// Keeps other processes out while the store is open.
    lock: Mutex<Option<File>>,
}

/// What the readers and the writer have in common.
struct Shared {
    path: PathBuf,
    options: Options,
    clock: Arc<dyn Clock>,
    cache: Cache,
    pool: Pool,
    indexes: Indexes,
    resources: Resources,
    no_acl: Arc<Acl>,
    closed: AtomicBool,
}

impl Sqlite {
    /// Opens the database at `path`, which is created or migrated if need be.
    pub fn open(path: &Path, options: Options, clock: Arc<dyn Clock>) -> error::Result<Self> {
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let lock = connection::lock(&path)?;
        let mut connection = connection::open_writer(&path, &options)?;
        let migration = schema::migrate(&mut connection, &path)?;
        if migration.from != migration.to {
            tracing::info!(from = migration.from, to = migration.to, "migrated the database");
        }
        match collect_garbage(&mut connection) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ReadOnly) => {
                tracing::warn!("{} is read-only: writes will fail", path.display());
            }
            collected => collected.map_err(|source| engine(&path, source))?,
        }
        Self::with(path, options, clock, connection, lock)
    }

    /// Opens the database at `path`, which must be there with the present schema, and changes
    /// nothing in it: work that writes fails with [`Error::Unavailable`].
    pub fn open_unchanged(
        path: &Path,
        mut options: Options,
        clock: Arc<dyn Clock>,
    ) -> error::Result<Self> {
        let missing = |source| error::Error::Io { path: path.to_owned(), source };
        let path = std::fs::canonicalize(path).map_err(missing)?;
        let lock = connection::lock(&path)?;
        let connection = connection::open_unchanged(&path, &options)?;
        schema::require_current(&connection, &path)?;
        options.auto_index = false;
        Self::with(path, options, clock, connection, lock)
    }

    fn with(
        path: PathBuf,
        options: Options,
        clock: Arc<dyn Clock>,
        connection: Connection,
        lock: File,
    ) -> error::Result<Self> {
        let indexes = Indexes::default();
        indexes.load(&connection).map_err(|source| engine(&path, source))?;
        let shared = Arc::new(Shared {
            path,
            options,
            clock,
            cache: Cache::default(),
            pool: Pool::default(),
            indexes,
            resources: Resources::default(),
            no_acl: Arc::default(),
            closed: AtomicBool::new(false),
        });
        let writer = Writer::start(connection, Arc::clone(&shared))
            .map_err(|source| engine(&shared.path, source))?;
        Ok(Self { shared, writer: Arc::new(writer), lock: Mutex::new(Some(lock)) })
    }

    /// Brings the database at `path` to the present schema and tells what was done.
    pub fn migrate(path: &Path) -> error::Result<Migration> {
        let _lock = connection::lock(path)?;
        let mut connection = connection::open_writer(path, &Options::default())?;
        schema::migrate(&mut connection, path)
    }
}

impl Store for Sqlite {
    fn submit(&self, access: Access, mut work: Work) -> BoxFuture<'_, Result<()>> {
        match access {
            Access::Write => {
                let reply = self.writer.submit(work);
                Box::pin(async { reply.await.unwrap_or_else(|_| Err(unanswered())) })
            }
            Access::Read => {
                Box::pin(std::future::ready(read(&self.shared, &self.writer, &mut work)))
            }
            Access::Scan => {
                let (shared, writer) = (Arc::clone(&self.shared), Arc::clone(&self.writer));
                run::off_thread(move || read(&shared, &writer, &mut work))
            }
        }
    }

    fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.pool.close();
        self.writer.close();
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.close();
    }
}

/// Runs work that reads; what was slow in it may get an index.
fn read(shared: &Arc<Shared>, writer: &Writer, work: &mut Work) -> Result<()> {
    if shared.closed.load(Ordering::Acquire) {
        return Err(run::closed());
    }
    let (result, slow) = reader::run(shared, work);
    for Slow { list, query } in slow {
        for path in shared.indexes.wanted(list, &query) {
            writer.create_index(list, path);
        }
    }
    result
}

fn unanswered() -> Error {
    run::internal("the writer gave no answer")
}

/// Removes access control lists that no object has any more. Only when the file is opened: later,
/// caches know their ids.
fn collect_garbage(connection: &mut Connection) -> rusqlite::Result<()> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute_batch(
        "DELETE FROM acl WHERE NOT EXISTS (SELECT 1 FROM object WHERE object.acl = acl.id);
         DELETE FROM access WHERE NOT EXISTS (SELECT 1 FROM acl WHERE acl.id = access.acl);",
    )?;
    tx.commit()
}
