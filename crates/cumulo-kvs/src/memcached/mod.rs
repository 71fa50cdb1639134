//! memcached, over its text protocol.
//!
//! A value is wrapped as Kinto wraps it, `{"value": …, "ttl": …}` with the moment of its expiry in
//! seconds (none: `null`), and made JSON if it is not (see [`crate::json`]): memcached itself counts
//! in whole seconds. Counters are bare digits.

mod connection;
mod envelope;

use std::time::Duration;

use async_trait::async_trait;

use self::{
    connection::{Connection, Increment},
    envelope::Content,
};
use crate::{
    clock,
    error::{Error, Result},
    kvs::{Kvs, Lifetime},
    options::{Options, bounded, is_over},
    pool::Pool,
};

const ENGINE: &str = "memcached";
const DEFAULT_PORT: u16 = 11211;
/// Bytes of a key.
const MAX_KEY: usize = 250;
/// Beyond 30 days, an expiry is taken for a moment.
const MAX_RELATIVE: i64 = 30 * 24 * 60 * 60;

/// Values on one or more memcached servers.
///
/// Each key has its server, the one that Kinto would choose; another one does not stand in for it.
pub struct Memcached {
    options: Options,
    hosts: Vec<Host>,
}

struct Host {
    /// `host:port`.
    address: String,
    pool: Pool<Connection>,
}

impl Memcached {
    /// Stores on these servers, each `host` or `host:port`; connects when it is used.
    pub fn new<S: AsRef<str>>(
        hosts: impl IntoIterator<Item = S>,
        options: Options,
    ) -> Result<Self> {
        options.check()?;
        let mut known = Vec::new();
        for host in hosts {
            let pool = Pool::new(options.pool_size);
            known.push(Host { address: address(host.as_ref())?, pool });
        }
        if known.is_empty() {
            return Err(Error::Configuration("memcached needs a host".to_owned()));
        }
        Ok(Self { options, hosts: known })
    }

    fn key(&self, key: &str) -> String {
        self.options.key(key, MAX_KEY, |it| !it.is_whitespace() && !it.is_control())
    }

    /// Runs an operation on a connection to a server.
    async fn on<T>(
        &self,
        host: &Host,
        operation: impl AsyncFnOnce(&mut Connection) -> Result<T>,
    ) -> Result<T> {
        self.options
            .within(ENGINE, async {
                let _permit = host.pool.permit().await;
                let mut connection = match host.pool.take(Connection::is_idle) {
                    Some(connection) => connection,
                    None => Connection::open(&host.address).await?,
                };
                let result = operation(&mut connection).await;
                // After a failure, or when time is up, nobody knows what it would say next.
                if !matches!(result, Err(Error::Unavailable { .. })) {
                    host.pool.put(connection);
                }
                result
            })
            .await
    }

    fn host(&self, key: &str) -> &Host {
        let index = server_hash(key.as_bytes()) as usize % self.hosts.len();
        &self.hosts[index]
    }

    /// The largest answer: an envelope in base 64.
    fn max_item(&self) -> usize {
        self.options.max_value_bytes.saturating_mul(2).saturating_add(1024)
    }
}

