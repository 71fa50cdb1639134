//! A bounded map in the memory of the process.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use async_trait::async_trait;

use crate::{
    error::{Error, Result},
    kvs::{Kvs, Lifetime, counter},
    options::{Options, bounded, is_over},
};

/// What an entry costs beside its key and value, about.
const OVERHEAD: usize = 64;

/// Values in the memory of this process.
///
/// When they need more than their limit, expired ones go first, then the oldest.
pub struct Memory {
    options: Options,
    max_bytes: usize,
    state: Mutex<State>,
}

impl Memory {
    /// An empty store of at most `max_bytes`.
    pub fn new(max_bytes: usize, options: Options) -> Result<Self> {
        options.check()?;
        Ok(Self { options, max_bytes, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while values are moved")
    }

    fn key(&self, key: &str) -> String {
        self.options.key(key, usize::MAX, |_| true)
    }

    fn put(&self, state: &mut State, key: String, value: Vec<u8>, expiry: Option<Instant>) {
        state.remove(&key);
        state.insert(key, value, expiry);
        state.shrink(self.max_bytes);
    }
}

#[async_trait]
impl Kvs for Memory {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.state().live(&self.key(key)).map(|entry| entry.value.clone()))
    }

    async fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<()> {
        self.options.check_value(value)?;
        let key = self.key(key);
        if cost(&key, value) > self.max_bytes {
            return Err(Error::TooLarge { size: value.len() });
        }
        let mut state = self.state();
        if is_over(ttl) {
            state.remove(&key);
        } else {
            self.put(&mut state, key, value.to_vec(), expiry(ttl));
        }
        Ok(())
    }

    async fn take(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let entry = self.state().remove(&self.key(key));
        Ok(entry.filter(Entry::is_live).map(|entry| entry.value))
    }

    async fn increment(&self, key: &str, by: u32, ttl: Option<Duration>) -> Result<i64> {
        let mut state = self.state();
        let full = self.key(key);
        let (before, expiry) = match state.live(&full) {
            Some(entry) => (counter(&entry.value), entry.expiry),
            None => (Some(0), expiry(ttl)),
        };
        let sum = before.and_then(|before| before.checked_add(by.into()));
        let sum = sum.ok_or_else(|| Error::NotACounter { key: key.to_owned() })?;
        self.put(&mut state, full, sum.to_string().into_bytes(), expiry);
        Ok(sum)
    }

    async fn ttl(&self, key: &str) -> Result<Lifetime> {
        Ok(match self.state().live(&self.key(key)).map(|entry| entry.expiry) {
            None => Lifetime::Missing,
            Some(None) => Lifetime::Unlimited,
            Some(Some(expiry)) => Lifetime::Left(expiry - Instant::now()),
        })
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let state = self.state();
        let live = state.entries.iter().filter(|(_, entry)| entry.is_live());
        let keys = live.filter_map(|(key, _)| self.options.without_prefix(key));
        Ok(keys.filter(|key| key.starts_with(prefix)).collect())
    }

    async fn flush(&self) -> Result<()> {
        *self.state() = State::default();
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }
}

fn expiry(ttl: Option<Duration>) -> Option<Instant> {
    bounded(ttl).map(|ttl| Instant::now() + ttl)
}

fn cost(key: &str, value: &[u8]) -> usize {
    key.len() + value.len() + OVERHEAD
}

struct Entry {
    value: Vec<u8>,
    expiry: Option<Instant>,
    /// Its place in the order of time.
    age: u64,
}

impl Entry {
    fn is_live(&self) -> bool {
        self.expiry.is_none_or(|expiry| expiry > Instant::now())
    }
}

#[derive(Default)]
struct State {
    entries: HashMap<String, Entry>,
    by_age: BTreeMap<u64, String>,
    by_expiry: BTreeSet<(Instant, u64)>,
    next_age: u64,
    bytes: usize,
}

impl State {
    fn live(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| entry.is_live())
    }

    fn insert(&mut self, key: String, value: Vec<u8>, expiry: Option<Instant>) {
        let age = self.next_age;
        self.next_age += 1;
        self.bytes += cost(&key, &value);
        self.by_age.insert(age, key.clone());
        self.by_expiry.extend(expiry.map(|expiry| (expiry, age)));
        self.entries.insert(key, Entry { value, expiry, age });
    }

    fn remove(&mut self, key: &str) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.bytes -= cost(key, &entry.value);
        self.by_age.remove(&entry.age);
        if let Some(expiry) = entry.expiry {
            self.by_expiry.remove(&(expiry, entry.age));
        }
        Some(entry)
    }

    /// Removes entries until the others fit.
    fn shrink(&mut self, max_bytes: usize) {
        while self.bytes > max_bytes {
            let expired = self.by_expiry.first().filter(|(expiry, _)| *expiry <= Instant::now());
            let age = expired.map(|(_, age)| age).or_else(|| self.by_age.keys().next());
            let Some(key) = age.and_then(|age| self.by_age.get(age)).cloned() else { return };
            self.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn expired_values_make_room_first_then_the_oldest() {
        let cache = Memory::new(3 * (1 + 1 + OVERHEAD), Options::default()).unwrap();
        cache.set("a", b"1", None).await.unwrap();
        cache.set("b", b"2", Some(Duration::from_millis(1))).await.unwrap();
        cache.set("c", b"3", None).await.unwrap();
        std::thread::sleep(Duration::from_millis(2));
        cache.set("d", b"4", None).await.unwrap();
        assert_eq!(cache.get("a").await.unwrap(), Some(b"1".to_vec()));
        cache.set("e", b"5", None).await.unwrap();
        assert_eq!(cache.get("a").await.unwrap(), None);
        assert_eq!(cache.get("c").await.unwrap(), Some(b"3".to_vec()));
        let too_large = cache.set("f", &[0; 300], None).await;
        assert!(matches!(too_large, Err(Error::TooLarge { .. })));
        let state = cache.state();
        let bytes: usize = state.entries.iter().map(|(key, it)| cost(key, &it.value)).sum();
        assert_eq!((state.bytes, state.by_age.len(), state.by_expiry.len()), (bytes, 3, 0));
    }
}
