//! The engines, each with a server that its tests share.

use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use cumulo_kvs::{Kvs, Options};
use tempfile::TempDir;

/// An engine under test.
pub(crate) trait Engine {
    /// With a server or a file that is empty, or that all stores use under their own prefixes.
    fn start() -> Self
    where
        Self: Sized;

    /// A new client of the same data, with these options.
    fn open(&self, options: Options) -> Box<dyn Kvs>;

    /// Whether keys can be listed.
    fn lists_keys(&self) -> bool {
        true
    }

    /// Whether flushing a store without prefix would disturb other tests.
    fn is_shared(&self) -> bool {
        false
    }

    /// A store with a prefix that no other test has.
    fn store(&self) -> Box<dyn Kvs> {
        self.open(Options { prefix: fresh_prefix(), ..Options::default() })
    }
}

/// A prefix that nobody else has in this run; with characters that patterns treat specially.
pub(crate) fn fresh_prefix() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("t*_%[{}]:", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Its stores share nothing.
pub(crate) struct Memory;

impl Engine for Memory {
    fn start() -> Self {
        Self
    }

    fn open(&self, options: Options) -> Box<dyn Kvs> {
        Box::new(cumulo_kvs::Memory::new(64 * 1024 * 1024, options).unwrap())
    }
}

pub(crate) struct Sqlite(TempDir);

impl Engine for Sqlite {
    fn start() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self, options: Options) -> Box<dyn Kvs> {
        Box::new(cumulo_kvs::Sqlite::open(&self.0.path().join("cache.db"), options).unwrap())
    }
}

pub(crate) struct Postgresql(String);

impl Engine for Postgresql {
    fn start() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("cache{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let url = cumulo_servers::Postgres::shared().create_database(&name).unwrap();
        // On a runtime of its own: this one is busy with the test.
        let migration = url.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let store = cumulo_kvs::Postgresql::new(&migration, Options::default()).unwrap();
                assert!(store.migrate().await.unwrap());
                assert!(!store.migrate().await.unwrap());
            });
        })
        .join()
        .unwrap();
        Self(url)
    }

    fn open(&self, options: Options) -> Box<dyn Kvs> {
        Box::new(cumulo_kvs::Postgresql::new(&self.0, options).unwrap())
    }
}

pub(crate) struct Redis(&'static cumulo_servers::Redis);

impl Engine for Redis {
    fn start() -> Self {
        static SHARED: OnceLock<cumulo_servers::Redis> = OnceLock::new();
        Self(SHARED.get_or_init(|| cumulo_servers::Redis::with_password("s3cret").unwrap()))
    }

    fn open(&self, options: Options) -> Box<dyn Kvs> {
        Box::new(cumulo_kvs::Redis::new(&self.0.url(), options).unwrap())
    }

    fn is_shared(&self) -> bool {
        true
    }
}

/// Two servers, so that keys are distributed.
pub(crate) struct Memcached(&'static [cumulo_servers::Memcached; 2]);

impl Engine for Memcached {
    fn start() -> Self {
        static SHARED: OnceLock<[cumulo_servers::Memcached; 2]> = OnceLock::new();
        let start = || cumulo_servers::Memcached::start().unwrap();
        Self(SHARED.get_or_init(|| [start(), start()]))
    }

    fn open(&self, options: Options) -> Box<dyn Kvs> {
        let hosts = self.0.iter().map(cumulo_servers::Memcached::url);
        Box::new(cumulo_kvs::Memcached::new(hosts, options).unwrap())
    }

    fn lists_keys(&self) -> bool {
        false
    }

    fn is_shared(&self) -> bool {
        true
    }
}
