//! Kinto's own table in PostgreSQL.
//!
//! Both servers can use it at the same time: values are JSON there (see [`crate::json`]). What has
//! no expiry is found by us, but never by Kinto.

mod connection;
mod tls;

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio_postgres::{Config, Row, error::SqlState, types::ToSql};
use tokio_postgres_rustls::MakeRustlsConnect;

use self::connection::{Connection, Statement};
use crate::{
    error::{Error, Result},
    json,
    kvs::{Kvs, Lifetime},
    options::{Options, bounded, is_over},
    pool::Pool,
};

const ENGINE: &str = "PostgreSQL";
/// Bytes of a key, so that it fits Kinto's column of 256 characters.
const MAX_KEY: usize = 256;
/// How often expired values are removed.
const PURGE_INTERVAL: Duration = Duration::from_mins(1);
/// Kinto's schema.
const SCHEMA: &str = include_str!("schema.sql");

/// Values in a table of PostgreSQL.
pub struct Postgresql {
    options: Options,
    config: Config,
    tls: MakeRustlsConnect,
    pool: Pool<Connection>,
    /// When expired values were last removed.
    purged: Mutex<Option<Instant>>,
}

impl Postgresql {
    /// A store at `postgresql://user:password@host:port/database`; connects when it is used.
    ///
    /// The certificate of a server that offers TLS must be valid: `?sslrootcert=FILE` names its
    /// authority if the system does not know it. `?sslmode=` is `disable`, `prefer` (the default)
    /// or `require`.
    pub fn new(url: &str, options: Options) -> Result<Self> {
        options.check()?;
        let (config, tls) = tls::configure(url)?;
        let pool = Pool::new(options.pool_size);
        Ok(Self { options, config, tls, pool, purged: Mutex::default() })
    }

    /// Creates the table, unless it is there. Whether it was created.
    pub async fn migrate(&self) -> Result<bool> {
        self.options
            .within(ENGINE, async {
                let connection = Connection::open(&self.config, &self.tls).await?;
                let missing = !connection.has_table().await.map_err(unavailable)?;
                if missing {
                    connection.batch(SCHEMA).await.map_err(unavailable)?;
                }
                Ok(missing)
            })
            .await
    }

    fn key(&self, key: &str) -> String {
        self.options.key(key, MAX_KEY, |it| it != '\0')
    }

    async fn query(
        &self,
        statement: Statement,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>> {
        self.try_query(statement, parameters).await?.map_err(unavailable)
    }

    /// The inner error is that of the statement.
    async fn try_query(
        &self,
        statement: Statement,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<std::result::Result<Vec<Row>, tokio_postgres::Error>> {
        self.options
            .within(ENGINE, async {
                let _permit = self.pool.permit().await;
                let mut connection = match self.pool.take(Connection::is_open) {
                    Some(connection) => connection,
                    None => Connection::open(&self.config, &self.tls).await?,
                };
                let rows = connection.query(statement, parameters).await;
                self.pool.put(connection);
                Ok(rows)
            })
            .await
    }

    /// Removes what has expired, now and then.
    async fn purge(&self) -> Result<()> {
        let is_due = {
            let mut purged = self.purged.lock().expect("no panic while the time is compared");
            let is_due = purged.is_none_or(|last| last.elapsed() >= PURGE_INTERVAL);
            if is_due {
                *purged = Some(Instant::now());
            }
            is_due
        };
        if is_due {
            self.query(Statement::Purge, &[]).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Kvs for Postgresql {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        value(&self.query(Statement::Get, &[&self.key(key)]).await?)
    }

    async fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<()> {
        self.options.check_value(value)?;
        if is_over(ttl) {
            return self.delete(key).await.map(drop);
        }
        let seconds = bounded(ttl).map(|it| it.as_secs_f64());
        self.query(Statement::Set, &[&self.key(key), &json::encode(value), &seconds]).await?;
        self.purge().await
    }

    async fn take(&self, key: &str) -> Result<Option<Vec<u8>>> {
        value(&self.query(Statement::Take, &[&self.key(key)]).await?)
    }

    async fn increment(&self, key: &str, by: u32, ttl: Option<Duration>) -> Result<i64> {
        let seconds = bounded(ttl).map(|it| it.as_secs_f64());
        let full = self.key(key);
        let parameters: &[&(dyn ToSql + Sync)] = &[&full, &i64::from(by), &seconds];
        let rows = match self.try_query(Statement::Increment, parameters).await? {
            Ok(rows) => rows,
            Err(error) if is_about_a_number(&error) => {
                return Err(Error::NotACounter { key: key.to_owned() });
            }
            Err(error) => return Err(unavailable(error)),
        };
        self.purge().await?;
        first(&rows, 0)?.ok_or_else(|| Error::unavailable(ENGINE, "no sum was returned"))
    }

    async fn ttl(&self, key: &str) -> Result<Lifetime> {
        let rows = self.query(Statement::Ttl, &[&self.key(key)]).await?;
        Ok(match first::<Option<f64>>(&rows, 0)? {
            None => Lifetime::Missing,
            Some(None) => Lifetime::Unlimited,
            Some(Some(seconds)) => {
                Duration::try_from_secs_f64(seconds).map_or(Lifetime::Missing, Lifetime::Left)
            }
        })
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        if prefix.contains('\0') {
            return Ok(Vec::new());
        }
        let prefix = format!("{}{prefix}", self.options.prefix);
        let rows = self.query(Statement::Keys, &[&prefix]).await?;
        let mut keys = Vec::with_capacity(rows.len());
        for row in &rows {
            keys.extend(self.options.without_prefix(row.try_get(0).map_err(unavailable)?));
        }
        Ok(keys)
    }

    async fn flush(&self) -> Result<()> {
        self.query(Statement::Flush, &[&self.options.prefix]).await.map(drop)
    }

    /// Fails if there is no table, too.
    async fn ping(&self) -> Result<()> {
        self.query(Statement::Get, &[&""]).await.map(drop)
    }
}

fn value(rows: &[Row]) -> Result<Option<Vec<u8>>> {
    Ok(first::<String>(rows, 0)?.map(|text| json::decode(&text)))
}

/// A column of the first row.
fn first<'a, T: tokio_postgres::types::FromSql<'a>>(
    rows: &'a [Row],
    column: usize,
) -> Result<Option<T>> {
    rows.first().map(|row| row.try_get(column).map_err(unavailable)).transpose()
}

/// Whether the value is no number, or the sum does not fit.
fn is_about_a_number(error: &tokio_postgres::Error) -> bool {
    let codes = [SqlState::INVALID_TEXT_REPRESENTATION, SqlState::NUMERIC_VALUE_OUT_OF_RANGE];
    error.code().is_some_and(|code| codes.contains(code))
}

fn unavailable(error: tokio_postgres::Error) -> Error {
    Error::unavailable(ENGINE, error)
}
