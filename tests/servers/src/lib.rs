//! Real servers that are private to a test: on a free port of this machine, in a temporary folder.
//!
//! ```no_run
//! let server = cumulo_servers::Redis::start()?;
//! println!("{}", server.url());
//! # anyhow::Ok(())
//! ```
//!
//! A server stops when it goes out of scope, and also when the process of the test ends in any
//! other way. A program that is not installed is installed by [`packages`], or named in an error.

mod memcached;
pub mod packages;
mod postgres;
mod process;
mod provider;
mod receiver;
mod redis;

pub use memcached::Memcached;
pub use postgres::{Options, Postgres};
pub use provider::Provider;
pub use receiver::{Answer, Received, Receiver};
pub use redis::Redis;