#[async_trait]
impl Kvs for Memcached {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let key = self.key(key);
        let item = self.on(self.host(&key), async |it| it.get(&key, self.max_item()).await).await?;
        Ok(item.and_then(|item| envelope::live_value(item.value)))
    }

    async fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<()> {
        self.options.check_value(value)?;
        if is_over(ttl) {
            return self.delete(key).await.map(drop);
        }
        let ttl = bounded(ttl);
        let (key, text) = (self.key(key), envelope::seal(value, ttl));
        let stored = self.on(self.host(&key), async |it| it.set(&key, &text, exptime(ttl)).await);
        if stored.await? { Ok(()) } else { Err(Error::TooLarge { size: value.len() }) }
    }

    async fn take(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let key = self.key(key);
        self.on(self.host(&key), async |connection| {
            loop {
                let Some(item) = connection.get(&key, self.max_item()).await? else {
                    return Ok(None);
                };
                if connection.remove(&key, item.version).await? {
                    return Ok(envelope::live_value(item.value));
                }
            }
        })
        .await
    }

    async fn increment(&self, key: &str, by: u32, ttl: Option<Duration>) -> Result<i64> {
        let ttl = bounded(ttl);
        let full = self.key(key);
        let sum = self.on(self.host(&full), async |connection| {
            loop {
                match connection.increment(&full, by).await? {
                    Increment::Sum(sum) => return Ok(i64::try_from(sum).ok()),
                    // Somebody else may add it first.
                    Increment::Missing => {
                        if connection.add(&full, by, exptime(ttl)).await? {
                            return Ok(Some(by.into()));
                        }
                    }
                    Increment::NotANumber => match connection.get(&full, self.max_item()).await? {
                        Some(item) if envelope::open(&item.value).is_live() => return Ok(None),
                        // memcached only has to notice yet that it has expired.
                        Some(item) => drop(connection.remove(&full, item.version).await?),
                        None => {}
                    },
                }
            }
        });
        sum.await?.ok_or_else(|| Error::NotACounter { key: key.to_owned() })
    }

    async fn ttl(&self, key: &str) -> Result<Lifetime> {
        let key = self.key(key);
        self.on(self.host(&key), async |connection| {
            let Some(item) = connection.get(&key, self.max_item()).await? else {
                return Ok(Lifetime::Missing);
            };
            match envelope::open(&item.value) {
                Content::Value(value) => Ok(value.lifetime()),
                Content::Bare => connection.lifetime(&key).await,
            }
        })
        .await
    }

    async fn keys(&self, _prefix: &str) -> Result<Vec<String>> {
        Err(Error::Unsupported { engine: ENGINE, operation: "list keys" })
    }

    async fn flush(&self) -> Result<()> {
        for host in &self.hosts {
            self.on(host, async |connection| match self.options.prefix.as_str() {
                "" => connection.flush_all().await,
                prefix => connection.delete_all(prefix).await,
            })
            .await?;
        }
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        for host in &self.hosts {
            self.on(host, Connection::ping).await?;
        }
        Ok(())
    }
}

/// `host:port` of a host as Kinto's settings have it.
fn address(host: &str) -> Result<String> {
    let host = host.strip_prefix("inet:").unwrap_or(host);
    if host.is_empty() || host.contains('/') || host.starts_with("unix:") {
        let problem = format!("'{host}' is not a host of memcached, as in 127.0.0.1:11211");
        return Err(Error::Configuration(problem));
    }
    let has_port = match host.rsplit_once(':') {
        Some((name, port)) => {
            port.parse::<u16>().is_ok() && (!name.contains(':') || name.ends_with(']'))
        }
        None => false,
    };
    Ok(if has_port { host.to_owned() } else { format!("{host}:{DEFAULT_PORT}") })
}

/// The expiry that memcached gets: never too early, as it counts in whole seconds.
fn exptime(ttl: Option<Duration>) -> i64 {
    let Some(ttl) = ttl else { return 0 };
    let seconds = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX).saturating_add(2);
    if seconds <= MAX_RELATIVE {
        return seconds;
    }
    // It has no moments after 2038: values end as their envelope says, counters never.
    let moment = (clock::now() / 1000).saturating_add(seconds);
    if moment <= i32::MAX.into() { moment } else { 0 }
}

/// The number of a key, by which python-memcached chooses its server.
fn server_hash(key: &[u8]) -> u32 {
    let hash = (crc32(key) >> 16) & 0x7fff;
    hash.max(1)
}

fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_chosen_as_python_does() {
        // zlib.crc32(b"...") in Python.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(server_hash(b"123456789"), 0x4bf4);
        assert_eq!(server_hash(b""), 1);
    }

    #[test]
    fn hosts_have_several_spellings() {
        for (given, address_) in [
            ("h", "h:11211"),
            ("h:1", "h:1"),
            ("inet:h:2", "h:2"),
            ("[::1]", "[::1]:11211"),
            ("[::1]:3", "[::1]:3"),
        ] {
            assert_eq!(address(given).unwrap(), address_);
        }
        assert!(address("unix:/run/memcached").is_err());
        assert!(Memcached::new([""; 0], Options::default()).is_err());
    }

    #[test]
    fn long_expiries_are_moments() {
        assert_eq!(exptime(None), 0);
        assert_eq!(exptime(Some(Duration::from_millis(1))), 2);
        let month = Duration::from_hours(31 * 24);
        assert!(exptime(Some(month)) > clock::now() / 1000);
        assert_eq!(exptime(Some(Duration::MAX)), 0);
    }
}
