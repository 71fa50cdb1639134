//! The same tests over each kind of store.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use cumulo_core::{clock::Clock, store::Store};
use cumulo_servers::Postgres as Server;
use cumulo_store::{Durability, Memory, Options, Postgres, PostgresOptions, Sqlite};

/// The kinds of stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In memory.
    Memory,
    /// In a file.
    Sqlite,
    /// On a real server, which all tests of a process share.
    Postgresql,
}

impl Kind {
    /// An empty store, which may have files in `folder`.
    pub(crate) fn open(self, folder: &Path, clock: Arc<dyn Clock>) -> Arc<dyn Store> {
        static DATABASES: AtomicUsize = AtomicUsize::new(0);
        match self {
            Self::Memory => Arc::new(Memory::new(clock)),
            Self::Sqlite => {
                let options = Options { durability: Durability::Off, ..Options::default() };
                let file = folder.join("test.sqlite");
                Arc::new(Sqlite::open(&file, options, clock).expect("a new file"))
            }
            Self::Postgresql => {
                let name = format!("protocol_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
                let url = Server::shared().create_database(&name).expect("a new database");
                Postgres::migrate(&url, false).expect("an empty database");
                let options = PostgresOptions::default();
                Arc::new(Postgres::open(&url, options, clock).expect("a migrated database"))
            }
        }
    }
}

/// Makes a test of each function for each kind of store, which the function gets.
#[macro_export]
macro_rules! on_each_store {
    ($($case:ident)*) => {
        mod memory {
            $(#[test] fn $case() { super::$case($crate::Kind::Memory); })*
        }
        mod sqlite {
            $(#[test] fn $case() { super::$case($crate::Kind::Sqlite); })*
        }
        mod postgresql {
            $(#[test] fn $case() { super::$case($crate::Kind::Postgresql); })*
        }
    };
}
