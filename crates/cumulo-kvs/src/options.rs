//! What all engines need to know.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The longest time to live; longer ones are cut. 30 years fit all engines.
const MAX_TTL: Duration = Duration::from_hours(30 * 365 * 24);
/// Of a prefix, so that a hash still fits the shortest keys.
const MAX_PREFIX: usize = 128;
/// Begins a key that stands for another. A key that begins so is hashed, too: no key can be given
/// that stands for another one.
const HASHED: &str = "sha256:";

/// What all engines need to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// Stands before every key, so that several stores can share a server: up to 128 bytes,
    /// without spaces and control characters.
    pub prefix: String,
    /// After how long an operation gives up, waiting for a connection included.
    pub timeout: Duration,
    /// Most bytes of a value.
    pub max_value_bytes: usize,
    /// Most connections at a time (to each host of memcached). Redis needs one.
    pub pool_size: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            timeout: Duration::from_secs(5),
            max_value_bytes: 8 * 1024 * 1024,
            pool_size: 10,
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<()> {
        let odd = self.prefix.chars().any(|it| it.is_whitespace() || it.is_control());
        if odd || self.prefix.len() > MAX_PREFIX {
            return Err(Error::Configuration(format!(
                "the prefix of a cache has at most {MAX_PREFIX} bytes, \
                 no spaces and no control characters"
            )));
        }
        if self.pool_size == 0 {
            return Err(Error::Configuration("the pool of a cache needs a connection".to_owned()));
        }
        Ok(())
    }

    /// The key with its prefix, hashed unless it is short and `plain`.
    pub(crate) fn key(&self, key: &str, max: usize, plain: impl Fn(char) -> bool) -> String {
        let Self { prefix, .. } = self;
        let fits = prefix.len() + key.len() <= max && key.chars().all(plain);
        if fits && !key.starts_with(HASHED) {
            return format!("{prefix}{key}");
        }
        format!("{prefix}{HASHED}{}", URL_SAFE_NO_PAD.encode(Sha256::digest(key)))
    }

    /// The key as it was given; `None` if it was hashed.
    pub(crate) fn without_prefix(&self, key: &str) -> Option<String> {
        let key = key.strip_prefix(&self.prefix)?;
        (!key.starts_with(HASHED)).then(|| key.to_owned())
    }

    pub(crate) fn check_value(&self, value: &[u8]) -> Result<()> {
        let size = value.len();
        if size > self.max_value_bytes { Err(Error::TooLarge { size }) } else { Ok(()) }
    }

    /// A future of an engine, for as long as an operation may take.
    #[cfg(any(feature = "memcached", feature = "postgresql", feature = "redis"))]
    pub(crate) async fn within<T>(
        &self,
        engine: &'static str,
        operation: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match tokio::time::timeout(self.timeout, operation).await {
            Ok(result) => result,
            Err(late) => Err(Error::unavailable(engine, late)),
        }
    }
}

/// Whether a time to live is over at once.
pub(crate) fn is_over(ttl: Option<Duration>) -> bool {
    ttl.is_some_and(|ttl| ttl.is_zero())
}

/// A time to live that all engines can hold: they count in milliseconds.
pub(crate) fn bounded(ttl: Option<Duration>) -> Option<Duration> {
    ttl.map(|ttl| ttl.clamp(Duration::from_millis(1), MAX_TTL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_stands_for_another() {
        let options = Options { prefix: "p:".into(), ..Options::default() };
        let key = |key: &str| options.key(key, 60, |it| !it.is_whitespace());
        assert_eq!(key("plain"), "p:plain");
        let long = key(&"x".repeat(59));
        assert!(long.starts_with("p:sha256:") && long.len() <= 60);
        assert_ne!(key(long.strip_prefix("p:").unwrap()), long);
        assert_ne!(key("a b"), key("a  b"));
        assert_eq!(options.without_prefix("p:plain"), Some("plain".into()));
        assert_eq!(options.without_prefix(&long), None);
        assert_eq!(options.without_prefix("plain"), None);
    }

    #[test]
    fn bad_options_are_refused() {
        for prefix in ["a b", "a\nb", &"x".repeat(129)] {
            assert!(Options { prefix: prefix.into(), ..Options::default() }.check().is_err());
        }
        assert!(Options { pool_size: 0, ..Options::default() }.check().is_err());
        assert!(Options { prefix: "é:".into(), ..Options::default() }.check().is_ok());
    }
}
