//! Opening connections, and what the engine's errors mean.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cumulo_core::store;
use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};

use super::{Durability, Options, cache::Generation, functions};
use crate::{Error, error::Result};

/// Statements that a connection keeps prepared.
const STATEMENTS: usize = 64;

/// Opens the connection that writes.
pub(super) fn open_writer(path: &Path, options: &Options) -> Result<Connection> {
    create_private(path);
    share_permissions(path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        // Larger pages cost more: a savepoint copies each page that it changes.
        connection.pragma_update(None, "page_size", 4096)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", options.durability.synchronous())?;
        // A page that changes often is copied back once. Of more, readers had more to search: one
        // block of the log's index tells of 4062.
        connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
        connection.pragma_update(None, "journal_size_limit", 32 << 20)?;
        configure(&connection, options.writer_cache)?;
        functions::register(&connection, &Arc::default())?;
        Ok(connection)
    };
    open().map_err(|source| engine(path, source))
}

/// Opens a connection in the place of the one that writes, which refuses to.
pub(super) fn open_unchanged(path: &Path, options: &Options) -> Result<Connection> {
    let open = || {
        let reader = Reader::open(path, options)?;
        Ok(reader.connection)
    };
    open().map_err(|source| engine(path, source))
}

/// Makes a new database file that only its owner can read.
fn create_private(path: &Path) {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // What is there stays as it is; what can't be made will be named when it is opened.
    let _ = options.open(path);
}

/// Gives the files beside the database its permissions. SQLite makes them with those of the
/// database, so after a time in which that was read-only, they would keep it so.
fn share_permissions(path: &Path) {
    let Ok(database) = std::fs::metadata(path) else { return };
    for suffix in ["-wal", "-shm"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        // Mostly there is none; one that stays as it is will be named when it is needed.
        let _ = std::fs::set_permissions(beside, database.permissions());
    }
}

/// A connection that reads, and what it has done.
pub(super) struct Reader {
    pub(super) connection: Connection,
    /// The cache's state before the present snapshot began, if there is one.
    pub(super) snapshot: Option<Generation>,
    looked: Arc<AtomicU64>,
}

impl Reader {
    pub(super) fn open(path: &Path, options: &Options) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.pragma_update(None, "query_only", true)?;
        configure(&connection, options.reader_cache)?;
        let looked = Arc::default();
        functions::register(&connection, &looked)?;
        Ok(Self { connection, snapshot: None, looked })
    }

    /// Begins a snapshot.
    pub(super) fn begin(&mut self, generation: Generation) -> rusqlite::Result<()> {
        self.connection.prepare_cached("BEGIN")?.execute([])?;
        self.snapshot = Some(generation);
        Ok(())
    }

    /// Ends the snapshot, if there is one. If that fails, the connection is of no more use.
    pub(super) fn end(&mut self) -> rusqlite::Result<()> {
        if self.snapshot.take().is_some() {
            self.connection.prepare_cached("COMMIT")?.execute([])?;
        }
        Ok(())
    }

    /// How often this connection has looked into data.
    pub(super) fn looked(&self) -> u64 {
        self.looked.load(Ordering::Relaxed)
    }
}

fn configure(connection: &Connection, cache: usize) -> rusqlite::Result<()> {
    let kibibytes = i64::try_from(cache / 1024).unwrap_or(i64::MAX);
    connection.pragma_update(None, "cache_size", -kibibytes)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "foreign_keys", false)?;
    // The same plan whatever the parameters are: else each new value prepares a statement anew.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    // Else the planner looks at parameters such as limits, and prepares the statement anew each
    // time that one is bound.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

impl Durability {
    fn synchronous(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
            Self::Off => "OFF",
        }
    }
}

/// Takes the lock that keeps other processes from `path`; it lasts as long as the file.
///
/// SQLite's own locks would let a second process in, but our caches follow only our own commits.
pub(super) fn lock(path: &Path) -> Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let io = |source| Error::Io { path: name.clone(), source };
    let file = File::options().write(true).create(true).truncate(false).open(&name).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { path: path.into() }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// The engine's error while `path` is opened.
pub(super) fn engine(path: &Path, source: rusqlite::Error) -> Error {
    Error::Engine { path: path.into(), source: Box::new(source) }
}

/// The engine's error while the store is in use.
pub(super) fn failed(error: rusqlite::Error) -> store::Error {
    if is_transient(&error) {
        store::Error::Unavailable(Box::new(error))
    } else {
        store::Error::Internal(Box::new(error))
    }
}

/// Whether the same work may succeed later.
pub(super) fn is_transient(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::CannotOpen
                | ErrorCode::OutOfMemory
                | ErrorCode::FileLockingProtocolFailed
        )
    )
}
