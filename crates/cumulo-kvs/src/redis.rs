//! Redis, over one connection that all operations share.

use std::time::Duration;

use async_trait::async_trait;
use redis::{
    Client, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, ServerErrorKind,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use crate::{
    error::{Error, Result},
    kvs::{Kvs, Lifetime},
    options::{Options, bounded, is_over},
};

const ENGINE: &str = "Redis";
/// How many keys are looked at or removed at a time.
const SCAN: usize = 1000;

/// Values in Redis 6.2 or later. Values are stored as they are, so what is JSON can be shared with
/// Kinto.
pub struct Redis {
    options: Options,
    connection: ConnectionManager,
}

impl Redis {
    /// A store at `redis://user:password@host:port/db`, or `rediss://` with TLS; connects when it
    /// is used. Must be called in a tokio runtime.
    pub fn new(url: &str, options: Options) -> Result<Self> {
        options.check()?;
        // What the error says may quote the address, and with it a password.
        let refuse = |_| Error::Configuration("the URL of the cache is not one of Redis".into());
        let client = Client::open(url).map_err(refuse)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(options.timeout))
            .set_response_timeout(Some(options.timeout))
            .set_max_delay(Duration::from_millis(500))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(refuse)?;
        Ok(Self { options, connection })
    }

    fn key(&self, key: &str) -> String {
        self.options.key(key, usize::MAX, |_| true)
    }

    async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        let mut connection = self.connection.clone();
        self.options
            .within(ENGINE, async {
                command.query_async(&mut connection).await.map_err(unavailable)
            })
            .await
    }

    /// Keys with our prefix, and then this one, in pages.
    async fn scan(&self, cursor: u64, prefix: &str) -> Result<(u64, Vec<Vec<u8>>)> {
        let pattern = escape(&format!("{}{prefix}", self.options.prefix)) + "*";
        let mut scan = redis::cmd("SCAN");
        self.run(scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(SCAN)).await
    }
}

#[async_trait]
impl Kvs for Redis {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.run(&Cmd::get(self.key(key))).await
    }

    async fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<()> {
        self.options.check_value(value)?;
        let key = self.key(key);
        match bounded(ttl) {
            _ if is_over(ttl) => self.run(&Cmd::del(key)).await,
            None => self.run(&Cmd::set(key, value)).await,
            Some(ttl) => self.run(&Cmd::pset_ex(key, value, milliseconds(ttl))).await,
        }
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        self.run(&Cmd::del(self.key(key))).await
    }

    async fn take(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.run(&Cmd::get_del(self.key(key))).await
    }

    async fn increment(&self, key: &str, by: u32, ttl: Option<Duration>) -> Result<i64> {
        let full = self.key(key);
        let mut both = Pipeline::new();
        both.atomic();
        if let Some(ttl) = bounded(ttl) {
            // Nothing happens if there is a counter.
            both.cmd("SET").arg(&full).arg(0).arg("NX").arg("PX").arg(milliseconds(ttl)).ignore();
        }
        both.cmd("INCRBY").arg(&full).arg(by);
        let mut connection = self.connection.clone();
        let sums: std::result::Result<(i64,), RedisError> = self
            .options
            .within(ENGINE, async { Ok(both.query_async(&mut connection).await) })
            .await?;
        sums.map(|(sum,)| sum).map_err(|error| match error.kind() {
            ErrorKind::Server(ServerErrorKind::ResponseError) if is_about_a_number(&error) => {
                Error::NotACounter { key: key.to_owned() }
            }
            _ => unavailable(error),
        })
    }

    async fn ttl(&self, key: &str) -> Result<Lifetime> {
        let milliseconds: i64 = self.run(&Cmd::pttl(self.key(key))).await?;
        Ok(match u64::try_from(milliseconds) {
            Ok(milliseconds) => Lifetime::Left(Duration::from_millis(milliseconds)),
            Err(_) if milliseconds == -1 => Lifetime::Unlimited,
            Err(_) => Lifetime::Missing,
        })
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let (mut keys, mut cursor) = (Vec::new(), 0);
        loop {
            let (next, page) = self.scan(cursor, prefix).await?;
            let texts = page.into_iter().filter_map(|key| String::from_utf8(key).ok());
            keys.extend(texts.filter_map(|key| self.options.without_prefix(&key)));
            cursor = next;
            if cursor == 0 {
                // A page may repeat what another one had.
                keys.sort_unstable();
                keys.dedup();
                return Ok(keys);
            }
        }
    }

    async fn flush(&self) -> Result<()> {
        if self.options.prefix.is_empty() {
            return self.run(&redis::cmd("FLUSHDB")).await;
        }
        let mut cursor = 0;
        loop {
            let (next, page) = self.scan(cursor, "").await?;
            if !page.is_empty() {
                self.run::<()>(&Cmd::unlink(page)).await?;
            }
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }

    async fn ping(&self) -> Result<()> {
        self.run(&redis::cmd("PING")).await
    }
}

/// A pattern that matches this text.
fn escape(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

fn milliseconds(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)
}

/// Whether the value is no number, or the sum does not fit.
fn is_about_a_number(error: &RedisError) -> bool {
    let text = error.to_string();
    text.contains("not an integer") || text.contains("overflow")
}

fn unavailable(error: RedisError) -> Error {
    Error::unavailable(ENGINE, error)
}
