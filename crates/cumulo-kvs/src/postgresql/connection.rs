//! A connection and its prepared statements.

use std::collections::HashMap;

use tokio_postgres::{Client, Config, Error, Row, types::ToSql};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::unavailable;
use crate::error::Result;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Statement {
    /// Key: the value.
    Get,
    /// Key, value, seconds or none.
    Set,
    /// Key: the value.
    Take,
    /// Key, number, seconds or none: the sum.
    Increment,
    /// Key: seconds or none.
    Ttl,
    /// The beginning of a key: the keys.
    Keys,
    /// The beginning of a key.
    Flush,
    /// Removes what has expired; what another session removes is left to it.
    Purge,
}

impl Statement {
    fn sql(self) -> &'static str {
        match self {
            Self::Get => "SELECT value FROM cache WHERE key = $1 AND (ttl IS NULL OR ttl > now())",
            Self::Set => {
                "INSERT INTO cache (key, value, ttl) VALUES ($1, $2, sec2ttl($3))
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value, ttl = excluded.ttl"
            }
            Self::Take => {
                "WITH taken AS (DELETE FROM cache WHERE key = $1 RETURNING value, ttl)
                 SELECT value FROM taken WHERE ttl IS NULL OR ttl > now()"
            }
            Self::Increment => {
                "INSERT INTO cache AS c (key, value, ttl)
                 VALUES ($1, $2::bigint::text, sec2ttl($3))
                 ON CONFLICT (key) DO UPDATE SET
                     value = CASE WHEN c.ttl <= now() THEN excluded.value
                             ELSE (c.value::bigint + $2)::text END,
                     ttl = CASE WHEN c.ttl <= now() THEN excluded.ttl ELSE c.ttl END
                 RETURNING value::bigint"
            }
            Self::Ttl => {
                "SELECT extract(epoch FROM ttl - now())::float8 FROM cache
                 WHERE key = $1 AND (ttl IS NULL OR ttl > now())"
            }
            Self::Keys => {
                "SELECT key FROM cache
                 WHERE starts_with(key, $1) AND (ttl IS NULL OR ttl > now())"
            }
            Self::Flush => "DELETE FROM cache WHERE starts_with(key, $1)",
            Self::Purge => {
                "DELETE FROM cache WHERE key IN
                     (SELECT key FROM cache WHERE ttl <= now() FOR UPDATE SKIP LOCKED)"
            }
        }
    }
}

pub(super) struct Connection {
    client: Client,
    prepared: HashMap<Statement, tokio_postgres::Statement>,
}

impl Connection {
    pub(super) async fn open(config: &Config, tls: &MakeRustlsConnect) -> Result<Self> {
        let (client, connection) = config.connect(tls.clone()).await.map_err(unavailable)?;
        // Ends with the client, or with an error that the client's next statement has as well.
        tokio::spawn(connection);
        Ok(Self { client, prepared: HashMap::new() })
    }

    pub(super) fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    pub(super) async fn query(
        &mut self,
        statement: Statement,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> std::result::Result<Vec<Row>, Error> {
        let prepared = match self.prepared.get(&statement) {
            Some(prepared) => prepared.clone(),
            None => {
                let prepared = self.client.prepare(statement.sql()).await?;
                self.prepared.insert(statement, prepared.clone());
                prepared
            }
        };
        self.client.query(&prepared, parameters).await
    }

    pub(super) async fn has_table(&self) -> std::result::Result<bool, Error> {
        let sql = "SELECT to_regclass('cache') IS NOT NULL AND to_regproc('sec2ttl') IS NOT NULL";
        self.client.query_one(sql, &[]).await?.try_get(0)
    }

    pub(super) async fn batch(&self, sql: &str) -> std::result::Result<(), Error> {
        self.client.batch_execute(sql).await
    }
}
