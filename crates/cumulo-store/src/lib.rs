//! The stores of Cumulo: places that keep objects, behind the one [`Store`] trait.
//!
//! - [`Memory`]: everything in memory, for tests and trials
//! - [`Sqlite`]: one durable file, one process, many requests per commit
//! - [`Postgres`]: Kinto's tables in a database, for any number of processes, Kinto among them
//!
//! All keep the same laws; `tests/contract` states them as one suite that runs on each. Stores
//! are used through [`Store::submit`] or `<dyn Store>::transact`:
//!
//! ```
//! use std::sync::Arc;
//! use cumulo_core::{clock::SystemClock, object::List, store::{Access, Outcome, Store}};
//! use cumulo_store::Memory;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let store: Arc<dyn Store> = Arc::new(Memory::new(Arc::new(SystemClock::default())));
//! let stored = store
//!     .transact(Access::Write, |tx| {
//!         let list = List::new("/buckets/blog/collections/posts", "record");
//!         tx.put(&list, "hello", None, r#"{"title":"Hello"}"#, None)?;
//!         Ok((Outcome::Commit, tx.get(&list, "hello")?))
//!     })
//!     .await
//!     .unwrap();
//! assert_eq!(stored.unwrap().object.data, r#"{"title":"Hello"}"#);
//! # });
//! ```
//!
//! [`Store`]: cumulo_core::store::Store
//! [`Store::submit`]: cumulo_core::store::Store::submit

mod bounds;
mod error;
mod memory;
mod postgres;
mod resources;
mod run;
mod sqlite;

pub use error::{Error, Result};
pub use memory::Memory;
pub use postgres::{BadUrl, Postgres, PostgresMigration, PostgresOptions, SchemaError};
pub use sqlite::{Durability, Migration, Options, Sqlite};
