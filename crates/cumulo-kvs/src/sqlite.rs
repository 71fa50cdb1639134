//! One SQLite file.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::{
    clock,
    error::{Error, Result},
    kvs::{Kvs, Lifetime, counter},
    options::{Options, bounded, is_over},
};

const ENGINE: &str = "SQLite";

/// `NORMAL` waits for the disk at checkpoints only. `OFF` would save these few moments, and leave
/// a damaged file after a power cut.
const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS cache (
        key TEXT PRIMARY KEY,
        value BLOB NOT NULL,
        expiry INTEGER -- milliseconds since 1970
    );
    CREATE INDEX IF NOT EXISTS cache_expiry ON cache (expiry) WHERE expiry IS NOT NULL;
";

/// Values in a file of their own, which processes of one machine can share.
pub struct Sqlite {
    options: Options,
    connection: Arc<Mutex<Connection>>,
}

impl Sqlite {
    /// Open a file, or make it.
    pub fn open(file: &Path, options: Options) -> Result<Self> {
        options.check()?;
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(file)?;
            connection.busy_timeout(options.timeout)?;
            connection.execute_batch(SCHEMA)?;
            Ok(connection)
        };
        let connection = open().map_err(|error| {
            Error::Configuration(format!("cannot open {} as a cache: {error}", file.display()))
        })?;
        Ok(Self { options, connection: Arc::new(Mutex::new(connection)) })
    }

    fn key(&self, key: &str) -> String {
        self.options.key(key, usize::MAX, |it| it != '\0')
    }

    /// Work on a thread that may wait for the disk.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let connection = Arc::clone(&self.connection);
        let task = tokio::task::spawn_blocking(move || {
            let mut connection = connection.lock().expect("no panic while a statement runs");
            work(&mut connection)
        });
        let result = task.await.map_err(|error| Error::unavailable(ENGINE, error))?;
        result.map_err(|error| Error::unavailable(ENGINE, error))
    }
}

#[async_trait]
impl Kvs for Sqlite {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let key = self.key(key);
        self.run(move |connection| {
            let sql = "SELECT value FROM cache WHERE key = ? AND (expiry IS NULL OR expiry > ?)";
            let mut statement = connection.prepare_cached(sql)?;
            statement.query_row(params![key, clock::now()], |row| row.get(0)).optional()
        })
        .await
    }

    async fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<()> {
        self.options.check_value(value)?;
        if is_over(ttl) {
            return self.delete(key).await.map(drop);
        }
        let (key, value) = (self.key(key), value.to_vec());
        self.run(move |connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            purge(&transaction)?;
            let sql = "REPLACE INTO cache (key, value, expiry) VALUES (?, ?, ?)";
            transaction.prepare_cached(sql)?.execute(params![key, value, expiry(ttl)])?;
            transaction.commit()
        })
        .await
    }

    async fn take(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let key = self.key(key);
        let row = self.run(move |connection| {
            let sql = "DELETE FROM cache WHERE key = ? RETURNING value, expiry";
            let mut statement = connection.prepare_cached(sql)?;
            let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
            statement.query_row([key], row).optional()
        });
        let row: Option<(Vec<u8>, Option<i64>)> = row.await?;
        let live = |expiry: &Option<i64>| expiry.is_none_or(|expiry| expiry > clock::now());
        Ok(row.filter(|(_, expiry)| live(expiry)).map(|(value, _)| value))
    }

    async fn increment(&self, key: &str, by: u32, ttl: Option<Duration>) -> Result<i64> {
        let full = self.key(key);
        let sum = self.run(move |connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            purge(&transaction)?;
            // Purged of what has expired.
            let before: Option<Vec<u8>> = transaction
                .prepare_cached("SELECT value FROM cache WHERE key = ?")?
                .query_row([&full], |row| row.get(0))
                .optional()?;
            let number = before.as_ref().map_or(Some(0), |value| counter(value));
            let Some(sum) = number.and_then(|number| number.checked_add(by.into())) else {
                return Ok(None);
            };
            let sql = "INSERT INTO cache (key, value, expiry) VALUES (?, ?, ?)
                       ON CONFLICT (key) DO UPDATE SET value = excluded.value";
            let value = sum.to_string().into_bytes();
            transaction.prepare_cached(sql)?.execute(params![full, value, expiry(ttl)])?;
            transaction.commit()?;
            Ok(Some(sum))
        });
        sum.await?.ok_or_else(|| Error::NotACounter { key: key.to_owned() })
    }

    async fn ttl(&self, key: &str) -> Result<Lifetime> {
        let key = self.key(key);
        let expiry: Option<Option<i64>> = self
            .run(move |connection| {
                let sql = "SELECT expiry FROM cache WHERE key = ?";
                connection.prepare_cached(sql)?.query_row([key], |row| row.get(0)).optional()
            })
            .await?;
        Ok(match expiry {
            None => Lifetime::Missing,
            Some(None) => Lifetime::Unlimited,
            Some(Some(expiry)) => match u64::try_from(expiry - clock::now()) {
                Ok(left) if left > 0 => Lifetime::Left(Duration::from_millis(left)),
                _ => Lifetime::Missing,
            },
        })
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let prefix = format!("{}{prefix}", self.options.prefix);
        let keys: Vec<String> = self
            .run(move |connection| {
                let sql = "SELECT key FROM cache WHERE substr(key, 1, length(?1)) = ?1
                           AND (expiry IS NULL OR expiry > ?2)";
                let mut statement = connection.prepare_cached(sql)?;
                statement.query_map(params![prefix, clock::now()], |row| row.get(0))?.collect()
            })
            .await?;
        Ok(keys.iter().filter_map(|key| self.options.without_prefix(key)).collect())
    }

    async fn flush(&self) -> Result<()> {
        let prefix = self.options.prefix.clone();
        self.run(move |connection| {
            let sql = "DELETE FROM cache WHERE substr(key, 1, length(?1)) = ?1";
            connection.execute(sql, [prefix])
        })
        .await
        .map(drop)
    }

    async fn ping(&self) -> Result<()> {
        self.run(|connection| connection.query_row("SELECT 1", [], |_| Ok(()))).await
    }
}

/// Removes what has expired.
fn purge(connection: &Connection) -> rusqlite::Result<()> {
    let sql = "DELETE FROM cache WHERE expiry <= ?";
    connection.prepare_cached(sql)?.execute([clock::now()]).map(drop)
}

fn expiry(ttl: Option<Duration>) -> Option<i64> {
    let milliseconds = i64::try_from(bounded(ttl)?.as_millis()).unwrap_or(i64::MAX);
    Some(clock::now().saturating_add(milliseconds))
}
